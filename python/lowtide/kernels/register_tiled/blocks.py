"""How a register-tiled kernel cuts a layer into blocks (register tiles) of some pixels of a row and some channels.

The emitter and the access profile both go by it, so that the overlap that is allowed is that of the code.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from lowtide.kernels.register_tiled.contraction import Contraction, Span
from lowtide.kernels.register_tiled.memory import WORD
from lowtide.kernels.register_tiled.microkernel import Microkernel
from lowtide.kernels.register_tiled.packed import WORDS

MOST_PATCH = 256
"""Bytes of a window that are copied to the stack, at most; those of all pixels of a block where channels are lanes."""
MOSTLY = 0.75
"""A core that can do without patches copies them only where fewer of a row's windows lie inside the input: a share."""
_MOST_PATCHES = 2
"""Pixels of a block whose windows are on the stack, at most."""
MOST_PIXELS = 8
"""Pixels of a block whose channels are the lanes of a vector, at most: more are more code for little."""
MOST_TAPS = 25
"""Elements of a depthwise window up to which its products are written out, without loops."""
_LEAST_SHARED = 2
"""Output channels that an element of the input serves, at least, where there are so many."""
_VECTOR = 3
"""Operations for a vector of weights: its address, the load, the extension."""


@dataclass(frozen=True, eq=False)
class Blocks:
    """The blocks of one layer on one kind of core.

    Attributes:
        found: the convolution.
        microkernel: of the core.
    """

    found: Contraction
    microkernel: Microkernel

    @property
    def kind(self) -> Literal["runs", "patches", "depthwise"]:
        """How sums are made: of runs where they lie, of patches copied to the stack, or by channel (depthwise)."""
        if self.found.layout == "depthwise":
            return "depthwise"
        window = self.found.rows.kernel * self.found.columns.kernel
        # lanes across channels take bytes as they lie; a window on the stack still has no edges
        where_they_lie = self.microkernel.across and self._inside >= MOSTLY
        return "patches" if self.found.depth % WORD and window > 1 and not where_they_lie else "runs"

    @property
    def _inside(self) -> float:
        """The share of the columns that can be in blocks without patches."""
        first, end = self.found.columns.interior
        return (end - first) / self.found.columns.outputs

    @property
    def emittable(self) -> bool:
        """Whether there is an emitter for it: patches must have dense weights and fit on the stack."""
        if self.kind != "patches":
            return True
        apart = self.found.run if self.found.rows.kernel > 1 else 0
        dense = self.found.layout == "spread" or self.found.w_strides[1] == apart
        return dense and self.found.rows.kernel * self.found.run <= MOST_PATCH

    @property
    def chunked(self) -> bool:
        """Whether blocks have pixels at the edges in them too, as those of small depthwise windows in scalars do."""
        taps = self.found.rows.kernel * self.found.columns.kernel
        return self.kind == "depthwise" and self.microkernel.wide is None and taps <= MOST_TAPS

    @property
    def chunks(self) -> list[Span]:
        """The blocks of every row where `chunked`, first column and count: as even as they can be."""
        outputs = self.found.columns.outputs
        size = -(-outputs // -(-outputs // self.microkernel.pixels))
        return [(at, min(size, outputs - at)) for at in range(0, outputs, size)]

    @property
    def asks_rows(self) -> bool:
        """Whether blocks are only in rows whose windows have all their rows inside the input."""
        asks = self.kind == "depthwise" and not self.chunked
        return asks and self.found.rows.interior != (0, self.found.rows.outputs)

    @property
    def row_classes(self) -> tuple[tuple[int, tuple[int, int]], ...]:
        """The rows of the output by what is inside the input of their windows: classes of neighbouring rows.

        Returns:
            for each class its first row, and the rows [first, end) of its windows that are inside the input.
        """
        if self.kind != "runs":
            return ((0, (0, self.found.rows.kernel)),)
        return tuple((first, inside) for first, _, inside in self.found.rows.classes)

    @property
    def pad_bytes(self) -> int:
        """Zero points that can stand for a row outside the input under the windows of a block; 0 where no row is."""
        rows, columns = self.found.rows, self.found.columns
        if self.kind == "patches" or not self.microkernel.at_once or rows.interior == (0, rows.outputs):
            return 0
        pixels = self.microkernel.pixels if self.kind == "depthwise" else self.pixels
        width = ((pixels - 1) * columns.stride + (columns.kernel - 1) * columns.dilation) * self.found.pixel
        return width + self.found.pixel

    @property
    def interior(self) -> tuple[int, int]:
        """The columns [first, end) that can be in blocks; windows on the stack have their pads."""
        return (0, self.found.columns.outputs) if self.kind == "patches" else self.found.columns.interior

    @cached_property
    def pixels(self) -> int:
        """The number of pixels of a block with which a row takes the fewest operations; of equals the largest."""
        first, end = self.interior
        inside, outputs = end - first, self.found.outputs

        def of_channels(pixels: int, size: int) -> int:
            channels = min(size, outputs)
            whole = outputs // channels * self._operations(pixels, channels)
            return whole + self._operations(pixels, outputs % channels)

        def total(pixels: int) -> tuple[int, int]:
            rest = inside % pixels
            size = self._size(pixels)
            # weights in groups fix the channels of the block that is left too
            own = self._size(rest) if rest and self.microkernel.outer is None else size
            return inside // pixels * of_channels(pixels, size) + (of_channels(rest, own) if rest else 0), -pixels

        return min((count for count in self._sizes if count <= max(1, inside)), key=total)

    @property
    def _sizes(self) -> Iterable[int]:
        """The pixels that a block can have."""
        most = self.microkernel.pixels if self.kind == "depthwise" else max(self.microkernel.blocks)
        if self.microkernel.across:
            patch = self.found.rows.kernel * self.found.run
            room = max(1, MOST_PATCH // patch) if self.kind == "patches" else MOST_PIXELS
            return range(1, min(room, MOST_PIXELS, most * self.microkernel.group // self._size(1)) + 1)
        if self.kind == "patches" and self.microkernel.tables and self.microkernel.outer is None:
            # A window is read before the outputs of a block are written: the more pixels, the later what they overwrite
            # is free. Windows on the stack are those of inputs with few channels, which often are a network's largest.
            return [pixels for pixels in self.microkernel.blocks if pixels <= _MOST_PATCHES]
        return range(1, most + 1) if self.kind == "depthwise" else self.microkernel.blocks

    def channels(self, pixels: int) -> int:
        """The channels of a block of so many pixels; all blocks have the same where weights lie in groups."""
        return self._size(pixels if self.microkernel.outer is None else self.pixels)

    def _size(self, pixels: int) -> int:
        if self.microkernel.across:
            return min(self.microkernel.group, 1 << self.found.outputs.bit_length() - 1)
        if self.kind != "depthwise":
            return self.microkernel.blocks[pixels]
        return self.microkernel.group if self.found.multiplier == 1 else self._of_multiplier

    @property
    def _of_multiplier(self) -> int:
        """Channels of a block where several output channels take one input channel: all of some's, or some of one's."""
        own, most = self.found.multiplier, max(self.microkernel.group, _LEAST_SHARED)
        return most // own * own if own <= most else next(n for n in range(most, 0, -1) if own % n == 0)

    def _operations(self, pixels: int, channels: int) -> int:
        """What a block takes for a byte of its runs: loads, products with their sums, packing, 3 for the loop."""
        own = self.microkernel.operations(pixels, channels)
        if own is not None and self.kind != "depthwise":
            return own if channels else 0
        if self.microkernel.across:
            return _VECTOR + 2 * pixels if channels else 0
        outer = None if self.kind == "depthwise" else self.microkernel.outer
        packs = outer is not None and outer.packs(pixels)
        words, packing = (WORDS, 2 * WORDS) if packs else (pixels, 0)
        return pixels + packing + channels + 2 * words * channels + 3 if channels else 0

    def of_row(self, *, whole: bool) -> list[Span]:
        """The blocks of a row in the order of the code, first column and count.

        Args:
            whole: all rows of the row's windows are inside the input; other rows may have to go pixel by pixel.
        """
        outputs, (first, end) = self.found.columns.outputs, self.interior
        if self.chunked:
            return self.chunks
        if not whole or end - first < self.pixels:
            return _ones(0, outputs)
        blocks, rest = divmod(end - first, self.pixels)
        inside = [(first + i * self.pixels, self.pixels) for i in range(blocks)]
        if rest:
            inside.append((end - rest, rest))
        return [*_ones(0, first), *inside, *_ones(end, outputs)]

    def of_channels(self, pixels: int) -> list[Span]:
        """The channels of a block of so many pixels, in the order of the code."""
        return [(at, size) for first, end, size in self.cuts(pixels) for at in range(first, end, size)]

    def cuts(self, pixels: int) -> list[tuple[int, int, int]]:
        """The channels [first, end) that are in blocks of one size, and that size, for blocks of so many pixels."""
        size, outputs = self.channels(pixels), self.found.outputs
        found: list[tuple[int, int, int]] = []
        first = 0
        while first < outputs:
            # as many blocks of this size as there is room for, then smaller ones
            end = outputs - (outputs - first) % size
            if end > first:
                found.append((first, end, size))
            first, size = end, size // 2 if self.microkernel.across else outputs - end
        return found

    def orders(self) -> list[npt.NDArray[np.int64]]:
        """The order in which the code makes a row's elements, for every kind of row; for the access profile.

        Returns:
            int64[columns, channels], the number of the block that an element is in. All of a block's loads come before
            its stores.
        """
        kinds = [True, False] if self.asks_rows else [True]
        return [self._order(whole=whole) for whole in kinds]

    def _order(self, *, whole: bool) -> npt.NDArray[np.int64]:
        order = np.zeros((self.found.columns.outputs, self.found.outputs), dtype=np.int64)
        number = 0
        for column, pixels in self.of_row(whole=whole):
            for channel, channels in self.of_channels(pixels):
                order[column : column + pixels, channel : channel + channels] = number
                number += 1
        return order


def _ones(first: int, end: int) -> list[Span]:
    return [(at, 1) for at in range(first, end)]
