"""The sums of depthwise convolutions, in which no sum goes over channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce

from lowtide.ir import Value, arith
from lowtide.kernels.register_tiled.blocks import MOST_TAPS
from lowtide.kernels.register_tiled.carried import chosen, looped
from lowtide.kernels.register_tiled.contraction import Factor
from lowtide.kernels.register_tiled.memory import Address, advanced, divided, fence, scaled
from lowtide.kernels.register_tiled.microkernel import Sums, extended
from lowtide.kernels.register_tiled.products import Products, TapProducts
from lowtide.kernels.register_tiled.sums import Pixels, SumEmitter
from lowtide.kernels.scalar import settled
from lowtide.kernels.values import index_constant, word

_MOST_TWICE = 9
"""Elements of a window up to which there is code for windows with all rows inside beside that for any others."""


class Depthwise(SumEmitter):
    """Each output channel from one input channel, which it may share with neighbours (`Contraction.multiplier`)."""

    present: Sequence[Value] = ()
    """For each row of the current windows an `i1`, whether it is inside the input; empty where all always are."""
    whole: Value | None = None
    """Whether all are; None where all always are."""

    def open_row(self) -> None:
        """See `SumEmitter`."""
        super().open_row()
        rows = self.found.rows
        if self.blocks.chunked and rows.interior != (0, rows.outputs):
            low, high = self.rows()
            count = arith.subi(high, low)
            places = [arith.subi(index_constant(ky), low) for ky in range(rows.kernel)]
            self.whole = self.has_all(low, high)
            self.present = [arith.cmpi(arith.CmpIPredicate.ult, place, count) for place in places]

    @property
    def below(self) -> int:
        """Bytes from a weight to that of the next row of the window."""
        return self.found.w_strides[1] * self.found.w.nbytes

    @property
    def across(self) -> int:
        """Bytes from a weight to that of the next column of the window."""
        return self.found.w_strides[2] * self.found.w.nbytes

    def together(self, count: int) -> int:
        """See `SumEmitter`."""
        return self.vectors(count)

    def emit(self, pixels: Pixels, channel: Value, sums: Sums) -> Sums:
        """See `SumEmitter`."""
        weights = advanced(self.layer.weights(), scaled(channel, self.found.size))
        channel = scaled(divided(channel, self.found.multiplier), self.found.size)
        if pixels.taps is not None:
            return self._written_out(pixels, pixels.taps, channel, weights, sums)
        low, high = self.rows()
        left, right = self.columns()

        def one(ky: Value, totals: Sums) -> Sums:
            self.layer.indices.bind(self.found.ky, ky)
            row = None if self.layer.by_pixels else advanced(self.layer.input_row(self.row), channel)

            def tap(kx: Value, inner: Sums) -> Sums:
                self.layer.indices.bind(self.found.kx, kx)
                if row is None:
                    x = advanced(self.layer.input_pixel(self.row, self.column), channel)
                else:
                    x = advanced(row, self.first_byte(pixels.column, kx))
                offset = arith.addi(scaled(ky, self.below), scaled(kx, self.across))
                return self._products(inner, [x], advanced(weights, offset), self.found.x)

            return looped(left, right, 1, totals, tap)

        return looped(low, high, 1, sums, one)

    def of_block(self, pixels: Pixels, channel: Value, count: int) -> Products | None:
        """See `SumEmitter`."""
        found, across = self.found, self.found.columns
        if pixels.taps is None or not pixels.whole or found.multiplier != 1 or count != self.microkernel.group:
            return None
        # channels of pads lie behind each other as those of any row: a layer that goes backwards begins with the last
        own = scaled(channel, found.size)
        rows = [arith.addi(row, own) for row in self.window(self.first_byte(pixels.column, None))]
        if not rows:
            return None
        columns = [
            [
                (kx * across.dilation + m * across.stride) * found.pixel if left <= kx < right else None
                for m, (left, right) in enumerate(pixels.taps)
            ]
            for kx in range(across.kernel)
        ]
        weights, x = advanced(self.layer.weights(), scaled(channel, found.w.nbytes)), replace(found.x, zero=0)
        return TapProducts(rows, columns, weights, self.below, self.across, found.x.zero, x, found.w)

    def _written_out(
        self, pixels: Pixels, taps: Sequence[tuple[int, int]], channel: Value, weights: Address, sums: Sums
    ) -> Sums:
        """Emit the window's columns one after the other, without a loop; its rows too where they are few."""
        rows, below = self.found.rows.kernel, self.below
        start = arith.addi(self.first_byte(pixels.column, None), channel)
        looped_rows = self.found.element == "float"
        if looped_rows or rows * max(end - first for first, end in taps) > MOST_TAPS:
            bounds = self.rows() if looped_rows else (index_constant(0), index_constant(rows))

            def one(ky: Value, totals: Sums) -> Sums:
                return self._row(pixels, taps, ky, start, advanced(weights, scaled(ky, below)), totals)

            return looped(*bounds, 1, sums, one)

        def row_by_row(totals: Sums) -> Sums:
            for ky in range(rows):
                totals = self._row_if_present(pixels, taps, ky, start, weights + ky * below, totals)
            return totals

        few = rows * self.found.columns.kernel <= _MOST_TWICE
        if self.whole is None or not few or not self.microkernel.tables or self.microkernel.at_once:
            return row_by_row(sums)
        # a test before each row would have the sums moved to and fro between registers
        return chosen(self.whole, sums, lambda totals: self._rows(pixels, taps, start, weights, totals), row_by_row)

    def _rows(
        self, pixels: Pixels, taps: Sequence[tuple[int, int]], start: Value, weights: Address, sums: Sums
    ) -> Sums:
        """Add the products under windows whose rows are all inside the input."""
        for ky in range(self.found.rows.kernel):
            sums = self._row(pixels, taps, index_constant(ky), start, weights + ky * self.below, sums)
        return sums

    def _row_if_present(
        self, pixels: Pixels, taps: Sequence[tuple[int, int]], ky: int, start: Value, weights: Address, sums: Sums
    ) -> Sums:
        def inside(totals: Sums) -> Sums:
            return self._row(pixels, taps, index_constant(ky), start, weights, totals)

        if not self.present:
            return inside(sums)
        return chosen(self.present[ky], sums, inside, lambda totals: self._outside(pixels, weights, totals))

    def _row(
        self, pixels: Pixels, taps: Sequence[tuple[int, int]], ky: Value, start: Value, weights: Address, sums: Sums
    ) -> Sums:
        """Add the products under a row of the windows."""
        found = self.found
        self.layer.indices.bind(found.ky, ky)
        first = advanced(self.layer.input_row(self.row), start)
        step = found.columns.dilation * found.pixel
        sums = list(sums)
        for kx in range(found.columns.kernel):
            xs, ws = self.spread_pixels(first + kx * step, pixels), weights + kx * self.across
            here = [m for m, (left, right) in enumerate(taps) if left <= kx < right]
            if here:
                made = self._products([sums[m] for m in here], [xs[m] for m in here], ws, self.x_of(pixels))
                for m, row in zip(here, made, strict=True):
                    sums[m] = row
            # the pixels of the block whose windows begin or end beside this column
            for m in set(range(pixels.count)) - {*here}:
                sums[m] = self._with_pad(pixels, sums[m], [ws])
        if self.microkernel.bare:
            # row by row: what all rows load does not fit into registers
            fence()
            return [[settled(total) for total in row] for row in sums]
        return sums

    def _products(self, sums: Sums, xs: Sequence[Address], ws: Address, x: Factor) -> Sums:
        """Add the products of an element of each pixel's window for all channels of the block."""
        found = self.found
        if found.multiplier == 1:
            return self.microkernel.scale(sums, xs, ws, x, found.w)
        # a block has all output channels of some input channels, or some of one
        own = min(found.multiplier, len(sums[0]))
        made: Sums = [[] for _ in sums]
        for first in range(0, len(sums[0]), own):
            inputs = [address + first // own * found.size for address in xs]
            weights = [ws + (first + n) * found.w.nbytes for n in range(own)]
            some = [row[first : first + own] for row in sums]
            some = self.microkernel.dot(some, inputs, weights, found.size, x, found.w)
            made = [[*row, *more] for row, more in zip(made, some, strict=True)]
        return made

    def _outside(self, pixels: Pixels, weights: Address, sums: Sums) -> Sums:
        """The sums after a row of the windows that is outside the input: only a folded zero point changes them."""
        ws = [weights + kx * self.across for kx in range(self.found.columns.kernel)]
        return [self._with_pad(pixels, row, ws) for row in sums]

    def _with_pad(self, pixels: Pixels, row: list[Value], ws: Sequence[Address]) -> list[Value]:
        """The sums of a pixel after weights whose inputs are outside.

        A folded zero point has been subtracted for all weights of the window beforehand: for these it is added again.
        """
        zero = self.found.x.zero
        if not zero or not self.folded(pixels):
            return row
        made: list[Value] = []
        for c, total in enumerate(row):
            weight = reduce(arith.addi, [extended(address + c, self.found.w) for address in ws])
            made.append(arith.addi(total, arith.muli(weight, word(zero))))
        return made
