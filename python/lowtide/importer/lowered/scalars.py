"""LiteRT Micro's arithmetic on scalars, for the bodies of lowerings: fixed-point products, clamping, rounding."""

from __future__ import annotations

import math

import numpy as np
from tflite import ActivationFunctionType

from lowtide.importer.lowered.builder import f32, i32, integer, number
from lowtide.ir import Attribute, Operation, Type, Value, arith

_A = ActivationFunctionType
ACTIVATIONS: dict[int, tuple[float | None, float | None]] = {
    _A.NONE: (None, None),
    _A.RELU: (0.0, None),
    _A.RELU_N1_TO_1: (-1.0, 1.0),
    _A.RELU6: (0.0, 6.0),
}
"""Between which real numbers an activation keeps its operand."""


def fixed_point(real: float) -> tuple[int, int]:
    """A factor as a 32-bit mantissa and a power of two, as LiteRT's `QuantizeMultiplier` has it.

    Returns:
        mantissa in 2³⁰ … 2³¹ − 1 (or 0) and exponent: the factor is mantissa · 2^(exponent − 31).
    """
    if real == 0.0:
        return 0, 0
    fraction, exponent = math.frexp(real)
    # C's round: halves go away from zero
    mantissa = math.floor(abs(fraction) * (1 << 31) + 0.5) * (1 if fraction > 0 else -1)
    if abs(mantissa) == 1 << 31:
        mantissa //= 2
        exponent += 1
    return (0, 0) if exponent < -31 else (mantissa, exponent)


def clamped(x: Value, low: int, high: int) -> Value:
    """The integer x within low … high."""
    kind = x.type
    return arith.minsi(arith.maxsi(x, number(kind, low)), number(kind, high))


def clamped_float(x: Value, low: float | None, high: float | None) -> Value:
    """The float x within low … high, each of which may be missing; NaN stays."""
    kind = arith.CmpFPredicate
    if low is not None:
        x = arith.select(arith.cmpf(kind.OLT, x, f32(low)), f32(low), x)
    if high is not None:
        x = arith.select(arith.cmpf(kind.OGT, x, f32(high)), f32(high), x)
    return x


def rescaled(x: Value, mantissa: int | Value, exponent: int) -> Value:
    """The 32-bit x times mantissa · 2^(exponent − 31), rounded twice: LiteRT's `MultiplyByQuantizedMultiplier`.

    TOSA's `apply_scale` with double rounding is the same; the kernels know what MLIR makes of it.
    """
    word, shift = integer(32), 31 - exponent
    value = i32(mantissa) if isinstance(mantissa, int) else mantissa
    return _applied(x, value, number(integer(8), shift), word)


def rescaled_values(x: Value, mantissa: Value, shift: Value) -> Value:
    """As `rescaled`, by values: a mantissa of 32 bits, not below 0, and 31 − exponent in 8 bits."""
    return _applied(x, mantissa, shift, integer(32))


def _applied(x: Value, mantissa: Value, shift: Value, made: Type) -> Value:
    rounding = {"rounding_mode": Attribute.parse("#tosa.rounding_mode<DOUBLE_ROUND>")}
    return Operation.create("tosa.apply_scale", [made], [x, mantissa, shift], rounding).results[0]


def extended(x: Value, *, signed: bool = True, bits: int = 32) -> Value:
    """An integer in more bits."""
    return (arith.extsi if signed else arith.extui)(integer(bits), x)


def truncated(x: Value, bits: int) -> Value:
    """The low bits of an integer."""
    return arith.trunci(integer(bits), x)


def least_and_greatest(name: str) -> tuple[int, int]:
    """The ends of an integer type, by its numpy name."""
    info = np.iinfo(name)
    return int(info.min), int(info.max)


def clamped_range(activation: int, dtype: str, scale: float, zero_point: int) -> tuple[int, int]:
    """Between which stored numbers an activation keeps a result of a scale and a zero point."""
    low, high = least_and_greatest(dtype)
    least, most = ACTIVATIONS[activation]

    def stored(real: float) -> int:
        steps = float(np.float32(real) / np.float32(scale))
        return zero_point + math.floor(abs(steps) + 0.5) * (1 if steps >= 0 else -1)

    return (low if least is None else max(low, stored(least))), (high if most is None else min(high, stored(most)))


def high_product(x: Value, y: Value) -> Value:
    """The high word of the doubled product of two 32-bit numbers, rounded with ties up."""
    wide = integer(64)
    product = arith.muli(arith.extsi(wide, x), arith.extsi(wide, y))
    rounded = arith.addi(product, number(wide, 1 << 30))
    return arith.trunci(integer(32), arith.shrsi(rounded, number(wide, 31)))


def rounded_shift(x: Value, shift: Value) -> Value:
    """The 32-bit x over 2^shift, rounded with ties away from zero; `shift` is not negative.

    Beyond 31 it is what an Arm core makes of LiteRT's code, which C does not define: 1 of 0 and above, else -1.
    """
    beyond = arith.cmpi(arith.CmpIPredicate.sgt, shift, i32(31))
    inside = arith.minsi(shift, i32(31))
    mask = arith.select(beyond, i32(-1), arith.subi(arith.shli(i32(1), inside), i32(1)))
    negative = arith.extui(integer(32), arith.cmpi(arith.CmpIPredicate.slt, x, i32(0)))
    threshold = arith.addi(arith.shrsi(mask, i32(1)), negative)
    above = arith.cmpi(arith.CmpIPredicate.sgt, arith.andi(x, mask), threshold)
    return arith.addi(arith.shrsi(x, inside), arith.extui(integer(32), above))
