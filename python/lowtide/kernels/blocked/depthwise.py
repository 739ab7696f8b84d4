"""Sums of depthwise convolutions."""

from __future__ import annotations

from lowtide.ir import Value, arith
from lowtide.kernels.blocked.lanes import Sums
from lowtide.kernels.blocked.memory import Address, advanced, scaled
from lowtide.kernels.blocked.sums import Pixels, SumEmitter, looped
from lowtide.kernels.scalar import index_constant

MOST_TAPS = 25
"""Elements of a window that are written out, at most."""


class Depthwise(SumEmitter):
    """Each output channel from its own input channel."""

    def together(self, count: int) -> int:
        """See `SumEmitter`."""
        return self.vectors(count)

    def emit(self, pixels: Pixels, channel: Value, sums: Sums) -> Sums:
        """See `SumEmitter`."""
        weights = advanced(self.layer.weights(), channel)
        if pixels.taps is not None:
            return self._whole(pixels, pixels.taps, channel, weights, sums)
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
                offset = arith.addi(scaled(ky, self.found.w_strides[1]), scaled(kx, self.found.w_strides[2]))
                return self.lanes.scale(inner, [x], advanced(weights, offset), self.found.x, self.found.w)

            return looped(left, right, 1, totals, tap)

        return looped(low, high, 1, sums, one)

    def _whole(self, pixels: Pixels, taps: tuple[int, int], channel: Value, weights: Address, sums: Sums) -> Sums:
        """Windows with all their rows: the columns written out, and the rows where they are few."""
        rows = self.found.rows.kernel
        start = arith.addi(self.first_byte(pixels.column, None), channel)

        def one(ky: Value, own: Address, totals: Sums) -> Sums:
            self.layer.indices.bind(self.found.ky, ky)
            first = advanced(self.layer.input_row(self.row), start)
            return self.under_row(first, own, pixels, taps, totals)

        below = self.found.w_strides[1]
        if rows * (taps[1] - taps[0]) > MOST_TAPS:
            bounds = index_constant(0), index_constant(rows)
            return looped(*bounds, 1, sums, lambda ky, totals: one(ky, advanced(weights, scaled(ky, below)), totals))
        for ky in range(rows):
            sums = one(index_constant(ky), weights + ky * below, sums)
        return sums

    def under_row(self, first: Address, weights: Address, pixels: Pixels, taps: tuple[int, int], sums: Sums) -> Sums:
        """Add the products under one row of the windows, from the addresses that the first window begins with."""
        step = self.found.columns.dilation * self.found.x.shape[3]
        for kx in range(*taps):
            xs = self.spread_pixels(first + kx * step, pixels)
            sums = self.lanes.scale(sums, xs, weights + kx * self.found.w_strides[2], self.x_of(pixels), self.found.w)
        return sums
