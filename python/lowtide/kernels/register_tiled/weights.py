"""Constants that are made of weights at compile time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from lowtide.kernels.constants import Numbers
from lowtide.kernels.register_tiled.contraction import Contraction, Span
from lowtide.kernels.register_tiled.memory import WORD

_MOST_BYTE = 255
"""The largest magnitude of a byte less a zero point that is a byte."""


def fold(found: Contraction, rows: Sequence[tuple[int, int]], weights: Numbers) -> npt.NDArray[np.int32]:
    """What the input's zero point adds to each channel's sum: minus itself times the sum of the channel's weights.

    Right for windows without a pad at the sides.

    Args:
        found: the convolution; its weights' zero point is 0.
        rows: rows [first, end) of a window that are inside the input; each gives a sum for every channel, in turn.
        weights: as they lie in memory, of any shape.

    Returns:
        int32[classes of rows * channels].
    """
    taken = _by_channel(found, weights).astype(np.int64)
    # numpy has them as int8, as MLIR's constants have no sign
    if not found.w.signed:
        taken = taken & 0xFF
    of_rows = taken.reshape(len(taken), found.rows.kernel, -1).sum(axis=2)
    sums = [of_rows[:, first:end].sum(axis=1) for first, end in rows]
    return (-found.x.zero * np.concatenate(sums)).astype(np.int32)


def range_of_sums(
    found: Contraction, bias: Numbers, weights: Numbers
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The least and the greatest that each channel's sum can be, whatever the input is: int64[channels] each.

    Args:
        found: the convolution of bytes.
        bias, weights: as they lie in memory, of any shape.
    """
    taken = _by_channel(found, weights).astype(np.int64)
    taken = (taken if found.w.signed else taken & 0xFF) - found.w.zero
    most = _MOST_BYTE * np.abs(taken).sum(axis=1)
    start = bias.reshape(-1).astype(np.int64)
    return start - most, start + most


def in_runs(found: Contraction, weights: Numbers) -> Numbers:
    """The weights of each output channel in a run of its own: by row, column and input channel of the window."""
    runs = _by_channel(found, weights).reshape(-1)
    return runs if found.element == "float" else runs.astype(np.int8)


def prepacked(found: Contraction, run: int, weights: npt.NDArray[np.integer]) -> npt.NDArray[np.int16]:
    """The weights less their zero point in 16 bits, each run's as `Dsp` wants them: of four, 0 and 2, then 1 and 3."""
    taken = _by_channel(found, weights).astype(np.int64)
    taken = (taken if found.w.signed else taken & 0xFF) - found.w.zero
    whole = run - run % WORD
    order = np.arange(run)
    order[:whole] = order[:whole].reshape(-1, WORD)[:, [0, 2, 1, 3]].reshape(-1)
    return taken.reshape(-1, run)[:, order].reshape(-1).astype(np.int16)


def as_prepacked(found: Contraction) -> Contraction:
    """The convolution with the weights that `prepacked_i16` gives."""
    return replace(as_runs(found), w=replace(found.w, signed=True, zero=0, nbytes=2))


def as_runs(found: Contraction) -> Contraction:
    """The convolution with the weights that `in_runs` gives."""
    run = found.columns.kernel * found.channels
    return replace(found, layout="runs", w_strides=(found.rows.kernel * run, run, found.channels))


def in_groups(found: Contraction, spans: Sequence[Span], weights: Numbers) -> Numbers:
    """The weights of some output channels side by side, for each element of the window in the order of `in_runs`.

    Args:
        found: the convolution.
        spans: the groups of channels, in their order.
        weights: as they lie in memory, of any shape.
    """
    taken = _by_channel(found, weights)
    taken = taken if found.element == "float" else taken.astype(np.int8)
    return np.concatenate([taken[first : first + count].T.reshape(-1) for first, count in spans])


def from_groups(found: Contraction, weights: npt.NDArray[np.integer]) -> npt.NDArray[np.integer]:
    """The inverse of `in_groups`: weights by output channel and element of the window, extended as `found` says."""
    size = found.rows.kernel * found.run
    parts = [
        weights[at * size : (at + found.group) * size].reshape(size, -1).T
        for at in range(0, found.outputs, found.group)
    ]
    taken = np.concatenate(parts)
    return taken if found.w.signed else taken.astype(np.int64) & 0xFF


def as_groups(found: Contraction, group: int) -> Contraction:
    """The convolution with the weights that `in_groups` gives."""
    return replace(as_runs(found), group=group)


def _by_channel(found: Contraction, weights: Numbers) -> Numbers:
    """The weights as [output channel, element of the window]; elements by row, column and input channel."""
    kernel = found.rows.kernel, found.columns.kernel, found.channels
    of_channel, down, across = found.w_strides
    ky, kx, c = np.indices(kernel).reshape(3, -1)
    places = ky * down + kx * across + c
    return weights.reshape(-1)[np.arange(found.outputs)[:, None] * of_channel + places[None, :]]
