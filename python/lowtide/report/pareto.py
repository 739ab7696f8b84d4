"""The front of RAM against work, as a picture and as a page: each point is a plan that was compiled and run."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lowtide.report.template import Tick, clean, template

WIDTH, HEIGHT = 420.0, 340.0
"""Size of a panel's plot, in pixels."""
LEFT, GAP, RIGHT, TOP, BOTTOM = 84.0, 110.0, 120.0, 84.0, 60.0
LABEL_HEIGHT = 14.0


@dataclass(frozen=True)
class Point:
    """A plan, measured; sizes in bytes as in `Report`.

    Attributes:
        number: 1 for whole layers, then by falling arena.
        loops: how many fused loops the plan has.
        cost: what it costs more than whole layers, in predicted instructions.
        predicted: the instructions of one inference, by the cost model.
        instructions: the instructions of one inference, counted; None where there is no emulator that could run it.
    """

    number: int
    loops: int
    cost: int
    predicted: int
    arena_bytes: int
    stack_bytes: int
    data_bytes: int
    sram_bytes: int
    flash_bytes: int
    macs: int
    baseline_macs: int
    instructions: int | None

    def beats(self, other: Point) -> bool:
        """Whether nobody would take the other: it needs no less of anything, and more of something."""
        mine, its = ((p.sram_bytes, p.macs, p.instructions or 0) for p in (self, other))
        return mine != its and all(a <= b for a, b in zip(mine, its, strict=True))


def on_front(points: Sequence[Point]) -> tuple[bool, ...]:
    """For each point, whether no other beats it."""
    return tuple(not any(other.beats(point) for other in points) for point in points)


@dataclass(frozen=True)
class _Dot:
    x: float
    y: float
    filled: bool
    tooltip: str
    label: str


@dataclass(frozen=True)
class _Panel:
    left: float
    title: str
    ticks: Sequence[Tick]
    dots: Sequence[_Dot]
    line: str


def pareto_svg(title: str, points: Sequence[Point]) -> str:
    """RAM over MACs, and over instructions where all points have them, as a standalone SVG document.

    Args:
        title: the headline, e.g. model and target.
        points: at least one.

    The same arguments give the same text.
    """
    most = max(point.sram_bytes for point in points)
    step = _nice(most / 6)
    top = step * math.ceil(most / step)
    panels = [_panel(0, "MACs", points, [point.macs for point in points], top)]
    instructions = [point.instructions for point in points if point.instructions is not None]
    if len(instructions) == len(points):
        panels.append(_panel(1, "instructions", points, instructions, top))
    right = panels[-1].left + WIDTH
    return template("pareto.svg.jinja").render(
        title=clean(title),
        subtitle=_subtitle(points),
        width=right + RIGHT,
        height=TOP + HEIGHT + BOTTOM,
        top=TOP,
        bottom=TOP + HEIGHT,
        panel_width=WIDTH,
        panels=panels,
        byte_ticks=[Tick(_y(value, top), f"{value:,}") for value in range(0, top + 1, step)],
    )


def pareto_page(title: str, picture: str, points: Sequence[Point], model: str, target: str) -> str:
    """The picture with a table below it, as a standalone HTML page.

    Args:
        title: the headline.
        picture: what `pareto_svg` made.
        points: those in the picture.
        model, target: for the commands that compile them.
    """
    return template("pareto.html.jinja").render(
        title=clean(title),
        picture=picture[picture.index("<svg") :],
        rows=list(zip(points, on_front(points), strict=True)),
        first=points[0],
        model=clean(model),
        target=target,
    )


def _subtitle(points: Sequence[Point]) -> str:
    ram = [point.sram_bytes for point in points]
    count = "1 plan" if len(points) == 1 else f"{len(points)} plans"
    text = f"{count} · RAM {max(ram):,} to {min(ram):,} bytes"
    return text if all(on_front(points)) else f"{text} · hollow: another takes no more of anything"


def _panel(position: int, what: str, points: Sequence[Point], values: Sequence[int], top: int) -> _Panel:
    left = LEFT + position * (WIDTH + GAP)
    low, high = _range(values)

    def x(value: float) -> float:
        return left + WIDTH * (value - low) / (high - low)

    dots = _dots(points, [x(value) for value in values], what, values, top)
    # a stair: with the RAM of a point one can have what it takes, and no less
    front = sorted((dot for dot in dots if dot.filled), key=lambda dot: (dot.x, dot.y))
    corners = [(front[0].x, front[0].y)] if front else []
    for dot in front[1:]:
        corners += [(dot.x, corners[-1][1]), (dot.x, dot.y)]
    return _Panel(
        left=left,
        title=f"RAM in bytes over {what} of one inference",
        ticks=_ticks(low, high, x),
        dots=dots,
        line=" ".join(f"{a:.2f},{b:.2f}" for a, b in corners),
    )


def _dots(points: Sequence[Point], xs: Sequence[float], what: str, values: Sequence[int], top: int) -> list[_Dot]:
    """The points; one whose label would lie on another's has its name in the tooltip alone."""
    ys = [_y(point.sram_bytes, top) for point in points]
    labelled: list[int] = []
    # the ends first: they say the most
    for index in dict.fromkeys((len(points) - 1, *range(len(points)))):
        near = (other for other in labelled if abs(xs[index] - xs[other]) < RIGHT)
        if all(abs(ys[index] - ys[other]) >= LABEL_HEIGHT for other in near):
            labelled.append(index)
    filled = on_front(points)
    return [
        _Dot(
            x=xs[index],
            y=ys[index],
            filled=filled[index],
            tooltip=(
                f"point {point.number}\nRAM {point.sram_bytes:,} bytes (arena {point.arena_bytes:,})\n"
                f"{values[index]:,} {what}\n{point.predicted:,} instructions predicted\n{point.loops} fused loops"
            ),
            label=f"{point.number} · {point.sram_bytes:,}" if index in labelled else "",
        )
        for index, point in enumerate(points)
    ]


def _y(value: float, top: int) -> float:
    return TOP + HEIGHT * (1 - value / top)


def _nice(least: float) -> int:
    """The least of 1, 2, 5, 10, 20, … that is no less."""
    power = 10 ** max(0, math.floor(math.log10(max(least, 1))))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least)


def _range(values: Sequence[int]) -> tuple[float, float]:
    """The ends of an axis that shows the values with a margin; a tenth on each side where all are the same."""
    low, high = min(values), max(values)
    margin = 0.08 * (high - low) if high > low else max(0.1 * high, 1)
    return low - margin, high + margin


def _ticks(low: float, high: float, x: Callable[[float], float]) -> list[Tick]:
    """The marks of an axis: at most six multiples of a round number."""
    step = _nice((high - low) / 5)
    first = math.ceil(low / step) * step
    return [Tick(x(value), _short(value, step)) for value in range(first, math.floor(high) + 1, step)]


def _short(value: int, step: int) -> str:
    """The value as a mark shows it: in millions where the step is a round part of one."""
    decimals = max(0, 6 - len(str(step)) + 1)
    return f"{value / 1e6:,.{decimals}f} M" if decimals <= 2 else f"{value:,}"
