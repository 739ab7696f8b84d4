"""In which order a fused loop makes the rows of its layers, and how many rows of each tensor it must keep.

Iteration i makes rows [hi(i - 1), hi(i)) of every layer, hi being a clamped linear function of i, rounded down: no row
twice, no prologue apart, a ragged last step for free, and a layer in front of a stride goes row by row too. Line buffers: StreamNet (NeurIPS 2023), msf-CNN; a tensor's rows wait in a
ring for as long as its slowest reader lags, which is what a residual needs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from lowtide.graph.program import RowAccess, Window


@dataclass(frozen=True)
class Stage:
    """A layer of a fused loop.

    Attributes:
        inputs: tensors that it reads and their windows, None for any row.
        output: the tensor that it writes.
        rows: how many rows it goes through: of its output, or of its input where it accumulates.
        accumulates: it takes its input by rows, and its output is complete after the last.
    """

    inputs: tuple[tuple[int, Window | None], ...]
    output: int
    rows: int
    accumulates: bool = False


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


@dataclass(frozen=True)
class Kept:
    """How many rows of a tensor inside the loop exist at a time, and whether any outlives an iteration."""

    rows: int
    carried: bool


@dataclass(frozen=True)
class RowSchedule:
    """A fused loop over `range(start, stop)`.

    Attributes:
        ranges: of each stage, in their order.
        kept: of each tensor that stays inside the loop.
    """

    ranges: tuple[RowRange, ...]
    start: int
    stop: int
    kept: Mapping[int, Kept]

    def runs(self) -> list[tuple[int, int, int, int]]:
        """Iteration, stage, first row and end of everything that runs, in order."""
        found: list[tuple[int, int, int, int]] = []
        for iteration in range(self.start, self.stop):
            for stage, rows in enumerate(self.ranges):
                begin, end = rows.end(iteration - 1), rows.end(iteration)
                if begin < end:
                    found.append((iteration, stage, begin, end))
        return found


def stage_of(access: RowAccess, output: int, rows: Mapping[int, int], inside: Collection[int]) -> Stage | None:
    """How a layer takes part in a loop that makes the tensors `inside`; None where it can't.

    Args:
        access: what it can do.
        output: the tensor that it writes.
        rows: of each tensor that it uses.
    """
    if access.windows is not None:
        made = [window for tensor, window in access.windows if tensor in inside]
        if all(window is not None and window.stride > 0 for window in made):
            return Stage(access.windows, output, rows[output])
    if access.accumulates is not None:
        return Stage(((access.accumulates, Window(1, 0, 0)),), output, rows[access.accumulates], accumulates=True)
    return None


class UnschedulableError(ValueError):
    """The stages can't go by rows together; the message says which and why.

    Attributes:
        for_now: more layers at the end of the chain could change that.
    """

    def __init__(self, message: str, *, for_now: bool = False) -> None:
        super().__init__(message)
        self.for_now = for_now


def schedule_rows(stages: Sequence[Stage], escaping: Collection[int], tile: int = 1) -> RowSchedule:
    """The schedule of a fused loop.

    Args:
        stages: in an order in which each comes after those whose output it reads; the last one drives the loop.
        escaping: tensors written inside that are needed whole after the loop.
        tile: rows an iteration of the stage that has the most to make; those behind a stride make one now and then.

    Raises:
        UnschedulableError: a reader needs more than a window of a tensor made inside, or readers go at different paces.
    """
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
    inside = [n for n, stage in enumerate(stages) if stage.output not in escaping and not stage.accumulates]
    kept = {stages[n].output: _kept(schedule, stages, n) for n in inside}
    return RowSchedule(ranges, start, stop, kept)


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


def _kept(schedule: RowSchedule, stages: Sequence[Stage], source: int) -> Kept:
    """The most rows of a tensor that are there at once: those made, less those that no reader needs again."""
    tensor, made = stages[source].output, schedule.ranges[source]
    windows = [
        (schedule.ranges[n], window)
        for n, stage in enumerate(stages)
        for read, window in stage.inputs
        if read == tensor and window is not None
    ]
    most, carried = 1, False
    for iteration in range(schedule.start, schedule.stop):
        begin, end = made.end(iteration - 1), made.end(iteration)
        pending = [
            max(0, window.stride * rows.end(iteration - 1) + window.first)
            for rows, window in windows
            if rows.end(iteration - 1) < rows.rows
        ]
        needed = min(pending, default=end)
        most = max(most, end - min(needed, begin))
        carried = carried or needed < begin
    return Kept(min(most, stages[source].rows), carried)
