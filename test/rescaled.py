"""TOSA's rescale with double rounding, as TFLite rounds, on networks that numpy computes while they are written."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from tosa_nets import TosaNet, Value


def rescaled(net: TosaNet, wide: Value, multipliers: NDArray[np.int32], shifts: NDArray[np.int8], zero: int) -> Value:
    """int32 → int8; one multiplier and shift, or one for each channel."""
    zeros = net.const(np.array([0], np.int32)), net.const(np.array([zero], np.int8))
    attributes = (
        f"input_unsigned = false, output_unsigned = false, per_channel = {str(len(multipliers) > 1).lower()}, "
        "rounding_mode = DOUBLE_ROUND, scale32 = true"
    )
    array = _rounded(wide.array, multipliers, shifts, zero)
    return net.op("rescale", [wide, net.const(multipliers), net.const(shifts), *zeros], array, attributes)


def _rounded(
    wide: NDArray[np.int32], multipliers: NDArray[np.int32], shifts: NDArray[np.int8], zero: int
) -> NDArray[np.int8]:
    """TOSA's definition, in Python's integers."""
    flat = wide.reshape(-1, wide.shape[-1])
    out = np.empty(flat.shape, np.int8)
    for (row, channel), value in np.ndenumerate(flat):
        own = channel % len(multipliers)
        x, m, s = int(value), int(multipliers[own]), int(shifts[own])
        nudge = 0 if s <= 31 else (1 << 30) if x >= 0 else -(1 << 30)
        out[row, channel] = min(max(((x * m + (1 << (s - 1)) + nudge) >> s) + zero, -128), 127)
    return out.reshape(wide.shape)
