"""Functions of floats for the bodies of lowerings, where those that MLIR expands are not near enough to C's."""

from __future__ import annotations

from lowtide.importer.lowered.builder import f32, i32, integer
from lowtide.importer.lowered.scalars import clamped_float
from lowtide.ir import F32Type, Value, arith, math

_HALF_PI = (1.5703125, 4.837512969970703125e-4, 7.54978995489188216e-8)
"""π/2 in three parts, the first two of so few bits that their products with numbers of quarter turns are exact."""
_TWO_BY_PI = 0.6366197723675814
_QUARTER = 0.7853982
_MOST_TURNS = float(1 << 30)
_SINE = (-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1)
_COSINE = (2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2)
_NEAR = -0.35
"""From there up, exp(x) - 1 would lose digits."""
_SERIES = (1 / 5040, 1 / 720, 1 / 120, 1 / 24, 1 / 6, 1 / 2, 1.0)


def polynomial(x: Value, coefficients: tuple[float, ...]) -> Value:
    """The value at x; the coefficient of the highest power comes first."""
    value = f32(coefficients[0])
    for coefficient in coefficients[1:]:
        value = arith.addf(arith.mulf(value, x), f32(coefficient))
    return value


def sine(x: Value) -> Value:
    """Sin x, within 2⁻²³ up to 10⁴ or so; beyond, as far as its quarter turns are known. NaN of what is not finite."""
    return _turned(x, 0)


def cosine(x: Value) -> Value:
    """Cos x, as near as `sine`."""
    return _turned(x, 1)


def _turned(x: Value, more: int) -> Value:
    """Sin x after so many quarter turns more."""
    turns = math.roundeven(arith.mulf(x, f32(_TWO_BY_PI)))
    rest = x
    for part in _HALF_PI:
        rest = arith.subf(rest, arith.mulf(turns, f32(part)))
    rest = clamped_float(rest, -_QUARTER, _QUARTER)
    known = arith.cmpf(arith.CmpFPredicate.OLT, math.absf(turns), f32(_MOST_TURNS))
    quarter = arith.fptosi(integer(32), arith.select(known, turns, f32(0.0)))
    if more:
        quarter = arith.addi(quarter, i32(more))
    square = arith.mulf(rest, rest)
    sinus = arith.addf(arith.mulf(arith.mulf(polynomial(square, _SINE), square), rest), rest)
    tail = arith.mulf(arith.mulf(polynomial(square, _COSINE), square), square)
    cosinus = arith.addf(arith.subf(tail, arith.mulf(square, f32(0.5))), f32(1.0))
    value = arith.select(_bit(quarter, 1), cosinus, sinus)
    return arith.select(_bit(quarter, 2), arith.negf(value), value)


def _bit(x: Value, mask: int) -> Value:
    return arith.cmpi(arith.CmpIPredicate.ne, arith.andi(x, i32(mask)), i32(0))


def exponential_less_one(x: Value) -> Value:
    """exp(x) - 1 of a number that is not above 0, to the last digits also near 0."""
    near = arith.cmpf(arith.CmpFPredicate.OGT, x, f32(_NEAR))
    series = arith.mulf(polynomial(x, _SERIES), x)
    return arith.select(near, series, arith.subf(math.exp(x), f32(1.0)))


def to_float(x: Value) -> Value:
    """An integer as a float."""
    return arith.sitofp(F32Type.get(), x)
