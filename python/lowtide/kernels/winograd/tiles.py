"""Winograd's F(2×2, 3×3) in integers: how a layer is cut into tiles, what becomes of weights, and why it is exact.

Four outputs, two rows by two columns, come from 16 products for each input channel: U = (2G) g (2G)ᵀ of the weights g,
V = Bᵀ d B of the 4×4 inputs d, and Aᵀ (Σ U·V) A = 4·y of their sums. G has halves, so it is taken twice on either side
and every number is an integer. Inputs are taken as they lie, bytes without a zero point less: pads are zero points too,
so that the zero point's share is one number for each output channel, which its sum starts from.

|U| is at most 9 · 255 and |V| at most 4 · 255: both are 16-bit values. Sums wrap modulo 2³², as does all up to 4·y:
exact where y, with what it starts from, is between −2²⁹ and 2²⁹, which `MOST_SUM` asks of the weights at compile time.

Source: Lavin and Gray, Fast Algorithms for Convolutional Neural Networks (arXiv 1509.09308), section 4.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from lowtide.graph.nest import LayerBody, row_major
from lowtide.graph.profile import Profile
from lowtide.kernels.constants import Numbers
from lowtide.kernels.register_tiled.contraction import Axis, Contraction

MOST_SUM = 1 << 29
"""What each sum is below, in magnitude, for 4·y to be a 32-bit value."""
TILE, WINDOW, ELEMENTS = 2, 4, 16
"""Outputs of a tile along an axis, inputs along an axis, and elements that are multiplied."""
TILES = 2
"""Tiles that are computed at a time: each weight that is loaded serves both."""
GROUP = 4
"""Output channels that are summed at a time, and input channels in a word."""
MOST_CHANNELS = 480
"""Input channels up to which constants in loads and stores reach a pair's tiles."""
_SUM_BYTES = 4 * TILES * GROUP
_KERNEL = 3
_TRANSFORM = np.array([[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]], np.int64)
"""2G."""
_HALVES = (0, 2, 1, 3)
"""Input channels of a word in the order in which two extensions take them: the even ones, then the odd ones."""


def fits(found: Contraction) -> bool:
    """Whether a layer is a dense 3×3 convolution of bytes that tiles of two by two outputs cover."""
    axes = all(_covered(axis) for axis in (found.rows, found.columns))
    words = found.channels % GROUP == 0 and found.outputs % GROUP == 0 and found.channels <= MOST_CHANNELS
    whole = found.channels == found.x.shape[3] and found.first == 0
    return axes and words and whole and found.layout == "runs" and found.element == "byte" and found.w.zero == 0


def _covered(axis: Axis) -> bool:
    """A window of three, without steps, with one pad at most at either end."""
    behind = axis.outputs + _KERNEL - 1 - axis.inputs - axis.pad
    return (axis.kernel, axis.stride, axis.dilation) == (_KERNEL, 1, 1) and {axis.pad, behind} <= {0, 1}


def transformed(found: Contraction, weights: Numbers) -> npt.NDArray[np.int16]:
    """U of all weights: int16[outputs / 4, 16, channels / 2, 4, 2].

    For four output channels the elements of the tile in turn; in each, for two input channels at a time, a word for
    each of the four. The input channels of a word of bytes are in the order 0, 2, 1, 3.
    """
    of_channel, down, across = found.w_strides
    o, ky, kx, c = np.ix_(*(range(n) for n in (found.outputs, _KERNEL, _KERNEL, found.channels)))
    taken = weights.reshape(-1)[o * of_channel + ky * down + kx * across + c].astype(np.int64)
    # numpy has them as int8, as MLIR's constants have no sign
    taken = taken if found.w.signed else taken & 0xFF
    elements = np.einsum("ik,okjc,lj->oilc", _TRANSFORM, taken, _TRANSFORM)
    words = elements.reshape(found.outputs // GROUP, GROUP, ELEMENTS, found.channels // GROUP, GROUP)[..., _HALVES]
    pairs = words.reshape(found.outputs // GROUP, GROUP, ELEMENTS, found.channels // 2, 2)
    return pairs.transpose(0, 2, 3, 1, 4).reshape(-1).astype(np.int16)


@dataclass(frozen=True)
class Tiles:
    """The tiles of a layer's rows, and the workspace of those that are computed at a time.

    Tiles are computed in pairs; where the columns are no multiple, the last ones begin earlier, and outputs that they
    make once more go where nobody wants them: each byte of the output is stored once.

    Attributes:
        found: the convolution.
    """

    found: Contraction

    @property
    def record_bytes(self) -> int:
        """Workspace of one of the 16 elements: V of both tiles, then their sums for four output channels."""
        return 2 * TILES * self.found.channels + _SUM_BYTES

    @property
    def workspace_words(self) -> int:
        """Workspace of all elements, and of a pixel that takes outputs which nobody wants, in words."""
        return (self.unwanted + self.found.outputs) // 4

    @property
    def unwanted(self) -> int:
        """Where in the workspace that pixel begins, in bytes."""
        return ELEMENTS * self.record_bytes

    @property
    def count(self) -> int:
        """Tiles of a row."""
        return -(-self.found.columns.outputs // TILE)

    @property
    def pairs(self) -> int:
        """Pairs of tiles of a row."""
        return -(-self.count // TILES)

    @cached_property
    def starts(self) -> list[tuple[int, int]]:
        """The first column of both tiles of each pair."""
        last = self.found.columns.outputs - TILE
        firsts = [max(0, min(TILES * pair, self.count - TILES)) for pair in range(self.pairs)]
        return [(min(TILE * first, last), min(TILE * (first + 1), last)) for first in firsts]

    @property
    def pads_behind(self) -> int:
        """Columns behind the input that the last window has."""
        columns = self.found.columns
        return columns.outputs + _KERNEL - 1 - columns.inputs - columns.pad

    def outside(self, start: int) -> frozenset[int]:
        """The columns of the window of a tile, of four, that are outside the input."""
        columns = self.found.columns
        return frozenset(k for k in range(WINDOW) if not 0 <= start + k - columns.pad < columns.inputs)

    def profile(self, body: LayerBody, input_bytes: int, output_bytes: int) -> Profile:
        """How far the output may run into the input, for code that goes by pairs of rows and in them by pairs of tiles.

        Calls in a loop may begin a pair at any row, and end with a single one: the distances hold for each of them.
        """
        distances = [
            self._distances(body, input_bytes, output_bytes, count)
            for count in range(1, 1 + min(TILE, self.found.rows.outputs))
        ]
        forwards, backwards = (max(of_one) for of_one in zip(*distances, strict=True))
        return Profile(_within(forwards, input_bytes, output_bytes), _within(backwards, input_bytes, output_bytes))

    def _distances(self, body: LayerBody, input_bytes: int, output_bytes: int, count: int) -> tuple[int, int]:
        """Both distances for so many rows at a time, wherever they begin."""
        rows, columns, pixel = self.found.rows, self.found.columns, self.found.channels
        target = row_major(body.destination, body.target(self.found.result))
        down, across = (target.coefficient(var) for var in self.found.loops[1:3])
        row, starts = np.arange(rows.outputs - count + 1)[:, None], np.array(self.starts)
        first = row - rows.pad
        top, bottom = np.maximum(first, 0), np.minimum(first + count + 1, rows.inputs - 1)
        left = np.maximum(starts[:, 0] - columns.pad, 0)[None, :]
        right = np.minimum(starts[:, 1] - columns.pad + WINDOW, columns.inputs)[None, :]
        low, high = (top * columns.inputs + left) * pixel, (bottom * columns.inputs + right) * pixel
        begin = target.const + row * down + starts[None, :, 0] * across
        end = target.const + (row + count - 1) * down + (starts[None, :, 1] + TILE - 1) * across + self.found.outputs
        # what the rows after these still read, or in the other direction those before them
        after = np.clip(first + count, 0, rows.inputs) * columns.inputs * pixel
        before = np.clip(first + _KERNEL - 1, 0, rows.inputs) * columns.inputs * pixel
        dead = np.concatenate([np.minimum(low[:, 1:], after), after], axis=1)
        waiting = np.concatenate([before, np.maximum(high[:, :-1], before)], axis=1)
        return int((end - dead).max()), int((output_bytes - begin - input_bytes + waiting).max())


def _within(distance: int, input_bytes: int, output_bytes: int) -> int:
    return max(-input_bytes, min(distance, output_bytes))
