"""Operators of int16 that work element by element, in LiteRT Micro's fixed-point arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from tflite import ActivationFunctionType, BuiltinOperator, BuiltinOptions, TensorType

from lowtide.importer.lowered.builder import Call, elementwise, i32, integer
from lowtide.importer.lowered.int16_scalars import (
    GREATEST,
    LEAST,
    activation_range,
    bounds_of,
    factor,
    high_product,
    logistic,
    rescaled_by,
    scaled_to_table,
    sigmoid_table,
    stored_int16,
    symmetric,
    table_scale,
    tanh,
)
from lowtide.importer.lowered.lowering import Lowering
from lowtide.importer.lowered.roots import inverse_root
from lowtide.importer.lowered.scalars import extended, fixed_point, rescaled, truncated
from lowtide.importer.tflite.model import Shape
from lowtide.importer.tflite.operands import Operands
from lowtide.importer.tflite.operators import SUPPORTED, OpSpec
from lowtide.importer.tflite.shapes import output_shapes
from lowtide.ir import Value, arith

_B, _O, _T = BuiltinOperator, BuiltinOptions, TensorType
INT16 = (_T.INT16,)
_SHIFT = 15
"""Bits by which LiteRT lifts the summands of int16 before it brings them to one scale."""
_MADE_SCALE = 1 / 32768
_ROOT_BITS = 20
_LEAST_ROOT_EXPONENT, _MOST_ROOT_EXPONENT = -31, 29
"""Powers of two that TOSA's apply_scale multiplies by."""
_Scalars = Sequence[Value]


def _made(call: Call, body: Callable[[_Scalars], Value], operands: int = 1) -> Sequence[Value]:
    """The output, computed element by element from the first operands, which are broadcast."""
    values = [call.value(position) for position in range(operands)]
    return [elementwise(values, integer(16), body, call.outputs[0].shape)]


def _offset(x: Value, zero_point: int) -> Value:
    """The stored x in 32 bits, counted from the zero point."""
    return arith.subi(extended(x), i32(zero_point)) if zero_point else extended(x)


def _stored(total: Value, zero_point: int, bounds: tuple[int, int] = (LEAST, GREATEST)) -> Value:
    return stored_int16(arith.addi(total, i32(zero_point)) if zero_point else total, *bounds)


# -- of two operands --------------------------------------------------------------------------------------------------


def _summed(call: Call, subtracts: bool) -> Sequence[Value]:
    """ADD or SUB: both operands in steps of twice the greater scale over 2^15, summed up, then rescaled."""
    (first, first_zero), (second, second_zero), (made, zero) = call.scale(0), call.scale(1), call.scale_made()
    bounds, common = activation_range(call), 2.0 * max(first, second)
    real = factor(call, common / ((1 << _SHIFT) * made))
    if real >= 1:
        call.refuse(
            f"its sums are multiplied by {real:.6g}, and LiteRT takes factors below 1", "export the model again"
        )

    def body(scalars: _Scalars) -> Value:
        x, y = (
            rescaled_by(arith.shli(_offset(stored, zero_point), i32(_SHIFT)), scale / common)
            for stored, zero_point, scale in zip(scalars, (first_zero, second_zero), (first, second), strict=True)
        )
        return _stored(rescaled_by((arith.subi if subtracts else arith.addi)(x, y), real), zero, bounds)

    return _made(call, body, 2)


def _add(call: Call) -> Sequence[Value]:
    """ADD."""
    return _summed(call, subtracts=False)


def _sub(call: Call) -> Sequence[Value]:
    """SUB."""
    return _summed(call, subtracts=True)


def _mul(call: Call) -> Sequence[Value]:
    """MUL: the product of the stored numbers, counted from their zero points, rescaled once."""
    (first, first_zero), (second, second_zero), (made, zero) = call.scale(0), call.scale(1), call.scale_made()
    bounds, real = activation_range(call), factor(call, first * second / made)

    def body(scalars: _Scalars) -> Value:
        product = arith.muli(_offset(scalars[0], first_zero), _offset(scalars[1], second_zero))
        return _stored(rescaled_by(product, real), zero, bounds)

    return _made(call, body, 2)


def _squared_difference(call: Call) -> Sequence[Value]:
    """SQUARED_DIFFERENCE: both operands in steps of twice the greater scale, whose difference is squared."""
    symmetric(call, 0, 1)
    first, second, made = call.scale(0)[0], call.scale(1)[0], call.scale_made()[0]
    common = 2.0 * max(first, second)
    real = factor(call, common * common / made)

    def body(scalars: _Scalars) -> Value:
        x, y = (
            rescaled_by(extended(stored), scale / common)
            for stored, scale in zip(scalars, (first, second), strict=True)
        )
        difference = arith.subi(x, y)
        return _stored(rescaled_by(arith.muli(difference, difference), real), 0)

    return _made(call, body, 2)


def _extreme(function: Callable[[Value, Value], Value]) -> Callable[[Call], Sequence[Value]]:
    """MINIMUM or MAXIMUM of the stored numbers: LiteRT looks at no scale."""
    return lambda call: _made(call, lambda scalars: function(scalars[0], scalars[1]), 2)


# -- of one operand ---------------------------------------------------------------------------------------------------


def _leaky_relu(call: Call) -> Sequence[Value]:
    """LEAKY_RELU: one factor for stored numbers above the zero point, another, with the slope in it, for the others."""
    (scale, given), (made, zero) = call.scale(0), call.scale_made()
    above, below = factor(call, scale / made), factor(call, scale * call.number("alpha") / made)

    def body(scalars: _Scalars) -> Value:
        x = _offset(scalars[0], given)
        positive = arith.cmpi(arith.CmpIPredicate.sge, x, i32(0))
        return _stored(arith.select(positive, rescaled_by(x, above), rescaled_by(x, below)), zero)

    return _made(call, body)


def _relu(call: Call) -> Sequence[Value]:
    """RELU: rescaled, then not below the zero point."""
    (scale, given), (made, zero) = call.scale(0), call.scale_made()
    real, bounds = factor(call, scale / made), bounds_of(ActivationFunctionType.RELU, made, zero)
    return _made(call, lambda scalars: _stored(rescaled_by(_offset(scalars[0], given), real), zero, bounds))


def _relu6(call: Call) -> Sequence[Value]:
    """RELU6: kept between 0 and 6, both by the input's scale; LiteRT Micro does not rescale."""
    low, high = bounds_of(ActivationFunctionType.RELU6, *call.scale(0))
    return _made(call, lambda scalars: stored_int16(extended(scalars[0]), low, high))


def _abs(call: Call) -> Sequence[Value]:
    """ABS: the distance from the zero point, rescaled where the scales differ."""
    (scale, given), (made, zero) = call.scale(0), call.scale_made()
    real = factor(call, scale / made)

    def body(scalars: _Scalars) -> Value:
        x = _offset(scalars[0], given)
        size = arith.maxsi(x, arith.subi(i32(0), x))
        return _stored(size if scale == made else rescaled_by(size, real), zero)

    return _made(call, body)


def _reciprocal_root(call: Call) -> Sequence[Value]:
    """RSQRT: 1/√x with 20 bits of fraction, then rescaled; of 0 the greatest number, and of those below it."""
    (scale, given), (made, zero) = call.scale(0), call.scale_made()
    real = 1 / (math.sqrt(scale) * made)
    mantissa, exponent = fixed_point(real)
    exponent -= _ROOT_BITS
    if exponent > _MOST_ROOT_EXPONENT or exponent < _LEAST_ROOT_EXPONENT:
        call.refuse(f"its roots are multiplied by {real:.6g}, which its output cannot hold", "export the model again")

    def body(scalars: _Scalars) -> Value:
        x = _offset(scalars[0], given)
        root, shift = inverse_root(arith.maxsi(x, i32(1)))
        root = high_product(arith.shli(i32(1), arith.subi(i32(_ROOT_BITS), shift)), root)
        found = extended(_stored(rescaled(root, mantissa, exponent), zero))
        above = arith.cmpi(arith.CmpIPredicate.sgt, x, i32(0))
        return truncated(arith.select(above, found, i32(GREATEST)), 16)

    return _made(call, body)


def _by_table(
    name: str, function: Callable[[Value, Value], Value], pot: tuple[int, ...]
) -> Callable[[Call], Sequence[Value]]:
    """LOGISTIC or TANH: by a table of 256 nodes and lines between them, in steps of 2^−15."""

    def emit(call: Call) -> Sequence[Value]:
        symmetric(call, 0)
        if not math.isclose(call.scale_made()[0], _MADE_SCALE, rel_tol=1e-3):
            call.refuse(
                f"its output has the scale {call.scale_made()[0]:.6g}; LiteRT makes 1/32768 there",
                f"export the model again; exporters give {name} of int16 that scale",
            )
        multiplier, shift = table_scale(call.scale(0)[0], pot=pot)
        if multiplier > np.iinfo(np.int16).max:
            call.refuse(f"its input's scale {call.scale(0)[0]:.6g} is beyond what LiteRT's table takes")
        table = sigmoid_table()
        return _made(call, lambda scalars: function(scaled_to_table(scalars[0], multiplier, shift), table))

    return emit


# -- the list ---------------------------------------------------------------------------------------------------------


def shapes_as_ever(operands: Operands) -> Sequence[Shape]:
    """The shapes that the operator makes of other types too."""
    return output_shapes(operands.operator, operands.inputs, operands.declared)


def of_int16(code: int, emit: Callable[[Call], Sequence[Value]]) -> Sequence[Lowering]:
    """The lowering of an operator that the converter takes in other types, and perhaps with fewer values of floats."""
    options = tuple(replace(o, allowed=None) if o.kind == "f32" else o for o in SUPPORTED[code].options)
    spec = replace(SUPPORTED[code], options=options, output_types=INT16, input_types=INT16)
    return (Lowering(spec, shapes_as_ever, emit, INT16),)


LOWERED: Mapping[int, Sequence[Lowering]] = {
    _B.ADD: of_int16(_B.ADD, _add),
    _B.SUB: of_int16(_B.SUB, _sub),
    _B.MUL: of_int16(_B.MUL, _mul),
    _B.SQUARED_DIFFERENCE: of_int16(_B.SQUARED_DIFFERENCE, _squared_difference),
    _B.MINIMUM: of_int16(_B.MINIMUM, _extreme(arith.minsi)),
    _B.MAXIMUM: of_int16(_B.MAXIMUM, _extreme(arith.maxsi)),
    _B.LEAKY_RELU: of_int16(_B.LEAKY_RELU, _leaky_relu),
    _B.RELU: of_int16(_B.RELU, _relu),
    _B.RELU6: of_int16(_B.RELU6, _relu6),
    _B.LOGISTIC: of_int16(_B.LOGISTIC, _by_table("LOGISTIC", logistic, (0,))),
    _B.TANH: of_int16(_B.TANH, _by_table("TANH", tanh, (0, 1))),
    _B.RSQRT: (
        Lowering(
            OpSpec(same_type=(0,), output_types=INT16, input_types=INT16), shapes_as_ever, _reciprocal_root, INT16
        ),
    ),
    _B.ABS: (
        Lowering(
            OpSpec(_O.AbsOptions, same_type=(0,), output_types=INT16, input_types=INT16), shapes_as_ever, _abs, INT16
        ),
    ),
}
