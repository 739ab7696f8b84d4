"""The allocation problem of a program: which buffers may share which bytes, whole layers and fused loops alike.

At every run of a loop each buffer holds needed values in one range of its bytes: an input from the first row that is
still to be read, an output up to the last row written, a ring up to its fill. Two buffers must keep those ranges apart
at every run; the hull over the runs is the pair's one forbidden interval of offset differences. To its surroundings a
loop is so one layer whose iterations are the steps. Source: Jokic et al., arXiv 2007.09963, for one layer.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lowtide.alloc import Buffer, Choice, Forbidden, Problem
from lowtide.graph.program import Call, Loop, Program, ProgramBuffer, Read

Bytes = npt.NDArray[np.int64]
_ALL = 1 << 40
MOST_RUNS = 30_000
"""Runs of a loop that `loop_bytes` looks at, at most."""


def problem_of(program: Program, *, overlap: bool = True) -> tuple[Problem, tuple[int | None, ...]]:
    """The problem whose least arena is that of the program.

    Args:
        program: what is to be placed; its buffers become the problem's in their order.
        overlap: layers may write over what they no longer read of dying inputs.

    Returns:
        the problem, and for each of its choices the call that it is of, None for a loop's.
    """
    lives = program.lives()
    buffers = tuple(
        Buffer(item.name, item.nbytes, item.alignment, first, last)
        for item, (first, last) in zip(program.buffers, lives, strict=True)
    )
    if not overlap:
        return Problem(buffers), ()
    found: list[tuple[int | None, Choice]] = []
    for number, call in enumerate(program.calls):
        loop = program.loop_of(number)
        if loop is None:
            alternatives = _of_call(program, number, call, lives)
            if alternatives is not None:
                found.append((number, Choice(f"step {number + 1}", alternatives)))
        elif number == loop.first:
            intervals = _of_loop(program, loop, lives)
            if intervals:
                found.append((None, Choice(f"loop at step {number + 1}", (intervals,))))
    return Problem(buffers, tuple(choice for _, choice in found)), tuple(number for number, _ in found)


def _of_call(
    program: Program, number: int, call: Call, lives: Sequence[tuple[int, int]]
) -> tuple[tuple[Forbidden, ...], ...] | None:
    """The intervals of a whole layer, for either direction in which its kernel may go through the output.

    None where no input dies in it, or its output was begun by an earlier layer: then nothing may overlap.
    """
    step, output = number + 1, program.buffers[call.writes]
    if lives[call.writes][0] != step:
        return None
    forwards: list[Forbidden] = []
    backwards: list[Forbidden] = []
    for read in call.reads:
        if lives[read.buffer][1] == step and read.overlap is not None:
            source = program.buffers[read.buffer]
            ahead, behind = read.overlap
            forwards.append(Forbidden(source.name, output.name, -ahead, source.nbytes))
            low, high = -output.nbytes, source.nbytes - output.nbytes + behind
            backwards.append(Forbidden(source.name, output.name, low, high))
    return (tuple(forwards), tuple(backwards)) if forwards else None


class LoopBytes(NamedTuple):
    """What a loop holds between two of its runs, at most, in bytes.

    Attributes:
        all: needed values of any buffer; no arena is smaller, however laid out.
        inside: those of tensors that are made and read within the loop and carried from one iteration to the next.
    """

    all: int
    inside: int


def loop_bytes(program: Program) -> LoopBytes:
    """The most bytes that hold needed values between two runs of the program's loops.

    Of a loop by columns only some of the turns are looked at.
    """
    lives, most, inside = program.lives(), 0, 0
    for loop in program.loops:
        turns = None if loop.columns is None else _some_turns(len(loop.columns[0]), len(loop.runs))
        timeline = _Timeline(program, loop, lives, turns)
        waiting, carried = np.zeros(len(timeline) - 1, np.int64), np.zeros(len(timeline) - 1, np.int64)
        for buffer, (first, last) in enumerate(lives):
            if first <= loop.last + 1 and last >= loop.first + 1:
                held = timeline.held(buffer)
                # Between two runs a buffer needs what the first leaves that the second, or a later one, still takes.
                waits = (held.end[:-1] > 0) & (held.end[1:] > 0)
                left = np.where(waits, held.end[:-1] - held.begin[1:], 0)
                waiting += left
                if first > loop.first and last <= loop.last + 1 and not program.buffers[buffer].temporary:
                    carried += left
        most, inside = max(most, int(waiting.max(initial=0))), max(inside, int(carried.max(initial=0)))
    return LoopBytes(most, inside)


def _some_turns(turns: int, runs: int) -> Collection[int] | None:
    """The turns of the loop over columns to look at: None for all, else some, evenly, up to `MOST_RUNS` runs."""
    step = -(-turns * runs // MOST_RUNS)
    return None if step <= 1 else {*range(0, turns, step), turns - 1}


@dataclass(frozen=True)
class _Held:
    """At each run the range of a buffer's bytes that holds needed values; empty where `end` is 0."""

    begin: Bytes
    end: Bytes


def _of_loop(program: Program, loop: Loop, lives: Sequence[tuple[int, int]]) -> tuple[Forbidden, ...]:
    """The forbidden interval of each pair of buffers in a loop whose live ranges meet, unless it is the default.

    It says nothing of pairs that hold values at once before the loop or behind it, too: the default keeps those apart.
    Parts of them that the loop does not touch may be needed there.
    """
    timeline = _Timeline(program, loop, lives)
    used = sorted({b for call in program.calls[loop.first : loop.last + 1] for b in (*_inputs(call), call.writes)})
    held = {buffer: timeline.held(buffer) for buffer in used}
    found: list[Forbidden] = []
    for position, a in enumerate(used):
        for b in used[position + 1 :]:
            begun, over = max(lives[a][0], lives[b][0]), min(lives[a][1], lives[b][1])
            if begun > over or begun <= loop.first or over > loop.last + 1:
                continue
            low, high = timeline.interval(a, b, held)
            if loop.backwards and (low, high) != (0, 0):
                # seen from the other end of both buffers
                apart = program.buffers[a].nbytes - program.buffers[b].nbytes
                low, high = apart - high, apart - low
            # the interval that keeps two buffers wholly apart is the allocator's default, and need not be said
            if low > -program.buffers[b].nbytes or high < program.buffers[a].nbytes:
                found.append(Forbidden(program.buffers[a].name, program.buffers[b].name, low, high))
    return tuple(found)


def _inputs(call: Call) -> tuple[int, ...]:
    return tuple(read.buffer for read in call.reads)


class _Timeline:
    """The runs of a loop, in order: what each buffer holds at each of them.

    A run is one execution of a call: it goes through some rows, and where the loop has columns through some of those.

    Args:
        program, loop: the loop, and what it is of.
        lives: first and last step of each buffer.
        turns: which turns of the loop over columns to look at; all of them where None.
    """

    def __init__(
        self, program: Program, loop: Loop, lives: Sequence[tuple[int, int]], turns: Collection[int] | None = None
    ) -> None:
        self._program = program
        self._loop = loop
        self._lives = lives
        runs = _expanded(loop, turns)
        self._calls, self._iterations = runs[:, 0], runs[:, 1]
        self._first_row, self._last_row, self._first_column, self._last_column = runs[:, 2:].T
        self._reading: dict[int, list[int]] = {}
        self._writing: dict[int, list[int]] = {}
        for number in range(loop.first, loop.last + 1):
            for read in program.calls[number].reads:
                self._reading.setdefault(read.buffer, []).append(number)
            self._writing.setdefault(program.calls[number].writes, []).append(number)
        self._runs_of = {number: np.flatnonzero(self._calls == number) for number in range(loop.first, loop.last + 1)}

    def __len__(self) -> int:
        return len(self._calls)

    def held(self, buffer: int) -> _Held:
        """When and where the buffer holds needed values."""
        item = self._program.buffers[buffer]
        writers, reading = self._writing.get(buffer, []), self._reading.get(buffer, [])
        zero, size = np.zeros(len(self), np.int64), np.full(len(self), item.nbytes, np.int64)
        if item.temporary:
            return _Held(zero, np.where(self._within_iterations(writers, reading), size, 0))
        # Steps are calls counted from 1: the loop's calls are the steps first + 1 to last + 1.
        begun_before = self._lives[buffer][0] <= self._loop.first
        dies = self._lives[buffer][1] <= self._loop.last + 1
        if begun_before:
            # an input that dies in the loop is given up row by row; one that something writes into is kept whole
            alive = self._until(reading) if dies and not writers else size > 0
            return _Held(self._consumed(buffer, reading) if dies and not writers else zero, np.where(alive, size, 0))
        made = zero
        for writer in writers:
            made = np.maximum(made, self._made(writer, item))
        filled = np.minimum(made, item.pixels) * item.pixel_bytes
        # the last rows are written even where nobody reads them
        return _Held(zero, np.where(self._until([*reading, *writers]), filled, 0) if dies else filled)

    def interval(self, a: int, b: int, held: dict[int, _Held]) -> tuple[int, int]:
        """The forbidden offsets of b from a, an open interval in bytes: the hull over the runs at which both are live.

        (0, 0), in which there is no offset, where they never hold values at once.
        """
        both = (held[a].end > 0) & (held[b].end > 0)
        if not both.any():
            return 0, 0
        lows, highs = held[a].begin - held[b].end, held[a].end - held[b].begin
        lows = self._refined(a, b, lows)
        highs = -self._refined(b, a, -highs)
        return int(lows[both].min()), int(highs[both].max())

    def _refined(self, source: int, output: int, lows: Bytes) -> Bytes:
        """The lower ends for an input and the output of its only reader, which may come closer within a run.

        Between runs whole rows count; in a run the order of single elements, which the layer's access profile has.
        """
        reading = self._reading.get(source, [])
        if self._program.buffers[source].temporary:
            return self._refined_row(source, output, lows)
        if (
            self._loop.by_channels
            or self._loop.columns is not None
            or len(reading) != 1
            or self._program.calls[reading[0]].writes != output
        ):
            return lows
        overlap = next(r.overlap for r in self._program.calls[reading[0]].reads if r.buffer == source)
        dies = self._lives[source][0] <= self._loop.first and self._lives[source][1] <= self._loop.last + 1
        if overlap is None or not dies:
            return lows
        distance = overlap[1] if self._loop.backwards else overlap[0]
        return np.where(self._calls == reading[0], np.maximum(lows, -distance), lows)

    def _refined_row(self, source: int, output: int, lows: Bytes) -> Bytes:
        """The lower ends for the one row of a temporary and the row that its only reader makes of it.

        Rows of the output that were made before lie below; the new one may come as close as elements allow.
        """
        reading = self._reading.get(source, [])
        if len(reading) != 1 or self._writing.get(output) != reading:
            return lows
        call, item = self._program.calls[reading[0]], self._program.buffers[output]
        distance = next(r.row_overlap for r in call.reads if r.buffer == source)
        runs = self._runs_of[reading[0]]
        first, last = self._first_row[runs], self._last_row[runs]
        # of a ring the new row lies anywhere
        whole = item.rows == 1 if item.temporary else bool(last.max(initial=0) <= item.rows)
        if distance is None or call.accumulates or not whole or bool((last - first > 1).any()):
            return lows
        refined = lows.copy()
        before = np.zeros(len(runs), np.int64) if item.temporary else first * item.row_bytes
        refined[runs] = np.maximum(lows[runs], -distance - before)
        return refined

    def _within_iterations(self, writers: Sequence[int], reading: Sequence[int]) -> npt.NDArray[np.bool_]:
        """The runs at which a temporary holds values: from its writer's to its last reader's in each iteration."""
        first, last = min(writers), max([*writers, *reading])
        # iterations are counted from the first, and there are few: a table is quicker than a search
        low = self._iterations.min()
        ran = np.zeros(self._iterations.max() + 1 - low, np.bool_)
        ran[self._iterations[self._runs_of[first]] - low] = True
        return (self._calls >= first) & (self._calls <= last) & ran[self._iterations - low]

    def _until(self, calls: Sequence[int]) -> npt.NDArray[np.bool_]:
        """bool[runs], true up to the last run of any of these calls; always where none of them runs."""
        last = max((int(self._runs_of[call][-1]) for call in calls if len(self._runs_of[call])), default=len(self) - 1)
        return np.arange(len(self)) <= last

    def _made(self, writer: int, item: ProgramBuffer) -> Bytes:
        """int64[runs], how many pixels of the tensor the writer has made by then, in row-major order."""
        made, runs = np.zeros(len(self), np.int64), self._runs_of[writer]
        last = np.minimum(self._last_column[runs], item.columns)
        made[runs] = item.pixels if self._loop.by_channels else (self._last_row[runs] - 1) * item.columns + last
        return np.maximum.accumulate(made)

    def _consumed(self, buffer: int, reading: Sequence[int]) -> Bytes:
        """int64[runs], how many bytes at the low end no run from then on reads."""
        item = self._program.buffers[buffer]
        needed = np.full(len(self), item.pixels, np.int64)
        for reader in reading:
            read = next(r for r in self._program.calls[reader].reads if r.buffer == buffer)
            runs = self._runs_of[reader]
            needed[runs] = np.minimum(needed[runs], self._needed(read, item, runs))
        # backwards in time: what a later run needs can't be given up earlier
        return np.minimum.accumulate(needed[::-1])[::-1] * item.pixel_bytes

    def _needed(self, read: Read, item: ProgramBuffer, runs: Bytes) -> Bytes:
        """int64[runs], the first pixel that each of these runs of the reader reads; 0 where it may be any."""
        if self._loop.by_channels or read.window is None or read.window.stride == 0:
            return np.zeros(len(runs), np.int64)
        row = np.clip(self._first_row[runs] * read.window.stride + read.window.first, 0, item.rows)
        if self._loop.columns is None or read.columns is None:
            return row * item.columns
        column = np.clip(self._first_column[runs] * read.columns.stride + read.columns.first, 0, item.columns)
        return row * item.columns + column


def _expanded(loop: Loop, turns: Collection[int] | None) -> Bytes:
    """The loop's runs as a table, in their order.

    Returns:
        int64[runs, 6]: call, iteration (counted through all turns), first row and end, first column and end; the last
        a large number where a run takes all columns.
    """
    rows = np.array(loop.runs, dtype=np.int64)
    if loop.columns is None:
        return np.concatenate([rows, np.zeros((len(rows), 1), np.int64), np.full((len(rows), 1), _ALL)], axis=1)
    columns = np.array(loop.columns, dtype=np.int64)
    chosen = np.array(sorted(range(columns.shape[1]) if turns is None else turns), dtype=np.int64)
    of_call = columns[rows[:, 0] - loop.first][:, chosen]
    whole = np.broadcast_to(rows[:, None, :], (len(rows), len(chosen), 4)).reshape(-1, 4)
    turn = np.broadcast_to(chosen, (len(rows), len(chosen))).reshape(-1)
    table = np.column_stack([whole, of_call.reshape(-1, 2), turn])
    # A call that has no columns to make in a turn does not run in it.
    table = table[table[:, 4] < table[:, 5]]
    # In an iteration turn by turn, and in a turn call by call.
    table = table[np.lexsort((table[:, 0], table[:, 6], table[:, 1]))]
    table[:, 1] = table[:, 1] * columns.shape[1] + table[:, 6]
    return table[:, :6]
