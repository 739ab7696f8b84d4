"""Products of int16 activations and int8 weights, summed up: convolutions and dense layers.

LiteRT Micro adds up in 64 bits and rounds once, by a multiplier of 16 bits; a convolution with a bias of 32 bits adds
up in 32 bits and rounds twice. Sums that cannot leave 32 bits, as the weights are known, are added up
in 32 bits here in any case, and the bias joins them in 64.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from tflite import BuiltinOperator, BuiltinOptions, TensorType

from lowtide.importer.lowered.builder import (
    Array,
    Call,
    constant,
    dims,
    integer,
    number,
    pad,
    reshape,
    shape_of,
    slice_of,
)
from lowtide.importer.lowered.channel_sums import Stored, contracted, dense, fits_32_bits, rescaled_channels
from lowtide.importer.lowered.int16_scalars import (
    activation_range,
    scale_of_sums,
    symmetric,
)
from lowtide.importer.lowered.lowering import Lowering
from lowtide.importer.tflite.model import Shape, Tensor
from lowtide.importer.tflite.operands import Operands, ShapeError
from lowtide.importer.tflite.operators import SUPPORTED, OpSpec, Option
from lowtide.importer.tflite.shapes import output_shapes
from lowtide.ir import AffineExpr, AffineMap, Value

_B, _O, _T = BuiltinOperator, BuiltinOptions, TensorType
INT16 = (_T.INT16,)
_BIASES = (_T.INT32, _T.INT64)
_SAME = 0
_Body = Sequence[Value]


# -- sums -------------------------------------------------------------------------------------------------------------


def requantised(call: Call, sums: Value, reals: Array, bias: Array | None, *, wide: bool) -> Value:
    """Sums, whose last dimension is the channel, with their bias, as the output's int16.

    Args:
        call: gives the fused activation.
        sums: of 32 or 64 bits.
        reals: what a channel's sums are multiplied by: one for all, or one each.
        bias: one number a channel; None without.
        wide: LiteRT has 64 bits for the sums.
    """
    if not wide and reals.min() < 0:
        call.refuse("its weights have a scale below 0, beside a bias of INT32", "export the model again")
    scales = [scale_of_sums(call, float(real)) for real in reals]
    return rescaled_channels(sums, scales, bias, Stored(16, *activation_range(call)), wide=wide)


def channel_factors(call: Call, data: int, weights: int) -> Array:
    """What the sums of each channel are multiplied by, of doubles as LiteRT has them."""
    quantization = call.tensor(weights).quantization
    assert quantization is not None, "the check has seen that there is a scale"
    if any(quantization.zero_points):
        call.refuse(f"its weights have the zero point {quantization.zero_points[0]}, and beside int16 they have 0")
    return np.array(quantization.scales) * call.scale(data)[0] / call.scale_made()[0]


def bias_of(call: Call, position: int) -> Array | None:
    """The bias, one number a channel; None without."""
    return call.array(position).reshape(-1) if call.has(position) else None


def is_wide(call: Call, position: int) -> bool:
    """Whether LiteRT Micro's convolution adds up in 64 bits: it goes by the bias."""
    return not call.has(position) or call.tensor(position).type == TensorType.INT64


# -- convolutions -----------------------------------------------------------------------------------------------------


def padded(call: Call, value: Value, kernel: tuple[int, int], made: Shape, filler: Value) -> Value:
    """An image with LiteRT's padding around it."""
    low, high = [0, 0, 0, 0], [0, 0, 0, 0]
    if call.option("padding") == _SAME:
        for axis, letter in ((1, "h"), (2, "w")):
            reach = (kernel[axis - 1] - 1) * max(1, call.option(f"dilation_{letter}_factor")) + 1
            stride, size = call.option(f"stride_{letter}"), shape_of(value)[axis]
            needed = max(0, (made[axis] - 1) * stride + reach - size)
            low[axis], high[axis] = needed // 2, needed - needed // 2
    return pad(value, low, high, filler)


def window(call: Call, row: AffineExpr, column: AffineExpr, taps: Sequence[AffineExpr]) -> list[AffineExpr]:
    """The row and the column of an image that a tap of the kernel is at."""
    found: list[AffineExpr] = []
    for place, tap, letter in zip((row, column), taps, "hw", strict=True):
        stride, dilation = call.option(f"stride_{letter}"), max(1, call.option(f"dilation_{letter}_factor"))
        found.append(place * stride + tap * dilation)
    return found


def _zero() -> Value:
    return number(integer(16), 0)


def _convolution(call: Call) -> Sequence[Value]:
    """CONV_2D; where the filters have a fraction of the channels, each group of them has its own."""
    symmetric(call, 0)
    weights, made = call.array(1), call.outputs[0].shape
    out, height, width, channels = weights.shape
    image = call.value(0)
    groups = shape_of(image)[3] // channels
    image = padded(call, image, (height, width), made, _zero())
    wide = is_wide(call, 2)
    bits = 64 if wide and not fits_32_bits(weights, 0) else 32
    n, row, column, group, place, tap_row, tap_column, channel = dims(8)
    index = AffineMap.get(8, 0, [n, *window(call, row, column, (tap_row, tap_column)), group * channels + channel])
    filters = AffineMap.get(8, 0, [group * (out // groups) + place, tap_row, tap_column, channel])
    output = AffineMap.get(8, 0, [n, row, column, group, place])
    iterators = ["parallel"] * 5 + ["reduction"] * 3
    inner = (*made[:3], groups, out // groups)
    sums = contracted([(image, index), (call.value(1), filters)], inner, output, iterators, integer(bits))
    return [requantised(call, reshape(sums, made), channel_factors(call, 0, 1), bias_of(call, 2), wide=wide)]


def _depthwise(call: Call) -> Sequence[Value]:
    """DEPTHWISE_CONV_2D; LiteRT Micro adds up in 64 bits whatever the bias."""
    symmetric(call, 0)
    weights, made = call.array(1), call.outputs[0].shape
    _, height, width, out = weights.shape
    image = call.value(0)
    channels = shape_of(image)[3]
    image = padded(call, image, (height, width), made, _zero())
    bits = 32 if fits_32_bits(weights, 3) else 64
    filters = constant(weights.reshape(height, width, channels, out // channels))
    n, row, column, channel, copy, tap_row, tap_column = dims(7)
    index = AffineMap.get(7, 0, [n, *window(call, row, column, (tap_row, tap_column)), channel])
    taps = AffineMap.get(7, 0, [tap_row, tap_column, channel, copy])
    output = AffineMap.get(7, 0, [n, row, column, channel, copy])
    iterators = ["parallel"] * 5 + ["reduction"] * 2
    sums = contracted(
        [(image, index), (filters, taps)], (*made[:3], channels, out // channels), output, iterators, integer(bits)
    )
    return [requantised(call, reshape(sums, made), channel_factors(call, 0, 1), bias_of(call, 2), wide=True)]


def _dense(call: Call) -> Sequence[Value]:
    """FULLY_CONNECTED; LiteRT Micro adds up in 64 bits whatever the bias."""
    symmetric(call, 0)
    weights = call.array(1)
    depth = weights.shape[1]
    data = call.value(0)
    rows = math.prod(shape_of(data)) // depth
    bits = 32 if fits_32_bits(weights, 0) else 64
    sums = dense(reshape(data, (rows, depth)), call.value(1), integer(bits))
    reals = channel_factors(call, 0, 1)
    quantization = call.tensor(1).quantization
    if quantization is not None and len(quantization.scales) == 1:
        # one scale for all: LiteRT multiplies it with the input's in floats
        product = np.float32(call.scale(0)[0]) * np.float32(quantization.scales[0])
        reals = np.array([float(product) / call.scale_made()[0]])
    return [reshape(requantised(call, sums, reals, bias_of(call, 2), wide=True), call.outputs[0].shape)]


# -- transposed convolution -------------------------------------------------------------------------------------------


def _transposed_shapes(operands: Operands) -> Sequence[Shape]:
    """The shape in the first operand; LiteRT Micro goes by the output's own where that is no constant."""
    wanted = operands.inputs[0]
    shape = operands.declared[0] if wanted is None or wanted.data is None else tuple(operands.numbers(0, 4))
    if len(shape) != 4:
        raise ShapeError(f"its output has {len(shape)} dimensions, not 4")
    out, height, width, channels = operands.shape(1, 4)
    image = operands.shape(2, 4)
    if channels != image[3] or shape[0] != image[0] or shape[3] != out or min(height, width, *shape) < 1:
        found = f"its input is {list(image)}, its weights {list(operands.shape(1))}"
        raise ShapeError(f"{found}, and its output is to be {list(shape)}")
    for size, made, taps, letter in zip(image[1:3], shape[1:3], (height, width), "hw", strict=True):
        stride = operands.option(f"stride_{letter}")
        same = operands.option("padding") == _SAME
        least = (size - 1) * stride + (1 if same else taps)
        if not least <= made < least + stride:
            raise ShapeError(f"its input has {size} along {letter}, which do not make {made} by steps of {stride}")
    return [shape]


def _taps(size: int, made: int, stride: int, kernel: int) -> tuple[Array, int]:
    """Which tap of the kernel an output has for each of the inputs around it, by the output's place in its stride.

    Returns:
        array[place in the stride, input], −1 for none, and how many inputs the first of them lies before the one that
        has the output's number by strides.
    """
    before = max(0, (size - 1) * stride + kernel - made) // 2
    least = min(-(-(place + before - kernel + 1) // stride) for place in range(stride))
    greatest = max((place + before) // stride for place in range(stride))
    taps = np.array(
        [[place + before - stride * step for step in range(least, greatest + 1)] for place in range(stride)]
    )
    return np.where((taps >= 0) & (taps < kernel), taps, -1), -least


def _transposed(call: Call) -> Sequence[Value]:
    """TRANSPOSE_CONV, as a convolution that makes a block of outputs, one a place in the strides, at each input.

    An output at a place in its block sees every stride-th tap of the kernel; taps that it does not see are weights of
    0. LiteRT Micro adds up in 64 bits whatever the bias.
    """
    symmetric(call, 2)
    weights, image, made = call.array(1), call.value(2), call.outputs[0].shape
    strides = call.option("stride_h"), call.option("stride_w")
    sizes = shape_of(image)
    (rows, above), (columns, left) = (
        _taps(sizes[axis], made[axis], strides[axis - 1], weights.shape[axis]) for axis in (1, 2)
    )
    blocks = [-(-made[axis] // strides[axis - 1]) for axis in (1, 2)]
    # an index of −1 takes the zeros that are put behind the kernel
    behind = np.pad(weights, ((0, 0), (0, 1), (0, 1), (0, 0)))
    filters = behind[:, rows][:, :, :, columns].transpose(1, 3, 0, 2, 4, 5)
    below, right = (
        max(0, count + taps.shape[1] - 1 - start - size)
        for count, taps, start, size in zip(blocks, (rows, columns), (above, left), sizes[1:3], strict=True)
    )
    image = pad(image, [0, max(0, above), max(0, left), 0], [0, below, right, 0], _zero())
    sums = _blocks_of_sums(image, np.ascontiguousarray(filters), (above, left), (made[0], *blocks))
    done = requantised(call, sums, channel_factors(call, 2, 1), bias_of(call, 3), wide=True)
    whole = (made[0], blocks[0] * strides[0], blocks[1] * strides[1], made[3])
    return [_part(reshape(done, whole), made)]


def _blocks_of_sums(image: Value, filters: Array, before: tuple[int, int], made: Sequence[int]) -> Value:
    """Sums by batch, block and place in it: rows, then columns, then channels."""
    place_rows, place_columns, out, _, _, _ = filters.shape
    bits = 32 if all(fits_32_bits(filters[i, j], 0) for i, j in np.ndindex(place_rows, place_columns)) else 64
    n, row, up, column, along, channel, tap_row, tap_column, place = dims(9)
    skipped = [max(0, -start) for start in before]
    index = AffineMap.get(9, 0, [n, row + tap_row + skipped[0], column + tap_column + skipped[1], place])
    taps = AffineMap.get(9, 0, [up, along, channel, tap_row, tap_column, place])
    output = AffineMap.get(9, 0, [n, row, up, column, along, channel])
    shape = (made[0], made[1], place_rows, made[2], place_columns, out)
    iterators = ["parallel"] * 6 + ["reduction"] * 3
    return contracted([(image, index), (constant(filters), taps)], shape, output, iterators, integer(bits))


def _part(value: Value, shape: Shape) -> Value:
    """The front part of a tensor."""
    return value if shape_of(value) == shape else slice_of(value, [0] * len(shape), shape)


# -- the list ---------------------------------------------------------------------------------------------------------


def _shapes(operands: Operands) -> Sequence[Shape]:
    """Those of the same operator on int8, and weights are int8."""
    weights = operands.inputs[1]
    if weights is None or weights.type != TensorType.INT8:
        raise ShapeError("its weights are not INT8, as they must be beside activations of INT16")
    if operands.operator.code == BuiltinOperator.TRANSPOSE_CONV:
        _check_transposed_operands(operands)
        return _transposed_shapes(operands)
    check_bias(operands, 2, _BIASES if operands.operator.code == BuiltinOperator.CONV_2D else (TensorType.INT64,))
    return output_shapes(operands.operator, operands.inputs, operands.declared)


def check_bias(operands: Operands, position: int, types: tuple[int, ...]) -> Tensor | None:
    """The bias, if there is one and it is of a type that LiteRT Micro adds there."""
    bias = operands.inputs[position] if position < len(operands.inputs) else None
    if bias is not None and bias.type not in types:
        raise ShapeError(f"its bias is {bias.type_name}, which LiteRT Micro does not add to sums of INT16")
    return bias


def _check_transposed_operands(operands: Operands) -> None:
    """What `check` sees to for other convolutions, whose operands are in another order."""
    bias, out = check_bias(operands, 3, (TensorType.INT16, TensorType.INT64)), operands.shape(1, 4)[0]
    if bias is not None and bias.elements != out:
        raise ShapeError(f"its bias has {bias.elements} elements, not {out}")
    weights = operands.inputs[1]
    quantization = None if weights is None else weights.quantization
    if quantization is None or (len(quantization.scales) > 1 and quantization.axis != 0):
        raise ShapeError("its weights have no scale, or scales along another axis than 0")


_BIAS_TYPE = Option("quantized_bias_type", "i8", 0, (_T.FLOAT32, _T.INT32, _T.INT64))


def _spec(code: int) -> OpSpec:
    """As for int8, with weights of another type than the data."""
    spec = SUPPORTED[code]
    options = tuple(_BIAS_TYPE if option.name == _BIAS_TYPE.name else option for option in spec.options)
    return replace(spec, options=options, same_type=(0,), output_types=INT16, input_types=INT16)


_CONVOLUTION_OPTIONS = {option.name: option for option in SUPPORTED[_B.CONV_2D].options}
_TRANSPOSED = OpSpec(
    _O.TransposeConvOptions,
    (
        *(_CONVOLUTION_OPTIONS[name] for name in ("padding", "stride_w", "stride_h", "fused_activation_function")),
        _BIAS_TYPE,
    ),
    (3, 4),
    (1, 3),
    (2,),
    INT16,
    (_T.INT32,),
)
LOWERED: Mapping[int, Sequence[Lowering]] = {
    _B.CONV_2D: (Lowering(_spec(_B.CONV_2D), _shapes, _convolution, INT16),),
    _B.DEPTHWISE_CONV_2D: (Lowering(_spec(_B.DEPTHWISE_CONV_2D), _shapes, _depthwise, INT16),),
    _B.FULLY_CONNECTED: (Lowering(_spec(_B.FULLY_CONNECTED), _shapes, _dense, INT16),),
    _B.TRANSPOSE_CONV: (Lowering(_TRANSPOSED, _shapes, _transposed, INT16, data=2),),
}
