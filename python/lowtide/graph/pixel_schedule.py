"""In which order a fused loop by rows and columns makes the pixels of its layers, and how many of each it must keep.

A pixel is a row at a column, with all its channels. Within a row the layers follow each other column by column, as rows
do in `lowtide.graph.row_schedule`, so that a line buffer holds whole rows only up to the one that is being made.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lowtide.graph.program import Window
from lowtide.graph.row_ranges import Integers, LineBuffer, RowRange, RowSchedule
from lowtide.graph.row_schedule import paced_schedule, recomputed_rows
from lowtide.graph.stages import Stage, UnschedulableError, across, kept_inside, seen_through


@dataclass(frozen=True)
class PixelSchedule:
    """A fused loop over rows, and inside it one over columns.

    Attributes:
        rows, columns: the two loops.
        line_buffers: of each tensor that stays inside, in pixels: pixel p = row * columns + column lies at p modulo
            its `rows`.
    """

    rows: RowSchedule
    columns: RowSchedule
    line_buffers: Mapping[int, LineBuffer]


def schedule_pixels(
    stages: Sequence[Stage], escaping: Collection[int], tile: int = 1, recompute: Collection[int] = ()
) -> PixelSchedule:
    """The schedule of a fused loop by rows and columns: a row at a time, `tile` columns of the fastest stage.

    Args:
        stages, escaping: as for `schedule_rows`.
        tile: columns a turn of the loop inside.
        recompute: as for `schedule_rows`.

    Raises:
        UnschedulableError: as for `schedule_rows`, or a stage has no columns.
    """
    rows = paced_schedule(stages, escaping, 1, recompute)
    for number, stage in enumerate(stages):
        if stage.columns is None:
            raise UnschedulableError(f"layer {number + 1} of the chain can't be computed by columns")
    sideways = [*map(across, stages)]
    columns = paced_schedule(sideways, escaping, tile, recompute)
    # Line buffers are those of the layers that are not recomputed, which read through those that are.
    cached = seen_through(stages, recompute)
    down = rows if not recompute else paced_schedule(cached, escaping, 1)
    side = columns if not recompute else paced_schedule([*map(across, cached)], escaping, tile)
    line_buffers = {cached[n].output: _line_buffer_pixels(down, side, cached, n) for n in kept_inside(cached, escaping)}
    wide = recomputed_rows(columns, sideways, recompute)
    for tensor, high in recomputed_rows(rows, stages, recompute).items():
        line_buffers[tensor] = replace(high, columns=wide[tensor].rows)
    return PixelSchedule(rows, columns, line_buffers)


def _line_buffer_pixels(rows: RowSchedule, columns: RowSchedule, stages: Sequence[Stage], source: int) -> LineBuffer:
    """The most pixels of a tensor from the first that a reader needs again to the last that is made."""
    tensor, width = stages[source].output, stages[source].columns or 1
    steps = np.arange(rows.start, rows.stop), np.arange(columns.start, columns.stop)
    before = _position(rows.cached_ranges[source], columns.cached_ranges[source], steps, width, done=-1)
    after = _position(rows.cached_ranges[source], columns.cached_ranges[source], steps, width, done=0)
    oldest = np.full(after.shape, stages[source].rows * width, np.int64)
    for reader, stage in enumerate(stages):
        windows = [window for read, window in stage.inputs if read == tensor]
        across = [window for read, window in stage.column_inputs if read == tensor]
        for down, side in zip(windows, across, strict=True):
            assert down is not None and side is not None
            needed = _first_needed(rows.cached_ranges[reader], columns.cached_ranges[reader], steps, width, down, side)
            oldest = np.minimum(oldest, needed)
    # What nobody needs any more still has to be written somewhere, in the turn that makes it.
    oldest = np.minimum(oldest, after)
    capacity = int((after - np.minimum(oldest, before)).max())
    carried = bool((oldest < before).any())
    return LineBuffer(capacity if carried else int(np.maximum(after - before, 0).max()), carried)


def _position(
    rows: RowRange, columns: RowRange, steps: tuple[Integers, Integers], width: int, *, done: int
) -> Integers:
    """Pixels up to the last one made when each turn is over (done = 0) or begins (-1): iteration x turn."""
    begin, end = rows.ends(steps[0] - 1)[:, None], rows.ends(steps[0])[:, None]
    across = columns.ends(steps[1] + done)[None, :]
    return np.where(begin < end, np.where(across > 0, (end - 1) * width + across, begin * width), begin * width)


def _first_needed(
    rows: RowRange, columns: RowRange, steps: tuple[Integers, Integers], width: int, down: Window, side: Window
) -> Integers:
    """The first pixel of its input that the reader needs in each turn or later."""
    none = 1 << 40
    begin, end = rows.ends(steps[0] - 1)[:, None], rows.ends(steps[0])[:, None]
    done = columns.ends(steps[1] - 1)[None, :]
    column = np.maximum(0, done * side.stride + side.first)
    now = np.maximum(0, begin * down.stride + down.first) * width + np.minimum(column, width)
    now = np.where((begin < end) & (done < columns.rows), now, none)
    later = np.where(end < rows.rows, np.maximum(0, end * down.stride + down.first) * width, none)
    return np.minimum(now, later)
