"""Shapes that operators make which move elements: blocks, parts and stacks of tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tflite import BuiltinOperator

from lowtide.importer.tflite.model import Operator, Shape, Tensor
from lowtide.importer.tflite.operands import Operands, ShapeError, axis_of


def blocks(operator: Operator, inputs: Sequence[Tensor | None]) -> tuple[list[int], list[tuple[int, int]]]:
    """Sizes of the blocks of SPACE_TO_BATCH_ND or BATCH_TO_SPACE_ND, and paddings or crops, an entry a spatial axis.

    Raises:
        ShapeError: the operands don't fit each other.
    """
    operands = Operands(operator, inputs, ())
    sizes = operands.numbers(1)
    amounts = operands.numbers(2, 2 * len(sizes))
    if not 1 <= len(sizes) < len(operands.shape()) or min(sizes) < 1 or min(amounts) < 0:
        raise ShapeError(
            f"its blocks {sizes[:8]} and amounts {amounts[:8]} do not fit its input {list(operands.shape())}"
        )
    return sizes, list(zip(amounts[::2], amounts[1::2], strict=True))


def space_to_batch(operands: Operands) -> Shape:
    sizes, paddings = blocks(operands.operator, operands.inputs)
    batch, *shape = operands.shape()
    for axis, (size, (before, after)) in enumerate(zip(sizes, paddings, strict=True)):
        padded = before + shape[axis] + after
        if padded % size:
            raise ShapeError(f"its axis {axis + 1} is padded to {padded}, not a multiple of {size}")
        shape[axis] = padded // size
    return (batch * math.prod(sizes), *shape)


def batch_to_space(operands: Operands) -> Shape:
    sizes, crops = blocks(operands.operator, operands.inputs)
    batch, *shape = operands.shape()
    if batch % math.prod(sizes):
        raise ShapeError(f"its batch {batch} is not a multiple of its blocks' size {math.prod(sizes)}")
    for axis, (size, (before, after)) in enumerate(zip(sizes, crops, strict=True)):
        shape[axis] = shape[axis] * size - before - after
    return (batch // math.prod(sizes), *shape)


def pack(operands: Operands) -> Shape:
    shape = operands.shape()
    axis = axis_of(operands.option("axis"), len(shape) + 1)
    if any(operands.shape(position) != shape for position in range(len(operands.inputs))):
        raise ShapeError("its inputs have different shapes")
    return (*shape[:axis], len(operands.inputs), *shape[axis:])


def unpack(operands: Operands) -> list[Shape]:
    shape = operands.shape()
    axis = axis_of(operands.option("axis"), len(shape))
    return [(*shape[:axis], *shape[axis + 1 :])] * min(shape[axis], len(operands.declared) + 1)


def split_sizes(operator: Operator, inputs: Sequence[Tensor | None], count: int) -> tuple[int, list[int]]:
    """The axis that SPLIT or SPLIT_V cuts, and how much of it each of the `count` outputs gets.

    Raises:
        ShapeError: the operands don't fit each other.
    """
    operands = Operands(operator, inputs, ())
    if operator.code == BuiltinOperator.SPLIT:
        shape = operands.shape(1)
        axis = axis_of(operands.numbers(0, 1)[0], len(shape))
        if shape[axis] % count:
            raise ShapeError(f"it splits {shape[axis]} into {count} parts")
        return axis, [shape[axis] // count] * count
    shape = operands.shape()
    axis = axis_of(operands.numbers(2, 1)[0], len(shape))
    sizes = operands.numbers(1, count)
    if sizes.count(-1) == 1:
        sizes[sizes.index(-1)] = shape[axis] - sum(sizes) - 1
    if min(sizes) < 1 or sum(sizes) != shape[axis]:
        raise ShapeError(f"it splits {shape[axis]} into {sizes[:8]}")
    return axis, sizes


def split(operands: Operands) -> list[Shape]:
    shape = operands.shape(1 if operands.operator.code == BuiltinOperator.SPLIT else 0)
    axis, sizes = split_sizes(operands.operator, operands.inputs, len(operands.declared))
    return [(*shape[:axis], size, *shape[axis + 1 :]) for size in sizes]


def tile(operands: Operands) -> Shape:
    """As many copies along each axis as its second operand says."""
    shape = operands.shape()
    counts = operands.numbers(1, len(shape))
    if min(counts, default=1) < 1:
        raise ShapeError(f"it makes {min(counts)} copies")
    return tuple(size * count for size, count in zip(shape, counts, strict=True))


def broadcast_to(operands: Operands) -> Shape:
    """The shape in its second operand, to which that of the first must be broadcast."""
    shape, wanted = operands.shape(), tuple(operands.numbers(1))
    behind = wanted[len(wanted) - len(shape) :]
    if len(wanted) < len(shape) or any(size not in (1, new) for size, new in zip(shape, behind, strict=True)):
        raise ShapeError(f"{list(shape)} cannot be broadcast to {list(wanted)[:8]}")
    return wanted


def space_to_depth(operands: Operands) -> Shape:
    """Blocks of pixels become channels."""
    batch, height, width, channels = operands.shape(0, 4)
    block = operands.option("block_size")
    if height % block or width % block:
        raise ShapeError(f"its image of {height} by {width} has no blocks of {block}")
    return (batch, height // block, width // block, channels * block * block)


def depth_to_space(operands: Operands) -> Shape:
    """Channels become blocks of pixels."""
    batch, height, width, channels = operands.shape(0, 4)
    block = operands.option("block_size")
    if channels % (block * block):
        raise ShapeError(f"its {channels} channels are no blocks of {block} by {block}")
    return (batch, height * block, width * block, channels // (block * block))


def reverse(operands: Operands) -> Shape:
    """The input's shape; the axes that are turned round must be its own."""
    shape = operands.shape()
    for axis in operands.numbers(1):
        axis_of(axis, len(shape))
    return shape


def resize(operands: Operands) -> Shape:
    """The input with the height and the width in its second operand."""
    batch, _, _, channels = operands.shape(0, 4)
    height, width = operands.numbers(1, 2)
    return (batch, height, width, channels)
