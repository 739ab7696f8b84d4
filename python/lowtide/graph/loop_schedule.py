"""The schedule of any fused loop: what the planner predicts with, and what the transform builds."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from lowtide.graph.pixel_schedule import schedule_pixels
from lowtide.graph.row_ranges import LineBuffer, RowSchedule
from lowtide.graph.row_schedule import schedule_rows
from lowtide.graph.stages import Stage, UnschedulableError, from_the_end


@dataclass(frozen=True)
class LoopSchedule:
    """A fused loop over rows (or channels), and perhaps one over columns inside.

    Attributes:
        stages: as they were scheduled: counted from the end in a loop that goes backwards.
        rows: the outer loop.
        columns: the loop inside, or None.
        line_buffers: of each tensor that stays inside; in pixels where there are columns.
    """

    stages: tuple[Stage, ...]
    rows: RowSchedule
    columns: RowSchedule | None
    line_buffers: Mapping[int, LineBuffer]


def schedule_loop(
    stages: Sequence[Stage],
    extents: Mapping[int, tuple[int, int]],
    escaping: Collection[int],
    *,
    rows: int,
    columns: int = 0,
    backwards: bool = False,
    recompute: Collection[int] = (),
    floats: bool = False,
) -> LoopSchedule:
    """The schedule of a fused loop.

    Args:
        stages, escaping, recompute: as for `schedule_rows`.
        extents: rows and columns of each tensor that the stages use.
        rows: rows (or channels) an iteration.
        columns: columns of those rows at a time; 0 for whole rows.
        backwards: from the last row and column to the first.
        floats: the last stage makes floats.

    Raises:
        UnschedulableError: the stages can't go together like that.
    """
    if backwards and floats and stages[-1].accumulates:
        raise UnschedulableError("floats are accumulated forwards only: another order rounds otherwise")
    if columns and rows != 1:
        raise UnschedulableError("a loop by columns goes row by row")
    counted = tuple(from_the_end(stage, extents) if backwards else stage for stage in stages)
    if not columns:
        whole = schedule_rows(counted, escaping, rows, recompute)
        return LoopSchedule(counted, whole, None, whole.line_buffers)
    pixels = schedule_pixels(counted, escaping, columns, recompute)
    return LoopSchedule(counted, pixels.rows, pixels.columns, pixels.line_buffers)
