"""Schedules of fused loops, run row by row: what is read is there, every row is made once, rings are large enough."""

from __future__ import annotations

import random

import pytest
from random_stages import random_stages

from lowtide.graph.program import Window
from lowtide.graph.row_ranges import RowSchedule
from lowtide.graph.row_schedule import schedule_rows
from lowtide.graph.stages import Stage, UnschedulableError

CASES = 400


class Simulation:
    """Rings that remember which row lies in each place."""

    def __init__(self, stages: list[Stage], schedule: RowSchedule) -> None:
        self.stages = stages
        self.rows = {stage.output: stage.rows for stage in stages if not stage.accumulates}
        self.size = {
            t: schedule.line_buffers[t].rows if t in schedule.line_buffers else rows for t, rows in self.rows.items()
        }
        self.there: dict[int, dict[int, int]] = {tensor: {} for tensor in self.rows}
        self.made: dict[int, list[int]] = {stage.output: [] for stage in stages}
        self.temporary = {t for t, line_buffers in schedule.line_buffers.items() if not line_buffers.carried}

    def run(self, schedule: RowSchedule) -> None:
        """All runs, in order; temporaries are gone when an iteration ends."""
        iteration = schedule.start
        for now, number, begin, end in schedule.runs():
            if now != iteration:
                iteration = now
                for tensor in self.temporary:
                    self.there[tensor].clear()
            stage = self.stages[number]
            # all rows of a run may be read before the first is stored, or after the last one
            self._store(stage, begin, end)
            for row in range(begin, end):
                self._read(stage, row)
                self.made[stage.output].append(row)

    def _read(self, stage: Stage, row: int) -> None:
        for tensor, window in stage.inputs:
            if tensor in self.rows and window is not None:
                low, high = row * window.stride + window.first, row * window.stride + window.last
                for needed in range(max(0, low), min(self.rows[tensor], high + 1)):
                    assert self.there[tensor].get(needed % self.size[tensor]) == needed

    def _store(self, stage: Stage, begin: int, end: int) -> None:
        if not stage.accumulates:
            for row in range(begin, end):
                self.there[stage.output][row % self.size[stage.output]] = row


def needed_rows(stages: list[Stage], escaping: set[int]) -> dict[int, int]:
    """For each tensor the rows that must be made: all where they are needed outside, else up to the last one read."""
    needed = {stage.output: stage.rows if stage.output in escaping or stage.accumulates else 0 for stage in stages}
    rows = {stage.output: stage.rows for stage in stages}
    for stage in reversed(stages):
        for tensor, window in stage.inputs:
            if tensor in needed and window is not None:
                last = (needed[stage.output] - 1) * window.stride + window.last + 1
                needed[tensor] = max(needed[tensor], min(rows[tensor], last))
    return needed


@pytest.mark.parametrize("seed", range(CASES))
def test_every_row_is_there_when_it_is_read(seed: int) -> None:
    choose = random.Random(seed)
    stages, escaping = random_stages(choose)
    if len(stages) < 2:
        return
    tile = choose.randint(1, 3)
    try:
        schedule = schedule_rows(stages, escaping, tile)
    except UnschedulableError:
        return
    simulation = Simulation(stages, schedule)
    simulation.run(schedule)
    for stage in stages:
        made = simulation.made[stage.output]
        assert made == list(range(len(made))), f"seed {seed}: rows of {stage.output} in order, each once"
        assert len(made) >= needed_rows(stages, escaping)[stage.output], f"seed {seed}"


def test_most_random_chains_have_a_schedule() -> None:
    scheduled = 0
    for seed in range(CASES):
        stages, escaping = random_stages(random.Random(seed))
        try:
            scheduled += len(stages) > 1 and bool(schedule_rows(stages, escaping, 1).runs())
        except UnschedulableError:
            continue
    assert scheduled > CASES // 2


def test_a_ring_is_no_larger_than_it_must_be() -> None:
    """3 x 3 after 3 x 3: three rows at a time; and beside a residual the rows that wait for the other branch."""
    same, pad = Window(1, 0, 0), Window(1, -1, 1)
    stages = [Stage(((0, pad),), 1, 12), Stage(((1, pad),), 2, 12), Stage(((2, pad),), 3, 12)]
    schedule = schedule_rows(stages, {3})
    assert {t: (line_buffers.rows, line_buffers.carried) for t, line_buffers in schedule.line_buffers.items()} == {
        1: (3, True),
        2: (3, True),
    }
    stages += [Stage(((3, pad),), 4, 12), Stage(((4, same), (1, same)), 5, 12)]
    line_buffers = schedule_rows(stages, {5}).line_buffers
    assert (line_buffers[1].rows, line_buffers[4].rows, line_buffers[4].carried) == (4, 1, False)


@pytest.mark.parametrize(
    ("stages", "message", "for_now"),
    [
        (
            [Stage(((0, Window(1, 0, 0)),), 1, 4, accumulates=True), Stage(((1, Window(1, 0, 0)),), 2, 4)],
            "layer 1 of the chain is complete only after the loop",
            False,
        ),
        (
            [Stage(((0, Window(1, 0, 0)),), 1, 4), Stage(((1, None),), 2, 4)],
            "a reader of layer 1 of the chain needs more of it than a window of rows",
            False,
        ),
        (
            [Stage(((0, Window(1, 0, 0)),), 1, 4), Stage(((1, Window(0, 0, 3)),), 2, 4)],
            "a reader of layer 1 of the chain needs more of it than a window of rows",
            False,
        ),
        (
            [
                Stage(((0, Window(1, 0, 0)),), 1, 8),
                Stage(((1, Window(2, 0, 1)),), 2, 4),
                Stage(((1, Window(1, 0, 0)), (2, Window(1, 0, 0))), 3, 4),
            ],
            "the readers of layer 1 of the chain go through it at different paces",
            False,
        ),
        (
            [Stage(((0, Window(1, 0, 0)),), 1, 4), Stage(((0, Window(1, 0, 0)),), 2, 4)],
            "nothing in the loop reads what layer 1 of the chain makes",
            True,
        ),
        (
            [Stage(((0, Window(1, 0, 0)),), 1, 5), Stage(((1, Window(2, 0, 1)),), 2, 2)],
            "the loop ends before layer 1 of the chain has made all its rows",
            True,
        ),
    ],
)
def test_refused(stages: list[Stage], message: str, for_now: bool) -> None:
    with pytest.raises(UnschedulableError, match=message) as caught:
        schedule_rows(stages, {1, stages[-1].output} if "ends before" in message else {stages[-1].output})
    assert caught.value.for_now == for_now
