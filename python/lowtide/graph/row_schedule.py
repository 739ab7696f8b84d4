"""In which order a fused loop makes the rows of its layers, and how many rows of each tensor it must keep.

Iteration i makes rows [hi(i - 1), hi(i)) of every layer, hi being a clamped linear function of i, rounded down: no row
twice, no prologue apart, a ragged last step for free, and a layer in front of a stride goes row by row too. Line
buffers: StreamNet (NeurIPS 2023), msf-CNN; a tensor's rows wait in a ring for as long as its slowest reader lags, which
is what a residual needs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from lowtide.graph.program import RowAccess, Window, hull, mirrored

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Stage:
    """A layer of a fused loop.

    Attributes:
        inputs: tensors that it reads and their windows, None for any row.
        output: the tensor that it writes.
        rows: how many rows it goes through: of its output, or of its input where it accumulates.
        accumulates: it takes its input by rows, and its output is complete after the last.
        columns: as `rows`, of the dimension after the rows; None where it can't go by columns.
        column_inputs: as `inputs`, by columns.
    """

    inputs: tuple[tuple[int, Window | None], ...]
    output: int
    rows: int
    accumulates: bool = False
    columns: int | None = None
    column_inputs: tuple[tuple[int, Window | None], ...] = ()


@dataclass(frozen=True)
class RowRange:
    """The rows that a layer has made after iteration i: ⌊(slope·i + offset) / divisor⌋, from 0 to `rows`."""

    slope: int
    offset: int
    divisor: int
    rows: int

    def end(self, iteration: int) -> int:
        """Rows made when the iteration is over."""
        return max(0, min(self.rows, (self.slope * iteration + self.offset) // self.divisor))

    def ends(self, iterations: Integers) -> Integers:
        """`end` of each of them."""
        return np.minimum(np.maximum((self.slope * iterations + self.offset) // self.divisor, 0), self.rows)


@dataclass(frozen=True)
class Reread:
    """Rows that are recomputed each time the one stage that reads them needs them.

    Attributes:
        reader: position of that stage.
        window: what it needs.
        rows: of the tensor.
    """

    reader: int
    window: Window
    rows: int

    def bounds(self, begin: int, end: int) -> tuple[int, int]:
        """What is made for the reader's rows [begin, end): nothing where those are none."""
        low = begin * self.window.stride + self.window.first
        high = low + (end - begin) * self.window.stride + min(end - begin, 1) * self.margin
        return max(0, min(self.rows, low)), max(0, min(self.rows, high))

    def all_bounds(self, begins: Integers, ends: Integers) -> tuple[Integers, Integers]:
        """`bounds` of each pair."""
        lows = begins * self.window.stride + self.window.first
        highs = lows + (ends - begins) * self.window.stride + np.minimum(ends - begins, 1) * self.margin
        return np.minimum(np.maximum(lows, 0), self.rows), np.minimum(np.maximum(highs, 0), self.rows)

    @property
    def margin(self) -> int:
        """Rows that the reader needs beyond its stride."""
        return self.window.last + 1 - self.window.first - self.window.stride


@dataclass(frozen=True)
class LineBuffer:
    """How many rows of a tensor inside the loop exist at a time, and whether any outlives an iteration.

    In a loop by columns, how many pixels; a block of `rows` by `columns` of them where they are recomputed.
    """

    rows: int
    carried: bool
    columns: int | None = None


@dataclass(frozen=True)
class RowSchedule:
    """A fused loop over `range(start, stop)`.

    Attributes:
        ranges: of each stage, in their order.
        kept: of each tensor that stays inside the loop.
    """

    ranges: tuple[RowRange | Reread, ...]
    start: int
    stop: int
    line_buffers: Mapping[int, LineBuffer]

    @cached_property
    def cached_ranges(self) -> tuple[RowRange, ...]:
        """Of the stages that make every row once."""
        return tuple(rows for rows in self.ranges if isinstance(rows, RowRange))

    @property
    def largest_index(self) -> int:
        """The largest number, whatever its sign, that the loop calculates with before a row is clamped."""
        ends = (self.start - 1, self.stop)
        line_buffers = (
            abs(rows.slope * i) + abs(rows.offset) + rows.slope for rows in self.cached_ranges for i in ends
        )
        recompute = (rows for rows in self.ranges if isinstance(rows, Reread))
        recomputed = (
            abs(rows.window.stride) * rows.rows + abs(rows.window.first) + abs(rows.margin) for rows in recompute
        )
        return max((*line_buffers, *recomputed, *map(abs, ends)), default=0)

    @cached_property
    def _places(self) -> tuple[int, ...]:
        """How many of the stages before each stage are in `cached_ranges`."""
        return tuple(accumulate((isinstance(rows, RowRange) for rows in self.ranges), initial=0))

    @cached_property
    def _ends(self) -> Integers:
        """Rows made by each of `cached_ranges` before the loop and after each of its iterations."""
        table = np.array([(r.slope, r.offset, r.divisor, r.rows) for r in self.cached_ranges], np.int64)
        slopes, offsets, divisors, rows = table.T[:, :, None]
        made = (slopes * np.arange(self.start - 1, self.stop) + offsets) // divisors
        return np.minimum(np.maximum(made, 0), rows)

    def bounds(self, stage: int, iteration: int) -> tuple[int, int]:
        """First row and end of what a stage makes in an iteration."""
        rows = self.ranges[stage]
        if isinstance(rows, RowRange):
            return rows.end(iteration - 1), rows.end(iteration)
        return rows.bounds(*self.bounds(rows.reader, iteration))

    def runs(self) -> list[tuple[int, int, int, int]]:
        """Iteration, stage, first row and end of everything that runs, in order."""
        bounds = [self.all_bounds(stage) for stage in range(len(self.ranges))]
        begins, ends = (np.array(of_stage).T for of_stage in zip(*bounds, strict=True))
        turns, stages = np.nonzero(begins < ends)
        columns = (turns + self.start, stages, begins[turns, stages], ends[turns, stages])
        return list(zip(*(column.tolist() for column in columns), strict=True))

    def rows_made(self, stage: int) -> int:
        """Rows that a stage makes in all."""
        begins, ends = self.all_bounds(stage)
        return int(np.maximum(ends - begins, 0).sum())

    def turns(self) -> tuple[tuple[tuple[int, int], ...], ...]:
        """Of each stage what it makes in each iteration, first and end."""
        bounds = (self.all_bounds(stage) for stage in range(len(self.ranges)))
        return tuple(tuple(zip(begins.tolist(), ends.tolist(), strict=True)) for begins, ends in bounds)

    def all_bounds(self, stage: int) -> tuple[Integers, Integers]:
        """`bounds` in each iteration."""
        rows = self.ranges[stage]
        if isinstance(rows, RowRange):
            ends = self._ends[self._places[stage]]
            return ends[:-1], ends[1:]
        return rows.all_bounds(*self.all_bounds(rows.reader))


def stage_of(
    access: RowAccess, output: int, extents: Mapping[int, tuple[int, int]], inside: Collection[int]
) -> Stage | None:
    """How a layer takes part in a loop that makes the tensors `inside`; None where it can't.

    Args:
        access: what it can do.
        output: the tensor that it writes.
        extents: rows and columns of each tensor that it uses.
    """
    rows, columns = extents[output]
    if access.windows is not None and _has_windows(access.windows, inside):
        if access.columns is None or not _has_windows(access.columns, inside):
            return Stage(access.windows, output, rows)
        return Stage(access.windows, output, rows, columns=columns, column_inputs=access.columns)
    if access.accumulates is not None:
        rows, columns = extents[access.accumulates]
        inputs = ((access.accumulates, Window(1, 0, 0)),)
        if not access.by_columns:
            return Stage(inputs, output, rows, accumulates=True)
        return Stage(inputs, output, rows, accumulates=True, columns=columns, column_inputs=inputs)
    return None


def from_the_end(stage: Stage, extents: Mapping[int, tuple[int, int]]) -> Stage:
    """The stage with rows and columns counted from the end.

    Args:
        stage: as `stage_of` gives it.
        extents: rows and columns of each tensor that it reads.
    """
    rows = tuple((t, mirrored(w, extents[t][0], stage.rows)) for t, w in stage.inputs)
    columns = tuple((t, mirrored(w, extents[t][1], stage.columns or 1)) for t, w in stage.column_inputs)
    return replace(stage, inputs=rows, column_inputs=columns)


def _has_windows(windows: Sequence[tuple[int, Window | None]], inside: Collection[int]) -> bool:
    made = [window for tensor, window in windows if tensor in inside]
    return all(window is not None and window.stride > 0 for window in made)


class UnschedulableError(ValueError):
    """The stages can't go by rows together; the message says which and why.

    Attributes:
        for_now: more layers at the end of the chain could change that.
    """

    def __init__(self, message: str, *, for_now: bool = False) -> None:
        super().__init__(message)
        self.for_now = for_now


def schedule_rows(
    stages: Sequence[Stage], escaping: Collection[int], tile: int = 1, recompute: Collection[int] = ()
) -> RowSchedule:
    """The schedule of a fused loop.

    Args:
        stages: in an order in which each comes after those whose output it reads; the last one drives the loop.
        escaping: tensors written inside that are needed whole after the loop.
        tile: rows an iteration of the stage that has the most to make; those behind a stride make one now and then.
        again: positions of stages whose rows are recomputed for every row of their one reader (patches), not kept.

    Raises:
        UnschedulableError: a reader needs more than a window of a tensor made inside, or readers go at different paces.
    """
    paced = paced_schedule(stages, escaping, tile, recompute)
    once = seen_through(stages, recompute)
    cached = paced if not recompute else paced_schedule(once, escaping, tile)
    line_buffers = _line_buffers(cached, once, inside(once, escaping))
    return replace(paced, line_buffers={**line_buffers, **recomputed_rows(paced, stages, recompute)})


def paced_schedule(
    stages: Sequence[Stage], escaping: Collection[int], tile: int, recompute: Collection[int] = ()
) -> RowSchedule:
    """`schedule_rows` without what is kept."""
    if not recompute:
        return _cached_schedule(stages, escaping, tile)
    readers = {number: _reader(stages, number, escaping) for number in recompute}
    places = [number for number in range(len(stages)) if number not in readers]
    cached = _cached_schedule(seen_through(stages, recompute), escaping, tile)
    numbers = {number: place for place, number in enumerate(places)}
    ranges = tuple(
        Reread(*readers[number], stage.rows) if number in readers else cached.ranges[numbers[number]]
        for number, stage in enumerate(stages)
    )
    return RowSchedule(ranges, cached.start, cached.stop, {})


def inside(stages: Sequence[Stage], escaping: Collection[int]) -> list[int]:
    """The stages whose output stays inside the loop."""
    return [n for n, stage in enumerate(stages) if stage.output not in escaping and not stage.accumulates]


def recomputed_rows(
    schedule: RowSchedule, stages: Sequence[Stage], recompute: Collection[int]
) -> dict[int, LineBuffer]:
    """What each tensor needs that is recomputed: the most rows of one iteration."""
    line_buffers: dict[int, LineBuffer] = {}
    for number in recompute:
        begins, ends = schedule.all_bounds(number)
        line_buffers[stages[number].output] = LineBuffer(int((ends - begins).max()), carried=False)
    return line_buffers


def _reader(stages: Sequence[Stage], number: int, escaping: Collection[int]) -> tuple[int, Window]:
    """The one stage that reads what this one recomputes, and its window."""
    tensor = stages[number].output
    found = [(n, window) for n, stage in enumerate(stages) for read, window in stage.inputs if read == tensor]
    if len(found) != 1 or tensor in escaping or stages[number].accumulates:
        raise UnschedulableError(f"layer {number + 1} of the chain can't be recomputed: not one layer alone reads it")
    reader, window = found[0]
    if window is None or window.stride < 1:
        message = f"a reader of layer {number + 1} of the chain needs more of it than a window of rows"
        raise UnschedulableError(message)
    return reader, window


def seen_through(stages: Sequence[Stage], recompute: Collection[int]) -> list[Stage]:
    """The stages but for those that are recomputed, which their readers look through to what those read."""
    if not recompute:
        return list(stages)
    recomputed = {stages[number].output: stages[number] for number in recompute}

    def through(stage: Stage, *, columns: bool) -> tuple[tuple[int, Window | None], ...]:
        found: dict[int, list[Window | None]] = {}
        for tensor, window in stage.column_inputs if columns else stage.inputs:
            inner = (
                through(recomputed[tensor], columns=columns) if tensor in recomputed else ((tensor, Window(1, 0, 0)),)
            )
            for read, below in inner:
                found.setdefault(read, []).append(_composed(window, below))
        return tuple((read, hull(windows)) for read, windows in found.items())

    return [
        replace(stage, inputs=through(stage, columns=False), column_inputs=through(stage, columns=True))
        for number, stage in enumerate(stages)
        if number not in recompute
    ]


def _composed(outer: Window | None, inner: Window | None) -> Window | None:
    """What a reader needs of the input of what it reads."""
    if outer is None or inner is None:
        return None
    first, last = (inner.stride * edge for edge in (outer.first, outer.last))
    return Window(outer.stride * inner.stride, first + inner.first, last + inner.last)


def _cached_schedule(stages: Sequence[Stage], escaping: Collection[int], tile: int) -> RowSchedule:
    """The schedule of stages that make every row once."""
    links = _links(stages)
    paces = _paces(links, len(stages))
    fastest = max(paces)
    divisors = [fastest // pace for pace in paces]
    offsets = [0] * len(stages)
    offsets[-1] = fastest
    for link in sorted(links, key=lambda link: -link.reader):
        # the source's rows are there in the iteration in which the reader needs them
        ahead = offsets[link.reader] + divisors[link.source] * (link.window.last + 1 - link.window.stride)
        offsets[link.source] = max(offsets[link.source], ahead)
    ranges = tuple(
        RowRange(tile, offset, divisor, stage.rows)
        for offset, divisor, stage in zip(offsets, divisors, stages, strict=True)
    )
    start = min(-((rows.offset - rows.divisor) // tile) for rows in ranges)
    stop = -(-(stages[-1].rows - 1) * fastest // tile) + 1
    schedule = RowSchedule(ranges, start, stop, {})
    for number, stage in enumerate(stages):
        if stage.output in escaping and ranges[number].end(stop - 1) < stage.rows:
            message = f"the loop ends before layer {number + 1} of the chain has made all its rows"
            raise UnschedulableError(message, for_now=True)
    return schedule


@dataclass(frozen=True)
class _Link:
    """One stage reads what another makes."""

    source: int
    reader: int
    window: Window


def _links(stages: Sequence[Stage]) -> list[_Link]:
    writer = {stage.output: number for number, stage in enumerate(stages)}
    links: list[_Link] = []
    for reader, stage in enumerate(stages):
        for tensor, window in stage.inputs:
            if tensor not in writer:
                continue
            source = writer[tensor]
            if stages[source].accumulates:
                raise UnschedulableError(f"layer {source + 1} of the chain is complete only after the loop")
            if window is None or window.stride < 1:
                message = f"a reader of layer {source + 1} of the chain needs more of it than a window of rows"
                raise UnschedulableError(message)
            links.append(_Link(source, reader, window))
    return links


def _paces(links: Sequence[_Link], count: int) -> list[int]:
    """Rows of each stage for a row of the last one: the product of the strides between them."""
    paces: list[int | None] = [None] * count
    paces[-1] = 1
    for link in sorted(links, key=lambda link: -link.reader):
        behind = paces[link.reader]
        if behind is None:
            continue
        pace = behind * link.window.stride
        if paces[link.source] not in (None, pace):
            message = f"the readers of layer {link.source + 1} of the chain go through it at different paces"
            raise UnschedulableError(message)
        paces[link.source] = pace
    known = [pace for pace in paces if pace is not None]
    if len(known) < count:
        unread = paces.index(None) + 1
        message = f"nothing in the loop reads what layer {unread} of the chain makes"
        raise UnschedulableError(message, for_now=True)
    return known


def _line_buffers(schedule: RowSchedule, stages: Sequence[Stage], sources: Sequence[int]) -> dict[int, LineBuffer]:
    """The most rows of each of these tensors that are there at once: those made, less those that none needs again."""
    line_buffers: dict[int, LineBuffer] = {}
    bounds = [schedule.all_bounds(number) for number in range(len(stages))]
    readers: dict[int, list[tuple[int, Window]]] = {}
    for reader, stage in enumerate(stages):
        for read, window in stage.inputs:
            if window is not None:
                readers.setdefault(read, []).append((reader, window))
    for source in sources:
        begin, end = bounds[source]
        needed = end
        for reader, window in readers.get(stages[source].output, ()):
            done = bounds[reader][0]
            first = np.maximum(0, window.stride * done + window.first)
            # a reader that has made all its rows needs nothing more
            needed = np.where(done < schedule.cached_ranges[reader].rows, np.minimum(needed, first), needed)
        line_buffers[stages[source].output] = LineBuffer(
            min(max(1, int((end - np.minimum(needed, begin)).max())), stages[source].rows), bool((needed < begin).any())
        )
    return line_buffers
