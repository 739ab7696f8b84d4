"""Functions of one or two bytes as one expression in 32 bits: (a·x + b·y + c) >> s, clamped.

The scalar code of a quantised sum rescales each summand and then their sum, each time in 64 bits and with two
roundings. What comes of it is a byte, and there are 65,536 pairs of bytes: where one plane lies between the steps of
all results, three multiplications and their roundings are one product each and a shift. Nothing is assumed of the code
that is replaced: the numbers are accepted because they give its result for every input.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
import numpy.typing as npt

from lowtide.kernels.tabulate import Integers

Floats = npt.NDArray[np.float64]
BYTES = 256
"""Values of a byte."""
_WORD = 31
"""Bits of a 32-bit value without its sign."""
_REACH = 3
"""How far from the plane with the widest margin its rounded factors may be."""
_TRIED = 4
"""Shifts that are tried, from the finest that fits."""
_STEPS = 400
"""Constraints that the search for that plane adds, at most; it takes about ten for each variable."""
_SAMPLE = 31
"""Of the constraints every so manieth is looked at first; odd, for tables have rows of 256."""
_FAR = 1e6
_EPSILON = 1e-9
_EXACT = "use_preprocessing:false use_scaling:false"
"""Parameters of OR-Tools' simplex: scaled, its planes are exact to six digits only, and 23 bits of them count."""


@dataclass(frozen=True)
class Affine:
    """(Σ factor · x + constant) >> shift in 32 bits, then not below `low` and not above `high`.

    Attributes:
        low, high: None where nothing is beyond.
        signed: the bytes are extended with their sign; so is the result's.
    """

    factors: tuple[int, ...]
    constant: int
    shift: int
    low: int | None
    high: int | None
    signed: bool


def affine_of(table: Integers) -> Affine | None:
    """The expression that gives the table.

    Args:
        table: the results, bytes with their sign, by the bits of one byte or of two: int64[256] or int64[256, 256].

    Returns:
        what holds for each entry; None where none was found.
    """
    return _affine(table.astype(np.int8).tobytes(), table.ndim)


@lru_cache(maxsize=256)
def _affine(data: bytes, bytes_read: int) -> Affine | None:
    table = np.frombuffer(data, np.int8).reshape((BYTES,) * bytes_read).astype(np.int64)
    for signed in (True, False):
        values = values_of_bytes(signed=signed)
        # in the order of the values, not of the bits
        order = np.argsort(values, kind="stable")
        found = _plane(table[np.ix_(*(order,) * bytes_read)] & (-1 if signed else 0xFF), np.sort(values), signed)
        if found is not None:
            return found
    return None


def values_of_bytes(*, signed: bool) -> Integers:
    """The value of each byte, by its bits."""
    bits = np.arange(BYTES)
    return (bits.astype(np.int8) if signed else bits).astype(np.int64)


def _plane(table: Integers, values: Integers, signed: bool) -> Affine | None:
    low, high = int(table.min()), int(table.max())
    if low == high:
        return None
    grid = np.meshgrid(*(values,) * table.ndim, indexing="ij")
    points = np.stack([axis.reshape(-1) for axis in grid], axis=1)
    results = table.reshape(-1)
    margin, plane = _widest(points.astype(np.float64), results.astype(np.float64))
    if margin <= 0:
        return None
    reached = np.abs(points @ plane[:-1] + plane[-1]).max()
    finest = _WORD - int(np.ceil(np.log2(max(reached, 1.0) + 1e-6)))
    for shift in range(finest, max(finest - _TRIED, -1), -1):
        for factors in _rounded(plane[:-1] * 2.0**shift):
            constant = _constant(points @ np.array(factors), results, shift)
            if constant is not None:
                total = (points @ np.array(factors) + constant) >> shift
                least, greatest = int(total.min()), int(total.max())
                clamps = (low if least < low else None), (high if greatest > high else None)
                return Affine(factors, constant, shift, *clamps, signed)
    return None


def _rounded(factors: Floats) -> Iterator[tuple[int, ...]]:
    """Integers near them, the nearest first."""
    nearest = np.rint(factors).astype(np.int64).tolist()
    shifts = sorted(product(range(-_REACH, _REACH + 1), repeat=len(nearest)), key=lambda s: (sum(map(abs, s)), s))
    for shift in shifts:
        yield tuple(n + s for n, s in zip(nearest, shift, strict=True))


def _constant(products: Integers, results: Integers, shift: int) -> int | None:
    """What added to the products gives all results, and no more than 32 bits."""
    low, high = results.min(), results.max()
    above, below = results > low, results < high
    least = int(((results << shift) - products)[above].max(initial=-(1 << 62)))
    most = int((((results + 1) << shift) - 1 - products)[below].min(initial=1 << 62))
    if least > most:
        return None
    constant = (max(least, -(1 << 40)) + min(most, 1 << 40)) // 2
    fits = products.min() + constant >= -(1 << _WORD) and products.max() + constant < 1 << _WORD
    return constant if fits and -(1 << _WORD) <= constant < 1 << _WORD else None


def _widest(points: Floats, results: Floats) -> tuple[float, Floats]:
    """The plane whose values are furthest from where the result would be another.

    A linear program in as many variables as the plane has, and the margin t: plane(x) − t ≥ result but at the least
    one, plane(x) + t ≤ result + 1 but at the greatest. Of its tens of thousands of constraints few matter: the most
    violated one is added until none is. Those of a sample come first: looking through them takes a fraction of the
    time, and what satisfies them violates few of the others.

    Returns:
        the margin, negative or 0 where there is no such plane, and factors and constant.
    """
    # slow to import, and needed where a network has such a function alone
    from ortools.linear_solver import pywraplp

    planes = np.hstack([points, np.ones((len(points), 1))])
    above, below = results > results.min(), results < results.max()
    signed = np.vstack([planes[above], -planes[below]])
    rows: Floats = np.hstack([signed, -np.ones((len(signed), 1))])
    limits: Floats = np.concatenate([results[above], -results[below] - 1])
    solver = pywraplp.Solver.CreateSolver("GLOP")
    solver.SetSolverSpecificParametersAsString(_EXACT)
    variables = [solver.NumVar(-_FAR, _FAR, "") for _ in range(planes.shape[1])]
    margin = solver.NumVar(-_FAR, 1.0, "")
    solver.Maximize(margin)
    steps = 0
    for sample in (slice(None, None, _SAMPLE), slice(None)):
        some, ends = np.ascontiguousarray(rows[sample]), limits[sample]
        while steps < _STEPS:
            steps += 1
            if solver.Solve() != pywraplp.Solver.OPTIMAL:
                return -1.0, np.zeros(len(variables))
            best = np.array([variable.solution_value() for variable in (*variables, margin)], np.float64)
            if best[-1] <= 0:
                return float(best[-1]), best[:-1]
            slack = some @ best - ends
            worst = int(slack.argmin())
            if slack[worst] > -_EPSILON:
                break
            constraint = solver.Constraint(float(ends[worst]), solver.infinity())
            for variable, factor in zip((*variables, margin), some[worst].tolist(), strict=True):
                constraint.SetCoefficient(variable, factor)
        else:
            return -1.0, np.zeros(len(variables))
    return float(best[-1]), best[:-1]
