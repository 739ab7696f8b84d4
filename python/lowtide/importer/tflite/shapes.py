"""The output shape that an operator's operands and options give.

The converter trusts the shapes that the file declares: where they don't fit, it makes dynamic or wrong ones or crashes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from tflite import BuiltinOperator, TensorType

from lowtide.importer.tflite.model import Operator, Tensor

Shape = tuple[int, ...]
_INTEGERS = {TensorType.INT32: np.int32, TensorType.INT64: np.int64}
_SAME = 0


class ShapeError(ValueError):
    """The operands do not fit each other; the message says how."""


def output_shape(operator: Operator, inputs: Sequence[Tensor | None], declared: Shape) -> Shape:
    """The shape of the one output of a supported operator.

    Args:
        operator: with its options checked.
        inputs: its operands, constants' contents checked for their size; None for one left out.
        declared: the output's shape in the file, which RESHAPE and its like take if it has the right size.

    Raises:
        ShapeError: the operands don't fit each other.
    """
    rule = _RULES.get(operator.code, _elementwise)
    return rule(_Operands(operator, inputs, declared))


@dataclass(frozen=True)
class _Operands:
    operator: Operator
    inputs: Sequence[Tensor | None]
    declared: Shape

    def shape(self, position: int = 0, rank: int | None = None) -> Shape:
        tensor = self.inputs[position]
        shape = tensor.shape if tensor else ()
        if rank is not None and len(shape) != rank:
            raise ShapeError(f"its input {position} has {len(shape)} dimensions, not {rank}")
        return shape

    def option(self, name: str) -> int:
        value = self.operator.options.get(name, 0)
        return 0 if isinstance(value, tuple) else int(value)

    def numbers(self, position: int, count: int | None = None) -> list[int]:
        """Values of an integer constant."""
        tensor = self.inputs[position]
        dtype = _INTEGERS.get(tensor.type) if tensor else None
        if tensor is None or tensor.data is None or dtype is None:
            raise ShapeError(f"its input {position} is not a constant of INT32 or INT64")
        values = [int(value) for value in np.frombuffer(tensor.data, dtype)]
        if count is not None and len(values) != count:
            raise ShapeError(f"its input {position} has {len(values)} numbers, not {count}")
        return values


def _axis(axis: int, rank: int) -> int:
    if not -rank <= axis < rank:
        raise ShapeError(f"there is no axis {axis} in {rank} dimensions")
    return axis % rank


def _elementwise(operands: _Operands) -> Shape:
    return operands.shape()


def _broadcast(operands: _Operands) -> Shape:
    first, second = operands.shape(0), operands.shape(1)
    try:
        return np.broadcast_shapes(first, second)
    except ValueError:
        raise ShapeError(f"its inputs' shapes {list(first)} and {list(second)} don't go together") from None


def _window(operands: _Operands, image: Shape, kernel: tuple[int, int]) -> tuple[int, int]:
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


def _conv(operands: _Operands) -> Shape:
    image, (out, height, width, channels) = operands.shape(0, 4), operands.shape(1, 4)
    if image[3] != channels:
        raise ShapeError(f"its input has {image[3]} channels and its weights have {channels}")
    return (image[0], *_window(operands, image, (height, width)), out)


def _depthwise(operands: _Operands) -> Shape:
    image, (one, height, width, out) = operands.shape(0, 4), operands.shape(1, 4)
    multiplier = operands.option("depth_multiplier")
    if one != 1 or out % image[3] or multiplier != out // image[3]:
        weights = list(operands.shape(1))
        raise ShapeError(f"its input has {image[3]} channels, its weights {weights}, its multiplier is {multiplier}")
    return (image[0], *_window(operands, image, (height, width)), out)


def _pool(operands: _Operands) -> Shape:
    image = operands.shape(0, 4)
    kernel = (operands.option("filter_height"), operands.option("filter_width"))
    return (image[0], *_window(operands, image, kernel), image[3])


def _dense(operands: _Operands) -> Shape:
    data, (out, depth) = operands.shape(0), operands.shape(1, 2)
    if operands.option("keep_num_dims"):
        if not data or data[-1] != depth:
            raise ShapeError(f"its input's shape {list(data)} does not end in {depth}, the weights' depth")
        return (*data[:-1], out)
    if math.prod(data) % depth:
        raise ShapeError(f"its input's {math.prod(data)} elements are not a multiple of {depth}, the weights' depth")
    return (math.prod(data) // depth, out)


def _reduce(operands: _Operands) -> Shape:
    shape = operands.shape()
    listed = [_axis(axis, len(shape)) for axis in operands.numbers(1)]
    axes = set(listed)
    if len(axes) != len(listed):
        raise ShapeError(f"its axes {listed[:8]} name one twice")
    if operands.option("keep_dims"):
        return tuple(1 if i in axes else size for i, size in enumerate(shape))
    return tuple(size for i, size in enumerate(shape) if i not in axes)


def _pad(operands: _Operands) -> Shape:
    shape = operands.shape()
    amounts = operands.numbers(1, 2 * len(shape))
    if min(amounts, default=0) < 0:
        raise ShapeError("it pads by a negative amount")
    return tuple(size + amounts[2 * i] + amounts[2 * i + 1] for i, size in enumerate(shape))


def _same_elements(operands: _Operands) -> Shape:
    before, after = math.prod(operands.shape()), math.prod(operands.declared)
    if before != after:
        raise ShapeError(f"it makes {after} elements of {before}")
    return operands.declared


def _concatenate(operands: _Operands) -> Shape:
    shapes = [operands.shape(position) for position in range(len(operands.inputs))]
    axis = _axis(operands.option("axis"), len(shapes[0]))
    if len({(*shape[:axis], 0, *shape[axis + 1 :]) for shape in shapes}) != 1:
        raise ShapeError(f"its inputs differ along another axis than {axis}")
    return (*shapes[0][:axis], sum(shape[axis] for shape in shapes), *shapes[0][axis + 1 :])


def _gather(operands: _Operands) -> Shape:
    shape = operands.shape()
    axis = _axis(operands.option("axis"), len(shape))
    indices = operands.inputs[1]
    if indices is None or indices.type not in _INTEGERS:
        raise ShapeError("its indices are not INT32 or INT64")
    if indices.data is not None and not all(0 <= index < shape[axis] for index in operands.numbers(1)):
        raise ShapeError(f"it has an index outside 0…{shape[axis] - 1}")
    return (*shape[:axis], *indices.shape, *shape[axis + 1 :])


def _transpose(operands: _Operands) -> Shape:
    shape = operands.shape()
    order = operands.numbers(1, len(shape))
    if sorted(order) != list(range(len(shape))):
        raise ShapeError(f"{order} is not an order of {len(shape)} axes")
    return tuple(shape[axis] for axis in order)


def _slice(operands: _Operands) -> Shape:
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
    operands = _Operands(operator, inputs, ())
    shape = operands.shape()
    begins, ends, strides = (operands.numbers(position, len(shape)) for position in (1, 2, 3))
    made: list[Steps] = []
    for axis, size in enumerate(shape):
        masked = {name for name in ("begin", "end", "shrink_axis") if operands.option(f"{name}_mask") >> axis & 1}
        if strides[axis] < 1:
            raise ShapeError(f"its stride {strides[axis]} is not above 0")
        begin = None if "begin" in masked else begins[axis]
        if "shrink_axis" in masked:
            index = _axis(begin or 0, size)
            made.append(Steps(index, index + 1, 1, shrinks=True))
            continue
        taken = range(*slice(begin, None if "end" in masked else ends[axis], strides[axis]).indices(size))
        if not taken:
            raise ShapeError(f"it takes nothing along axis {axis}")
        made.append(Steps(taken[0], taken[-1] + 1, strides[axis], shrinks=False))
    return made


def _strided_slice(operands: _Operands) -> Shape:
    steps = strided_steps(operands.operator, operands.inputs)
    return tuple(len(range(s.begin, s.end, s.stride)) for s in steps if not s.shrinks)


_B = BuiltinOperator
_RULES: Mapping[int, Callable[[_Operands], Shape]] = {
    **dict.fromkeys((_B.ADD, _B.SUB, _B.MUL, _B.MINIMUM, _B.MAXIMUM), _broadcast),
    **dict.fromkeys((_B.AVERAGE_POOL_2D, _B.MAX_POOL_2D), _pool),
    **dict.fromkeys((_B.PAD, _B.PADV2), _pad),
    **dict.fromkeys((_B.RESHAPE, _B.SQUEEZE, _B.EXPAND_DIMS), _same_elements),
    _B.CONV_2D: _conv,
    _B.DEPTHWISE_CONV_2D: _depthwise,
    _B.FULLY_CONNECTED: _dense,
    _B.MEAN: _reduce,
    _B.CONCATENATION: _concatenate,
    _B.GATHER: _gather,
    _B.TRANSPOSE: _transpose,
    _B.SLICE: _slice,
    _B.STRIDED_SLICE: _strided_slice,
}
"""Those that are not elementwise on one operand."""
