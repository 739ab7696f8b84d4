"""What the zero point of the input comes to in the sum of each output channel, from the weights."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt

from lowtide.kernels.blocked.contraction import Contraction


def fold(found: Contraction, weights: npt.NDArray[np.integer]) -> npt.NDArray[np.int32]:
    """Minus the zero point times the sum of each channel's weights, 32 bits; for windows without a pad.

    Args:
        found: the convolution; its weights' zero point is 0.
        weights: as they lie in memory, of any shape.
    """
    flat = weights.reshape(-1).astype(np.int64)
    if not found.w.signed:
        flat = flat & 0xFF
    channel = np.arange(found.outputs, dtype=np.int64) * found.w_strides[0]
    total = np.zeros(found.outputs, dtype=np.int64)
    for ky, kx, c in itertools.product(range(found.rows.kernel), range(found.columns.kernel), range(found.channels)):
        total += flat[channel + ky * found.w_strides[1] + kx * found.w_strides[2] + c]
    return (-found.x.zero * total).astype(np.int32)
