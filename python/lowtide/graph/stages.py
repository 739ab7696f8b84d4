"""The layers of a fused loop as its schedules see them: which rows of which tensors each reads to make a row."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from lowtide.graph.program import RowAccess, Window, hull, mirrored

Windows = tuple[tuple[int, Window | None], ...]
"""The tensors that a stage reads, each with its window; None for a tensor of which any row may be read."""


class UnschedulableError(ValueError):
    """The stages can't go by rows together; the message says which and why.

    Attributes:
        for_now: more layers at the end of the chain could change that.
    """

    def __init__(self, message: str, *, for_now: bool = False) -> None:
        super().__init__(message)
        self.for_now = for_now


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

    inputs: Windows
    output: int
    rows: int
    accumulates: bool = False
    columns: int | None = None
    column_inputs: Windows = ()


def stage_of(
    access: RowAccess, output: int, extents: Mapping[int, tuple[int, int]], inside: Collection[int]
) -> Stage | None:
    """How a layer takes part in a loop that makes the tensors `inside`; None where it can't.

    Args:
        access: what it can do.
        output: the tensor that it writes.
        extents: rows and columns of each tensor that it uses.
        inside: tensors that the loop makes; of all others a layer may read any row at any time.
    """
    rows, columns = extents[output]
    if access.windows is not None and _has_windows(access.windows, inside):
        if access.columns is None or not _has_windows(access.columns, inside):
            return Stage(access.windows, output, rows)
        return Stage(access.windows, output, rows, columns=columns, column_inputs=access.columns)
    # Only where it can't make its output by rows: an output that is complete at the end must be held whole.
    if access.accumulates is not None:
        rows, columns = extents[access.accumulates]
        inputs = ((access.accumulates, Window(1, 0, 0)),)
        if not access.by_columns:
            return Stage(inputs, output, rows, accumulates=True)
        return Stage(inputs, output, rows, accumulates=True, columns=columns, column_inputs=inputs)
    return None


def _has_windows(windows: Windows, inside: Collection[int]) -> bool:
    made = [window for tensor, window in windows if tensor in inside]
    return all(window is not None and window.stride > 0 for window in made)


def from_the_end(stage: Stage, extents: Mapping[int, tuple[int, int]]) -> Stage:
    """The stage with rows and columns counted from the end.

    Args:
        stage: as `stage_of` gives it.
        extents: rows and columns of each tensor that it reads.
    """
    rows = tuple((t, mirrored(w, extents[t][0], stage.rows)) for t, w in stage.inputs)
    columns = tuple((t, mirrored(w, extents[t][1], stage.columns or 1)) for t, w in stage.column_inputs)
    return replace(stage, inputs=rows, column_inputs=columns)


def across(stage: Stage) -> Stage:
    """The stage with its columns for rows."""
    return Stage(stage.column_inputs, stage.output, stage.columns or 1, stage.accumulates)


def kept_inside(stages: Sequence[Stage], escaping: Collection[int]) -> list[int]:
    """The positions of the stages whose output stays inside the loop."""
    return [n for n, stage in enumerate(stages) if stage.output not in escaping and not stage.accumulates]


def needed_window(window: Window | None, stage: int) -> Window:
    """The window in which a reader needs the output of the stage at that position.

    Raises:
        UnschedulableError: it needs any row, or all rows for each of its own.
    """
    if window is None or window.stride < 1:
        raise UnschedulableError(f"a reader of layer {stage + 1} of the chain needs more of it than a window of rows")
    return window


def seen_through(stages: Sequence[Stage], recompute: Collection[int]) -> list[Stage]:
    """The stages but for those that are recomputed, which their readers look through to what those read."""
    if not recompute:
        return list(stages)
    recomputed = {stages[number].output: stages[number] for number in recompute}

    def through(stage: Stage, *, columns: bool) -> Windows:
        found: dict[int, list[Window | None]] = {}
        for tensor, window in stage.column_inputs if columns else stage.inputs:
            # a tensor that is not recomputed is seen as it is, row for row
            below = through(recomputed[tensor], columns=columns) if tensor in recomputed else ((tensor, _SAME),)
            for read, inner in below:
                found.setdefault(read, []).append(_composed(window, inner))
        return tuple((read, hull(windows)) for read, windows in found.items())

    return [
        replace(stage, inputs=through(stage, columns=False), column_inputs=through(stage, columns=True))
        for number, stage in enumerate(stages)
        if number not in recompute
    ]


_SAME = Window(1, 0, 0)


def _composed(outer: Window | None, inner: Window | None) -> Window | None:
    """What a reader needs of the input of what it reads."""
    if outer is None or inner is None:
        return None
    first, last = (inner.stride * edge for edge in (outer.first, outer.last))
    return Window(outer.stride * inner.stride, first + inner.first, last + inner.last)
