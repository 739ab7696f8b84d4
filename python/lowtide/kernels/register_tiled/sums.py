"""The sums of a block of pixels and channels, for each way in which weights and input lie in memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from lowtide.indexing.linear import Linear, Var
from lowtide.ir import Value, arith
from lowtide.kernels.register_tiled.blocks import Blocks
from lowtide.kernels.register_tiled.carried import looped, moved, zeros
from lowtide.kernels.register_tiled.contraction import Factor
from lowtide.kernels.register_tiled.memory import WORD, Address, advanced, scaled
from lowtide.kernels.register_tiled.microkernel import Outer, Sums, apart
from lowtide.kernels.register_tiled.packed import WORDS, span_of, unpack
from lowtide.kernels.register_tiled.products import Products, RunProducts
from lowtide.kernels.scalar import Indices
from lowtide.kernels.values import index_constant


@dataclass(frozen=True)
class Pixels:
    """Pixels that lie side by side in a row of the output: those of one block, or one alone at an edge.

    Attributes:
        column: of the first.
        count: how many.
        inside: no column of their windows is outside the input.
        whole: no row is outside either, where the emitter asks for that (`SumEmitter.all_rows`); or what is outside
            counts as if it were in the input.
        taps: the columns [first, end) of each window that are inside, where these are known.
    """

    column: Value
    count: int
    inside: bool
    whole: bool
    taps: Sequence[tuple[int, int]] | None = None


Start = Callable[[int, int, int], Value]
"""Emits what a sum starts from: for pixel m of the block, channel n, and so many channels from there as one value."""
Columns = Callable[[int], list[Value]]
"""Gives the finished sums of a channel of the block, one a pixel; what finishes a sum is emitted only then."""


class Input(Protocol):
    """What the emitter of a layer lends to that of its sums."""

    indices: Indices

    @property
    def folds(self) -> bool:
        """Whether a constant holds, for each output channel, what the input's zero point adds to a sum."""
        ...

    @property
    def by_pixels(self) -> bool:
        """Whether the input is a ring or a block of pixels, so that only the channels of one lie together."""
        ...

    @property
    def assembles(self) -> bool:
        """Whether blocks may be emitted at once (`Microkernel.channel_blocks`)."""
        ...

    def pads(self) -> Address | None:
        """The first of the zero points that are read in place of a row outside the input; None where there are none."""
        ...

    def range_of(self, inner: Linear, var: Var, extent: int) -> tuple[Value, Value]:
        """The values of `var` for which 0 ≤ inner < extent."""
        ...

    def input_row(self, row: Linear) -> Address:
        """The first byte of a row of the input."""
        ...

    def input_pixel(self, row: Linear, column: Linear) -> Address:
        """The first byte of a pixel of the input."""
        ...

    def weights(self) -> Address:
        """The first byte of the weights."""
        ...

    def known_weights(self) -> Sequence[npt.NDArray[np.integer]]:
        """The weights in groups that each caller of the code has, where they are known at compile time."""
        ...


class SumEmitter(ABC):
    """Emits the sums of a block (register tile): `Runs` here, others in the modules `patches` and `depthwise`.

    Attributes:
        blocks: how the layer is cut.
        all_rows: whether the windows of the current row of the output have all their rows inside the input, an `i1`;
            None where blocks don't ask.
    """

    def __init__(self, blocks: Blocks, layer: Input) -> None:
        found = blocks.found
        self.blocks = blocks
        self.found = found
        self.microkernel = blocks.microkernel
        self.layer = layer
        self.all_rows: Value | None = None
        self._window: Sequence[tuple[Value, Value | None]] = ()
        row, column = found.loops[1:3]
        self.row = Linear.of(row) * found.rows.stride + Linear.of(found.ky) * found.rows.dilation + -found.rows.pad
        across = Linear.of(column) * found.columns.stride + Linear.of(found.kx) * found.columns.dilation
        self.column = across + -found.columns.pad

    def together(self, count: int) -> int:
        """How many channels of a block of `count` have their sums in one value: 1, or the lanes of a vector."""
        del count
        return 1

    def vectors(self, count: int) -> int:
        """`together` for blocks whose channels are summed for themselves: as many as a vector of the core has lanes."""
        wide = None if self.microkernel.wide is None else self.microkernel.wide.fitting(count)
        return 1 if wide is None else wide.width

    def open_row(self) -> None:
        """Prepare for a row; the layer's row variable is bound."""
        if self.blocks.asks_rows:
            self.all_rows = self.has_all(*self.rows())
        if self.layer.assembles and self.blocks.kind != "patches":
            self._window = self._window_rows()

    def _window_rows(self) -> Sequence[tuple[Value, Value | None]]:
        """The rows under the current windows.

        Returns:
            the address of each, and what masks an offset in it: a row outside the input is pads, which lie at one
            place for all columns. Nothing where there are no pads for such rows.
        """
        rows, pads = self.found.rows, self.layer.pads()
        padded = rows.interior != (0, rows.outputs)
        if padded and pads is None:
            return ()
        found: list[tuple[Value, Value | None]] = []
        for ky in range(rows.kernel):
            self.layer.indices.bind(self.found.ky, index_constant(ky))
            address = self.layer.input_row(self.row)
            base = arith.addi(address.base, index_constant(address.offset)) if address.offset else address.base
            if not padded or pads is None:
                found.append((base, None))
                continue
            row = self.layer.indices.value(self.row)
            inside = arith.cmpi(arith.CmpIPredicate.ult, row, index_constant(rows.inputs))
            mask = arith.select(inside, index_constant(-1), index_constant(0))
            found.append((arith.select(inside, base, pads.base), mask))
        return found

    def window(self, offset: Value) -> list[Value]:
        """The addresses so many bytes behind the first of each row under the current windows; none if unknown."""
        return [arith.addi(base, offset if mask is None else arith.andi(offset, mask)) for base, mask in self._window]

    def of_block(self, pixels: Pixels, channel: Value, count: int) -> Products | None:
        """What a block adds up, where that can be told without code; None for others."""
        del pixels, channel, count
        return None

    def has_all(self, low: Value, high: Value) -> Value:
        """Whether rows [low, high) of the window are all of them."""
        count = arith.subi(high, low)
        return arith.cmpi(arith.CmpIPredicate.eq, count, index_constant(self.found.rows.kernel))

    def folded(self, pixels: Pixels) -> bool:
        """Whether the input's zero point is in what these sums start from, so that it is not subtracted from bytes."""
        return self.layer.folds and pixels.whole

    def x_of(self, pixels: Pixels) -> Factor:
        """The input as these sums take it: with no zero point to subtract where that is folded into their start."""
        return replace(self.found.x, zero=0) if self.folded(pixels) else self.found.x

    def open_pixels(self, pixels: Pixels) -> None:
        """Prepare for all channels of some pixels; most need nothing."""
        del pixels

    @abstractmethod
    def emit(self, pixels: Pixels, channel: Value, sums: Sums) -> Sums:
        """Add the products of a block to what its sums start from.

        Args:
            pixels: of the block.
            channel: its first channel.
            sums: what they start from, by pixel and channel.
        """

    def columns_of(self, pixels: Pixels, channel: Value, count: int, start: Start) -> Columns:
        """The sums of `count` channels from `channel` on, to be asked for one channel after the other."""
        step = self.together(count)
        sums = [[start(m, n, step) for n in range(0, count, step)] for m in range(pixels.count)]
        made = apart(self.emit(pixels, channel, sums))
        return lambda n: [row[n] for row in made]

    def rows(self) -> tuple[Value, Value]:
        """The rows of the window that are inside the input."""
        return _inside(self.layer, self.row, self.found.ky, self.found.rows.inputs)

    def columns(self) -> tuple[Value, Value]:
        """The columns of the window that are inside the input."""
        return _inside(self.layer, self.column, self.found.kx, self.found.columns.inputs)

    def first_byte(self, column: Value, kx: Value | None) -> Value:
        """The offset in its row, in bytes, of a pixel's window, or of the window's column `kx`."""
        axis = self.found.columns
        at = arith.addi(scaled(column, axis.stride), index_constant(-axis.pad))
        if kx is not None:
            at = arith.addi(at, scaled(kx, axis.dilation))
        return scaled(at, self.found.pixel)

    def spread_pixels(self, first: Address, pixels: Pixels) -> list[Address]:
        """The addresses of the same byte in the windows of all pixels of a block, given that of the first pixel."""
        step = self.found.columns.stride * self.found.pixel
        return [first + m * step for m in range(pixels.count)]


def _inside(layer: Input, at: Linear, var: Var, extent: int) -> tuple[Value, Value]:
    low, high = at.bounds()
    # no window leaves the input: then the bounds are constants, and the loop may be unrolled
    if low >= 0 and high < extent:
        return index_constant(0), index_constant(var.extent)
    return layer.range_of(at, var, extent)


class Runs(SumEmitter):
    """Convolutions whose input bytes under one row of the window lie in one run, as their weights do.

    Or the weights lie in groups, side by side for each of these bytes; then the sums of a block may be packed, for as
    many bytes as they have room for.
    """

    @property
    def outer(self) -> Outer | None:
        """What multiplies weights in groups; None where they are in runs."""
        return self.microkernel.outer if self.found.group > 1 else None

    @property
    def row_bytes(self) -> int:
        """Bytes of a window that lie in one run: a row of it, or a pixel where its columns are apart."""
        return self.found.depth if self.found.dilated else self.found.run

    def columns_of(self, pixels: Pixels, channel: Value, count: int, start: Start) -> Columns:
        """See `SumEmitter`: sums that are packed to the end take what they start from when they are unpacked."""
        if self.span(pixels) < self.found.rows.kernel * self.found.run:
            return super().columns_of(pixels, channel, count, start)
        made = self.emit(pixels, channel, zeros(WORDS, count))
        # Unpacked channel by channel: all at once would need a register for each sum of the block.
        return lambda n: [
            arith.addi(start(m, n, 1), part) for m, part in enumerate(unpack(*(words[n] for words in made)))
        ]

    def emit(self, pixels: Pixels, channel: Value, sums: Sums) -> Sums:
        """See `SumEmitter`; fewer rows of sums than there are pixels are packed ones."""
        found = self.found
        low, high = self.rows()
        weights = advanced(self.layer.weights(), scaled(channel, found.w_strides[0] * found.w.nbytes))
        if found.rows.is_point:
            # one row: a loop of one turn would cost its set-up in each block
            self.layer.indices.bind(found.ky, low)
            return self._row(pixels, weights, sums)

        def one(ky: Value, totals: Sums) -> Sums:
            self.layer.indices.bind(found.ky, ky)
            below = scaled(ky, found.w_strides[1] * found.size * self.pitch(sums))
            return self._row(pixels, advanced(weights, below), totals)

        return looped(low, high, 1, sums, one)

    def of_block(self, pixels: Pixels, channel: Value, count: int) -> Products | None:
        """See `SumEmitter`."""
        found = self.found
        behind = found.rows.kernel > 1 and found.w_strides[1] * found.size != found.run
        if not pixels.inside or not pixels.whole or found.dilated or found.group > 1 or behind or count < 1:
            return None
        rows = self.window(self.first_byte(pixels.column, None))
        return self._run_products(rows, found.columns.stride * found.pixel, found.run, channel) if rows else None

    def _run_products(self, rows: Sequence[Value], across: int, run: int, channel: Value) -> RunProducts:
        """Those of the channels from `channel` on."""
        apart = self.found.w_strides[0] * self.found.w.nbytes
        weights, x = advanced(self.layer.weights(), scaled(channel, apart)), replace(self.found.x, zero=0)
        return RunProducts(rows, across, run, weights, apart, x, self.found.w)

    def span(self, pixels: Pixels) -> int:
        """Bytes of these windows whose products a packed sum may take; 0 where sums are not packed."""
        if self.outer is None or not self.outer.packs(pixels.count):
            return 0
        known = self.layer.known_weights()
        return span_of(self.found, self.x_of(pixels), known, self.row_bytes, self.microkernel.turn)

    def pitch(self, sums: Sums) -> int:
        """Bytes between the weights of one channel for neighbouring bytes of the input."""
        return self.found.w.nbytes // self.found.size if self.outer is None else len(sums[0])

    def firsts(self, weights: Address, sums: Sums) -> list[Address]:
        """The address of each channel's first weight; of the group's first where weights are in groups."""
        if self.outer is not None:
            return [weights]
        return [weights + n * self.found.w_strides[0] * self.found.w.nbytes for n in range(len(sums[0]))]

    def _row(self, pixels: Pixels, weights: Address, sums: Sums) -> Sums:
        """Add the products under one row of the window."""
        found = self.found
        ws = self.firsts(weights, sums)
        if self.layer.by_pixels:
            return self._pixel_by_pixel(pixels, ws, sums)
        row = self.layer.input_row(self.row)
        if found.dilated:
            return self._columns_apart(pixels, row, ws, sums)
        if pixels.inside:
            xs = self.spread_pixels(advanced(row, self.first_byte(pixels.column, None)), pixels)
            return self.run(sums, xs, ws, found.run, self.x_of(pixels), self.span(pixels))
        # At an edge only the columns inside the input are gone through, and as many weights are skipped.
        low, high = self.columns()
        first = advanced(row, self.first_byte(pixels.column, low))
        skipped = scaled(low, found.depth * self.pitch(sums))
        step = self.step(found.depth)
        xs, ws = self.spread_pixels(first, pixels), [advanced(address, skipped) for address in ws]

        def some(at: Value, totals: Sums) -> Sums:
            own = moved(ws, scaled(at, self.pitch(sums)))
            return self.products(totals, moved(xs, at), own, step, self.x_of(pixels))

        length = scaled(arith.subi(high, low), found.depth)
        return looped(index_constant(0), length, step, sums, some)

    def _columns_apart(self, pixels: Pixels, row: Address, ws: Sequence[Address], sums: Sums) -> Sums:
        """`_row` for windows whose columns are not neighbours in the input either (dilated): a run for each column."""
        found = self.found

        def one(kx: Value, totals: Sums) -> Sums:
            xs = self.spread_pixels(advanced(row, self.first_byte(pixels.column, kx)), pixels)
            own = moved(ws, scaled(kx, found.depth * self.pitch(totals)))
            return self.run(totals, xs, own, found.depth, self.x_of(pixels), self.span(pixels))

        if not pixels.inside:
            return looped(*self.columns(), 1, sums, one)
        if found.run > self.microkernel.unrolled:
            return looped(index_constant(0), index_constant(found.columns.kernel), 1, sums, one)
        first = advanced(row, self.first_byte(pixels.column, None))
        for kx in range(found.columns.kernel):
            xs = self.spread_pixels(first + kx * found.columns.dilation * found.pixel, pixels)
            own = [address + kx * found.depth * self.pitch(sums) for address in ws]
            sums = self.run(sums, xs, own, found.depth, self.x_of(pixels), self.span(pixels))
        return sums

    def _pixel_by_pixel(self, pixels: Pixels, ws: Sequence[Address], sums: Sums) -> Sums:
        """`_row` for rings and blocks of pixels, where only the channels of one pixel lie together: a run for each."""
        found, (low, high) = self.found, self.columns()

        def one(kx: Value, totals: Sums) -> Sums:
            self.layer.indices.bind(found.kx, kx)
            x = self.layer.input_pixel(self.row, self.column)
            own = moved(ws, scaled(kx, found.depth * self.pitch(sums)))
            return self.run(totals, [x], own, found.depth, self.x_of(pixels))

        return one(low, sums) if found.columns.is_point else looped(low, high, 1, sums, one)

    def run(
        self, sums: Sums, xs: Sequence[Address], ws: Sequence[Address], count: int, x: Factor, span: int = 0
    ) -> Sums:
        """Add the products of runs of a known length; sums of as many rows as there are runs are packed on the way.

        Args:
            sums: of the block.
            xs, ws: the first byte of each run.
            count: bytes of a run.
            x: the input, as the sums take it.
            span: bytes that a packed sum may go over, 0 where sums are not packed.
        """
        # fewer rows of sums than pixels: they are packed already, and stay so
        if not span or len(sums) < len(xs):
            return self._plain_run(sums, xs, ws, count, x)
        # Packed sums have room for `span` bytes of products; then they are unpacked and begin anew.
        if span >= count:
            return _unpacked(sums, lambda zeros: self._plain_run(zeros, xs, ws, count, x))
        whole, pitch = count - count % span, self.pitch(sums)

        def part(at: Value, totals: Sums) -> Sums:
            places = moved(xs, at), moved(ws, scaled(at, pitch))
            return _unpacked(totals, lambda zeros: self._plain_run(zeros, *places, span, x))

        sums = looped(index_constant(0), index_constant(whole), span, sums, part)
        if whole == count:
            return sums
        rest = [a + whole for a in xs], [a + whole * pitch for a in ws]
        return _unpacked(sums, lambda zeros: self._plain_run(zeros, *rest, count - whole, x))

    def _plain_run(self, sums: Sums, xs: Sequence[Address], ws: Sequence[Address], count: int, x: Factor) -> Sums:
        # short runs without a loop: what it takes would be most of the work
        if count <= self.microkernel.unrolled:
            return self.products(sums, xs, ws, count, x)
        turn, pitch = self._turn(count, len(xs)), self.pitch(sums)
        whole = count - count % turn
        # The loop counts the input's address, and weights are at a fixed distance: one register less to move.
        first, apart = xs[0].base, arith.subi(ws[0].base, scaled(xs[0].base, pitch))

        def some(at: Value, totals: Sums) -> Sums:
            weights = arith.addi(scaled(at, pitch), apart)
            inputs = [Address(at, address.offset) for address in xs]
            return self.products(totals, inputs, [Address(weights, address.offset) for address in ws], turn, x)

        end = arith.addi(first, index_constant(whole))
        sums = looped(first, end, turn, sums, some)
        return self.products(sums, [a + whole for a in xs], [a + whole * pitch for a in ws], count - whole, x)

    def _turn(self, count: int, pixels: int) -> int:
        """Bytes of a turn of the loop over a run: as many as may be, if they divide it.

        Where a block has one pixel each weight is read once, and code that is larger than a small cache for
        instructions would be read from flash as often.
        """
        least = self.microkernel.turn
        most = self.microkernel.most_turn if pixels > 1 else least
        return next((turn for turn in range(most, least, -WORD) if count % turn == 0), least)

    def products(self, sums: Sums, xs: Sequence[Address], ws: Sequence[Address], count: int, x: Factor) -> Sums:
        """Add the products of some bytes, written out."""
        if not count:
            return sums
        if self.outer is not None:
            return self.outer.add(sums, xs, ws[0], count, (x, self.found.w))
        return self.microkernel.dot(sums, xs, ws, count, x, self.found.w)

    def step(self, channels: int) -> int:
        """Bytes that a turn of a loop takes, for runs whose length is a multiple of `channels` bytes."""
        return next((step for step in (self.microkernel.turn, 16, 8, WORD) if channels % step == 0), 1)


def _unpacked(sums: Sums, packed: Callable[[Sums], Sums]) -> Sums:
    """Add sums that are made packed (see `packed`) to the plain ones."""
    made = packed(zeros(WORDS, len(sums[0])))
    more = [unpack(*words) for words in zip(*made, strict=True)]
    return [[arith.addi(total, part[m]) for total, part in zip(row, more, strict=True)] for m, row in enumerate(sums)]
