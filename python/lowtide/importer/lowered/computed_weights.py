"""Convolutions and dense layers whose weights or bias are computed by the network: sums of products as they come.

Weights that are known are packed for the kernels when a model is compiled; these are read as they are stored.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from tflite import BuiltinOperator, TensorType

from lowtide.importer.lowered.builder import (
    Array,
    Call,
    dims,
    element_of,
    elementwise,
    f32,
    filled,
    generic,
    i32,
    integer,
    number,
    reshape,
    shape_of,
)
from lowtide.importer.lowered.channel_sums import Stored, rescaled_channels, with_bias
from lowtide.importer.lowered.int16_scalars import activation_range, factor, scale_of_sums, symmetric
from lowtide.importer.lowered.int16_sums import check_bias, is_wide, padded, window
from lowtide.importer.lowered.lowering import Lowering
from lowtide.importer.lowered.scalars import ACTIVATIONS, clamped_float, clamped_range, extended, fixed_point
from lowtide.importer.tflite.model import Operator, Shape, Tensor
from lowtide.importer.tflite.operands import Operands, ShapeError
from lowtide.importer.tflite.operators import SUPPORTED, OpSpec, Option
from lowtide.importer.tflite.shapes import output_shapes
from lowtide.ir import AffineExpr, AffineMap, F32Type, Value, arith

_B, _T = BuiltinOperator, TensorType
_TYPES = (_T.FLOAT32, _T.INT8, _T.INT16)
_BIASES = {
    _T.FLOAT32: (_T.FLOAT32,),
    _T.INT8: (_T.INT32,),
    _T.INT16: (_T.INT64,),
}


def _is_computed(operator: Operator, inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]) -> bool:
    """Whether the weights or the bias are no constants."""
    del operator, outputs
    return any(tensor is not None and tensor.data is None for tensor in inputs[1:3])


def _summed(
    call: Call,
    operands: Sequence[tuple[Value, Sequence[AffineExpr]]],
    made: Sequence[tuple[AffineExpr, int]],
    reduced: int,
) -> Value:
    """Sums of the products of data and weights, each counted from its zero point.

    Args:
        call: gives the zero points.
        operands: data and weights, with the index of each in the loops.
        made: loop variable and extent of each axis of the sums, the outermost loops in order.
        reduced: number of loops inside those.
    """
    count = len(made) + reduced
    maps = [AffineMap.get(count, 0, list(index)) for _, index in operands]
    output = AffineMap.get(count, 0, [loop for loop, _ in made])
    real = isinstance(element_of(operands[0][0]), F32Type)
    zeros = (0, 0) if real else (call.scale(0)[1], _zero_of_weights(call))
    kind = F32Type.get() if real else integer(64 if call.tensor(0).type == _T.INT16 and _has_wide_sums(call) else 32)

    def body(scalars: Sequence[Value]) -> Value:
        x, y, total = scalars
        if real:
            return arith.addf(total, arith.mulf(x, y))
        x, y = (
            arith.subi(extended(value), i32(zero)) if zero else extended(value)
            for value, zero in zip((x, y), zeros, strict=True)
        )
        product = arith.muli(x, y)
        return arith.addi(total, product if kind == integer(32) else extended(product, bits=64))

    start = filled(tuple(extent for _, extent in made), f32(0.0) if real else number(kind, 0))
    inputs = [(value, map_) for (value, _), map_ in zip(operands, maps, strict=True)]
    iterators = ["parallel"] * len(made) + ["reduction"] * reduced
    return generic(inputs, [(start, output)], iterators, body)[0]


def _zero_of_weights(call: Call) -> int:
    """The zero point of the weights, which LiteRT Micro looks at in a dense layer of int8 alone."""
    quantization = call.tensor(1).quantization
    assert quantization is not None, "the check has seen that there is a scale"
    zero = quantization.zero_points[0]
    if zero and (call.operator.code != _B.FULLY_CONNECTED or call.tensor(0).type != _T.INT8):
        call.refuse(f"its weights have the zero point {zero}, and LiteRT Micro takes them to have 0")
    return zero


def _has_wide_sums(call: Call) -> bool:
    """Whether LiteRT Micro adds up int16 in 64 bits: convolutions go by the bias."""
    return call.operator.code != _B.CONV_2D or is_wide(call, 2)


def _finished(call: Call, sums: Value) -> Sequence[Value]:
    """Sums, whose last dimension is the channel, with their bias and activation, stored as the output."""
    made = call.outputs[0]
    bias = reshape(call.value(2), (call.tensor(2).elements,)) if call.has(2) else None
    if made.type == _T.FLOAT32:
        bounds = ACTIVATIONS[call.option("fused_activation_function")]
        total = with_bias(sums, bias)
        done = elementwise([total], F32Type.get(), lambda scalars: clamped_float(scalars[0], *bounds))
        return [reshape(done, made.shape)]
    reals = _factors(call)
    if made.type == _T.INT16:
        symmetric(call, 0)
        wide, stored = _has_wide_sums(call), Stored(16, *activation_range(call))
        scales = [scale_of_sums(call, float(real)) for real in reals]
    else:
        scale, zero_point = call.scale_made()
        bounds = clamped_range(call.option("fused_activation_function"), "int8", scale, zero_point)
        wide, stored = False, Stored(8, *bounds, zero_point)
        scales = [fixed_point(factor(call, float(real))) for real in reals]
    if not wide and min(mantissa for mantissa, _ in scales) < 0:
        call.refuse("its weights have a scale below 0, beside a bias or weights that are computed")
    return [reshape(rescaled_channels(sums, scales, bias, stored, wide=wide), made.shape)]


def _factors(call: Call) -> Array:
    """What the sums of each channel are multiplied by: of doubles, in dense layers of one scale of a float product."""
    quantization = call.tensor(1).quantization
    assert quantization is not None, "the check has seen that there is a scale"
    scale, made = call.scale(0)[0], call.scale_made()[0]
    if call.operator.code == _B.FULLY_CONNECTED and len(quantization.scales) == 1:
        return np.array([float(np.float32(scale) * np.float32(quantization.scales[0])) / made])
    return np.array(quantization.scales) * scale / made


def _image(call: Call, kernel: tuple[int, int]) -> Value:
    """The data with LiteRT's padding around it."""
    value = call.value(0)
    element = element_of(value)
    filler = f32(0.0) if isinstance(element, F32Type) else number(element, call.scale(0)[1])
    return padded(call, value, kernel, call.outputs[0].shape, filler)


def _convolution(call: Call) -> Sequence[Value]:
    """CONV_2D; where the filters have a fraction of the channels, each group of them has its own."""
    weights, made = call.value(1), call.outputs[0].shape
    out, height, width, channels = shape_of(weights)
    image = _image(call, (height, width))
    groups = shape_of(image)[3] // channels
    n, row, column, group, place, tap_row, tap_column, channel = dims(8)
    index = [n, *window(call, row, column, (tap_row, tap_column)), group * channels + channel]
    filters = [group * (out // groups) + place, tap_row, tap_column, channel]
    extents = (*made[:3], groups, out // groups)
    loops = list(zip((n, row, column, group, place), extents, strict=True))
    sums = _summed(call, [(image, index), (weights, filters)], loops, 3)
    return _finished(call, reshape(sums, made))


def _depthwise(call: Call) -> Sequence[Value]:
    """DEPTHWISE_CONV_2D."""
    weights, made = call.value(1), call.outputs[0].shape
    _, height, width, out = shape_of(weights)
    image = _image(call, (height, width))
    channels = shape_of(image)[3]
    filters = reshape(weights, (height, width, channels, out // channels))
    n, row, column, channel, copy, tap_row, tap_column = dims(7)
    index = [n, *window(call, row, column, (tap_row, tap_column)), channel]
    extents = (*made[:3], channels, out // channels)
    loops = list(zip((n, row, column, channel, copy), extents, strict=True))
    sums = _summed(call, [(image, index), (filters, [tap_row, tap_column, channel, copy])], loops, 2)
    return _finished(call, reshape(sums, made))


def _dense(call: Call) -> Sequence[Value]:
    """FULLY_CONNECTED."""
    weights, data = call.value(1), call.value(0)
    out, depth = shape_of(weights)
    rows = math.prod(shape_of(data)) // depth
    row, channel, place = dims(3)
    operands = [(reshape(data, (rows, depth)), [row, place]), (weights, [channel, place])]
    return _finished(call, _summed(call, operands, [(row, rows), (channel, out)], 1))


def _shapes(operands: Operands) -> Sequence[Shape]:
    """Those of the operator with constant weights; beside int16 weights are int8, else of the data's type."""
    data, weights = operands.inputs[:2]
    assert data is not None and weights is not None, "the check has seen that they are there"
    wanted = _T.INT8 if data.type == _T.INT16 else data.type
    if weights.type != wanted:
        raise ShapeError(f"its weights are {weights.type_name}, which do not go with {data.type_name}")
    types = _BIASES[data.type]
    if operands.operator.code == _B.CONV_2D and data.type == _T.INT16:
        types = (_T.INT32, *types)
    check_bias(operands, 2, types)
    return output_shapes(operands.operator, operands.inputs, operands.declared)


_BIAS_TYPE = Option("quantized_bias_type", "i8", 0, (_T.FLOAT32, _T.INT32, _T.INT64))


def _of(code: int, emit: Callable[[Call], Sequence[Value]]) -> Sequence[Lowering]:
    spec = SUPPORTED[code]
    options = tuple(_BIAS_TYPE if option.name == _BIAS_TYPE.name else option for option in spec.options)
    whole: OpSpec = replace(
        spec, options=options, constants=(), same_type=(0,), output_types=_TYPES, input_types=_TYPES
    )
    return (Lowering(whole, _shapes, emit, _TYPES, when=_is_computed),)


LOWERED: Mapping[int, Sequence[Lowering]] = {
    _B.CONV_2D: _of(_B.CONV_2D, _convolution),
    _B.DEPTHWISE_CONV_2D: _of(_B.DEPTHWISE_CONV_2D, _depthwise),
    _B.FULLY_CONNECTED: _of(_B.FULLY_CONNECTED, _dense),
}
