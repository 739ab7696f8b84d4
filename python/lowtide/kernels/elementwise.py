"""Finds layers whose elements are made from elements at the same place: what lies in runs in memory, and how far.

A *run* is the elements along the innermost loops of the result, for which each tensor that is read gives either
neighbours in the same order or the same element throughout. Rings and cut dimensions end a run: it is as long as the
call allows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

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
    loops_over,
    row_major,
    source_index,
    sources_of,
)
from lowtide.indexing.linear import Index, Var
from lowtide.ir import IntegerType, RankedTensorType, Type
from lowtide.kernels.affine import BYTES, Affine, affine_of, values_of_bytes
from lowtide.kernels.tabulate import Integers, tabulated
from lowtide.kernels.values import is_used

Read = tuple[Operand, Index]
"""A tensor and the subscripts that an element of the result has in it."""
_BITS = (8, 16, 32)


@dataclass(frozen=True, eq=False)
class Elementwise:
    """A layer without reductions and pads.

    Attributes:
        loops: over the result.
        index: of its element.
        reads: all that an element is made from.
        body: the layer's loop description.
    """

    loops: tuple[Var, ...]
    index: Index
    reads: tuple[Read, ...]
    body: LayerBody

    def first_of_run(self, kept: Mapping[int, Sequence[int]], cut: Sequence[int]) -> int:
        """The outermost loop of a run; the number of loops where there is none.

        Args:
            kept: by number of the tensor argument, the last for the destination, the shape of the buffer.
            cut: the dimensions of which a call may take a part.
        """
        first = len(self.loops)
        accesses = [(node.shape, index, kept[node.argument]) for node, index in self.reads]
        target = self.body.destination, self.body.target(self.index), kept[len(self.body.arguments) - 1]
        for dimension in reversed(range(len(self.loops))):
            run = self.loops[dimension:]
            if dimension in cut or lies(*target, run) != 1:
                break
            if any(lies(*access, run) is None for access in accesses):
                break
            first = dimension
        return first

    def affine(self) -> Affine | None:
        """The elements as one short expression of the one or two bytes that they are made from."""
        nodes = [node for node, _ in self.reads]
        kinds = [element_of(self.body.arguments[number]) for number in (*(node.argument for node in nodes), -1)]
        if not 1 <= len(nodes) <= 2 or len(set(nodes)) < len(nodes) or any(width_of(kind) != 8 for kind in kinds):
            return None
        bits = values_of_bytes(signed=True)
        given: dict[Node, Integers] = {}
        for number, node in enumerate(nodes):
            given[node] = bits.reshape([-1 if number == axis else 1 for axis in range(len(nodes))])
        table = tabulated(self.body.result, given)
        return None if table is None or table.shape != (BYTES,) * len(nodes) else affine_of(table)


def elementwise_of(body: LayerBody) -> Elementwise | None:
    """The layer as such; None where it reduces, pads, looks at its place, or holds anything but integers."""
    if any(width_of(element_of(kind)) is None for kind in body.arguments):
        return None
    loops, index = loops_over(body.result.shape)
    reads: list[Read] = []
    for read in reads_of(body.result, index):
        if read is None:
            return None
        if read not in reads:
            reads.append(read)
    found = Elementwise(loops, index, tuple(reads), body)
    whole = {number: RankedTensorType(kind).shape for number, kind in enumerate(body.arguments)}
    whole[len(body.arguments) - 1] = list(body.destination)
    return found if math.prod(v.extent for v in loops[found.first_of_run(whole, ()) :]) > 1 else None


def reads_of(node: Node, index: Index) -> Iterator[Read | None]:
    """All that an element is made from; None for a reduction, a pad, or what depends on the element's place."""
    match node:
        case Operand():
            yield node, index
        case Filled() | Undefined():
            pass
        case Padded():
            yield None
        case Sliced() | Reshaped():
            through = source_index(node, index)
            if through is None:
                yield None
            else:
                yield from reads_of(node.source, through)
        case Structured():
            yield from _of_region(node, index)


def _of_region(node: Structured, index: Index) -> Iterator[Read | None]:
    block = node.block
    if node.is_reduction or any(view.operation.name == "linalg.index" for view in block.operations):
        yield None
        return
    for argument, (source, inner) in zip(block.arguments, sources_of(node, index), strict=True):
        if is_used(argument):
            yield from reads_of(source, inner)


def lies(shape: Shape, index: Index, kept: Sequence[int], run: Sequence[Var]) -> int | None:
    """1 where the elements along these loops are neighbours in the buffer, 0 where they are one, None else.

    Args:
        shape: of the tensor.
        index: of its element.
        kept: shape of the buffer, which may be a ring of rows or of pixels.
        run: loops from the outer to the inner.
    """
    if len(kept) == len(shape):
        rings = [i for i, rows, extent in zip(index, kept, shape, strict=True) if rows != extent]
        if any(subscript.coefficient(var) for subscript in rings for var in run):
            return None
    elif math.prod(kept) != math.prod(shape):
        return None
    flat = row_major(shape, index)
    steps = [math.prod(var.extent for var in run[number + 1 :]) for number in range(len(run))]
    found = [(flat.coefficient(var), step) for var, step in zip(run, steps, strict=True) if var.extent > 1]
    if not any(coefficient for coefficient, _ in found):
        return 0 if found else 1
    return 1 if all(coefficient == step for coefficient, step in found) else None


def element_of(kind: Type) -> Type:
    """The type of a tensor's elements."""
    return RankedTensorType(kind).element_type


def width_of(kind: Type) -> int | None:
    """Bits of an integer that one load takes."""
    return kind.width if isinstance(kind, IntegerType) and kind.width in _BITS else None
