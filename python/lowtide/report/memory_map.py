"""The memory map: a picture of the arena, time across and bytes up, each buffer a rectangle."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lowtide.errors import InternalError
from lowtide.placement import PlacedBuffer, taken_bytes
from lowtide.report.template import Tick, clean, template

LEFT, RIGHT, TOP, BOTTOM = 92.0, 36.0, 104.0, 36.0
"""Margins around the plot, in pixels; names of steps that stand slanted take more at the bottom."""
PLOT_HEIGHT = 540.0
PLOT_WIDTHS = (820.0, 1700.0)
STEP_WIDTH = 14.0
"""Width of a step where there are enough of them to widen the plot."""
CHARACTER, LINE = 6.5, 14.0
"""Size of a character of a label, in pixels, a little more than any common sans-serif needs."""
TICK_NAME, TICK_SPACING, SLANT = 22, 20.0, 50
"""Step names below the axis: most characters, and where they are slanted least pixels apart and degrees."""
SHORTEST_LABEL = 10
"""Characters of a name cut short; fewer tell nothing."""
MANY_STEPS = 40
"""Beyond so many steps the boxes' borders would hide the boxes: thin ones then."""

PALETTE = (
    ("#a6cee3", "#2b6f99"),
    ("#fdd49e", "#b3701a"),
    ("#b8e0a8", "#3c8a2e"),
    ("#f7bcb9", "#b8413c"),
    ("#d2c3e6", "#6b4a9e"),
    ("#f5e89a", "#94830f"),
    ("#b5e3dc", "#23867a"),
    ("#f3c6e0", "#a83f80"),
    ("#d5d8dc", "#5c6670"),
)
"""Fill and border; all fills are light enough for black labels (contrast above 10)."""

_STRIPED = " · striped: bytes that a layer's output takes over from its input"


@dataclass(frozen=True)
class _Scale:
    """How steps and bytes become pixels of the plot."""

    steps: int
    top_bytes: int

    @property
    def width(self) -> float:
        return min(max(PLOT_WIDTHS[0], self.steps * STEP_WIDTH), PLOT_WIDTHS[1])

    @property
    def column(self) -> float:
        return self.width / self.steps

    def x(self, step: float) -> float:
        return LEFT + step * self.column

    def y(self, offset: float) -> float:
        return TOP + PLOT_HEIGHT * (1 - offset / self.top_bytes)


@dataclass(frozen=True)
class _Text:
    """Lines of a label around the middle of a box, turned or not."""

    lines: tuple[str, ...]
    turned: bool = False


@dataclass(frozen=True)
class _Box:
    x: float
    y: float
    width: float
    height: float
    fill: str
    border: str
    tooltip: str
    label: _Text
    label_x: float


@dataclass(frozen=True)
class _Shared:
    """Where a later buffer lies over an earlier one: striped in the earlier one's colour."""

    x: float
    y: float
    width: float
    height: float
    pattern: int


@dataclass(frozen=True)
class _Peak:
    x: float
    width: float
    label_x: float
    anchor: str
    label: str


def memory_map_svg(
    title: str, buffers: Sequence[PlacedBuffer], steps: Sequence[str], arena_bytes: int, budget: int | None = None
) -> str:
    """The memory map as a standalone SVG document.

    Args:
        title: the headline, e.g. model and target.
        buffers: all of them with offsets; they may share bytes.
        steps: names of the steps in execution order; `first` and `last` of the buffers are indices into it.
        arena_bytes: size of the arena.
        budget: bytes that the arena may take, drawn as a line where it is near and told in the subtitle.

    Where a buffer lies over one that is still live, because each byte is written after it was read for the last time,
    the place is striped. The same arguments give the same text. Raises `InternalError` for a buffer outside the steps
    or the arena.
    """
    for buffer in buffers:
        _check(buffer, len(steps), arena_bytes)
    near_budget = budget if budget is not None and arena_bytes * 0.5 <= budget <= arena_bytes * 1.5 else None
    scale = _Scale(max(1, len(steps)), max(1, arena_bytes, near_budget or 0))
    shared = _shared(scale, buffers)
    slanted, ticks = _step_ticks(scale, steps)
    return template("memory_map.svg.jinja").render(
        title=clean(title),
        subtitle=_subtitle(buffers, arena_bytes, budget) + (_STRIPED if shared else ""),
        width=LEFT + scale.width + RIGHT,
        height=TOP + PLOT_HEIGHT + BOTTOM + (_slanted_height(ticks) if slanted else 0),
        left=LEFT,
        right=LEFT + scale.width,
        top=TOP,
        bottom=TOP + PLOT_HEIGHT,
        boxes=[_box(scale, buffers, index) for index in range(len(buffers))],
        shared=shared,
        palette=PALETTE,
        border_width=0.6 if len(steps) > MANY_STEPS else 1,
        byte_ticks=_byte_ticks(scale),
        step_ticks=ticks,
        slant=SLANT if slanted else None,
        line=LINE,
        arena=Tick(scale.y(arena_bytes), f"arena {arena_bytes:,} B"),
        budget=None if near_budget is None else Tick(scale.y(near_budget), f"budget {near_budget:,} B"),
        peak=_peak(scale, buffers, steps),
    )


def _check(buffer: PlacedBuffer, steps: int, arena_bytes: int) -> None:
    where = f"buffer '{buffer.name}'"
    if not 0 <= buffer.first <= buffer.last < steps:
        message = f"live in steps {buffer.first} to {buffer.last}, there are {steps} steps"
        raise InternalError("report", message, where=where)
    if buffer.size < 0 or buffer.offset < 0 or buffer.offset + buffer.size > arena_bytes:
        end = buffer.offset + buffer.size
        raise InternalError("report", f"bytes {buffer.offset} to {end} of an arena of {arena_bytes}", where=where)


def _cut(text: str, characters: int) -> str:
    """The head and the tail of a long text: names of layers differ at the end."""
    if len(text) <= characters:
        return text
    tail = (characters - 1) // 2
    return f"{text[: characters - 1 - tail]}…{text[len(text) - tail :]}"


def _subtitle(buffers: Sequence[PlacedBuffer], arena_bytes: int, budget: int | None) -> str:
    count = "1 buffer" if len(buffers) == 1 else f"{len(buffers):,} buffers"
    if budget is None:
        return f"arena {arena_bytes:,} bytes · {count}"
    if budget < arena_bytes:
        return f"arena {arena_bytes:,} bytes, {arena_bytes - budget:,} over the budget of {budget:,} · {count}"
    return f"arena {arena_bytes:,} bytes of a budget of {budget:,} · {count}"


def _overlap(one: PlacedBuffer, other: PlacedBuffer) -> tuple[int, int, int, int] | None:
    """First and last step and first and last byte (exclusive) that two buffers share."""
    first, last = max(one.first, other.first), min(one.last, other.last)
    low, high = max(one.offset, other.offset), min(one.offset + one.size, other.offset + other.size)
    return (first, last, low, high) if first <= last and low < high else None


def _label_spans(buffers: Sequence[PlacedBuffer], index: int) -> list[tuple[int, int]]:
    """Steps where the label may go, best first: where the buffer is alone, where it is on top, where it is at all."""
    buffer = buffers[index]
    under = [cell[1] + 1 for other in buffers[:index] if (cell := _overlap(buffer, other)) is not None]
    over = [cell[0] - 1 for other in buffers[index + 1 :] if (cell := _overlap(buffer, other)) is not None]
    low, high = max(under, default=buffer.first), min(over, default=buffer.last)
    spans = [(low, high), (buffer.first, high), (buffer.first, buffer.last)]
    return [span for span in spans if span[0] <= span[1]]


def _shared(scale: _Scale, buffers: Sequence[PlacedBuffer]) -> list[_Shared]:
    cells: list[_Shared] = []
    for index, buffer in enumerate(buffers):
        for other in buffers[index + 1 :]:
            if (cell := _overlap(buffer, other)) is not None:
                first, last, low, high = cell
                width, height = scale.x(last + 1) - scale.x(first), scale.y(low) - scale.y(high)
                cells.append(_Shared(scale.x(first), scale.y(high), width, height, index % len(PALETTE)))
    return cells


def _box(scale: _Scale, buffers: Sequence[PlacedBuffer], index: int) -> _Box:
    buffer = buffers[index]
    left, right = scale.x(buffer.first), scale.x(buffer.last + 1)
    top, bottom = scale.y(buffer.offset + buffer.size), scale.y(buffer.offset)
    fill, border = PALETTE[index % len(PALETTE)]
    end = buffer.offset + buffer.size
    tooltip = (
        f"{clean(buffer.name)}\n{buffer.size:,} bytes at offset {buffer.offset:,} (to {end:,})\n"
        f"live in steps {buffer.first} to {buffer.last}"
    )
    label, label_x = _Text(()), left
    for low, high in _label_spans(buffers, index):
        if not label.lines:
            width = scale.x(high + 1) - scale.x(low)
            label_x = scale.x(low) + width / 2
            label = _label(clean(buffer.name), f"{buffer.size:,}", width, bottom - top)
    return _Box(left, top, right - left, bottom - top, fill, border, tooltip, label, label_x)


def _label(name: str, size: str, width: float, height: float) -> _Text:
    """Name and size across, else turned, else the name cut short, else nothing."""
    if _fits(name, width, height):
        return _Text(_lines(name, size, width, height))
    if _fits(name, height, width):
        return _Text(_lines(name, size, height, width), turned=True)
    turned = height > width
    along, across = (height, width) if turned else (width, height)
    room = int((along - 6) / CHARACTER)
    if room < SHORTEST_LABEL or across < LINE:
        return _Text(())
    return _Text(_lines(_cut(name, room), size, along, across), turned)


def _fits(text: str, along: float, across: float) -> bool:
    return len(text) * CHARACTER + 6 <= along and across >= LINE


def _lines(name: str, size: str, along: float, across: float) -> tuple[str, ...]:
    if _fits(f"{name} · {size}", along, across) and across < 2 * LINE:
        return (f"{name} · {size}",)
    if _fits(size, along, across) and across >= 2 * LINE + 2:
        return name, size
    return (name,)


def _byte_ticks(scale: _Scale) -> list[Tick]:
    """About eight ticks at multiples of a power of two."""
    step = 2 ** max(0, math.ceil(math.log2(scale.top_bytes / 10)))
    unit, name = (1024, "KiB") if step >= 1024 else (1, "B")
    values = range(0, scale.top_bytes + 1, step)
    return [Tick(scale.y(value), f"{value // unit:,} {name}" if value else "0") for value in values]


def _step_ticks(scale: _Scale, steps: Sequence[str]) -> tuple[bool, list[Tick]]:
    """Numbers and names at the middle of the steps; slanted where they are long, thinned where they are many."""
    names = [_cut(f"{index}: {clean(name)}", TICK_NAME) for index, name in enumerate(steps)]
    slanted = max((len(name) for name in names), default=0) * CHARACTER + 8 > scale.column
    every = math.ceil(TICK_SPACING / scale.column) if slanted else 1
    return slanted, [Tick(scale.x(index + 0.5), names[index]) for index in range(0, len(names), every)]


def _slanted_height(ticks: Sequence[Tick]) -> float:
    return max(len(tick.label) for tick in ticks) * CHARACTER * math.sin(math.radians(SLANT))


def _peak(scale: _Scale, buffers: Sequence[PlacedBuffer], steps: Sequence[str]) -> _Peak | None:
    """The step that takes the most bytes of the arena; of several such steps the highest, then the first."""
    if not buffers:
        return None
    live, highest = [0] * len(steps), [0] * len(steps)
    for buffer in buffers:
        for step in range(buffer.first, buffer.last + 1):
            live[step] += buffer.size
            highest[step] = max(highest[step], buffer.offset + buffer.size)
    taken = [taken_bytes(buffers, step) for step in range(len(steps))]
    step = max(range(len(steps)), key=lambda step: (taken[step], highest[step], -step))
    middle = (step + 0.5) / len(steps)
    anchor = "start" if middle < 0.3 else "end" if middle > 0.7 else "middle"
    label = f"peak at step {step}, {_cut(clean(steps[step]), 40)}: {live[step]:,} bytes live"
    if taken[step] < live[step]:
        label += f" in {taken[step]:,}"
    return _Peak(scale.x(step), scale.column, scale.x(step + 0.5), anchor, label)
