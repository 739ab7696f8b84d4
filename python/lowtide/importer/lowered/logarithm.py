"""The natural logarithm in fixed point, as LiteRT computes it while the network runs."""

from __future__ import annotations

from lowtide.importer.lowered.builder import i32, integer, number
from lowtide.importer.lowered.roots import reciprocal_of_more
from lowtide.importer.lowered.scalars import high_product, rounded_shift
from lowtide.ir import Value, arith, math

_LOG_OF_2 = 1488522236
_ROOT_OF_HALF, _ROOT_OF_ROOT_OF_HALF = 1518500250, 1805811301
# of the rational function that is near the logarithm around √√½
_NUMERATOR, _DENOMINATOR, _CONSTANT, _LINEAR = 117049297, 127690142, 1057819769, 638450708


def logarithm(x: Value, integer_bits: int, made_bits: int) -> Value:
    """Log x of a number from 1 on with so many integer bits, in a number with `made_bits` of them.

    The number's power of two is found twice, for it and for it times √½, so that what is left lies around √√½.
    """
    bits = made_bits + 1
    quarter = rounded_shift(i32(1 << 29), i32(bits))
    zeros = math.ctlz(x)
    room = arith.subi(zeros, i32(1))
    first = _doubled(high_product(_shifted(x, room), i32(_ROOT_OF_HALF)))
    power = arith.addi(_whole(arith.subi(i32(integer_bits), zeros), bits), quarter)
    other = arith.subi(math.ctlz(high_product(x, i32(_ROOT_OF_HALF))), i32(1))
    second = _shifted(x, other)
    other_power = arith.subi(_whole(arith.subi(i32(integer_bits), other), bits), quarter)
    rest = arith.minsi(first, second)
    power = arith.maxsi(power, other_power)
    middle = _half_sum(rest, i32(_ROOT_OF_ROOT_OF_HALF))
    away = arith.subi(rest, i32(_ROOT_OF_ROOT_OF_HALF))
    away = arith.addi(away, away)
    square = high_product(away, away)
    above = arith.addi(high_product(away, rest), high_product(high_product(away, square), i32(_NUMERATOR)))
    inner = arith.addi(arith.addi(i32(_CONSTANT), away), high_product(i32(_DENOMINATOR), square))
    under = arith.addi(high_product(middle, inner), high_product(i32(_LINEAR), away))
    fraction = high_product(rounded_shift(above, i32(bits)), reciprocal_of_more(under))
    return _doubled(arith.addi(high_product(power, i32(_LOG_OF_2)), fraction))


def _whole(x: Value, bits: int) -> Value:
    """A small integer with so many integer bits."""
    return arith.shli(x, i32(31 - bits))


def _shifted(x: Value, bits: Value) -> Value:
    """The number times 2^bits, kept within 32 bits."""
    wide = integer(64)
    return _kept(arith.shli(arith.extsi(wide, x), arith.extsi(wide, bits)))


def _doubled(x: Value) -> Value:
    wide = integer(64)
    return _kept(arith.shli(arith.extsi(wide, x), number(wide, 1)))


def _kept(x: Value) -> Value:
    wide = integer(64)
    low, high = number(wide, -(1 << 31)), number(wide, (1 << 31) - 1)
    return arith.trunci(integer(32), arith.minsi(arith.maxsi(x, low), high))


def _half_sum(x: Value, y: Value) -> Value:
    """Half of the sum of two numbers that are not negative, ties going up."""
    wide = integer(64)
    total = arith.addi(arith.addi(arith.extsi(wide, x), arith.extsi(wide, y)), number(wide, 1))
    return arith.trunci(integer(32), arith.shrsi(total, number(wide, 1)))
