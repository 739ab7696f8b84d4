"""In which order a fused loop makes the rows of its layers, and how many rows of each tensor it must keep.

Iteration i makes rows [hi(i - 1), hi(i)) of every layer, hi being a clamped linear function of i, rounded down: no row
twice, no prologue apart, a ragged last step for free, and a layer in front of a stride goes row by row too. Line
buffers: StreamNet (NeurIPS 2023), msf-CNN; a tensor's rows wait in a ring for as long as its slowest reader lags, which
is what a residual needs.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lowtide.graph.program import Window
from lowtide.graph.row_ranges import LineBuffer, Reread, RowRange, RowSchedule
from lowtide.graph.stages import Stage, UnschedulableError, kept_inside, needed_window, seen_through


def schedule_rows(
    stages: Sequence[Stage], escaping: Collection[int], tile: int = 1, recompute: Collection[int] = ()
) -> RowSchedule:
    """The schedule of a fused loop.

    Args:
        stages: in an order in which each comes after those whose output it reads; the last one drives the loop.
        escaping: tensors written inside that are needed whole after the loop.
        tile: rows an iteration of the stage that has the most to make; those behind a stride make one now and then.
        recompute: positions of stages whose rows are recomputed for every row of their one reader (patches), not kept.

    Raises:
        UnschedulableError: a reader needs more than a window of a tensor made inside, or readers go at different paces.
    """
    paced = paced_schedule(stages, escaping, tile, recompute)
    once = seen_through(stages, recompute)
    cached = paced if not recompute else paced_schedule(once, escaping, tile)
    line_buffers = _line_buffers(cached, once, kept_inside(once, escaping))
    return replace(paced, line_buffers={**line_buffers, **recomputed_rows(paced, stages, recompute)})


def paced_schedule(
    stages: Sequence[Stage], escaping: Collection[int], tile: int, recompute: Collection[int] = ()
) -> RowSchedule:
    """`schedule_rows` without the line buffers."""
    readers = {number: _reader(stages, number, escaping) for number in recompute}
    cached = _cached_schedule(seen_through(stages, recompute), escaping, tile)
    if not readers:
        return cached
    # what is recomputed takes its place between the others, whose ranges come in the stages' order
    ranges_of_others = iter(cached.ranges)
    ranges = tuple(
        Reread(*readers[number], stage.rows) if number in readers else next(ranges_of_others)
        for number, stage in enumerate(stages)
    )
    return RowSchedule(ranges, cached.start, cached.stop, {})


def recomputed_rows(
    schedule: RowSchedule, stages: Sequence[Stage], recompute: Collection[int]
) -> dict[int, LineBuffer]:
    """What each tensor needs that is recomputed: the most rows of one iteration."""
    line_buffers: dict[int, LineBuffer] = {}
    for number in recompute:
        begins, ends = schedule.bounds(number)
        line_buffers[stages[number].output] = LineBuffer(int((ends - begins).max()), carried=False)
    return line_buffers


def _reader(stages: Sequence[Stage], number: int, escaping: Collection[int]) -> tuple[int, Window]:
    """The one stage that reads what this one recomputes, and its window."""
    tensor = stages[number].output
    found = [(n, window) for n, stage in enumerate(stages) for read, window in stage.inputs if read == tensor]
    if len(found) != 1 or tensor in escaping or stages[number].accumulates:
        raise UnschedulableError(f"layer {number + 1} of the chain can't be recomputed: not one layer alone reads it")
    reader, window = found[0]
    return reader, needed_window(window, number)


def _cached_schedule(stages: Sequence[Stage], escaping: Collection[int], tile: int) -> RowSchedule:
    """The schedule of stages that make every row once.

    With the fastest stage making `tile` rows an iteration, a stage that makes 1/d as many has the divisor d. Offsets
    then say how far ahead of the last stage a stage must be: the rows of its readers' windows, in its readers' time.
    """
    links = _links(stages)
    paces = _paces(links, len(stages))
    fastest = max(paces)
    divisors = [fastest // pace for pace in paces]
    offsets = [0] * len(stages)
    offsets[-1] = fastest
    # From the last reader back, so that the offset of a reader is final before that of its source follows from it.
    for link in sorted(links, key=lambda link: -link.reader):
        # the source's rows are there in the iteration in which the reader needs them
        ahead = offsets[link.reader] + divisors[link.source] * (link.window.last + 1 - link.window.stride)
        offsets[link.source] = max(offsets[link.source], ahead)
    ranges = tuple(
        RowRange(tile, offset, divisor, stage.rows)
        for offset, divisor, stage in zip(offsets, divisors, stages, strict=True)
    )
    # The first iteration in which any stage makes a row, and the one after the last stage's last row.
    start = min(-((rows.offset - rows.divisor) // tile) for rows in ranges)
    stop = -(-(stages[-1].rows - 1) * fastest // tile) + 1
    for number, stage in enumerate(stages):
        if stage.output in escaping and ranges[number].ends(np.array(stop - 1)) < stage.rows:
            message = f"the loop ends before layer {number + 1} of the chain has made all its rows"
            raise UnschedulableError(message, for_now=True)
    return RowSchedule(ranges, start, stop, {})


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
            links.append(_Link(source, reader, needed_window(window, source)))
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
    bounds = [schedule.bounds(number) for number in range(len(stages))]
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
        most = int((end - np.minimum(needed, begin)).max())
        # A row that is needed from before the iteration's own begin was made by an earlier iteration.
        carried = bool((needed < begin).any())
        line_buffers[stages[source].output] = LineBuffer(min(max(1, most), stages[source].rows), carried)
    return line_buffers
