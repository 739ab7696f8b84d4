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
from lowtide.importer.tflite.transposed import transposed

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


def reduced(operands: Operands) -> Shape:
    """The shape that a reduction over the axes in the second operand leaves; LiteRT minds no axis named twice."""
    shape = operands.shape()
    axes = {axis_of(axis, len(shape)) for axis in operands.numbers(1)}
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


def _product(operands: Operands) -> Shape:
    """Matrices by matrices; the dimensions before them are broadcast."""
    left, right = operands.shape(0), operands.shape(1)
    if min(len(left), len(right)) < 2:
        raise ShapeError(f"its inputs' shapes {list(left)} and {list(right)} are no matrices")
    rows, depth = left[-2:][::-1] if operands.option("adj_x") else left[-2:]
    inner, columns = right[-2:][::-1] if operands.option("adj_y") else right[-2:]
    try:
        batch = np.broadcast_shapes(left[:-2], right[:-2])
    except ValueError:
        batch = None
    if depth != inner or batch is None:
        raise ShapeError(f"its inputs' shapes {list(left)} and {list(right)} don't go together")
    return (*batch, rows, columns)


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
    order = axis_order(operands)
    return tuple(shape[axis] for axis in order)


def axis_order(operands: Operands) -> list[int]:
    """TRANSPOSE's order of axes, counted from the front."""
    rank = len(operands.shape())
    named = operands.numbers(1, rank)
    order = [axis + rank if axis < 0 else axis for axis in named]
    if sorted(order) != list(range(rank)):
        raise ShapeError(f"{named} is not an order of {rank} axes")
    return order


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
    """What STRIDED_SLICE takes along an axis: `range(begin, end, stride)`.

    Attributes:
        shrinks: the axis is then dropped.
        adds: there is no such axis, but a new one of extent 1 in its place.
    """

    begin: int
    end: int
    stride: int
    shrinks: bool = False
    adds: bool = False

    @property
    def taken(self) -> range:
        """The indices, in order."""
        return range(self.begin, self.end, self.stride)


def strided_steps(operator: Operator, inputs: Sequence[Tensor | None]) -> list[Steps]:
    """Masks, an ellipsis, new axes and negative indices resolved; each axis takes at least one element.

    The option `offset` says that ends are counted from begins, and LiteRT Micro passes it over: it may be there where
    it changes nothing.

    Raises:
        ShapeError: an axis gives nothing, or the operands don't fit.
    """
    operands = Operands(operator, inputs, ())
    begins = operands.numbers(1)
    ends, strides = operands.numbers(2, len(begins)), operands.numbers(3, len(begins))
    made = _resolved(operands, begins, ends, strides)
    if operands.option("offset"):
        counted = [begin + end for begin, end in zip(begins, ends, strict=True)]
        there = _resolved(operands, begins, counted, strides)
        if [step.taken for step in there] != [step.taken for step in made]:
            raise ShapeError("its ends are counted from its begins (offset), which LiteRT Micro passes over")
    return made


def _resolved(operands: Operands, begins: Sequence[int], ends: Sequence[int], strides: Sequence[int]) -> list[Steps]:
    shape = operands.shape()
    made: list[Steps] = []
    left = list(shape)
    for position in range(len(begins)):
        masked = {name for name in _MASKS if operands.option(f"{name}_mask") >> position & 1}
        if "ellipsis" in masked:
            later = range(position + 1, len(begins))
            behind = sum(not operands.option("new_axis_mask") >> other & 1 for other in later)
            covered = len(left) - behind
            if covered < 1:
                raise ShapeError("its ellipsis covers no axis, where LiteRT takes one")
            made += [Steps(0, size, 1) for size in left[:covered]]
            left = left[covered:]
        elif "new_axis" in masked:
            made.append(Steps(0, 1, 1, adds=True))
        elif not left:
            raise ShapeError(f"it slices more axes than the {len(shape)} of its input")
        else:
            made.append(_steps(len(made), left.pop(0), begins[position], ends[position], strides[position], masked))
    return [*made, *(Steps(0, size, 1) for size in left)]


_MASKS = ("begin", "end", "ellipsis", "new_axis", "shrink_axis")


def _steps(axis: int, size: int, begin: int, end: int, stride: int, masked: set[str]) -> Steps:
    if stride == 0:
        raise ShapeError("its stride is 0")
    if "shrink_axis" in masked:
        index = axis_of(0 if "begin" in masked else begin, size)
        return Steps(index, index + 1, 1, shrinks=True)
    ends = (None if "begin" in masked else begin, None if "end" in masked else end)
    taken = range(*slice(*ends, stride).indices(size))
    if not taken:
        raise ShapeError(f"it takes nothing along axis {axis}")
    return Steps(taken[0], taken[-1] + (1 if stride > 0 else -1), stride)


def _strided_slice(operands: Operands) -> Shape:
    steps = strided_steps(operands.operator, operands.inputs)
    return tuple(len(step.taken) for step in steps if not step.shrinks)


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
    **dict.fromkeys((_B.AVERAGE_POOL_2D, _B.MAX_POOL_2D, _B.L2_POOL_2D), _pool),
    **dict.fromkeys((_B.PAD, _B.PADV2), _pad),
    **dict.fromkeys((_B.RESHAPE, _B.SQUEEZE, _B.EXPAND_DIMS), _same_elements),
    _B.CONV_2D: _conv,
    _B.TRANSPOSE_CONV: transposed,
    _B.DEPTHWISE_CONV_2D: _depthwise,
    _B.FULLY_CONNECTED: _dense,
    **dict.fromkeys((_B.MEAN, _B.SUM, _B.REDUCE_MAX, _B.REDUCE_MIN), reduced),
    _B.BATCH_MATMUL: _product,
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
