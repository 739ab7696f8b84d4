"""Sums of a block whose channels are the lanes of one vector: each byte of the input times a vector of weights.

The weights lie in groups, of which a block takes one. Where they do not, as nobody knows them at compile time, sums are
scalars; so is that of a last channel alone.
"""

from __future__ import annotations

from collections.abc import Mapping

from lowtide.ir import VectorType
from lowtide.kernels.blocked.depthwise import Depthwise
from lowtide.kernels.blocked.lanes import Sums
from lowtide.kernels.blocked.patches import Patches
from lowtide.kernels.blocked.sums import Runs, SumEmitter


class Across(Runs):
    """Convolutions whose input bytes under one row of the window lie in one run."""

    def together(self, count: int) -> int:
        """See `SumEmitter`."""
        return 1 if self.outer is None else self.vectors(count)

    def pitch(self, sums: Sums) -> int:
        """See `Runs`."""
        kind = sums[0][0].type
        return VectorType(kind).shape[0] if isinstance(kind, VectorType) else super().pitch(sums)


class AcrossPatches(Patches, Across):
    """Convolutions with few input channels, whose windows are on the stack."""


ACROSS: Mapping[str, type[SumEmitter]] = {"runs": Across, "patches": AcrossPatches, "depthwise": Depthwise}
"""By `Blocks.kind`."""
