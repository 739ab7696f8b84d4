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

    def pixels(self, inside: int) -> int:
        """See `SumEmitter`."""
        return self.best(inside, self.lanes.pixels)

    def channels(self, pixels: int) -> int:
        """See `SumEmitter`."""
        del pixels
        return self.lanes.group

    @property
    def asks_rows(self) -> bool:
        """See `SumEmitter`."""
        return True

    def emit(self, pixels: Pixels, channel: Value, sums: Sums) -> Sums:
        """See `SumEmitter`."""
        weights = advanced(self.layer.weights(), channel)
        if pixels.whole:
            return self._whole(pixels, channel, weights, sums)
        low, high = self.rows()
        left, right = self.columns()

        def one(ky: Value, totals: Sums) -> Sums:
            self.layer.indices.bind(self.found.ky, ky)
            row = advanced(self.layer.input_row(self.row), channel)

            def tap(kx: Value, inner: Sums) -> Sums:
                x = advanced(row, self.first_byte(pixels, kx))
                offset = arith.addi(scaled(ky, self.found.w_strides[1]), scaled(kx, self.found.w_strides[2]))
                return self.lanes.scale(inner, [x], advanced(weights, offset), self.found.x, self.found.w)

            return looped(left, right, 1, totals, tap)

        return looped(low, high, 1, sums, one)

    def _whole(self, pixels: Pixels, channel: Value, weights: Address, sums: Sums) -> Sums:
        """Windows without a pad: the columns of a window written out, and its rows where they are few."""
        rows, columns = self.found.rows.kernel, self.found.columns.kernel
        start, factor = arith.addi(self.first_byte(pixels, None), channel), self.x_of(pixels)

        def one(ky: Value, totals: Sums, offset: int = 0) -> Sums:
            self.layer.indices.bind(self.found.ky, ky)
            first = advanced(self.layer.input_row(self.row), start)
            own = (
                weights + offset
                if offset or rows * columns <= MOST_TAPS
                else advanced(weights, scaled(ky, self.found.w_strides[1]))
            )
            for kx in range(columns):
                xs = self.spread_pixels(first + kx * self.found.columns.dilation * self.found.x.shape[3], pixels)
                totals = self.lanes.scale(totals, xs, own + kx * self.found.w_strides[2], factor, self.found.w)
            return totals

        if rows * columns > MOST_TAPS:
            return looped(index_constant(0), index_constant(rows), 1, sums, one)
        for ky in range(rows):
            sums = one(index_constant(ky), sums, ky * self.found.w_strides[1])
        return sums
