"""Sums of a block whose channels are the lanes of one vector: each byte of the input times a vector of weights.

The weights lie in groups, of which a block takes one. Where they do not, as nobody knows them at compile time, sums are
scalars; so is that of a last channel alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lowtide.ir import Value, VectorType
from lowtide.kernels.register_tiled.depthwise import Depthwise
from lowtide.kernels.register_tiled.memory import Address, advanced
from lowtide.kernels.register_tiled.microkernel import Sums
from lowtide.kernels.register_tiled.patches import Patches
from lowtide.kernels.register_tiled.rvv import lanes_of, multiplied_up
from lowtide.kernels.register_tiled.sums import Pixels, Runs, SumEmitter


class ChannelVectorised(Runs):
    """Convolutions whose input bytes under one row of the window lie in one run."""

    def together(self, count: int) -> int:
        """See `SumEmitter`."""
        return 1 if self.outer is None else self.vectors(count)

    def pitch(self, sums: Sums) -> int:
        """See `Runs`."""
        return super().pitch(sums) if lanes_in(sums) == 1 else lanes_in(sums)


class ChannelVectorisedDepthwise(Depthwise):
    """Depthwise convolutions: a column of the input that is in several windows of a block is loaded once."""

    def _row(
        self, pixels: Pixels, taps: Sequence[tuple[int, int]], ky: Value, start: Value, weights: Address, sums: Sums
    ) -> Sums:
        width = lanes_in(sums)
        if width == 1:
            return super()._row(pixels, taps, ky, start, weights, sums)
        self.layer.indices.bind(self.found.ky, ky)
        first = advanced(self.layer.input_row(self.row), start)
        x, w = self.x_of(pixels), self.found.w
        columns: dict[int, Value] = {}
        # all windows of the block are inside the input, or it is one pixel: all have the taps of the first
        for kx in range(*taps[0]):
            right = lanes_of(weights + kx * self.found.w_strides[2], width, w, reload=True)
            for row, column in zip(sums, self._columns(kx, pixels.count), strict=True):
                if column not in columns:
                    columns[column] = lanes_of(first + column * self.found.x.shape[3], width, x)
                row[0] = multiplied_up(row[0], columns[column], right)
            # Keep no more loaded columns than there are registers for; those loaded first are needed again first.
            later = {column for k in range(kx + 1, taps[0][1]) for column in self._columns(k, pixels.count)}
            wanted = [column for column in columns if column in later]
            columns = {column: columns[column] for column in wanted[: pixels.count - 1]}
        return sums

    def _columns(self, kx: int, pixels: int) -> list[int]:
        """The columns of the input that a column of the windows of so many pixels is on, from the first window's."""
        axis = self.found.columns
        return [kx * axis.dilation + m * axis.stride for m in range(pixels)]


class ChannelVectorisedPatches(Patches, ChannelVectorised):
    """Convolutions with few input channels, whose windows are on the stack."""


CHANNEL_VECTORISED: Mapping[str, type[SumEmitter]] = {
    "runs": ChannelVectorised,
    "patches": ChannelVectorisedPatches,
    "depthwise": ChannelVectorisedDepthwise,
}
"""What adds up a block's products where channels are lanes, by `Blocks.kind`."""


def lanes_in(sums: Sums) -> int:
    """How many channels one sum has as lanes; 1 for a scalar."""
    kind = sums[0][0].type
    return VectorType(kind).shape[0] if isinstance(kind, VectorType) else 1
