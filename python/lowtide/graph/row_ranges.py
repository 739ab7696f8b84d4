"""The rows that each layer makes in each iteration of a fused loop, as clamped linear functions of the iteration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from lowtide.graph.program import Window

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class RowRange:
    """The rows that a layer has made after iteration i: ⌊(slope·i + offset) / divisor⌋, from 0 to `rows`."""

    slope: int
    offset: int
    divisor: int
    rows: int

    def ends(self, iterations: Integers) -> Integers:
        """Rows made when each of these iterations is over."""
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

    def bounds(self, begins: Integers, ends: Integers) -> tuple[Integers, Integers]:
        """First row and end of what is made for each of the reader's [begin, end): nothing where those are no rows."""
        lows = begins * self.window.stride + self.window.first
        highs = lows + (ends - begins) * self.window.stride + np.minimum(ends - begins, 1) * self.margin
        return np.minimum(np.maximum(lows, 0), self.rows), np.minimum(np.maximum(highs, 0), self.rows)

    @property
    def margin(self) -> int:
        """Rows that the reader needs beyond its stride: the halo."""
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
        ranges: what each stage makes in an iteration, in the stages' order.
        line_buffers: one for each tensor that stays inside the loop.
    """

    ranges: tuple[RowRange | Reread, ...]
    start: int
    stop: int
    line_buffers: Mapping[int, LineBuffer]

    @cached_property
    def cached_ranges(self) -> tuple[RowRange, ...]:
        """The ranges of the stages that make every row once."""
        return tuple(rows for rows in self.ranges if isinstance(rows, RowRange))

    @property
    def largest_index(self) -> int:
        """The largest number, whatever its sign, that the loop calculates with before a row is clamped."""
        found = [abs(self.start - 1), abs(self.stop)]
        for rows in self.ranges:
            if isinstance(rows, Reread):
                found.append(abs(rows.window.stride) * rows.rows + abs(rows.window.first) + abs(rows.margin))
            else:
                found += [abs(rows.slope * i) + abs(rows.offset) + rows.slope for i in (self.start - 1, self.stop)]
        return max(found)

    @cached_property
    def _places(self) -> tuple[int, ...]:
        """How many of the stages before each stage are in `cached_ranges`."""
        return tuple(accumulate((isinstance(rows, RowRange) for rows in self.ranges), initial=0))

    @cached_property
    def _ends(self) -> Integers:
        """Rows made by each of `cached_ranges` before the loop and after each of its iterations."""
        # One table for all stages: a search for the best loops asks for some hundred thousand of them.
        table = np.array([(r.slope, r.offset, r.divisor, r.rows) for r in self.cached_ranges], np.int64)
        slopes, offsets, divisors, rows = table.T[:, :, None]
        made = (slopes * np.arange(self.start - 1, self.stop) + offsets) // divisors
        return np.minimum(np.maximum(made, 0), rows)

    def bounds(self, stage: int) -> tuple[Integers, Integers]:
        """First row and end of what a stage makes, in each iteration."""
        rows = self.ranges[stage]
        if isinstance(rows, RowRange):
            ends = self._ends[self._places[stage]]
            return ends[:-1], ends[1:]
        return rows.bounds(*self.bounds(rows.reader))

    def runs(self) -> list[tuple[int, int, int, int]]:
        """Iteration, stage, first row and end of everything that runs, in order."""
        bounds = [self.bounds(stage) for stage in range(len(self.ranges))]
        begins, ends = (np.array(of_stage).T for of_stage in zip(*bounds, strict=True))
        # row by row of the table, so iteration by iteration, and in it stage by stage
        turns, stages = np.nonzero(begins < ends)
        columns = (turns + self.start, stages, begins[turns, stages], ends[turns, stages])
        return list(zip(*(column.tolist() for column in columns), strict=True))

    def rows_made(self, stage: int) -> int:
        """Rows that a stage makes in all."""
        begins, ends = self.bounds(stage)
        return int(np.maximum(ends - begins, 0).sum())

    def turns(self) -> tuple[tuple[tuple[int, int], ...], ...]:
        """First and end of what each stage makes in each iteration: [stage][iteration]."""
        bounds = (self.bounds(stage) for stage in range(len(self.ranges)))
        return tuple(tuple(zip(begins.tolist(), ends.tolist(), strict=True)) for begins, ends in bounds)
