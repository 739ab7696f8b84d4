"""Arithmetic of two and more operands that the converter does not take as LiteRT computes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial, reduce

import numpy as np
from tflite import BuiltinOperator, BuiltinOptions, TensorType

from lowtide.importer.lowered.arguments import alike, broadcast
from lowtide.importer.lowered.builder import (
    Array,
    Call,
    constant,
    element_type,
    elementwise,
    f32,
    i32,
    integer,
    looked_up,
    number,
)
from lowtide.importer.lowered.lowering import Lowering
from lowtide.importer.lowered.scalars import (
    ACTIVATIONS,
    clamped,
    clamped_float,
    clamped_range,
    extended,
    fixed_point,
    high_product,
    least_and_greatest,
    rescaled,
    rounded_shift,
    truncated,
)
from lowtide.importer.tflite.fixed_point import reciprocal
from lowtide.importer.tflite.model import DTYPES, Shape
from lowtide.importer.tflite.operands import Operands, ShapeError
from lowtide.importer.tflite.operators import EIGHT_BIT_TYPES, OpSpec, Option
from lowtide.ir import F32Type, Value, arith, math

_B, _O = BuiltinOperator, BuiltinOptions
_FLOATS, _INT8, _INT32, _INT64 = (TensorType.FLOAT32,), (TensorType.INT8,), (TensorType.INT32,), (TensorType.INT64,)
_ACTIVATION = Option("fused_activation_function", "i8", 0, tuple(ACTIVATIONS))
_LARGEST = float(np.finfo(np.float32).max)
_WORD_BITS = 31
_MOST_EXPONENT = 30
"""The largest power of two that quotients are multiplied by: LiteRT shifts words of 32 bits."""
_SUM_SHIFT = 19
"""Bits by which ADD_N shifts bytes: LiteRT shifts by one more and halves the numbers."""
_MOST_TERMS = 1 << 10


def _binary(call: Call, function: Callable[[Call, Value, Value], Value]) -> Sequence[Value]:
    made = element_type(call.outputs[0].type)
    values = [call.value(0), call.value(1)]
    return [elementwise(values, made, lambda scalars: function(call, scalars[0], scalars[1]))]


def _of_pairs(
    function: Callable[[Call, Value, Value], Value],
    options_type: int,
    types: tuple[int, ...],
    options: tuple[Option, ...] = (),
    *,
    copies: bool = False,
) -> Lowering:
    spec = OpSpec(options_type, options, (2, 2), same_type=(0, 1), output_types=types, input_types=types, copies=copies)
    return Lowering(spec, broadcast, partial(_binary, function=function), types)


def _activated(call: Call, x: Value) -> Value:
    """A number without scale within the bounds of the call's activation."""
    low, high = ACTIVATIONS[call.option("fused_activation_function")]
    if isinstance(x.type, F32Type):
        return clamped_float(x, low, high)
    info = least_and_greatest(DTYPES[call.outputs[0].type])
    return clamped(x, info[0] if low is None else int(low), info[1] if high is None else int(high))


def _divide_floats(call: Call, x: Value, y: Value) -> Value:
    """A quotient; an infinite one becomes the largest number, which is LiteRT's bound where there is no activation."""
    return _activated(call, clamped_float(arith.divf(x, y), -_LARGEST, _LARGEST))


def _divide_integers(call: Call, x: Value, y: Value) -> Value:
    """A quotient, towards zero."""
    return _activated(call, _quotient(x, y, arith.divsi))


def _quotient(x: Value, y: Value, divide: Callable[[Value, Value], Value]) -> Value:
    """A quotient of integers. Of 0, at which LiteRT stops, and of −1, no core's division is asked: both may trap."""
    kind = y.type
    special = arith.cmpi(arith.CmpIPredicate.ult, arith.addi(y, number(kind, 1)), number(kind, 2))
    quotient = divide(x, arith.select(special, number(kind, 1), y))
    opposite = arith.cmpi(arith.CmpIPredicate.eq, y, number(kind, -1))
    return arith.select(opposite, arith.subi(number(kind, 0), x), quotient)


def _floor_divide(_: Call, x: Value, y: Value) -> Value:
    return _quotient(x, y, arith.floordivsi)


def _floor_modulo(_: Call, x: Value, y: Value) -> Value:
    """What is left of x, with y's sign."""
    return arith.subi(x, arith.muli(_quotient(x, y, arith.floordivsi), y))


def _floor_and_rest(x: Value, y: Value) -> tuple[Value, Value]:
    """The quotient of floats rounded down, and the rest, which has y's sign; exact for quotients up to 2²³."""
    kind = arith.CmpFPredicate
    quotient = math.floor(arith.divf(x, y))
    rest = math.fma(arith.negf(quotient), y, x)
    # a quotient just below a whole number may have been rounded to it
    sign = arith.xori(_bits(rest), _bits(y))
    beyond = arith.andi(arith.cmpf(kind.UNE, rest, f32(0.0)), arith.cmpi(arith.CmpIPredicate.slt, sign, i32(0)))
    quotient = arith.select(beyond, arith.subf(quotient, f32(1.0)), quotient)
    return quotient, arith.select(beyond, arith.addf(rest, y), rest)


def _bits(x: Value) -> Value:
    return arith.bitcast(integer(32), x)


def _divide_bytes(call: Call) -> Sequence[Value]:
    """Quotients of bytes, by the reciprocals of divisors in fixed point: three roundings, each with ties away from 0.

    A byte has few reciprocals, so they are looked up. What LiteRT makes of a division by 0 is undefined.
    """
    dtype = DTYPES[call.outputs[0].type]
    (scale, zero), (scale_by, zero_by), (scale_made, zero_made) = call.scale(0), call.scale(1), call.scale_made()
    with np.errstate(all="ignore"):
        real = float(np.float32(scale) / (np.float32(scale_by) * np.float32(scale_made)))
    mantissa, exponent = fixed_point(real) if real < 2.0**_MOST_EXPONENT else (0, _MOST_EXPONENT + 1)
    if exponent > _MOST_EXPONENT:
        call.refuse(
            f"its quotients are multiplied by {real:.6g}, which its output cannot hold", "export the model again"
        )
    bounds = clamped_range(call.option("fused_activation_function"), dtype, scale_made, zero_made)
    signed = dtype == "int8"
    inverses, shifts = (constant(table) for table in _reciprocals(dtype, zero_by, exponent))

    def body(scalars: Sequence[Value]) -> Value:
        x = arith.subi(extended(scalars[0], signed=signed), i32(zero))
        place = extended(scalars[1], signed=False)
        below = arith.cmpi(arith.CmpIPredicate.slt, extended(scalars[1], signed=signed), i32(zero_by))
        x = arith.select(below, arith.subi(i32(0), x), x)
        # bits above those that x needs; 2x or −2x − 1 has one less
        doubled = arith.xori(arith.shli(x, i32(1)), arith.shrsi(x, i32(_WORD_BITS)))
        room = arith.minsi(math.ctlz(doubled), i32(_WORD_BITS))
        quotient = high_product(arith.shli(x, room), looked_up(inverses, place))
        quotient = high_product(quotient, i32(mantissa))
        shift = arith.maxsi(arith.addi(looked_up(shifts, place), room), i32(0))
        made = arith.addi(rounded_shift(quotient, shift), i32(zero_made))
        return truncated(clamped(made, *bounds), 8)

    return [elementwise([call.value(0), call.value(1)], integer(8), body)]


def _reciprocals(dtype: str, zero_point: int, exponent: int) -> tuple[Array, Array]:
    """For each byte of a divisor, as unsigned number, the mantissa of its reciprocal and by how much to shift."""
    divisors = np.arange(256).astype(np.uint8).view(dtype).astype(np.int32) - zero_point
    found = [reciprocal(max(abs(int(divisor)), 1)) for divisor in divisors]
    return (
        np.array([mantissa for mantissa, _ in found], np.int32),
        np.array([shift - exponent for _, shift in found], np.int32),
    )


def _byte_division() -> Lowering:
    types = EIGHT_BIT_TYPES
    spec = OpSpec(_O.DivOptions, (_ACTIVATION,), (2, 2), same_type=(0, 1), output_types=types, input_types=types)
    return Lowering(spec, broadcast, _divide_bytes, types)


def _add_all(call: Call) -> Sequence[Value]:
    """The sum of all operands, floats in their order."""
    values = [call.value(position) for position in range(len(call.inputs))]
    add = arith.addf if call.outputs[0].type == TensorType.FLOAT32 else arith.addi
    return [elementwise(values, element_type(call.outputs[0].type), lambda scalars: reduce(add, scalars))]


def _add_bytes(call: Call) -> Sequence[Value]:
    """The sum of bytes of one scale, rescaled with two roundings.

    LiteRT Micro's sum starts from the zero point's opposite and not from 0, and so does this.
    """
    (scale, zero), (scale_made, zero_made) = call.scale(0), call.scale_made()
    factor = fixed_point(2 * scale / ((1 << (_SUM_SHIFT + 1)) * scale_made))
    values = [call.value(position) for position in range(len(call.inputs))]

    def body(scalars: Sequence[Value]) -> Value:
        total = reduce(arith.addi, [extended(x) for x in scalars])
        total = arith.shli(arith.subi(total, i32(zero * (len(scalars) + 1))), i32(_SUM_SHIFT))
        made = arith.addi(rescaled(total, *factor), i32(zero_made))
        return truncated(clamped(made, *least_and_greatest("int8")), 8)

    return [elementwise(values, integer(8), body)]


def _same_shapes(operands: Operands) -> Sequence[Shape]:
    shapes = {operands.shape(position) for position in range(len(operands.inputs))}
    if len(shapes) > 1:
        raise ShapeError(f"its inputs have different shapes, {' and '.join(str(list(shape)) for shape in shapes)}")
    alike(operands, range(len(operands.inputs)))
    return [operands.shape()]


def _same_scales(operands: Operands) -> Sequence[Shape]:
    scales = {tensor.quantization for tensor in operands.inputs if tensor is not None}
    if len(scales) > 1:
        raise ShapeError("its inputs have different scales, which LiteRT does not take either")
    return _same_shapes(operands)


def _sum_of(
    types: tuple[int, ...], shapes: Callable[[Operands], Sequence[Shape]], emit: Callable[[Call], Sequence[Value]]
) -> Lowering:
    spec = OpSpec(_O.AddNOptions, (), (2, _MOST_TERMS), same_type=(0,), output_types=types, input_types=types)
    return Lowering(spec, shapes, emit, types)


def _extreme(greatest: bool) -> Lowering:
    """The greater or the less of two bytes, or of two int64, as they are stored: LiteRT looks at no scale."""

    def body(call: Call, x: Value, y: Value) -> Value:
        unsigned = call.outputs[0].type == TensorType.UINT8
        if greatest:
            return arith.maxui(x, y) if unsigned else arith.maxsi(x, y)
        return arith.minui(x, y) if unsigned else arith.minsi(x, y)

    return _of_pairs(body, _O.MaximumMinimumOptions, (*EIGHT_BIT_TYPES, *_INT64), copies=True)


_DIVISION = (_ACTIVATION,)
LOWERED: Mapping[int, Sequence[Lowering]] = {
    _B.DIV: (
        _of_pairs(_divide_floats, _O.DivOptions, _FLOATS, _DIVISION),
        _of_pairs(_divide_integers, _O.DivOptions, _INT32, _DIVISION),
        _byte_division(),
    ),
    _B.FLOOR_DIV: (
        _of_pairs(lambda _, x, y: _floor_and_rest(x, y)[0], _O.FloorDivOptions, _FLOATS),
        _of_pairs(_floor_divide, _O.FloorDivOptions, _INT32),
    ),
    _B.FLOOR_MOD: (
        _of_pairs(lambda _, x, y: _floor_and_rest(x, y)[1], _O.FloorModOptions, _FLOATS),
        _of_pairs(_floor_modulo, _O.FloorModOptions, _INT32),
    ),
    _B.POW: (_of_pairs(lambda _, x, y: math.powf(x, y), _O.PowOptions, _FLOATS),),
    _B.ADD_N: (_sum_of((*_FLOATS, *_INT32), _same_shapes, _add_all), _sum_of(_INT8, _same_scales, _add_bytes)),
    _B.MAXIMUM: (_extreme(greatest=True),),
    _B.MINIMUM: (_extreme(greatest=False),),
}
