"""What each run of a network should read and write, byte by byte: the report's layers and loops, expanded.

Written from the definition of a run and not from the allocator's code, as what is expected here is held against the
arena that the allocator made.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt

from lowtide.graph.program import Loop, Window
from lowtide.placement import LayerAccess, PlacedBuffer

Indices = npt.NDArray[np.int64]
_PIXELS = 1 << 40

Bytes = tuple[Indices, Indices]
"""Places in the arena, and for each the mark of the pixel that lies there: buffer * 2^40 + pixel."""


@dataclass(frozen=True)
class Region:
    """Rows and columns of a tensor, ends excluded."""

    first_row: int
    end_row: int
    first_column: int
    end_column: int

    @property
    def pixels(self) -> int:
        """How many there are."""
        return (self.end_row - self.first_row) * (self.end_column - self.first_column)


@dataclass(frozen=True)
class Channels:
    """Channels of a tensor, at all of its rows and columns."""

    first: int
    end: int


Part = Region | Channels | None
"""Of a tensor; None for all of it."""


class Layout:
    """Where the pixels of each buffer lie."""

    def __init__(self, buffers: Sequence[PlacedBuffer]) -> None:
        self.buffers = tuple(buffers)
        self._numbers = {buffer.name: number for number, buffer in enumerate(buffers)}
        self._whole: dict[int, Bytes] = {}

    def number(self, name: str) -> int:
        """Position of a buffer."""
        return self._numbers[name]

    def rows(self, number: int) -> int:
        """Rows that the buffer holds at a time; all of its tensor's, unless it is a ring."""
        buffer = self.buffers[number]
        return buffer.pixels // buffer.columns

    def whole(self, number: int) -> Bytes:
        """Every byte of a buffer that holds its whole tensor, in order."""
        if number not in self._whole:
            buffer = self.buffers[number]
            self._whole[number] = self._bytes(number, np.arange(buffer.pixels, dtype=np.int64))
        return self._whole[number]

    def region(self, number: int, region: Region) -> Bytes:
        """The bytes of some rows and columns of the tensor; a place twice where a ring is too small for them."""
        rows = np.arange(region.first_row, region.end_row, dtype=np.int64)
        columns = np.arange(region.first_column, region.end_column, dtype=np.int64)
        return self._bytes(number, (rows[:, None] * self.buffers[number].columns + columns).ravel())

    def channels(self, number: int, channels: Channels) -> Bytes:
        """The bytes of some channels of the tensor, of which the buffer may hold a slice."""
        buffer = self.buffers[number]
        if buffer.block:
            return self.region(number, Region(0, buffer.pixels // buffer.block, channels.first, channels.end))
        if buffer.channels > 1 and buffer.size == buffer.pixels * buffer.element:
            # a vector: its rows are its channels
            return self.region(number, Region(channels.first, channels.end, 0, 1))
        places, marks = (array.reshape(-1, buffer.channels, buffer.element) for array in self.whole(number))
        return places[:, channels.first : channels.end].ravel(), marks[:, channels.first : channels.end].ravel()

    def part(self, number: int, part: Part) -> Bytes:
        """The bytes of a part of the tensor."""
        match part:
            case None:
                return self.whole(number)
            case Channels():
                return self.channels(number, part)
            case Region():
                return self.region(number, part)

    def _bytes(self, number: int, pixels: Indices) -> Bytes:
        buffer = self.buffers[number]
        size = buffer.size // buffer.pixels
        starts = buffer.offset + self._slots(buffer, pixels) * size
        places = (starts[:, None] + np.arange(size, dtype=np.int64)).ravel()
        return places, np.repeat(number * _PIXELS + pixels, size)

    def _slots(self, buffer: PlacedBuffer, pixels: Indices) -> Indices:
        """Where in the buffer pixels lie, in pixels."""
        if not buffer.block:
            return (pixels + buffer.shift) % buffer.pixels
        down, side = divmod(buffer.shift, buffer.columns)
        rows, columns = np.divmod(pixels, buffer.columns)
        height = buffer.pixels // buffer.block
        return (rows + down) % height * buffer.block + (columns + side) % buffer.block

    def buffer_of(self, marks: int | Indices) -> int | Indices:
        """The buffer that a mark is of; negative where it is of none."""
        return marks // _PIXELS

    def pixel_name(self, mark: int) -> str:
        """The pixel that a mark is of, in words; nothing where the buffer has but one."""
        buffer = self.buffers[mark // _PIXELS]
        row, column = divmod(mark % _PIXELS, buffer.columns)
        if buffer.pixels == 1:
            return ""
        return f"row {row}" if buffer.columns == 1 else f"row {row}, column {column}"


@dataclass(frozen=True)
class LayerRun:
    """One execution of a layer, or of a part of one.

    Attributes:
        layer: what runs.
        layout: of the buffers.
        stored_bytes: how much it stores, each byte once; 0 where it has no code.
        target: what of its output it writes, None for all of it or for an accumulator.
        inputs, output: positions of its buffers.
        needs: what of each input it may read.
        part: in words, what of the layer it is.
    """

    layer: LayerAccess
    layout: Layout
    stored_bytes: int
    target: Part
    inputs: tuple[int, ...]
    output: int
    needs: tuple[Part, ...]
    part: str = ""

    @property
    def workspaces(self) -> tuple[PlacedBuffer, ...]:
        """The buffers in which it keeps what nobody else reads."""
        return tuple(self.layout.buffers[self.layout.number(name)] for name in self.layer.workspaces)

    @property
    def writes(self) -> Bytes:
        """Where it may store, and what."""
        return self.layout.part(self.output, self.target)

    def reads(self) -> Iterator[Bytes]:
        """For each input where it may load, and what it finds there."""
        for number, region in zip(self.inputs, self.needs, strict=True):
            yield self.layout.part(number, region)
        if self.layer.accumulates:
            yield self.layout.whole(self.output)


def runs_of(layers: Sequence[LayerAccess], loops: Sequence[Loop], layout: Layout) -> Iterator[LayerRun]:
    """Every run of a network, in the order of execution.

    Args:
        layers: the calls, in the order of the code.
        loops: in the order of the code; apart.
        layout: of the buffers.
    """
    begun = {loop.first: loop for loop in loops}
    number = 0
    while number < len(layers):
        if number not in begun:
            yield _whole_run(layers[number], layout)
            number += 1
            continue
        loop = begun[number]
        yield from _LoopRuns(layers, loop, layout).all()
        number = loop.last + 1


def _whole_run(layer: LayerAccess, layout: Layout) -> LayerRun:
    inputs, output = tuple(map(layout.number, layer.inputs)), layout.number(layer.output)
    return LayerRun(layer, layout, layer.stored_bytes, None, inputs, output, (None,) * len(inputs))


class _LoopRuns:
    def __init__(self, layers: Sequence[LayerAccess], loop: Loop, layout: Layout) -> None:
        self._layers = layers
        self._loop = loop
        self._layout = layout
        self._rows: dict[int, int] = {}
        for run in loop.runs:
            layer = layers[run.call]
            if not layer.accumulates:
                made = layout.number(layer.output)
                self._rows[made] = max(self._rows.get(made, 0), run.end)

    def all(self) -> Iterator[LayerRun]:
        """Call by call in each turn; calls that have nothing to make in it are left out."""
        if self._loop.columns is None:
            for run in self._loop.runs:
                yield self._run(run.call, (run.begin, run.end), None)
            return
        turns = range(len(self._loop.columns[0]))
        for _, group in groupby(self._loop.runs, key=lambda run: run.iteration):
            runs = list(group)
            for turn in turns:
                for run in runs:
                    begin, end = self._loop.columns[run.call - self._loop.first][turn]
                    if begin < end:
                        yield self._run(run.call, (run.begin, run.end), (begin, end))

    def _run(self, call: int, rows: tuple[int, int], columns: tuple[int, int] | None) -> LayerRun:
        layer = self._layers[call]
        inputs, output = tuple(map(self._layout.number, layer.inputs)), self._layout.number(layer.output)
        needs = tuple(
            self._need(number, down, side, rows, columns)
            for number, (down, side) in zip(inputs, layer.windows, strict=True)
        )
        where = f"{'channels' if self._loop.by_channels else 'rows'} {rows[0]} to {rows[1]}" + (
            f", columns {columns[0]} to {columns[1]}" if columns else ""
        )
        target: Part = None
        stored = layer.stored_bytes
        if not layer.accumulates and self._loop.by_channels:
            target = Channels(*rows)
            stored = len(self._layout.channels(output, target)[0])
        elif not layer.accumulates:
            target = Region(*rows, *(columns or (0, self._layout.buffers[output].columns)))
            stored *= target.pixels
        return LayerRun(layer, self._layout, stored, target, inputs, output, needs, f", {where}")

    def _need(
        self,
        number: int,
        down: Window | None,
        side: Window | None,
        rows: tuple[int, int],
        columns: tuple[int, int] | None,
    ) -> Part:
        """Rows and columns under the window, as far as there are; None for all of a buffer that holds its tensor."""
        if down is None:
            return None
        if self._loop.by_channels:
            return Channels(*_reached(down, rows, self._layout.buffers[number].channels))
        width = self._layout.buffers[number].columns
        height = self._rows.get(number, self._layout.rows(number))
        across = (0, width) if side is None or columns is None else _reached(side, columns, width)
        return Region(*_reached(down, rows, height), *across)


def _reached(window: Window, made: tuple[int, int], extent: int) -> tuple[int, int]:
    first = window.stride * made[0] + window.first
    last = window.stride * (made[1] - 1) + window.last
    return max(0, min(first, extent)), max(0, min(last + 1, extent))
