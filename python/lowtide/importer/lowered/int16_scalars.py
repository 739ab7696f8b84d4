"""LiteRT Micro's arithmetic on int16: sums of 64 bits, clamping by an activation, and functions by tables."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from tflite import ActivationFunctionType

from lowtide.importer.lowered.builder import Call, constant, i32, integer, looked_up, number
from lowtide.importer.lowered.scalars import clamped, extended, fixed_point, rescaled, truncated
from lowtide.ir import Value, arith

LEAST, GREATEST = -(1 << 15), (1 << 15) - 1
_REDUCED_BITS = 16
_GREATEST_REDUCED = 0x7FFF
_MOST_EXPONENT = 14
# TOSA's apply_scale shifts by 2 and more.
_MOST_NARROW_EXPONENT = 29
_NODES = 256
_NODES_A_UNIT = 24
_KIND = arith.CmpIPredicate


def reduced(mantissa: int) -> int:
    """A 32-bit mantissa in 16 bits, rounded, as LiteRT multiplies sums of 64 bits by it."""
    return _GREATEST_REDUCED if mantissa >= 0x7FFF0000 else (mantissa + (1 << 15)) >> _REDUCED_BITS


def scale_of_sums(call: Call, real: float) -> tuple[int, int]:
    """The fixed-point form of a factor that sums are multiplied by; refuses one that LiteRT has no shift for."""
    mantissa, exponent = fixed_point(real)
    if exponent > _MOST_EXPONENT:
        call.refuse(f"its sums are multiplied by {real:.6g}, which its output cannot hold", "export the model again")
    return mantissa, exponent


def rescaled_sum(x: Value, multiplier: Value, shift: Value) -> Value:
    """The 64-bit x times multiplier · 2^−shift, rounded to nearest, ties up, and its low 32 bits.

    Args:
        x: the sum.
        multiplier: what `reduced` gives, in 64 bits.
        shift: 15 − exponent, in 64 bits.
    """
    one = number(integer(64), 1)
    half = arith.shli(one, arith.subi(shift, one))
    return truncated(arith.shrsi(arith.addi(arith.muli(x, multiplier), half), shift), 32)


def rescaled_by(x: Value, real: float) -> Value:
    """The 32-bit x times a factor, rounded twice; the factor may be negative: LiteRT rounds by the product's sign."""
    mantissa, exponent = fixed_point(real)
    if mantissa < 0:
        return rescaled(arith.subi(i32(0), x), -mantissa, exponent)
    return rescaled(x, mantissa, exponent)


def high_product(x: Value, y: Value) -> Value:
    """The upper 32 bits of twice the product of two 32-bit numbers, rounded to nearest, ties up."""
    product = arith.muli(extended(x, bits=64), extended(y, bits=64))
    lifted = arith.addi(product, number(integer(64), 1 << 30))
    return truncated(arith.shrsi(lifted, number(integer(64), 31)), 32)


def factor(call: Call, real: float) -> float:
    """The factor, which `rescaled_by` can apply; refuses one that is too great for an output to hold anything."""
    if fixed_point(real)[1] > _MOST_NARROW_EXPONENT:
        call.refuse(f"it multiplies by {real:.6g}, which its output cannot hold", "export the model again")
    return real


def activation_range(call: Call, name: str = "fused_activation_function") -> tuple[int, int]:
    """Between which stored values the fused activation lets an int16 output be."""
    scale, zero_point = call.scale_made()
    return bounds_of(call.option(name), scale, zero_point)


def bounds_of(activation: int, scale: float, zero_point: int) -> tuple[int, int]:
    """Between which stored int16 an activation lets numbers of this scale be."""

    def stored(real: float) -> int:
        # a tiny scale has more steps to the bound than there are numbers
        steps = min(float(np.float32(abs(real))) / scale, 1e9)
        # C's round: halves go away from zero; the quotient is a float
        return zero_point + int(math.copysign(math.floor(float(np.float32(steps)) + 0.5), real))

    match activation:
        case ActivationFunctionType.RELU:
            return max(LEAST, stored(0.0)), GREATEST
        case ActivationFunctionType.RELU6:
            return max(LEAST, stored(0.0)), min(GREATEST, stored(6.0))
        case ActivationFunctionType.RELU_N1_TO_1:
            return max(LEAST, stored(-1.0)), min(GREATEST, stored(1.0))
        case _:
            return LEAST, GREATEST


def stored_int16(x: Value, low: int = LEAST, high: int = GREATEST) -> Value:
    """The 32-bit x within low … high, in 16 bits."""
    return truncated(clamped(x, low, high), 16)


def symmetric(call: Call, *positions: int) -> None:
    """Refuse operands of int16 with a zero point other than 0, and such an output: LiteRT takes none there."""
    pairs = [(call.inputs[position], call.tensor(position).quantization) for position in positions]
    for tensor, quantization in (*pairs, (call.outputs[0], call.outputs[0].quantization)):
        if quantization is not None and any(quantization.zero_points):
            call.refuse(f"{tensor} has the zero point {quantization.zero_points[0]}, and int16 has 0 there")


# -- functions by tables ----------------------------------------------------------------------------------------------


def sigmoid_nodes() -> npt.NDArray[np.int16]:
    """LiteRT's table of 1 / (1 + exp(−i / 24)) in steps of 2^−16, as bits without a sign.

    Each node is raised by half of what the chord to the next one lies too low in the middle; the last is the end.
    """
    at = np.arange(_NODES, dtype=np.float64)

    def sigmoid(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return 1 / (1 + np.exp(-x / _NODES_A_UNIT))

    middle = sigmoid(at + 0.5) - (sigmoid(at) + sigmoid(at + 1)) / 2
    nodes = np.floor((1 << 16) * (sigmoid(at) + middle / 2) + 0.5)
    nodes[-1] = (1 << 16) - 1
    return nodes.astype(np.uint16).view(np.int16)


def sigmoid_table() -> Value:
    """The table that `logistic` and `tanh` read, a constant outside of their bodies."""
    return constant(sigmoid_nodes())


def table_scale(scale: float, *, pot: tuple[int, ...]) -> tuple[int, int]:
    """What an input is multiplied by, and shifted right, to be in steps of 1 / (3 · 4096).

    Args:
        scale: of the input.
        pot: exact powers of two, 2^(e − 12), whose products need no rounding: those e that LiteRT treats so.
    """
    mantissa, exponent = math.frexp(scale)
    if mantissa == 0.5 and exponent - 1 + 12 in pot:
        return 3 << (exponent - 1 + 12), 0
    real, shift = scale * 4096.0 * 3.0, 0
    while real <= 32767.0 / 2.0 and shift <= 30:
        real, shift = real * 2.0, shift + 1
    return int(real), shift


def scaled_to_table(x: Value, multiplier: int, shift: int) -> Value:
    """The 16-bit x, in 32 bits, in the steps of the table; halves go up."""
    product = arith.muli(extended(x), i32(multiplier))
    return product if shift == 0 else arith.shrsi(arith.addi(product, i32(1 << (shift - 1))), i32(shift))


def logistic(y: Value, table: Value) -> Value:
    """The sigmoid in steps of 2^−15, by LiteRT's table and lines between its nodes; y is in the table's steps."""

    def signed(found: Value) -> tuple[Value, Value]:
        return arith.addi(found, i32(1 << 9)), arith.subi(i32((1 << 25) + (1 << 9) - 1), found)

    return truncated(_interpolated(y, table, 9, 0x7FFF << 10, signed, 10), 16)


def tanh(y: Value, table: Value) -> Value:
    """The hyperbolic tangent in steps of 2^−15, by the sigmoid's table; y is in the table's steps."""

    def signed(found: Value) -> tuple[Value, Value]:
        return arith.subi(found, i32((1 << 23) - (1 << 7))), arith.subi(i32((1 << 23) + (1 << 7) - 1), found)

    return truncated(_interpolated(y, table, 8, 0xFFFF << 8, signed, 8), 16)


def _interpolated(
    y: Value, table: Value, bits: int, end: int, signed: Callable[[Value], tuple[Value, Value]], shift: int
) -> Value:
    """What lies between two nodes at |y|, the end beyond the last; then by the sign of y, shifted right."""
    negative = arith.cmpi(_KIND.slt, y, i32(0))
    size = arith.select(negative, arith.subi(i32(0), y), y)
    node = arith.shrui(size, i32(bits))
    beyond = arith.cmpi(_KIND.uge, node, i32(_NODES - 1))
    inside = arith.select(beyond, i32(0), node)
    first = extended(looked_up(table, inside), signed=False)
    second = extended(looked_up(table, arith.addi(inside, i32(1))), signed=False)
    part = arith.muli(arith.andi(size, i32((1 << bits) - 1)), arith.subi(second, first))
    line = arith.addi(arith.shli(first, i32(bits)), part)
    above, below = signed(arith.select(beyond, i32(end), line))
    return arith.shrsi(arith.select(negative, below, above), i32(shift))
