"""The output shape that an operator's operands and options give.

The converter trusts the shapes that the file declares: where they don't fit, it makes dynamic or wrong ones or crashes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from tflite import BuiltinOperator

from lowtide.importer.tflite.layout_shapes import (
    batch_to_space,
    broadcast_to,
    depth_to_space,
    pack,
    resize,
    reverse,
    space_to_batch,
    space_to_depth,
    split,
    tile,
    unpack,
)
from lowtide.importer.tflite.model import Operator, Shape, Tensor
from lowtide.importer.tflite.operands import INTEGERS, Operands, ShapeError, axis_of

_SAME = 0


def output_shapes(operator: Operator, inputs: Sequence[Tensor | None], declared: Sequence[Shape]) -> list[Shape]:
    """The shapes of a supported operator's outputs.

    Args:
        operator: with its options checked.
        inputs: its operands, constants' contents checked for their size; None for one left out.
        declared: the outputs' shapes in the file; RESHAPE and its like take it if it has the right size.

    Raises:
        ShapeError: the operands don't fit each other.
    """
    operands = Operands(operator, inputs, declared)
    several = _SEVERAL.get(operator.code)
    if several is None:
        return [_RULES.get(operator.code, _elementwise)(operands)]
    shapes = several(operands)
    if len(shapes) != len(declared):
        raise ShapeError(f"it makes {len(shapes)} tensors and has {len(declared)} outputs")
    return shapes


def _elementwise(operands: Operands) -> Shape:
    return operands.shape()


def _broadcast(operands: Operands) -> Shape:
    first, second = operands.shape(0), operands.shape(1)
    try:
        return np.broadcast_shapes(first, second)
    except ValueError:
        raise ShapeError(f"its inputs' shapes {list(first)} and {list(second)} don't go together") from None


def _window(operands: Operands, image: Shape, kernel: tuple[int, int]) -> tuple[int, int]:
    """Height and width of what a kernel makes of an image."""
    sizes: list[int] = []
    for size, taps, letter in zip(image[1:3], kernel, "hw", strict=True):
        stride = operands.option(f"stride_{letter}")
        reach = (taps - 1) * max(1, operands.option(f"dilation_{letter}_factor")) + 1
        room = size if operands.option("padding") == _SAME else size - reach + 1
        if room < 1:
            raise ShapeError(f"its kernel reaches over {reach} and its input, unpadded, has {size}")
        sizes.append(-(-room // stride))
    return sizes[0], sizes[1]


def _conv(operands: Operands) -> Shape:
    image, (out, height, width, channels) = operands.shape(0, 4), operands.shape(1, 4)
    # Weights for a fraction of the channels are those of groups: each group has as many of the filters.
    if channels < 1 or image[3] % channels or out % (image[3] // channels):
        raise ShapeError(f"its input has {image[3]} channels, and its {out} filters have {channels}")
    return (image[0], *_window(operands, image, (height, width)), out)


def _depthwise(operands: Operands) -> Shape:
    image, (one, height, width, out) = operands.shape(0, 4), operands.shape(1, 4)
    multiplier = operands.option("depth_multiplier")
    if one != 1 or out % image[3] or multiplier != out // image[3]:
        weights = list(operands.shape(1))
        raise ShapeError(f"its input has {image[3]} channels, its weights {weights}, its multiplier is {multiplier}")
    return (image[0], *_window(operands, image, (height, width)), out)


def _pool(operands: Operands) -> Shape:
    image = operands.shape(0, 4)
    kernel = (operands.option("filter_height"), operands.option("filter_width"))
    return (image[0], *_window(operands, image, kernel), image[3])


def _dense(operands: Operands) -> Shape:
    data, (out, depth) = operands.shape(0), operands.shape(1, 2)
    if operands.option("keep_num_dims"):
        if not data or data[-1] != depth:
            raise ShapeError(f"its input's shape {list(data)} does not end in {depth}, the weights' depth")
        return (*data[:-1], out)
    if math.prod(data) % depth:
        raise ShapeError(f"its input's {math.prod(data)} elements are not a multiple of {depth}, the weights' depth")
    return (math.prod(data) // depth, out)


def _reduce(operands: Operands) -> Shape:
    shape = operands.shape()
    listed = [axis_of(axis, len(shape)) for axis in operands.numbers(1)]
    axes = set(listed)
    if len(axes) != len(listed):
        raise ShapeError(f"its axes {listed[:8]} name one twice")
    if operands.option("keep_dims"):
        return tuple(1 if i in axes else size for i, size in enumerate(shape))
    return tuple(size for i, size in enumerate(shape) if i not in axes)


def _pad(operands: Operands) -> Shape:
    shape = operands.shape()
    amounts = operands.numbers(1, 2 * len(shape))
    if min(amounts, default=0) < 0:
        raise ShapeError("it pads by a negative amount")
    return tuple(size + amounts[2 * i] + amounts[2 * i + 1] for i, size in enumerate(shape))


def _same_elements(operands: Operands) -> Shape:
    before, after = math.prod(operands.shape()), math.prod(operands.declared[0])
    if before != after:
        raise ShapeError(f"it makes {after} elements of {before}")
    return operands.declared[0]


def _concatenate(operands: Operands) -> Shape:
    shapes = [operands.shape(position) for position in range(len(operands.inputs))]
    axis = axis_of(operands.option("axis"), len(shapes[0]))
    if len({(len(shape), *shape[:axis], *shape[axis + 1 :]) for shape in shapes}) != 1:
        raise ShapeError(f"its inputs differ along another axis than {axis}")
    return (*shapes[0][:axis], sum(shape[axis] for shape in shapes), *shapes[0][axis + 1 :])


def _gather(operands: Operands) -> Shape:
    shape = operands.shape()
    axis = axis_of(operands.option("axis"), len(shape))
    indices = operands.inputs[1]
    if indices is None or indices.type not in INTEGERS:
        raise ShapeError("its indices are not INT32 or INT64")
    if indices.data is not None and not all(0 <= index < shape[axis] for index in operands.numbers(1)):
        raise ShapeError(f"it has an index outside 0…{shape[axis] - 1}")
    return (*shape[:axis], *indices.shape, *shape[axis + 1 :])


def _transpose(operands: Operands) -> Shape:
    shape = operands.shape()
    order = operands.numbers(1, len(shape))
    if sorted(order) != list(range(len(shape))):
        raise ShapeError(f"{order} is not an order of {len(shape)} axes")
    return tuple(shape[axis] for axis in order)


def _slice(operands: Operands) -> Shape:
    shape = operands.shape()
    made: list[int] = []
    for size, begin, count in zip(shape, operands.numbers(1, len(shape)), operands.numbers(2, len(shape)), strict=True):
        taken = size - begin if count == -1 else count
        if begin < 0 or taken < 1 or begin + taken > size:
            raise ShapeError(f"it takes {taken} from {begin} of {size}")
        made.append(taken)
    return tuple(made)


@dataclass(frozen=True)
class Steps:
    """What STRIDED_SLICE takes along an axis: `range(begin, end, stride)`; `shrinks` if the axis is then dropped."""

    begin: int
    end: int
    stride: int
    shrinks: bool


def strided_steps(operator: Operator, inputs: Sequence[Tensor | None]) -> list[Steps]:
    """Masks and negative indices resolved, one entry an axis of the input; each takes at least one element.

    Raises:
        ShapeError: an axis gives nothing, or the operands don't fit.
    """
    operands = Operands(operator, inputs, ())
    shape = operands.shape()
    begins, ends, strides = (operands.numbers(position, len(shape)) for position in (1, 2, 3))
    made: list[Steps] = []
    for axis, size in enumerate(shape):
        masked = {name for name in ("begin", "end", "shrink_axis") if operands.option(f"{name}_mask") >> axis & 1}
        if strides[axis] < 1:
            raise ShapeError(f"its stride {strides[axis]} is not above 0")
        begin = None if "begin" in masked else begins[axis]
        if "shrink_axis" in masked:
            index = axis_of(begin or 0, size)
            made.append(Steps(index, index + 1, 1, shrinks=True))
            continue
        taken = range(*slice(begin, None if "end" in masked else ends[axis], strides[axis]).indices(size))
        if not taken:
            raise ShapeError(f"it takes nothing along axis {axis}")
        made.append(Steps(taken[0], taken[-1] + 1, strides[axis], shrinks=False))
    return made


def _strided_slice(operands: Operands) -> Shape:
    steps = strided_steps(operands.operator, operands.inputs)
    return tuple(len(range(s.begin, s.end, s.stride)) for s in steps if not s.shrinks)


def _prelu(operands: Operands) -> Shape:
    """The slopes are broadcast to the input, never the input to the slopes."""
    shape = _broadcast(operands)
    if shape != operands.shape():
        raise ShapeError(
            f"its slopes' shape {list(operands.shape(1))} does not fit its input's {list(operands.shape())}"
        )
    return shape


_B = BuiltinOperator
_SEVERAL: Mapping[int, Callable[[Operands], list[Shape]]] = {
    **dict.fromkeys((_B.SPLIT, _B.SPLIT_V), split),
    _B.UNPACK: unpack,
}
"""Operators with any number of outputs."""
_RULES: Mapping[int, Callable[[Operands], Shape]] = {
    **dict.fromkeys((_B.ADD, _B.SUB, _B.MUL, _B.MINIMUM, _B.MAXIMUM, _B.SQUARED_DIFFERENCE), _broadcast),
    **dict.fromkeys((_B.AVERAGE_POOL_2D, _B.MAX_POOL_2D), _pool),
    **dict.fromkeys((_B.PAD, _B.PADV2), _pad),
    **dict.fromkeys((_B.RESHAPE, _B.SQUEEZE, _B.EXPAND_DIMS), _same_elements),
    _B.CONV_2D: _conv,
    _B.DEPTHWISE_CONV_2D: _depthwise,
    _B.FULLY_CONNECTED: _dense,
    **dict.fromkeys((_B.MEAN, _B.SUM, _B.REDUCE_MAX, _B.REDUCE_MIN), _reduce),
    _B.CONCATENATION: _concatenate,
    _B.GATHER: _gather,
    _B.TRANSPOSE: _transpose,
    _B.SLICE: _slice,
    _B.STRIDED_SLICE: _strided_slice,
    _B.PRELU: _prelu,
    _B.SPACE_TO_BATCH_ND: space_to_batch,
    _B.BATCH_TO_SPACE_ND: batch_to_space,
    _B.PACK: pack,
    _B.TILE: tile,
    _B.BROADCAST_TO: broadcast_to,
    _B.SPACE_TO_DEPTH: space_to_depth,
    _B.DEPTH_TO_SPACE: depth_to_space,
    _B.REVERSE_V2: reverse,
    _B.RESIZE_NEAREST_NEIGHBOR: resize,
}
"""Those that are not elementwise on one operand."""
