"""Access profiles: how far a layer's output may run into the input that it consumes.

A *step* is one output element: the general kernel (`lowtide.kernels.pull`) loads all that an element needs before it
stores it, and goes through the elements in row-major order, or in the exact reverse. The profile is computed from the
loop description that emits the code, element by element, so it holds for every stride, pad, dilation and broadcast.

Source: Jokic et al., arXiv 2007.09963, for one layer; here the bytes of any two buffers keep a least distance instead.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lowtide.graph.linear import Index, Linear, Var
from lowtide.graph.nest import (
    Filled,
    LayerBody,
    Node,
    Operand,
    Padded,
    Reshaped,
    Shape,
    Sliced,
    Structured,
    Undefined,
    delinearize,
    iteration_space,
    output_dimensions,
    row_major,
)
from lowtide.graph.subscripts import apply_map
from lowtide.ir import BlockArgument

Elements = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Profile:
    """What one layer allows of one of its inputs, in bytes.

    Attributes:
        forwards: D: with a kernel emitted forwards, the output may start at the input's start less D, or lower.
        backwards: D': with a kernel emitted backwards, the output may end at the input's end plus D', or higher.
    """

    forwards: int
    backwards: int


def profile_of(body: LayerBody, argument: int, input_bytes: int, output_bytes: int) -> Profile:
    """The profile of an input that this layer is the last to use.

    Args:
        body: the layer's loop description.
        argument: number of the tensor argument.
        input_bytes, output_bytes: whole size of the input's and the destination's buffer.

    Returns:
        distances in [-input_bytes, output_bytes]; never less than what is safe.
    """
    loops = tuple(Var(f"o{i}", extent) for i, extent in enumerate(body.result.shape))
    target = body.target(tuple(Linear.of(var) for var in loops))
    size = output_bytes // math.prod(body.destination)
    first = _values(row_major(body.destination, target), loops) * size
    low, high = _reads(body, argument, loops, input_bytes)
    forwards = _forwards(low, first + size, input_bytes)
    # backwards is forwards seen from the other end of both buffers
    backwards = _forwards((input_bytes - high)[::-1], (output_bytes - first)[::-1], input_bytes)
    return Profile(max(-input_bytes, min(forwards, output_bytes)), max(-input_bytes, min(backwards, output_bytes)))


def _forwards(low: Elements, written: Elements, input_bytes: int) -> int:
    """The greatest high(t) - dead(t) over the steps t.

    Args:
        low: at each step, the bytes of the input below the lowest that is read (all of them where nothing is read).
        written: at each step, the end of what is written.
        input_bytes: what is dead after the last step.
    """
    dead = np.append(np.minimum.accumulate(low[::-1])[::-1][1:], input_bytes)
    return int((np.maximum.accumulate(written) - dead).max())


def _values(expression: Linear, loops: Sequence[Var]) -> Elements:
    """The expression at every step."""
    return _grid(expression, loops, 0).reshape(-1)


def _grid(expression: Linear, loops: Sequence[Var], constant: int) -> Elements:
    """The terms of the loops' own variables over the whole iteration space, plus the constants."""
    total = np.full([var.extent for var in loops], expression.const + constant, dtype=np.int64)
    for position, var in enumerate(loops):
        coefficient = expression.coefficient(var)
        if coefficient:
            shape = [1] * len(loops)
            shape[position] = var.extent
            total += (np.arange(var.extent, dtype=np.int64) * coefficient).reshape(shape)
    return total


def _reads(body: LayerBody, argument: int, loops: Sequence[Var], input_bytes: int) -> tuple[Elements, Elements]:
    """At each step the lowest byte that is read of the argument, and the end of the highest."""
    steps = math.prod(var.extent for var in loops)
    low, high = np.full(steps, input_bytes, dtype=np.int64), np.zeros(steps, dtype=np.int64)
    index = tuple(Linear.of(var) for var in loops)
    for access in accesses(body.result, index, argument, padded=False):
        if access is None:
            return np.zeros(steps, dtype=np.int64), np.full(steps, input_bytes, dtype=np.int64)
        size = input_bytes // math.prod(access.shape)
        least, greatest = _extremes(access, loops)
        np.minimum(low, least * size, out=low)
        np.maximum(high, (greatest + 1) * size, out=high)
    return low, high


@dataclass(frozen=True)
class Access:
    """One load of the input: its subscripts, in terms of the loops and of variables within a step."""

    shape: Shape
    index: Index


def _extremes(access: Access, loops: Sequence[Var]) -> tuple[Elements, Elements]:
    """At each step the least and the greatest element number that the access can touch."""
    steps = math.prod(var.extent for var in loops)
    least, greatest = np.zeros(steps, dtype=np.int64), np.zeros(steps, dtype=np.int64)
    for extent, subscript in zip(access.shape, access.index, strict=True):
        inner = [(v, c) for v, c in subscript.terms if v not in loops]
        below = sum(c * (v.extent - 1) for v, c in inner if c < 0)
        above = sum(c * (v.extent - 1) for v, c in inner if c > 0)
        least = least * extent + np.clip(_grid(subscript, loops, below).reshape(-1), 0, extent - 1)
        greatest = greatest * extent + np.clip(_grid(subscript, loops, above).reshape(-1), 0, extent - 1)
    return least, greatest


def accesses(node: Node, index: Index, argument: int, *, padded: bool) -> Iterator[Access | None]:
    """Every load of the argument below the node; None for one that may touch any element."""
    match node:
        case Operand():
            if node.argument == argument:
                yield Access(node.shape, index)
        case Filled() | Undefined():
            pass
        case Padded():
            inner = tuple(i + -low for i, low in zip(index, node.low, strict=True))
            yield from accesses(node.source, inner, argument, padded=True)
        case Sliced():
            inner = tuple(i * s + o for i, s, o in zip(index, node.strides, node.offsets, strict=True))
            yield from accesses(node.source, inner, argument, padded=padded)
        case Reshaped():
            # outside a pad's source subscripts mean nothing, so they can't be carried through a reshape
            through = None if padded else delinearize(row_major(node.shape, index), node.source.shape)
            if through is not None:
                yield from accesses(node.source, through, argument, padded=padded)
            elif argument in arguments_of(node.source):
                yield None
        case Structured():
            yield from _structured(node, index, argument, padded=padded)


def _structured(node: Structured, index: Index, argument: int, *, padded: bool) -> Iterator[Access | None]:
    if argument in _captured(node):
        yield None
    dims = output_dimensions(node, index, iteration_space(node))
    for source, amap in zip((*node.inputs, node.init), node.maps, strict=True):
        yield from accesses(source, apply_map(amap, dims), argument, padded=padded)


def _captured(node: Structured) -> set[int]:
    """Arguments that the scalar code reads at places of its own (`tensor.extract`)."""
    block = node.op.regions[0].blocks[0]
    operands = (operand for view in block.operations for operand in view.operation.operands)
    return {v.arg_number for v in operands if isinstance(v, BlockArgument) and v.owner != block}


def arguments_of(node: Node) -> set[int]:
    """Arguments that the node is computed from."""
    match node:
        case Operand():
            return {node.argument}
        case Filled() | Undefined():
            return set()
        case Padded() | Sliced() | Reshaped():
            return arguments_of(node.source)
        case Structured():
            return _captured(node).union(*(arguments_of(source) for source in (*node.inputs, node.init)))
