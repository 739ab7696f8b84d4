"""Sums of a block whose channels are the lanes of one vector: each byte of the input times a vector of weights.

The weights lie as `in_lanes` puts them: for each block of channels, of every byte of the window one vector. A last
channel alone is a lane of its own, a scalar, whose weights are then a run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from lowtide.ir import Value, VectorType, arith
from lowtide.kernels.blocked.contraction import Factor
from lowtide.kernels.blocked.depthwise import Depthwise
from lowtide.kernels.blocked.lanes import Sums
from lowtide.kernels.blocked.memory import Address, advanced, scaled
from lowtide.kernels.blocked.patches import Patches
from lowtide.kernels.blocked.sums import Pixels, Runs, SumEmitter, looped, moved
from lowtide.kernels.scalar import index_constant


class Across(Runs):
    """Convolutions whose input bytes under one row of the window lie in one run."""

    def together(self, count: int) -> int:
        """See `SumEmitter`."""
        return self.vectors(count)

    def emit(self, pixels: Pixels, channel: Value, sums: Sums) -> Sums:
        """See `SumEmitter`."""
        found, width = self.found, width_of(sums)
        low, high = self.rows()
        weights = advanced(self.layer.weights(), scaled(channel, found.w_strides[0]))
        if found.rows.kernel == 1:
            self.layer.indices.bind(found.ky, low)
            return self._under_row(pixels, weights, sums)

        def one(ky: Value, totals: Sums) -> Sums:
            self.layer.indices.bind(found.ky, ky)
            return self._under_row(pixels, advanced(weights, scaled(ky, found.w_strides[1] * width)), totals)

        return looped(low, high, 1, sums, one)

    def _under_row(self, pixels: Pixels, weights: Address, sums: Sums) -> Sums:
        """Add the products under one row of the window."""
        found, width, x = self.found, width_of(sums), self.x_of(pixels)
        if self.layer.by_pixels:
            return self._by_pixel(weights, sums, x)
        row = self.layer.input_row(self.row)
        if pixels.inside:
            xs = self.spread_pixels(advanced(row, self.first_byte(pixels.column, None)), pixels)
            return self.run(sums, xs, [weights], found.run, x)
        low, high = self.columns()
        xs = self.spread_pixels(advanced(row, self.first_byte(pixels.column, low)), pixels)
        first, step = scaled(low, found.channels * width), math.gcd(found.channels, self.lanes.turn)

        def some(at: Value, totals: Sums) -> Sums:
            own = advanced(advanced(weights, first), scaled(at, width))
            return self.products(totals, moved(xs, at), [own], step, x)

        return looped(index_constant(0), scaled(arith.subi(high, low), found.channels), step, sums, some)

    def _by_pixel(self, weights: Address, sums: Sums, x: Factor) -> Sums:
        """The same where only the channels of a pixel lie together."""
        found, width, (low, high) = self.found, width_of(sums), self.columns()

        def one(kx: Value, totals: Sums) -> Sums:
            self.layer.indices.bind(found.kx, kx)
            own = advanced(weights, scaled(kx, found.channels * width))
            return self.run(totals, [self.layer.input_pixel(self.row, self.column)], [own], found.channels, x)

        return one(low, sums) if found.columns.kernel == 1 else looped(low, high, 1, sums, one)

    def run(self, sums: Sums, xs: Sequence[Address], ws: Sequence[Address], count: int, x: Factor) -> Sums:
        """See `Runs`."""
        if count <= self.lanes.unrolled:
            return self.products(sums, xs, ws, count, x)
        turn, width, (weights,) = self.lanes.turn, width_of(sums), ws
        whole = count - count % turn

        def some(at: Value, totals: Sums) -> Sums:
            return self.products(totals, moved(xs, at), [advanced(weights, scaled(at, width))], turn, x)

        sums = looped(index_constant(0), index_constant(whole), turn, sums, some)
        return self.products(sums, [a + whole for a in xs], [weights + whole * width], count - whole, x)


class AcrossPatches(Patches, Across):
    """Convolutions with few input channels, from windows on the stack."""


ACROSS: Mapping[str, type[SumEmitter]] = {"runs": Across, "patches": AcrossPatches, "depthwise": Depthwise}
"""By `Blocks.kind`."""


def width_of(sums: Sums) -> int:
    """Channels of a sum."""
    kind = sums[0][0].type
    return VectorType(kind).shape[0] if isinstance(kind, VectorType) else 1
