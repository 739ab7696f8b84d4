"""Least squares with coefficients that are not negative: Lawson and Hanson's active sets (1974, chapter 23)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
_EPSILON = 1e-10


def least_squares(rows: Floats, wanted: Floats) -> Floats:
    """The x ≥ 0 with the least |rows · x − wanted|.

    Args:
        rows: float64[m, n].
        wanted: float64[m].

    Returns:
        float64[n].
    """
    count = rows.shape[1]
    taken = np.zeros(count, np.bool_)
    x = np.zeros(count)
    for _ in range(10 * count):
        slope = rows.T @ (wanted - rows @ x)
        slope[taken] = -np.inf
        if taken.all() or slope.max() <= _EPSILON:
            return x
        taken[int(slope.argmax())] = True
        x = _descend(rows, wanted, taken, x)
    return x


def _descend(rows: Floats, wanted: Floats, taken: npt.NDArray[np.bool_], x: Floats) -> Floats:
    """Move to the best point of the coefficients that are taken; those that come to 0 on the way are given up."""
    while True:
        best = np.zeros_like(x)
        best[taken] = np.linalg.lstsq(rows[:, taken], wanted, rcond=None)[0]
        falling = taken & (best <= _EPSILON)
        if not falling.any():
            return best
        room = x[falling] / np.maximum(x[falling] - best[falling], _EPSILON)
        x = x + min(1.0, float(room.min())) * (best - x)
        taken &= x > _EPSILON
        x = np.where(taken, x, 0.0)
