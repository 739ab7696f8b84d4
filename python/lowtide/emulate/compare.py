"""How far outputs are from the expected ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lowtide.emulate.backend import Array
from lowtide.errors import UsageError


@dataclass(frozen=True)
class Difference:
    """How far all elements of all outputs are from the expected ones.

    Attributes:
        max_abs: the largest absolute difference; infinite where one side is not finite and the other differs.
        count: elements that differ at all.
        total: elements compared.
        range: largest minus smallest expected value (their magnitude where all are equal), of the output where
            `relative` is largest.
        relative: the largest of `max_abs / range` over the outputs; 0 where none differs.
    """

    max_abs: float
    count: int
    total: int
    range: float
    relative: float

    def within(self, tolerance: float) -> bool:
        """No element differs by more than `tolerance` times its output's range; 0 demands equality."""
        return self.relative <= tolerance


def compare(outputs: Sequence[Array], expected: Sequence[Array]) -> Difference:
    """Compare output by output; `UsageError` where number, shapes or dtypes differ."""
    return compare_runs([outputs], [expected])


def compare_runs(runs: Sequence[Sequence[Array]], expected: Sequence[Sequence[Array]]) -> Difference:
    """Compare several runs' outputs, `runs[run][output]`; an output's range is taken over all runs.

    Raises:
        UsageError: the number of runs or outputs, a shape or a dtype differs.
    """
    if len(runs) != len(expected):
        raise UsageError("verify", f"{len(runs)} runs, {len(expected)} expected ones")
    for outputs, wanted in zip(runs, expected, strict=True):
        _check(outputs, wanted)
    # Over the runs of each output.
    pairs = zip(zip(*runs, strict=True), zip(*expected, strict=True), strict=True)
    parts = [_compare(np.stack(found), np.stack(wanted)) for found, wanted in pairs]
    worst = max(parts, key=lambda part: part.relative, default=Difference(0.0, 0, 0, 0.0, 0.0))
    return Difference(
        max_abs=max((part.max_abs for part in parts), default=0.0),
        count=sum(part.count for part in parts),
        total=sum(part.total for part in parts),
        range=worst.range,
        relative=worst.relative,
    )


def _check(outputs: Sequence[Array], expected: Sequence[Array]) -> None:
    if len(outputs) != len(expected):
        raise UsageError("verify", f"{len(outputs)} outputs, {len(expected)} expected ones")
    for index, (output, wanted) in enumerate(zip(outputs, expected, strict=True)):
        if output.shape != wanted.shape or output.dtype != wanted.dtype:
            one, two = (f"{array.dtype.name}{list(array.shape)}" for array in (output, wanted))
            raise UsageError("verify", f"output {index} is {one}, {two} is expected")


def _compare(output: Array, expected: Array) -> Difference:
    found, wanted = output.astype(np.float64).ravel(), expected.astype(np.float64).ravel()
    same = (output.ravel() == expected.ravel()) | (np.isnan(found) & np.isnan(wanted))
    with np.errstate(invalid="ignore"):
        distance = np.where(same, 0.0, np.abs(found - wanted))
    distance = np.where(np.isfinite(distance), distance, np.inf)
    finite = wanted[np.isfinite(wanted)]
    # Where all expected values are equal, their magnitude is the measure.
    spread = float(np.ptp(finite) or np.abs(finite[0])) if finite.size else 0.0
    largest = float(distance.max(initial=0.0))
    relative = 0.0 if largest == 0 else largest / spread if spread else float("inf")
    return Difference(largest, int(np.count_nonzero(~same)), output.size, spread, relative)
