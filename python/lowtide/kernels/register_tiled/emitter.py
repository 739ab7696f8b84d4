"""Emits a convolution in register blocks: some pixels of a row and some channels at a time.

A block's sums are loop-carried values, and what follows them (bias, requantisation, whatever is fused) is computed
through the layer's description, element by element. Rows of the input may be rings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from lowtide.graph.nest import LayerBody, Node, Operand, Structured, row_major
from lowtide.indexing.linear import Index, Linear
from lowtide.ir import F32Type, IntegerType, MemRefType, Value, VectorType, arith, memref, vector
from lowtide.kernels.loops import How, Memo, Part
from lowtide.kernels.register_tiled.carried import zeros
from lowtide.kernels.register_tiled.channel_vectorised import CHANNEL_VECTORISED
from lowtide.kernels.register_tiled.contraction import FLOAT, Contraction
from lowtide.kernels.register_tiled.depthwise import Depthwise
from lowtide.kernels.register_tiled.memory import Address, Grid, address_of, store
from lowtide.kernels.register_tiled.microkernel import Sums, Wide
from lowtide.kernels.register_tiled.patches import Patches
from lowtide.kernels.register_tiled.products import Epilogue
from lowtide.kernels.register_tiled.records import Records, Tables
from lowtide.kernels.register_tiled.requantised import Requantised, requantised_of, scale_of
from lowtide.kernels.register_tiled.sums import Columns, Pixels, Runs, SumEmitter
from lowtide.kernels.register_tiled.tables import late_bias
from lowtide.kernels.register_tiled.traversal import PixelTraversal
from lowtide.kernels.register_tiled.wide import lies
from lowtide.kernels.rescale import Ready, Rescale
from lowtide.kernels.values import index_constant, word

_SUMS: Mapping[str, type[SumEmitter]] = {"runs": Runs, "patches": Patches, "depthwise": Depthwise}
"""What adds up a block's products, by `Blocks.kind`."""


@dataclass(frozen=True)
class Tabulated:
    """What is made of a layer's constants at compile time.

    Attributes:
        weights: a memref of the weights, as the convolution says that they lie.
        folded: a memref of what the zero point of the input adds to each channel's sum, for each class of rows in turn
            (see `fold` and `Blocks.row_classes`); None without one.
        words: see `WideEmitter`.
        records: of `tables.tables_of`.
        starts: of it, too.
        pads: a memref of zero points of the input (see `Blocks.pad_bytes`); None without one.
        known: the weights that each caller of the code has, where they are in groups.
        transformed: a memref of what `winograd.tiles.transformed` gives; None where that is not wanted.
    """

    weights: Value
    folded: Value | None
    words: Mapping[int, Value]
    records: Records | None = None
    starts: Value | None = None
    pads: Value | None = None
    known: Sequence[npt.NDArray[np.integer]] = ()
    transformed: Value | None = None


class RegisterTiledEmitter(PixelTraversal):
    """Emits one layer's loops at the current insertion point.

    Args:
        found, body, arguments, how: as for `PixelTraversal`.
        given: the rest.
    """

    def __init__(
        self,
        found: Contraction,
        body: LayerBody,
        arguments: Sequence[Value],
        how: How,
        given: Tabulated,
    ) -> None:
        super().__init__(found, body, arguments, how)
        self._weights = given.weights
        self._folded = given.folded
        self._pads = given.pads
        self.words = given.words
        self._known = given.known
        records, starts = given.records, given.starts
        self._late_bias = None if records is None and starts is None else late_bias(body, found)
        # whether the sums of the current block start from it
        self._has_bias = False
        self._tables = Tables(found, self._class, self.indices, records, starts)
        self._requantised = None if records is None else self._requantised_as()
        emitters = CHANNEL_VECTORISED if self._microkernel.across else _SUMS
        self._sums = emitters[self._cut.kind](self._cut, self)
        self._follows_wide = self._can_follow_wide()
        # with what sums start from and what they are rescaled by, nothing but the input is left
        self._only_constants = {*range(len(arguments) - 1)} <= {found.x.argument, *how.constants}

    def _can_follow_wide(self) -> bool:
        """Whether all that follows the sums is arithmetic on vectors, and its result's channels lie together."""
        own, index = self._found.loops[3], self._found.result
        neighbours = lies(self.body.target(index), own) == 1
        return neighbours and self.goes_wide(self.body.result, index, own, self._found.node)

    def _requantised_as(self) -> Requantised | None:
        """What makes bytes of the sums, where the core may have assembly for that."""
        element = MemRefType(self.arguments[-1].type).element_type
        of_bytes = isinstance(element, IntegerType) and element.width == 8
        if not self._microkernel.at_once or self._found.element != "byte" or not of_bytes:
            return None
        sums = self._found.node, self._found.index
        return requantised_of(self.body.result, self._found.result, sums, self._late_bias, self._cheaper)

    # -- channels of some pixels ------------------------------------------------------------------------------

    def pixels(self, pixels: Pixels) -> None:
        """Emit all channels of these pixels, a block of them at a time."""
        self.indices.bind(self._found.loops[2], pixels.column)
        self._sums.open_pixels(pixels)
        for first, end, size in self.ordered(self._cut.cuts(pixels.count)):
            if self._at_once(pixels, first, end, size):
                continue
            if end - first == size:
                with self.scope():
                    self._channels(pixels, index_constant(first), size)
            else:
                bounds = index_constant(first), index_constant(end)
                self.directed(*bounds, partial(self._channels, pixels, count=size), size)

    def _channels(self, pixels: Pixels, channel: Value, count: int) -> None:
        """Emit one block of `count` channels: its sums, then the epilogue of each of its elements."""
        wide = self._wide_for(count)
        self._tables.open(channel)
        self._has_bias = False
        if wide is None:
            start = partial(self._start, pixels, channel)
            self._store(pixels, channel, count, self._sums.columns_of(pixels, channel, count, start))
            return
        together = self._sums.together(count)
        if together == 1:
            # The core sums up runs in scalar registers: what sums start from is added to the vectors made of them.
            sums = self._sums.emit(pixels, channel, zeros(pixels.count, count))
            self._store_wide(pixels, channel, self._gathered(pixels, channel, sums, wide), wide)
            return
        firsts = range(0, count, together)
        starts = [[self._start(pixels, channel, 0, n, together) for n in firsts]]
        for m in range(1, pixels.count):
            # the bias is the same for all pixels, unless an accumulator or another tensor is what sums start from
            alike = not self.varies(self._found.init, self._found.index, self._found.loops[2])
            row = starts[0] if alike else [self._start(pixels, channel, m, n, together) for n in firsts]
            starts.append(list(row))
        self._store_wide(pixels, channel, self._sums.emit(pixels, channel, starts), wide)

    def _at_once(self, pixels: Pixels, first: int, end: int, count: int) -> bool:
        """Emit all blocks of these channels as one piece where the core can, and say so."""
        if self._requantised is None:
            return False
        channel = index_constant(end - count if self.reverse else first)
        self._tables.open(channel)
        record = self._tables.record(self._requantised.scales)
        target, destination = self.body.target(self._found.result), self.destination()
        grid = self._grid(pixels, channel, destination, target)
        products = None if record is None or grid is None else self._sums.of_block(pixels, channel, count)
        if record is None or grid is None or products is None:
            return False
        sizes = pixels.count, count, (end - first) // count
        epilogue = Epilogue(*sizes, record, grid, self._requantised, self.reverse)
        return self._microkernel.channel_blocks(products, epilogue)

    def _wide_for(self, count: int) -> Wide | None:
        """The core's vectors, if what follows the sums can be computed in them."""
        wide = self._microkernel.wide
        return wide.fitting(count) if wide is not None and self._follows_wide else None

    def _gathered(self, pixels: Pixels, channel: Value, sums: Sums, wide: Wide) -> Sums:
        """Vectors of neighbouring channels' scalar sums, with what they start from added."""
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

    def value(self, node: Node, index: Index) -> Value:
        """See `ElementEmitter`: a bias that sums started from is not added again."""
        if self._has_bias and isinstance(node, Operand) and node.argument == self._late_bias:
            return word(0)
        return super().value(node, index)

    def ready(self, node: Structured, item: Rescale, dims: Index) -> Ready | None:
        """See `ElementEmitter`: of the record that was made for this rescale."""
        del dims
        scales = scale_of(node, item.multiplier), scale_of(node, item.shift)
        if scales[0] is None or scales[1] is None or not item.narrow:
            return None
        return self._tables.ready((scales[0], scales[1]))

    def _start(self, pixels: Pixels, channel: Value, m: int, n: int, together: int) -> Value:
        """What the sum of pixel m and channel n starts from, or a vector of that for `together` channels from n on."""
        node, init, index = self._found.node, self._found.init, self._found.index
        own = Linear.of(self._found.loops[3])
        wide = self._microkernel.wide.fitting(together) if self._microkernel.wide is not None and together > 1 else None
        # What can't be computed in lanes is computed for each channel, and put together.
        if wide is not None and not self.goes_wide(init, index, self._found.loops[3], node):
            kind = VectorType.get([together], IntegerType.get_signless(32))
            return vector.from_elements(kind, [self._start(pixels, channel, m, n + i, 1) for i in range(together)])
        with self.scope():
            self._bind(pixels, m, channel, n)
            folded = self._folded is not None and self._sums.folded(pixels)
            ready = self._tables.start(n, folded=folded) if wide is None else None
            if ready is not None:
                self._has_bias = True
                return ready
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

        All of them after the last is computed, so that no load comes behind a store into bytes that it may still read;
        or each channel's at once, which keeps fewer registers busy, if nothing but constants is loaded.
        """
        target, destination = self.body.target(self._found.result), self.destination()
        grid = self._grid(pixels, channel, destination, target)
        self._tables.open(channel)
        made: list[Callable[[], None]] = []
        for n in range(count):
            for m, total in enumerate(sums(n)):
                with self.scope():
                    self._bind(pixels, m, channel, n)
                    self._tables.channel = n
                    self.memo[-1][self._found.node, self._found.index] = total
                    value = self.value(self.body.result, self._found.result)
                    if grid is None or self._found.element == "byte":
                        place = self.place(destination, self.body.destination, target)
                        made.append(partial(memref.store, value, destination, place))
                    else:
                        made.append(partial(store, value, grid.at(m, n), FLOAT))
            if self._only_constants or n == count - 1:
                for one in made:
                    one()
                made.clear()

    def _grid(self, pixels: Pixels, channel: Value, destination: Value, target: Index) -> Grid | None:
        """The addresses of a block of floats or of requantised bytes; None for others, or where a ring cuts it.

        Stores of an FPU, and of a piece of assembly, take a constant offset and no index register, so that one base
        address has to do.
        """
        kind, shape = MemRefType(destination.type), self.body.destination
        size = FLOAT if isinstance(kind.element_type, F32Type) else 1
        if (size == 1 and self._requantised is None) or list(kind.shape[-2:]) != list(shape[-2:]):
            return None
        with self.scope():
            self._bind(pixels, 0, channel, 0)
            first = self.byte_of(destination, shape, target)
        across, along = (row_major(shape, target).coefficient(var) * size for var in self._found.loops[2:])
        return Grid(first, across, along)

    def _store_wide(self, pixels: Pixels, channel: Value, sums: Sums, wide: Wide) -> None:
        """`_store` for vectors: stored after the last is computed, for the same reason."""
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
    def assembles(self) -> bool:
        """See `Input`."""
        return self._requantised is not None and not self.by_pixels

    def pads(self) -> Address | None:
        """See `Input`."""
        return None if self._pads is None else address_of(self._pads)

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


def is_register_tiled(found: Contraction, body: LayerBody, arguments: Sequence[Value], part: Part | None) -> bool:
    """True where channels lie together in the input and the output, and the part goes through rows and columns."""
    if part is not None and (part.reduces or len(body.destination) != 4 or not set(part.ranges) <= {1, 2}):
        return False
    shapes = (found.x.shape, arguments[found.x.argument]), (body.destination, arguments[-1])
    for shape, value in shapes:
        kept = list(MemRefType(value.type).shape)
        if len(kept) != len(shape) or kept[-1] != shape[-1]:
            return False
    return MemRefType(arguments[found.w.argument].type).shape == list(found.w.shape)
