"""Constants that are made of weights at compile time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from lowtide.kernels.blocked.blocks import Span
from lowtide.kernels.blocked.contraction import Contraction


def fold(found: Contraction, weights: npt.NDArray[np.integer]) -> npt.NDArray[np.int32]:
    """Minus the zero point times the sum of each channel's weights, 32 bits; for windows without a pad.

    Args:
        found: the convolution; its weights' zero point is 0.
        weights: as they lie in memory, of any shape.
    """
    taken = _by_channel(found, weights).astype(np.int64)
    if not found.w.signed:
        taken = taken & 0xFF
    return (-found.x.zero * taken.sum(axis=1)).astype(np.int32)


def in_runs(found: Contraction, weights: npt.NDArray[np.integer]) -> npt.NDArray[np.int8]:
    """The weights of each output channel in a run of its own: by row, column and input channel of the window."""
    return _by_channel(found, weights).reshape(-1).astype(np.int8)


def as_runs(found: Contraction) -> Contraction:
    """The convolution with the weights that `in_runs` gives."""
    size = found.rows.kernel * found.run
    return replace(found, layout="runs", w_strides=(size, found.run, found.channels))


def in_lanes(found: Contraction, spans: Sequence[Span], weights: npt.NDArray[np.integer]) -> npt.NDArray[np.int8]:
    """The weights of some output channels after the other: those of a byte of the input lie together.

    Args:
        found: the convolution.
        spans: the channels that go together, in their order.
        weights: as they lie in memory, of any shape.
    """
    taken = _by_channel(found, weights).astype(np.int8)
    return np.concatenate([taken[first : first + count].T.reshape(-1) for first, count in spans])


def _by_channel(found: Contraction, weights: npt.NDArray[np.integer]) -> npt.NDArray[np.integer]:
    """Output channels by elements of the window, the last in the order of the input's bytes."""
    kernel = found.rows.kernel, found.columns.kernel, found.channels
    of_channel, down, across = found.w_strides
    ky, kx, c = np.indices(kernel).reshape(3, -1)
    places = ky * down + kx * across + c
    return weights.reshape(-1)[np.arange(found.outputs)[:, None] * of_channel + places[None, :]]
