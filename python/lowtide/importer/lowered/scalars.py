"""LiteRT Micro's arithmetic on scalars, for the bodies of lowerings: fixed-point products, clamping, rounding."""

from __future__ import annotations

import math

import numpy as np

from lowtide.importer.lowered.builder import f32, i32, integer, number
from lowtide.ir import Attribute, Operation, Type, Value, arith


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
