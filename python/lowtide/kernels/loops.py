"""The loops of a kernel, and where elements lie in the buffers that it is given."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import reduce
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from lowtide.graph.nest import LayerBody, Node, Shape
from lowtide.graph.rows import row_dimension
from lowtide.indexing.linear import Index, Linear, Var
from lowtide.ir import InsertionPoint, MemRefType, Value, arith, memref, scf
from lowtide.kernels.intervals import Interval
from lowtide.kernels.microkernels import PLAIN
from lowtide.kernels.scalar import Indices, counted
from lowtide.kernels.values import index_constant

Item = TypeVar("Item")
Memo = dict[tuple[Node, Index], Value]


@dataclass(frozen=True)
class Part:
    """The part of a layer that one call in a fused loop computes.

    Attributes:
        ranges: first and end, index values, by dimension of the output, or of the reduction that is cut.
        reduces: the dimensions are of the reduction's iteration space, not of the output.
        from_the_end: elements are gone through from the last to the first, and rings fill from their end: their last
            row is the tensor's last.
        unit: what both ends of the first range are multiples of.
    """

    ranges: Mapping[int, Range]
    reduces: bool = False
    from_the_end: bool = False
    unit: int = 1


@dataclass(frozen=True)
class How:
    """What a kernel is emitted for.

    Attributes:
        microkernels: of the core, a name of `MICROKERNELS`.
        backwards: go through the output from its end.
        part: what the call goes through, None for all; then any argument may be a ring of some rows of its tensor.
        constants: between which values those tensor arguments lie that are known.
        derived: a memref for each of the kernel's derived constants, or none at all.
        workspaces: a memref for each of its workspaces.
        values: of each of these constants, what everyone who calls the code has.
    """

    microkernels: str = PLAIN
    backwards: bool = False
    part: Part | None = None
    constants: Mapping[int, Interval] = field(default_factory=dict[int, Interval])
    derived: Sequence[Value] = ()
    workspaces: Sequence[Value] = ()
    values: Sequence[Sequence[npt.NDArray[np.integer]]] = ()


Range = tuple[Value, Value]
"""First and end of what a loop goes through, `index` values."""


class LoopEmitter:
    """Emits loops and places in buffers at the current insertion point; it is made where the kernel begins.

    Args:
        body: the layer's loop description.
        arguments: one memref for each of its tensor arguments, the destination last.
        how: what the code is for.
    """

    def __init__(self, body: LayerBody, arguments: Sequence[Value], how: How) -> None:
        self.body = body
        self.arguments = arguments
        self.part = how.part
        self.reverse = how.backwards or self.from_the_end
        self.indices = Indices()
        self.memo: list[Memo] = [{}]

    def destination(self) -> Value:
        """What the result is stored to, in the shape that the description gives it."""
        destination = self.arguments[-1]
        given, wanted = MemRefType(destination.type), self.body.destination
        if given.rank == len(wanted):
            return destination
        return memref.collapse_shape(MemRefType.get(wanted, given.element_type), destination, [list(range(given.rank))])

    def place(self, buffer: Value, shape: Shape, index: Index) -> list[Value]:
        """Subscripts in a buffer that holds the tensor, or a ring of its rows, or a ring of its pixels."""
        kept = MemRefType(buffer.type).shape
        row = row_dimension(shape)
        if row + 1 < len(shape) and kept[row] == 1 < shape[row] and kept[row + 1] != shape[row + 1]:
            flat = index[row] * shape[row + 1] + index[row + 1]
            pixel = self._ring(flat, kept[row + 1], shape[row] * shape[row + 1])
            outer, inner = index[:row], index[row + 2 :]
            zero = index_constant(0)
            return [*map(self.indices.value, outer), zero, pixel, *map(self.indices.value, inner)]
        rings = zip(index, kept, shape, strict=True)
        return [self.indices.value(i) if rows == extent else self._ring(i, rows, extent) for i, rows, extent in rings]

    def _ring(self, index: Linear, kept: int, extent: int) -> Value:
        """The place of a row (or pixel) in a ring that keeps `kept` of `extent`: its number modulo that.

        A ring that fills from its end has the tensor's last row in its last place.
        """
        place = self.indices.value(index + (kept - extent) % kept if self.from_the_end else index)
        return arith.remui(place, index_constant(kept))

    @property
    def from_the_end(self) -> bool:
        return self.part is not None and self.part.from_the_end

    @contextmanager
    def scope(self) -> Generator[None]:
        self.memo.append({})
        yield
        self.memo.pop()

    @contextmanager
    def unless_empty(self) -> Generator[None]:
        """Code that is not run where a part of a reduction has nothing to add: it must leave the accumulator alone.

        Code for anything but a part of a reduction is emitted as it is.
        """
        if self.part is None or not self.part.reduces:
            yield
            return
        tests = [arith.cmpi(arith.CmpIPredicate.slt, *bounds) for bounds in self.part.ranges.values()]
        choice = scf.IfOp(reduce(arith.andi, tests))
        with InsertionPoint(choice.then_block):
            yield
            scf.YieldOp([])

    def ordered(self, items: Sequence[Item]) -> Sequence[Item]:
        """In the layer's direction."""
        return items[::-1] if self.reverse else items

    def directed(self, low: Value, high: Value, body: Callable[[Value], None], step: int = 1) -> None:
        """A loop in the layer's direction, over a range that `step` divides."""
        with counted(low, high, step) as turn, self.scope():
            if self.reverse:
                body(arith.subi(arith.subi(arith.addi(low, high), index_constant(step)), turn))
            else:
                body(turn)

    def nested(
        self, loops: Sequence[Var], ranges: Mapping[int, Range], body: Callable[[], None], *, first: int = 0
    ) -> None:
        """Loops of the output, from its dimension `first` on, within the ranges that some dimensions have."""
        if first == len(loops):
            body()
            return
        var = loops[first]
        low, high = ranges.get(first, (index_constant(0), index_constant(var.extent)))

        def one(position: Value) -> None:
            self.indices.bind(var, position)
            self.nested(loops, ranges, body, first=first + 1)

        self.directed(low, high, one)
