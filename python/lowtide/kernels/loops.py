"""The loops of a kernel, and where elements lie in the buffers that it is given."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from lowtide.graph.nest import LayerBody, Node, Shape
from lowtide.graph.rows import row_dimension
from lowtide.indexing.linear import Index, Linear, Var
from lowtide.ir import InsertionPoint, MemRefType, Value, arith, memref, scf
from lowtide.kernels.scalar import Indices, index_constant

Memo = dict[tuple[Node, Index], Value]


@dataclass(frozen=True)
class Part:
    """What one call of a kernel goes through, in a fused loop.

    Attributes:
        ranges: first and end, index values, by dimension of the output, or of the reduction that is cut.
        reduces: the dimensions are of the result's iteration space.
        from_the_end: elements are gone through from the last to the first, and rings fill from their end: their last
            row is the tensor's last.
        unit: what both ends of the first range are multiples of.
    """

    ranges: Mapping[int, tuple[Value, Value]]
    reduces: bool = False
    from_the_end: bool = False
    unit: int = 1


class LoopEmitter:
    """Emits loops and places in buffers at the current insertion point; it is made where the kernel begins.

    Args:
        body: the layer's loop description.
        arguments: one memref for each of its tensor arguments, the destination last.
        part: what the call goes through, None for all; then any argument may be a ring of some rows of its tensor.
    """

    def __init__(self, body: LayerBody, arguments: Sequence[Value], part: Part | None) -> None:
        self.body = body
        self.arguments = arguments
        self.part = part
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
        """Where a row (or pixel) lies in a ring that keeps so many of them."""
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

    def directed(
        self, low: Value, high: Value, body: Callable[[Value], None], step: int = 1, *, reverse: bool = False
    ) -> None:
        """A loop from the first to the last position, or the other way, over a range that `step` divides."""
        loop = scf.ForOp(low, high, index_constant(step))
        with InsertionPoint(loop.body), self.scope():
            position = loop.induction_variable
            if reverse:
                position = arith.subi(arith.subi(arith.addi(low, high), index_constant(step)), position)
            body(position)
            scf.YieldOp([])

    def nested(
        self,
        loops: Sequence[Var],
        ranges: Mapping[int, tuple[Value, Value]],
        body: Callable[[], None],
        *,
        reverse: bool,
        first: int = 0,
    ) -> None:
        """Loops of the output, from its dimension `first` on, within the ranges that some dimensions have."""
        if first == len(loops):
            body()
            return
        var = loops[first]
        low, high = ranges.get(first, (index_constant(0), index_constant(var.extent)))

        def one(position: Value) -> None:
            self.indices.bind(var, position)
            self.nested(loops, ranges, body, reverse=reverse, first=first + 1)

        self.directed(low, high, one, reverse=reverse)
