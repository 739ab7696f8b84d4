"""Which emitter makes the sums of a convolution, by how its operands lie."""

from __future__ import annotations

from lowtide.kernels.blocked.contraction import Contraction
from lowtide.kernels.blocked.depthwise import Depthwise
from lowtide.kernels.blocked.lanes import Lanes
from lowtide.kernels.blocked.patches import Patches
from lowtide.kernels.blocked.sums import WORD, Input, Runs, SumEmitter

MOST_PATCH = 256
"""Bytes of a window that are copied to the stack, at most."""


def sum_emitter(found: Contraction, layer: Input, lanes: Lanes) -> SumEmitter:
    """The emitter for how the layer's operands lie; `emittable` must hold, and weights that are spread be in runs."""
    if found.layout == "depthwise":
        return Depthwise(found, layer, lanes)
    return Patches(found, layer, lanes) if _is_patch(found) else Runs(found, layer, lanes)


def emittable(found: Contraction) -> bool:
    """Whether one of the emitters takes the convolution."""
    if found.layout == "depthwise":
        return True
    patch = found.rows.kernel * found.run <= MOST_PATCH
    dense = found.layout == "spread" or found.w_strides[1] in (0, found.run)
    return not _is_patch(found) or (patch and dense)


def _is_patch(found: Contraction) -> bool:
    """Windows of several columns with a number of channels that no word divides."""
    return found.channels % WORD != 0 and found.rows.kernel * found.columns.kernel > 1
