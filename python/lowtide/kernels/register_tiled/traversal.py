"""The order in which a convolution goes through its pixels: in blocks where it can, one at a time elsewhere.

Blocks lie where the whole window is inside the row; the other pixels go one at a time.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence

from lowtide.graph.nest import LayerBody
from lowtide.indexing.linear import Var
from lowtide.ir import IndexType, InsertionPoint, MemRefType, Value, arith, scf
from lowtide.kernels.loops import How, Range
from lowtide.kernels.microkernels import microkernel_for
from lowtide.kernels.register_tiled.blocks import Blocks
from lowtide.kernels.register_tiled.contraction import Contraction
from lowtide.kernels.register_tiled.memory import scaled
from lowtide.kernels.register_tiled.sums import Pixels, SumEmitter
from lowtide.kernels.register_tiled.wide import WideEmitter
from lowtide.kernels.values import index_constant

MOST_EDGE = 9
"""Elements inside the input up to which the window of a column at the edge is written out as code of its own."""


class PixelTraversal(WideEmitter):
    """Emits the loops over rows and columns; what is in them is the subclass's.

    Args:
        found: the layer's convolution.
        body, arguments, how: as for `LoopEmitter`; a part goes through rows.
    """

    _sums: SumEmitter
    """What emits a block's sums; the subclass sets it, as it is made of the blocks and of the emitter itself."""

    def __init__(self, found: Contraction, body: LayerBody, arguments: Sequence[Value], how: How) -> None:
        microkernel = microkernel_for(found, how.microkernels)
        super().__init__(body, arguments, how, bare=microkernel.bare)
        self._found = found
        self._microkernel = microkernel
        self._cut = Blocks(found, microkernel)
        self._class = Var("class", len(self._cut.row_classes))

    @abstractmethod
    def pixels(self, pixels: Pixels) -> None:
        """Emit all channels of these pixels."""

    @property
    def by_pixels(self) -> bool:
        """Whether only the channels of a pixel lie together (see `Input`), or the part cuts columns: then no blocks."""
        kept = MemRefType(self.arguments[self._found.x.argument].type).shape
        cut = self.part is not None and 2 in self.part.ranges
        return cut or list(kept[2:]) != list(self._found.x.shape[2:])

    def emit(self) -> None:
        """Emit the loop over all rows of the output, or over those of the part."""
        for var in self._found.loops:
            self.indices.bind(var, index_constant(0))
        row = self._found.loops[1]
        low, high = self._range(row, 1)

        def one(position: Value) -> None:
            self.indices.bind(row, position)
            self._open_class(position)
            self._sums.open_row()
            self._columns()

        self.directed(low, high, one)

    def _open_class(self, row: Value) -> None:
        """Bind the number of the class of rows (`Blocks.row_classes`) that this row is in."""
        # the classes before this one, counted by comparisons: there are few, and a table would be one load more
        number = index_constant(0)
        for first, _ in self._cut.row_classes[1:]:
            behind = arith.cmpi(arith.CmpIPredicate.uge, row, index_constant(first))
            number = arith.addi(number, arith.index_castui(IndexType.get(), behind))
        self.indices.bind(self._class, number)

    def _range(self, var: Var, dimension: int) -> Range:
        """First and end of a dimension of the output: all of it, or what the part has of it."""
        if self.part is None or dimension not in self.part.ranges:
            return index_constant(0), index_constant(var.extent)
        return self.part.ranges[dimension]

    # -- pixels of a row --------------------------------------------------------------------------------------

    def _columns(self) -> None:
        """Emit a row: blocks where the windows are inside the input, single pixels elsewhere."""
        outputs, (first, end), pixels = self._found.columns.outputs, self._cut.interior, self._cut.pixels
        # rings of pixels have no runs that several pixels share
        if self.by_pixels:
            self.directed(*self._range(self._found.loops[2], 2), self._single)
        elif self._cut.chunked:
            self._chunks()
        elif self._cut.kind == "depthwise":
            self._if_whole(lambda: self._classes(pixels))
        elif end - first < pixels:
            self.directed(index_constant(0), index_constant(outputs), self._single)
        elif (first, end) == (0, outputs):
            self._blocks(first, end, pixels)
        else:
            self._mixed(first, end, pixels)

    def _if_whole(self, blocks: Callable[[], None]) -> None:
        """Blocks in rows whose windows are inside the input, single pixels in other rows."""
        if self._sums.all_rows is None:
            blocks()
            return
        outputs = index_constant(0), index_constant(self._found.columns.outputs)
        self._either(self._sums.all_rows, blocks, lambda: self.directed(*outputs, self._single))

    def _chunks(self) -> None:
        """Emit a row of `Blocks.chunks`: those with edge pixels each with code of its own, the others in one loop."""
        axis, chunks = self._found.columns, self._cut.chunks
        (first, end), size = axis.interior, chunks[0][1]
        inside = [at for at, count in chunks if first <= at and at + count <= end and count == size]
        for at, count in self.ordered(chunks):
            if at not in inside:
                taps = [axis.inside(column) for column in range(at, at + count)]
                self.pixels(Pixels(index_constant(at), count, inside=False, whole=True, taps=taps))
            # the first of the others in the layer's direction stands for the loop over all of them
            elif at == self.ordered(inside)[0]:
                bounds = index_constant(inside[0]), index_constant(inside[-1] + size)
                self.directed(*bounds, lambda column: self._block(column, size), size)

    def _classes(self, pixels: int) -> None:
        """Emit a row by what is inside the input of its windows: each kind of column has code of its own."""
        rows, columns = self._found.rows.kernel, self._found.columns.kernel
        for first, end, taps in self.ordered(self._found.columns.classes):
            if taps == (0, columns):
                self._blocks(first, end, pixels)
            elif rows * (taps[1] - taps[0]) <= MOST_EDGE:
                for column in self.ordered(range(first, end)):
                    self.pixels(Pixels(index_constant(column), 1, inside=False, whole=False, taps=[taps]))
            else:
                self.directed(index_constant(first), index_constant(end), self._single)

    def _blocks(self, first: int, end: int, pixels: int) -> None:
        """Emit columns whose windows are inside the input: a loop of blocks, and one block of what is left."""
        rest = (end - first) % pixels
        for size in self.ordered((pixels, rest)):
            if size == pixels:
                bounds = index_constant(first), index_constant(end - rest)
                self.directed(*bounds, lambda column: self._block(column, pixels), pixels)
            elif size:
                self._block(index_constant(end - rest), rest)

    def _mixed(self, first: int, end: int, pixels: int) -> None:
        """Emit a row in one loop whose turns are single pixels at both edges and blocks in between.

        One loop has the code for a single pixel once, where three loops in a row would have it twice. Turn i is pixel i
        before `first`; then come the blocks, one smaller block of what is left, and the pixels behind.
        """
        blocks, rest = divmod(end - first, pixels)
        sizes = [pixels] * blocks + ([rest] if rest else [])
        skipped = end - first - len(sizes)

        def turn(i: Value) -> None:
            after = arith.subi(i, index_constant(first))
            column = arith.addi(scaled(after, pixels), index_constant(first))

            def single() -> None:
                self._single(self._position(i, first + len(sizes), skipped))

            def last() -> None:
                here = arith.cmpi(arith.CmpIPredicate.eq, after, index_constant(blocks))
                self._either(here, lambda: self._block(index_constant(end - rest), rest), single)

            inside = arith.cmpi(arith.CmpIPredicate.ult, after, index_constant(blocks))
            self._either(inside, lambda: self._block(column, pixels), last if rest else single)

        self.directed(index_constant(0), index_constant(self._found.columns.outputs - skipped), turn)

    def _either(self, condition: Value, this: Callable[[], None], that: Callable[[], None]) -> None:
        choice = scf.IfOp(condition, has_else=True)
        for block, emit in ((choice.then_block, this), (choice.else_block, that)):
            with InsertionPoint(block), self.scope():
                emit()
                scf.YieldOp([])

    def _position(self, turn: Value, end: int, skipped: int) -> Value:
        """The column of a turn that is one pixel: behind the blocks, `skipped` more than the turn's number."""
        if not skipped:
            return turn
        behind = arith.cmpi(arith.CmpIPredicate.uge, turn, index_constant(end))
        return arith.select(behind, arith.addi(turn, index_constant(skipped)), turn)

    def _block(self, column: Value, pixels: int) -> None:
        taps = (0, self._found.columns.kernel)
        self.pixels(Pixels(column, pixels, inside=True, whole=True, taps=[taps] * pixels))

    def _single(self, column: Value) -> None:
        across, down = self._found.columns.is_point, self._found.rows.is_point
        self.pixels(Pixels(column, 1, inside=across, whole=across and down))
