"""SOFTMAX that makes int16, of int16 by tables with lines between their nodes, and of int8 in fixed point."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from tflite import BuiltinOperator, TensorType

from lowtide.importer.lowered.builder import Call, constant, elementwise, i32, integer, looked_up, number, reduce
from lowtide.importer.lowered.int16_elementwise import of_int16, shapes_as_ever
from lowtide.importer.lowered.int16_scalars import (
    GREATEST,
    LEAST,
    factor,
    high_product,
    rescaled_by,
    stored_int16,
    symmetric,
)
from lowtide.importer.lowered.lowering import Lowering
from lowtide.importer.lowered.scalars import clamped, extended, truncated
from lowtide.importer.tflite.fixed_point import exponentials_of_distances
from lowtide.importer.tflite.operators import SUPPORTED
from lowtide.ir import Value, arith, math as math_ops

_B, _T = BuiltinOperator, TensorType
_Scalars = Sequence[Value]


# -- of int16 ---------------------------------------------------------------------------------------------------------

_STEPS = 512


def interpolated_table(
    function: Callable[[float], float], scale: float, zero_point: int, made: float
) -> npt.NDArray[np.int16]:
    """LiteRT's table of a function at each 128th int16, in floats: nodes are moved by half the middle's error.

    Args:
        function: of real numbers.
        scale, zero_point: of the int16 that it is looked up by.
        made: scale of the results.
    """
    f32 = np.float32
    low, high = (f32(f32(scale) * f32(end - zero_point)) for end in (LEAST, GREATEST))
    step = f32(f32(high - low) / f32(_STEPS))
    ends = f32(f32(made) * f32(LEAST)), f32(f32(made) * f32(GREATEST))
    inverse = f32(f32(1 << 16) / f32(ends[1] - ends[0]))

    def at(x: np.float32) -> np.float32:
        # a float's exponential is that of doubles, rounded
        return f32(function(float(x)))

    def nearest(x: np.float32) -> np.float32:
        return f32(math.copysign(math.floor(abs(float(x)) + 0.5), float(x)))

    nodes: list[float] = []
    for place in range(_STEPS):
        here = f32(low + f32(f32(place) * step))
        value, middle = at(here), at(f32(here + f32(step / f32(2))))
        after = at(f32(low + f32(f32(place + 1) * step)))
        sample = nearest(f32(value * inverse))
        chord = nearest(f32(f32(f32(after * inverse) + sample) / f32(2)))
        error = f32(chord - nearest(f32(middle * inverse)))
        nodes.append(float(sample - nearest(f32(error / f32(2)))))
    nodes.append(float(nearest(f32(at(high) * inverse))))
    return np.clip(nodes, LEAST, GREATEST).astype(np.int16)


def _line(x: Value, table: Value) -> Value:
    """What lies between two nodes of a table of 513 at an int16, given and made in 32 bits."""
    place = arith.addi(arith.shrsi(x, i32(7)), i32(256))
    first = extended(looked_up(table, place))
    # LiteRT has the slope in 16 bits
    slope = extended(truncated(arith.subi(extended(looked_up(table, arith.addi(place, i32(1)))), first), 16))
    part = arith.addi(arith.muli(slope, arith.andi(x, i32(127))), i32(64))
    return arith.addi(first, arith.shrsi(part, i32(7)))


def _softmax(call: Call) -> Sequence[Value]:
    """SOFTMAX: exponentials and the reciprocal of their sum by tables with lines between the nodes, in 16 bits."""
    symmetric(call, 0)
    if not math.isclose(call.scale_made()[0], 1 / 32768, rel_tol=1e-3):
        call.refuse(
            f"its output has the scale {call.scale_made()[0]:.6g}; LiteRT makes 1/32768 there",
            "export the model again; exporters give SOFTMAX of int16 that scale",
        )
    exponentials = constant(interpolated_table(math.exp, 10 / 65535, GREATEST, 2 / 65535))
    reciprocals = constant(interpolated_table(lambda x: 1 / (1 + x), 1 / 65535, LEAST, 2 / 65535))
    real = factor(call, call.scale(0)[0] * float(np.float32(call.number("beta"))) / (10.0 / 65535.0))
    x, last = call.value(0), [len(call.tensor(0).shape) - 1]
    greatest = reduce(
        x, last, number(integer(16), LEAST), lambda scalars: arith.maxsi(scalars[1], scalars[0]), keep=True
    )

    def exponential(scalars: _Scalars) -> Value:
        distance = rescaled_by(arith.subi(extended(scalars[0]), extended(scalars[1])), real)
        return truncated(_line(clamped(arith.addi(distance, i32(GREATEST)), LEAST, GREATEST), exponentials), 16)

    powers = elementwise([x, greatest], integer(16), exponential)
    total = reduce(powers, last, i32(0), lambda scalars: arith.addi(scalars[1], extended(scalars[0])), keep=True)
    inverse = elementwise([total], integer(16), lambda scalars: truncated(_reciprocal(scalars[0], reciprocals), 16))
    return [elementwise([powers, total, inverse], integer(16), _share)]


def _reciprocal(total: Value, table: Value) -> Value:
    """2^15 over the sum's leading 16 bits."""
    zeros = math_ops.ctlz(total)
    wide = arith.shli(extended(total, bits=64), extended(arith.subi(zeros, i32(1)), bits=64))
    leading = truncated(arith.shrsi(arith.addi(wide, number(integer(64), 1 << 13)), number(integer(64), 14)), 32)
    return _line(clamped(arith.subi(leading, i32((1 << 15) + (1 << 16))), LEAST, GREATEST), table)


def _share(scalars: _Scalars) -> Value:
    """An exponential times the reciprocal of the sum, whose leading zeros say by how much it is shifted."""
    power, total, inverse = scalars
    shift = arith.subi(i32(31), math_ops.ctlz(total))
    half = arith.shli(i32(1), arith.subi(shift, i32(1)))
    product = arith.addi(arith.muli(extended(power), extended(inverse)), half)
    return stored_int16(arith.shrsi(product, shift), 0, GREATEST)


# -- of int8 ----------------------------------------------------------------------------------------------------------

_SUM_BITS = 12
"""Integer bits of the sum of exponentials, each of which is at most 1."""


def _softmax_of_bytes(call: Call) -> Sequence[Value]:
    """SOFTMAX of int8 in 16 bits: exponentials of 31 bits, of which there are 256, and Newton's method for 1 / sum."""
    scale, zero_point = call.scale_made()
    if zero_point != LEAST or not math.isclose(scale, 1 / 65536, rel_tol=1e-3):
        call.refuse(
            f"its output has the scale {scale:.6g} and the zero point {zero_point}; LiteRT makes 1/65536 and {LEAST}",
            "export the model again; exporters give SOFTMAX of int8 in int16 that scale",
        )
    beta = float(np.float32(call.number("beta")))
    if call.scale(0)[0] * beta * (1 << 26) <= 1:
        call.refuse(f"its input's scale times its beta is {call.scale(0)[0] * beta:.6g}; LiteRT takes them above 2^-26")
    table = constant(exponentials_of_distances(call.scale(0)[0], beta))
    x, last = call.value(0), [len(call.tensor(0).shape) - 1]
    greatest = reduce(x, last, number(integer(8), -128), lambda s: arith.maxsi(s[1], s[0]), keep=True)

    def exponential(scalars: _Scalars) -> Value:
        return looked_up(table, arith.subi(extended(scalars[1]), extended(scalars[0])))

    powers = elementwise([x, greatest], integer(32), exponential)
    total = reduce(powers, last, i32(0), lambda s: arith.addi(s[1], _divided(s[0], i32(_SUM_BITS))), keep=True)
    inverse = elementwise([total], integer(32), lambda scalars: _inverse(scalars[0]))

    def share(scalars: _Scalars) -> Value:
        power, whole, scaled = scalars
        shift = arith.subi(i32(_SUM_BITS + 31 - 16), math_ops.ctlz(whole))
        return stored_int16(arith.addi(_divided(high_product(scaled, power), shift), i32(LEAST)))

    return [elementwise([powers, total, inverse], integer(16), share)]


def _divided(x: Value, shift: Value) -> Value:
    """x, not below 0, over 2^shift, rounded to nearest, ties up; the shift is not below 1."""
    half = arith.shli(i32(1), arith.subi(shift, i32(1)))
    return arith.shrui(arith.addi(x, half), shift)


def _inverse(total: Value) -> Value:
    """1 / (1 + a) with 31 bits behind the point, where 1 + a is the sum without its leading zeros: Newton's method."""
    a = arith.addi(arith.shli(total, math_ops.ctlz(total)), i32(-(1 << 31)))
    # (1 + a) / 2, rounded, in 31 bits: the sum of a and the greatest int32 takes one more
    wide = arith.addi(extended(a, bits=64), number(integer(64), (1 << 31) - 1 + 1))
    half = truncated(arith.shrsi(wide, number(integer(64), 1)), 32)
    # 48 / 17 and −32 / 17 with two integer bits, as all numbers from here on
    x = arith.addi(i32(1515870810), high_product(half, i32(-1010580540)))
    for _ in range(3):
        rest = arith.subi(i32(1 << 29), high_product(half, x))
        x = arith.addi(x, _lifted(high_product(x, rest), 2))
    return _lifted(x, 1)


def _lifted(x: Value, bits: int) -> Value:
    """X · 2^bits, within 32 bits."""
    wide = arith.shli(extended(x, bits=64), number(integer(64), bits))
    return truncated(clamped(wide, -(1 << 31), (1 << 31) - 1), 32)


_OF_INT8 = replace(
    SUPPORTED[_B.SOFTMAX],
    options=tuple(replace(option, allowed=None) for option in SUPPORTED[_B.SOFTMAX].options),
    same_type=(),
    output_types=(_T.INT16,),
    input_types=(_T.INT8,),
)
LOWERED: Mapping[int, Sequence[Lowering]] = {
    _B.SOFTMAX: (
        *of_int16(_B.SOFTMAX, _softmax),
        Lowering(_OF_INT8, shapes_as_ever, _softmax_of_bytes, (_T.INT8,), made=(_T.INT16,)),
    ),
}
