"""1/√x of integers in fixed point, as LiteRT computes it while the network runs."""

from __future__ import annotations

from lowtide.importer.lowered.builder import i32, integer, number
from lowtide.importer.lowered.scalars import high_product
from lowtide.ir import Value, arith, math

_GREATEST = (1 << 31) - 1
_HALF_ROOT_OF_2 = 1518500250
_STEPS = 5


def inverse_root(x: Value) -> tuple[Value, Value]:
    """1/√x of a 32-bit x from 0 on: mantissa · 2^(−31 − shift), by five steps of Newton's.

    0 counts as 1. `tflite.fixed_point.inverse_root` does the same when a model is imported.
    """
    kind = arith.CmpIPredicate
    zeros = math.ctlz(x)
    # as many pairs of bits as leave 28 or 29 of the number, to the left or, of the largest, to the right
    pairs = arith.subi(arith.shrui(arith.subi(arith.maxsi(zeros, i32(1)), i32(1)), i32(1)), i32(1))
    up = arith.shli(arith.maxsi(pairs, i32(0)), i32(1))
    down = arith.shli(arith.maxsi(arith.subi(i32(0), pairs), i32(0)), i32(1))
    scaled = arith.shrui(arith.shli(x, up), down)
    value = arith.shrsi(scaled, i32(1))
    half = _halved(value)
    three_halves, guess = i32((1 << 28) + (1 << 27)), i32(1 << 28)
    for _ in range(_STEPS):
        cube = _shifted(high_product(high_product(guess, guess), guess), 6)
        difference = arith.subi(high_product(three_halves, guess), high_product(half, cube))
        guess = _shifted(difference, 3)
    mantissa = high_product(guess, i32(_HALF_ROOT_OF_2))
    shift = arith.subi(i32(11), pairs)
    # LiteRT has no shift to the left of this: the mantissa takes it
    mantissa = arith.shli(mantissa, arith.maxsi(arith.subi(i32(0), shift), i32(0)))
    small = arith.cmpi(kind.sle, x, i32(1))
    return arith.select(small, i32(_GREATEST), mantissa), arith.select(small, i32(0), arith.maxsi(shift, i32(0)))


def _halved(x: Value) -> Value:
    """Half of a number that is not negative, ties going up."""
    return arith.shrsi(arith.addi(x, i32(1)), i32(1))


def _shifted(x: Value, bits: int) -> Value:
    """The number times 2^bits, kept within 32 bits."""
    wide = integer(64)
    product = arith.shli(arith.extsi(wide, x), number(wide, bits))
    low, high = number(wide, -(1 << 31)), number(wide, _GREATEST)
    return arith.trunci(integer(32), arith.minsi(arith.maxsi(product, low), high))


def reciprocal(x: Value) -> tuple[Value, Value]:
    """1/x of a 32-bit x above 0, by three steps of Newton's.

    Returns:
        mantissa, times 2^−31 the reciprocal of x · 2^(zeros − 31), which is from 1 to 2; and the leading zeros of x.
    """
    room = math.ctlz(x)
    more = arith.xori(arith.shli(x, room), i32(-(1 << 31)))
    return reciprocal_of_more(more), room


def reciprocal_of_more(x: Value) -> Value:
    """1/(1 + x) for x from 0 to 1, both without integer bits."""
    # the sum of x and 1 may need 32 bits without a sign
    half = arith.shrui(arith.addi(arith.addi(x, i32(_GREATEST)), i32(1)), i32(1))
    guess = arith.addi(i32(1515870810), high_product(half, i32(-1010580540)))
    for _ in range(3):
        left = arith.subi(i32(1 << 29), high_product(half, guess))
        guess = arith.addi(guess, _shifted(high_product(guess, left), 2))
    return _shifted(guess, 1)
