"""Emits a convolution in register blocks: some pixels of a row and some channels at a time.

A block's sums are loop-carried values, and what follows them (bias, requantisation, whatever is fused) is pulled
through the layer's description, element by element. Blocks lie where the whole window is inside the row; the other
pixels go one at a time. Rows of the input may be rings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from lowtide.graph.linear import Linear, Var
from lowtide.graph.nest import LayerBody
from lowtide.ir import InsertionPoint, IntegerType, MemRefType, Value, VectorType, arith, memref, scf, vector
from lowtide.kernels.blocked.across import ACROSS
from lowtide.kernels.blocked.blocks import Blocks
from lowtide.kernels.blocked.contraction import Contraction
from lowtide.kernels.blocked.depthwise import Depthwise
from lowtide.kernels.blocked.lanes import Lanes, Sums, Wide, apart
from lowtide.kernels.blocked.memory import Address, address_of, scaled, store
from lowtide.kernels.blocked.patches import Patches
from lowtide.kernels.blocked.sums import Pixels, Runs, SumEmitter
from lowtide.kernels.blocked.wide import WideEmitter, lies
from lowtide.kernels.element import Memo, Part
from lowtide.kernels.intervals import NOTHING_KNOWN, Interval
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
        folded: what the zero point of the input comes to in each channel's sum (see `fold`), if there is that.
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
    ) -> None:
        super().__init__(body, arguments, part, constants)
        self._found = found
        self._weights = weights
        self._folded = folded
        self._lanes = lanes
        self._reverse = backwards or self.from_the_end
        self._cut = Blocks(found, lanes)
        emitters = ACROSS if lanes.across else {"runs": Runs, "patches": Patches, "depthwise": Depthwise}
        self._sums: SumEmitter = emitters[self._cut.kind](self._cut, self)
        self._follows_wide = self._can_follow_wide()

    def _can_follow_wide(self) -> bool:
        """Whether all that follows the sums is arithmetic on vectors, and its result's channels lie together."""
        own, index = self._found.loops[3], tuple(Linear.of(var) for var in self._found.loops)
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
            self._sums.open_row()
            self._columns()

        self._loop(low, high, one)

    def _range(self, var: Var, dimension: int) -> tuple[Value, Value]:
        """Of the output, all of it or that of the part."""
        if self.part is None or dimension not in self.part.ranges:
            return index_constant(0), index_constant(var.extent)
        return self.part.ranges[dimension]

    def _loop(self, low: Value, high: Value, body: Callable[[Value], None], step: int = 1) -> None:
        """A loop in the layer's direction, over a range that `step` divides."""
        loop = scf.ForOp(low, high, index_constant(step))
        with InsertionPoint(loop.body), self.scope():
            position = loop.induction_variable
            if self._reverse:
                position = arith.subi(arith.subi(arith.addi(low, high), index_constant(step)), position)
            body(position)
            scf.YieldOp([])

    # -- pixels of a row --------------------------------------------------------------------------------------

    def _columns(self) -> None:
        """Blocks where the windows are inside the input, single pixels elsewhere."""
        outputs, (first, end), pixels = self._found.columns.outputs, self._cut.interior, self._cut.pixels
        if self.by_pixels:
            self._loop(*self._range(self._found.loops[2], 2), self._single)
        elif self._cut.kind == "depthwise":
            self._if_whole(lambda: self._classes(pixels))
        elif end - first < pixels:
            self._loop(index_constant(0), index_constant(outputs), self._single)
        elif (first, end) == (0, outputs):
            self._if_whole(lambda: self._blocks(first, end, pixels))
        else:
            self._mixed(first, (end - first) // pixels, pixels)

    def _if_whole(self, blocks: Callable[[], None]) -> None:
        """Blocks in rows whose windows are inside the input, single pixels in other rows."""
        if self._sums.all_rows is None:
            blocks()
            return
        choice = scf.IfOp(self._sums.all_rows, has_else=True)
        with InsertionPoint(choice.then_block), self.scope():
            blocks()
            scf.YieldOp([])
        with InsertionPoint(choice.else_block), self.scope():
            outputs = index_constant(self._found.columns.outputs)
            self._loop(index_constant(0), outputs, self._single)
            scf.YieldOp([])

    def _classes(self, pixels: int) -> None:
        """Columns with the same part of their windows inside the input together, each kind with code of its own."""
        rows, columns = self._found.rows.kernel, self._found.columns.kernel
        for first, end, taps in self._ordered(self._found.columns.classes):
            if taps == (0, columns):
                self._blocks(first, end, pixels)
            elif rows * (taps[1] - taps[0]) <= MOST_EDGE:
                for column in self._ordered(range(first, end)):
                    self._pixels(Pixels(index_constant(column), 1, inside=False, whole=False, taps=taps))
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

    def _mixed(self, first: int, blocks: int, pixels: int) -> None:
        """Turn i is a block from turn `first` on, for `blocks` turns, if all rows of the window are there."""
        outputs = self._found.columns.outputs
        turns = index_constant(outputs - blocks * (pixels - 1))
        whole = self._sums.all_rows
        count = turns if whole is None else arith.select(whole, turns, index_constant(outputs))

        def turn(i: Value) -> None:
            after = arith.subi(i, index_constant(first))
            inside = arith.cmpi(arith.CmpIPredicate.ult, after, index_constant(blocks))
            inside = inside if whole is None else arith.andi(inside, whole)
            choice = scf.IfOp(inside, has_else=True)
            with InsertionPoint(choice.then_block), self.scope():
                self._block(arith.addi(scaled(after, pixels), index_constant(first)), pixels)
                scf.YieldOp([])
            with InsertionPoint(choice.else_block), self.scope():
                self._single(self._position(i, first + blocks, blocks * (pixels - 1)))
                scf.YieldOp([])

        self._loop(index_constant(0), count, turn)

    def _position(self, turn: Value, end: int, skipped: int) -> Value:
        """The pixel of a turn that is no block: after the blocks their further pixels are counted too."""
        if not skipped:
            return turn
        behind = arith.cmpi(arith.CmpIPredicate.uge, turn, index_constant(end))
        whole = self._sums.all_rows
        behind = behind if whole is None else arith.andi(behind, whole)
        return arith.select(behind, arith.addi(turn, index_constant(skipped)), turn)

    def _block(self, column: Value, pixels: int) -> None:
        taps = 0, self._found.columns.kernel
        self._pixels(Pixels(column, pixels, inside=True, whole=True, taps=taps))

    def _single(self, column: Value) -> None:
        point = self._found.columns.kernel == 1 == self._found.rows.kernel
        self._pixels(Pixels(column, 1, inside=self._found.columns.kernel == 1, whole=point))

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
        together = self._sums.together(count)
        starts: list[list[Value]] = []
        for m in range(pixels.count):
            if wide is not None and together == 1:
                # what they start from is added to the vectors
                starts.append([arith.constant(IntegerType.get_signless(32), 0)] * count)
            else:
                starts.append([self._start(pixels, m, channel, n, together) for n in range(0, count, together)])
        sums = self._sums.emit(pixels, channel, starts)
        if wide is None:
            self._store(pixels, channel, apart(sums))
        elif together == 1:
            self._store_wide(pixels, channel, self._gathered(pixels, channel, sums, wide), wide)
        else:
            self._store_wide(pixels, channel, sums, wide)

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
                made[-1].append(arith.addi(total, self._start(pixels, m, channel, n, wide.width)))
        return made

    def _bind(self, pixels: Pixels, m: int, channel: Value, n: int) -> None:
        column, own = self._found.loops[2:]
        self.indices.bind(column, arith.addi(pixels.column, index_constant(m)) if m else pixels.column)
        self.indices.bind(own, arith.addi(channel, index_constant(n)) if n else channel)

    def _start(self, pixels: Pixels, m: int, channel: Value, n: int, together: int) -> Value:
        """What the sum starts from, or the sums of so many channels."""
        node, index, own = self._found.node, self._found.index, Linear.of(self._found.loops[3])
        wide = self._lanes.wide.fitting(together) if self._lanes.wide is not None and together > 1 else None
        if wide is not None and not self.goes_wide(node.init, index, self._found.loops[3], node):
            kind = VectorType.get([together], IntegerType.get_signless(32))
            return vector.from_elements(kind, [self._start(pixels, m, channel, n + i, 1) for i in range(together)])
        with self.scope():
            self._bind(pixels, m, channel, n)
            if wide is not None:
                start = self.wide(node.init, index, self._found.loops[3], wide, {})
            else:
                start = self.value(node.init, index)
            if self._folded is None or not self._sums.folded(pixels):
                return start
            if wide is None:
                return arith.addi(start, memref.load(self._folded, [self.indices.value(own)]))
            return arith.addi(start, self.lanes_at(self._folded, (self._found.outputs,), (own,), together))

    def _store(self, pixels: Pixels, channel: Value, sums: Sums) -> None:
        """Pull the block's elements through all that follows the sums, then store them together."""
        index = tuple(Linear.of(var) for var in self._found.loops)
        target, destination = self.body.target(index), self.destination()
        made: list[tuple[Value, list[Value]]] = []
        for m, row in enumerate(sums):
            for n, total in enumerate(row):
                with self.scope():
                    self._bind(pixels, m, channel, n)
                    self.memo[-1][self._found.node, self._found.index] = total
                    value = self.value(self.body.result, index)
                    made.append((value, self.place(destination, self.body.destination, target)))
        for value, place in made:
            memref.store(value, destination, place)

    def _store_wide(self, pixels: Pixels, channel: Value, sums: Sums, wide: Wide) -> None:
        """The same for vectors."""
        index = tuple(Linear.of(var) for var in self._found.loops)
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
        return self.byte_of(self.arguments[x.argument], x.shape, (Linear(), row, column, Linear()))

    def weights(self) -> Address:
        """The first byte of the weights."""
        return address_of(self._weights)


def is_blocked(found: Contraction, body: LayerBody, arguments: Sequence[Value], part: Part | None) -> bool:
    """True where channels lie together in the input and the output, and the part goes through rows and columns."""
    if part is not None and (part.reduces or not set(part.ranges) <= {1, 2}):
        return False
    shapes = (found.x.shape, arguments[found.x.argument]), (body.destination, arguments[-1])
    for shape, value in shapes:
        kept = list(MemRefType(value.type).shape)
        if len(kept) != 4 or kept[3] != shape[3]:
            return False
    return MemRefType(arguments[found.w.argument].type).shape == list(found.w.shape)
