"""Emits a convolution in register blocks: some pixels of a row and some channels at a time.

A block's sums are loop-carried values, and what follows them (bias, requantisation, whatever is fused) is pulled
through the layer's description, element by element. Blocks lie where the whole window is inside the row; the other
pixels go one at a time. Rows of the input may be rings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from lowtide.graph.nest import LayerBody, row_major
from lowtide.indexing.linear import Index, Linear, Var
from lowtide.ir import (
    F32Type,
    IndexType,
    InsertionPoint,
    IntegerType,
    MemRefType,
    Value,
    VectorType,
    arith,
    memref,
    scf,
    vector,
)
from lowtide.kernels.blocked.across import ACROSS
from lowtide.kernels.blocked.blocks import Blocks
from lowtide.kernels.blocked.contraction import FLOAT, Contraction
from lowtide.kernels.blocked.depthwise import Depthwise
from lowtide.kernels.blocked.lanes import Lanes, Sums, Wide
from lowtide.kernels.blocked.memory import Address, Grid, address_of, scaled, store
from lowtide.kernels.blocked.patches import Patches
from lowtide.kernels.blocked.sums import Columns, Pixels, Runs, SumEmitter, zeros
from lowtide.kernels.blocked.wide import WideEmitter, lies
from lowtide.kernels.intervals import NOTHING_KNOWN, Interval
from lowtide.kernels.loops import Memo, Part
from lowtide.kernels.scalar import index_constant

Item = TypeVar("Item")
MOST_EDGE = 9
"""Elements of a window that a column at the edge may have to get code of its own."""


class BlockedEmitter(WideEmitter):
    """Emits one layer's loops at the current insertion point.

    Args:
        found: the layer's convolution.
        body, arguments, part, constants: as for `ElementEmitter`; a part goes through rows.
        lanes: of the core.
        backwards: go from the last pixel to the first.
        weights: a memref of the weights, as `found` says that they lie.
        known: the weights of everyone who calls the code, where they are in groups.
        words: see `WideEmitter`.
        folded: what the zero point of the input comes to in each channel's sum, for each class of rows in turn (see
            `fold` and `Blocks.row_classes`), if there is that.
    """

    def __init__(
        self,
        found: Contraction,
        body: LayerBody,
        arguments: Sequence[Value],
        lanes: Lanes,
        *,
        backwards: bool = False,
        part: Part | None = None,
        constants: Mapping[int, Interval] = NOTHING_KNOWN,
        weights: Value,
        folded: Value | None,
        words: Mapping[int, Value],
        known: Sequence[npt.NDArray[np.integer]] = (),
    ) -> None:
        super().__init__(body, arguments, part, constants, bare=lanes.bare)
        self._found = found
        self._weights = weights
        self._folded = folded
        self.words = words
        self._known = known
        self._lanes = lanes
        self._reverse = backwards or self.from_the_end
        self._cut = Blocks(found, lanes)
        emitters = ACROSS if lanes.across else {"runs": Runs, "patches": Patches, "depthwise": Depthwise}
        self._class = Var("class", len(self._cut.row_classes))
        self._sums: SumEmitter = emitters[self._cut.kind](self._cut, self)
        self._follows_wide = self._can_follow_wide()
        # with what sums start from and what they are rescaled by, nothing but the input is left
        self._only_constants = {*range(len(arguments) - 1)} <= {found.x.argument, *constants}

    def _can_follow_wide(self) -> bool:
        """Whether all that follows the sums is arithmetic on vectors, and its result's channels lie together."""
        own, index = self._found.loops[3], self._found.result
        neighbours = lies(self.body.target(index), own) == 1
        return neighbours and self.goes_wide(self.body.result, index, own, self._found.node)

    def emit(self) -> None:
        """All rows, or those of the part."""
        for var in self._found.loops:
            self.indices.bind(var, index_constant(0))
        row = self._found.loops[1]
        low, high = self._range(row, 1)

        def one(position: Value) -> None:
            self.indices.bind(row, position)
            self._open_class(position)
            self._sums.open_row()
            self._columns()

        self._loop(low, high, one)

    def _open_class(self, row: Value) -> None:
        """Which of the classes of rows this one is in."""
        number = index_constant(0)
        for first, _ in self._cut.row_classes[1:]:
            behind = arith.cmpi(arith.CmpIPredicate.uge, row, index_constant(first))
            number = arith.addi(number, arith.index_castui(IndexType.get(), behind))
        self.indices.bind(self._class, number)

    def _range(self, var: Var, dimension: int) -> tuple[Value, Value]:
        """Of the output, all of it or that of the part."""
        if self.part is None or dimension not in self.part.ranges:
            return index_constant(0), index_constant(var.extent)
        return self.part.ranges[dimension]

    def _loop(self, low: Value, high: Value, body: Callable[[Value], None], step: int = 1) -> None:
        """A loop in the layer's direction, over a range that `step` divides."""
        self.directed(low, high, body, step, reverse=self._reverse)

    # -- pixels of a row --------------------------------------------------------------------------------------

    def _columns(self) -> None:
        """Blocks where the windows are inside the input, single pixels elsewhere."""
        outputs, (first, end), pixels = self._found.columns.outputs, self._cut.interior, self._cut.pixels
        if self.by_pixels:
            self._loop(*self._range(self._found.loops[2], 2), self._single)
        elif self._cut.chunked:
            self._chunks()
        elif self._cut.kind == "depthwise":
            self._if_whole(lambda: self._classes(pixels))
        elif end - first < pixels:
            self._loop(index_constant(0), index_constant(outputs), self._single)
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
        self._either(self._sums.all_rows, blocks, lambda: self._loop(*outputs, self._single))

    def _chunks(self) -> None:
        """Blocks with pixels at edges each with code of its own, and all others in a loop."""
        axis, chunks = self._found.columns, self._cut.chunks
        (first, end), size = axis.interior, chunks[0][1]
        inside = [at for at, count in chunks if first <= at and at + count <= end and count == size]
        for at, count in self._ordered(chunks):
            if at not in inside:
                taps = [axis.inside(column) for column in range(at, at + count)]
                self._pixels(Pixels(index_constant(at), count, inside=False, whole=True, taps=taps))
            elif at == self._ordered(inside)[0]:
                bounds = index_constant(inside[0]), index_constant(inside[-1] + size)
                self._loop(*bounds, lambda column: self._block(column, size), size)

    def _classes(self, pixels: int) -> None:
        """Columns with the same part of their windows inside the input together, each kind with code of its own."""
        rows, columns = self._found.rows.kernel, self._found.columns.kernel
        for first, end, taps in self._ordered(self._found.columns.classes):
            if taps == (0, columns):
                self._blocks(first, end, pixels)
            elif rows * (taps[1] - taps[0]) <= MOST_EDGE:
                for column in self._ordered(range(first, end)):
                    self._pixels(Pixels(index_constant(column), 1, inside=False, whole=False, taps=[taps]))
            else:
                self._loop(index_constant(first), index_constant(end), self._single)

    def _blocks(self, first: int, end: int, pixels: int) -> None:
        """Whole windows: blocks of so many pixels, and one of those that are left."""
        rest = (end - first) % pixels
        for size in self._ordered((pixels, rest)):
            if size == pixels:
                bounds = index_constant(first), index_constant(end - rest)
                self._loop(*bounds, lambda column: self._block(column, pixels), pixels)
            elif size:
                self._block(index_constant(end - rest), rest)

    def _ordered(self, items: Sequence[Item]) -> Sequence[Item]:
        """In the layer's direction."""
        return items[::-1] if self._reverse else items

    def _mixed(self, first: int, end: int, pixels: int) -> None:
        """Turn i is a block from turn `first` on, and what is left of [first, end) one more; others are pixels."""
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

        self._loop(index_constant(0), index_constant(self._found.columns.outputs - skipped), turn)

    def _either(self, condition: Value, this: Callable[[], None], that: Callable[[], None]) -> None:
        choice = scf.IfOp(condition, has_else=True)
        for block, emit in ((choice.then_block, this), (choice.else_block, that)):
            with InsertionPoint(block), self.scope():
                emit()
                scf.YieldOp([])

    def _position(self, turn: Value, end: int, skipped: int) -> Value:
        """The pixel of a turn that is no block: after the blocks their further pixels are counted too."""
        if not skipped:
            return turn
        behind = arith.cmpi(arith.CmpIPredicate.uge, turn, index_constant(end))
        return arith.select(behind, arith.addi(turn, index_constant(skipped)), turn)

    def _block(self, column: Value, pixels: int) -> None:
        taps = (0, self._found.columns.kernel)
        self._pixels(Pixels(column, pixels, inside=True, whole=True, taps=[taps] * pixels))

    def _single(self, column: Value) -> None:
        across, down = self._found.columns.is_point, self._found.rows.is_point
        self._pixels(Pixels(column, 1, inside=across, whole=across and down))

    # -- channels of some pixels ------------------------------------------------------------------------------

    def _pixels(self, pixels: Pixels) -> None:
        """All channels of these pixels."""
        self.indices.bind(self._found.loops[2], pixels.column)
        self._sums.open_pixels(pixels)
        for first, end, size in self._ordered(self._cut.cuts(pixels.count)):
            if end - first == size:
                with self.scope():
                    self._channels(pixels, index_constant(first), size)
            else:
                bounds = index_constant(first), index_constant(end)
                self._loop(*bounds, partial(self._channels, pixels, count=size), size)

    def _channels(self, pixels: Pixels, channel: Value, count: int) -> None:
        """One block: its sums, then its elements."""
        wide = self._wide_for(count)
        if wide is None:
            start = partial(self._start, pixels, channel)
            self._store(pixels, channel, count, self._sums.columns_of(pixels, channel, count, start))
            return
        together = self._sums.together(count)
        if together == 1:
            # what they start from is added to the vectors
            sums = self._sums.emit(pixels, channel, zeros(pixels.count, count))
            self._store_wide(pixels, channel, self._gathered(pixels, channel, sums, wide), wide)
            return
        firsts = range(0, count, together)
        starts = [[self._start(pixels, channel, 0, n, together) for n in firsts]]
        for m in range(1, pixels.count):
            alike = not self.varies(self._found.init, self._found.index, self._found.loops[2])
            row = starts[0] if alike else [self._start(pixels, channel, m, n, together) for n in firsts]
            starts.append(list(row))
        self._store_wide(pixels, channel, self._sums.emit(pixels, channel, starts), wide)

    def _wide_for(self, count: int) -> Wide | None:
        """The core's vectors, if what follows the sums can be computed in them."""
        wide = self._lanes.wide
        return wide.fitting(count) if wide is not None and self._follows_wide else None

    def _gathered(self, pixels: Pixels, channel: Value, sums: Sums, wide: Wide) -> Sums:
        """The sums as vectors, with what they start from."""
        kind = VectorType.get([wide.width], IntegerType.get_signless(32))
        made: Sums = []
        for m, row in enumerate(sums):
            made.append([])
            for n in range(0, len(row), wide.width):
                total = vector.from_elements(kind, row[n : n + wide.width])
                made[-1].append(arith.addi(total, self._start(pixels, channel, m, n, wide.width)))
        return made

    def _bind(self, pixels: Pixels, m: int, channel: Value, n: int) -> None:
        column, own = self._found.loops[2:]
        self.indices.bind(column, arith.addi(pixels.column, index_constant(m)) if m else pixels.column)
        self.indices.bind(own, arith.addi(channel, index_constant(n)) if n else channel)

    def _start(self, pixels: Pixels, channel: Value, m: int, n: int, together: int) -> Value:
        """What the sum starts from, or the sums of so many channels."""
        node, init, index = self._found.node, self._found.init, self._found.index
        own = Linear.of(self._found.loops[3])
        wide = self._lanes.wide.fitting(together) if self._lanes.wide is not None and together > 1 else None
        if wide is not None and not self.goes_wide(init, index, self._found.loops[3], node):
            kind = VectorType.get([together], IntegerType.get_signless(32))
            return vector.from_elements(kind, [self._start(pixels, channel, m, n + i, 1) for i in range(together)])
        with self.scope():
            self._bind(pixels, m, channel, n)
            folded = self._folded is not None and self._sums.folded(pixels)
            if wide is not None:
                start = self.start_of(init, index, self._found.loops[3], wide, alone=not folded)
            else:
                start = self.value(init, index)
            if self._folded is None or not folded:
                return start
            place, sums = Linear.of(self._class) * self._found.outputs + own, self._class.extent * self._found.outputs
            if wide is None:
                return arith.addi(start, memref.load(self._folded, [self.indices.value(place)]))
            return arith.addi(start, self.lanes_at(self._folded, (sums,), (place,), wide))

    def _store(self, pixels: Pixels, channel: Value, count: int, sums: Columns) -> None:
        """Pull the block's elements through all that follows the sums, and store them.

        Together, so that no load comes behind a store; or each channel's at once, if only constants are loaded.
        """
        target, destination = self.body.target(self._found.result), self.destination()
        grid = self._grid(pixels, channel, destination, target)
        made: list[Callable[[], None]] = []
        for n in range(count):
            for m, total in enumerate(sums(n)):
                with self.scope():
                    self._bind(pixels, m, channel, n)
                    self.memo[-1][self._found.node, self._found.index] = total
                    value = self.value(self.body.result, self._found.result)
                    if grid is None:
                        place = self.place(destination, self.body.destination, target)
                        made.append(partial(memref.store, value, destination, place))
                    else:
                        made.append(partial(store, value, grid.at(m, n), FLOAT))
            if self._only_constants or n == count - 1:
                for one in made:
                    one()
                made.clear()

    def _grid(self, pixels: Pixels, channel: Value, destination: Value, target: Index) -> Grid | None:
        """Where a block of floats goes, if no ring cuts it: an FPU's store takes a constant offset and no index."""
        kind, shape, size = MemRefType(destination.type), self.body.destination, FLOAT
        if not isinstance(kind.element_type, F32Type) or list(kind.shape[-2:]) != list(shape[-2:]):
            return None
        with self.scope():
            self._bind(pixels, 0, channel, 0)
            first = self.byte_of(destination, shape, target)
        across, along = (row_major(shape, target).coefficient(var) * size for var in self._found.loops[2:])
        return Grid(first, across, along)

    def _store_wide(self, pixels: Pixels, channel: Value, sums: Sums, wide: Wide) -> None:
        """The same for vectors."""
        index = self._found.result
        target, destination = self.body.target(index), self.destination()
        made: list[tuple[Value, Address]] = []
        for m, row in enumerate(sums):
            for n, total in enumerate(row):
                with self.scope():
                    self._bind(pixels, m, channel, n * wide.width)
                    known: Memo = {(self._found.node, self._found.index): total}
                    value = self.wide(self.body.result, index, self._found.loops[3], wide, known)
                    made.append((value, self.byte_of(destination, self.body.destination, target)))
        for value, place in made:
            store(value, place)

    @property
    def folds(self) -> bool:
        """See `Input`."""
        return self._folded is not None

    # -- input ------------------------------------------------------------------------------------------------

    @property
    def by_pixels(self) -> bool:
        """See `Input`; so it is, too, where the part cuts columns."""
        kept = MemRefType(self.arguments[self._found.x.argument].type).shape
        cut = self.part is not None and 2 in self.part.ranges
        return cut or list(kept[2:]) != list(self._found.x.shape[2:])

    def input_row(self, row: Linear) -> Address:
        """The first byte of a row of the input, which may be in a ring."""
        return self.input_pixel(row, Linear())

    def input_pixel(self, row: Linear, column: Linear) -> Address:
        """The first byte of a pixel of the input, which may be in a ring or in a block."""
        x = self._found.x
        channel = Linear() + self._found.first
        return self.byte_of(self.arguments[x.argument], x.shape, (Linear(), row, column, channel))

    def weights(self) -> Address:
        """The first byte of the weights."""
        return address_of(self._weights)

    def known_weights(self) -> Sequence[npt.NDArray[np.integer]]:
        """See `Input`."""
        return self._known


def is_blocked(found: Contraction, body: LayerBody, arguments: Sequence[Value], part: Part | None) -> bool:
    """True where channels lie together in the input and the output, and the part goes through rows and columns."""
    if part is not None and (part.reduces or len(body.destination) != 4 or not set(part.ranges) <= {1, 2}):
        return False
    shapes = (found.x.shape, arguments[found.x.argument]), (body.destination, arguments[-1])
    for shape, value in shapes:
        kept = list(MemRefType(value.type).shape)
        if len(kept) != len(shape) or kept[-1] != shape[-1]:
            return False
    return MemRefType(arguments[found.w.argument].type).shape == list(found.w.shape)
