"""Forbidden intervals of fused loops against a simulation of every byte: what they allow is safe, and no more is."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

import pytest
from random_stages import random_stages

from lowtide.alloc import solve
from lowtide.graph.conflicts import loop_bytes, problem_of
from lowtide.graph.program import Call, Loop, Program, ProgramBuffer, Read, Run, Window
from lowtide.graph.row_schedule import schedule_rows
from lowtide.graph.stages import UnschedulableError

CASES = 150
FAR = 1 << 20


@dataclass(frozen=True)
class Case:
    """A program of one loop; buffer t is tensor t, and of `whole` rows where it is not a ring."""

    program: Program
    whole: tuple[int, ...]


def random_case(seed: int) -> Case | None:
    """A random chain, forwards or from the end; None where it has no schedule."""
    choose = random.Random(seed)
    stages, escaping = random_stages(choose)
    stages = [stage for stage in stages if not stage.accumulates]
    if len(stages) < 2:
        return None
    escaping = escaping & {stage.output for stage in stages} | {stages[-1].output}
    try:
        schedule = schedule_rows(stages, escaping, choose.randint(1, 3))
    except UnschedulableError:
        return None
    given = max(
        window.last + (stage.rows - 1) * window.stride + 1
        for stage in stages
        for tensor, window in stage.inputs
        if tensor == 0 and window is not None
    )
    buffers = [ProgramBuffer("tensor 0", max(1, given - choose.randrange(2)), choose.randint(1, 4), 1)]
    whole = [buffers[0].rows]
    for stage in stages:
        line_buffers = schedule.line_buffers.get(stage.output)
        rows = stage.rows if line_buffers is None else line_buffers.rows
        temporary = line_buffers is not None and not line_buffers.carried
        buffers.append(ProgramBuffer(f"tensor {stage.output}", rows, choose.randint(1, 4), 1, temporary))
        whole.append(stage.rows)
    calls = tuple(
        Call(f"layer {stage.output}", tuple(Read(tensor, window) for tensor, window in stage.inputs), stage.output)
        for stage in stages
    )
    runs = tuple(Run(stage, i, begin, end) for i, stage, begin, end in schedule.runs())
    loop = Loop(0, len(stages) - 1, runs, None, choose.random() < 0.4)
    program = Program(tuple(buffers), calls, (loop,), (0,), tuple(sorted(escaping)))
    return Case(program, tuple(whole))


def is_right(case: Case, offsets: dict[int, int]) -> bool:
    """Run the loop: each run first stores all it makes, then reads all it needs; outputs are intact in the end.

    Args:
        case: the program.
        offsets: of the buffers that are near each other; the others are far away.
    """
    program, memory = case.program, dict[int, tuple[int, int]]()
    backwards = program.loops[0].backwards

    def places(tensor: int, row: int) -> range:
        buffer = program.buffers[tensor]
        place = row % buffer.rows
        if backwards:
            place = buffer.rows - 1 - place
        start = offsets.get(tensor, FAR * (tensor + 1)) + place * buffer.row_bytes
        return range(start, start + buffer.row_bytes)

    def holds(tensor: int, row: int) -> bool:
        return all(memory.get(place) == (tensor, row) for place in places(tensor, row))

    memory.update({place: (0, row) for row in range(case.whole[0]) for place in places(0, row)})
    for run in program.loops[0].runs:
        call = program.calls[run.call]
        for row in range(run.begin, run.end):
            memory.update({place: (call.writes, row) for place in places(call.writes, row)})
        for read in call.reads:
            assert read.window is not None
            for row in range(run.begin, run.end):
                low, high = row * read.window.stride + read.window.first, row * read.window.stride + read.window.last
                if not all(holds(read.buffer, r) for r in range(max(0, low), min(case.whole[read.buffer], high + 1))):
                    return False
    return all(holds(tensor, row) for tensor in program.outputs for row in range(case.whole[tensor]))


@pytest.mark.parametrize("seed", range(CASES))
def test_what_is_allowed_is_safe(seed: int) -> None:
    case = random_case(seed)
    if case is None:
        return
    assert is_right(case, {}), f"seed {seed}: the schedule itself is wrong"
    problem, _ = problem_of(case.program)
    intervals = {
        (int(str(item.a).split()[1]), int(str(item.b).split()[1])): (item.low, item.high)
        for choice in problem.choices
        for item in choice.alternatives[0]
    }
    for (a, b), (low, high) in intervals.items():
        size = case.program.buffers[b].nbytes
        if low >= high:  # never at once
            shifts = [low, -size // 2, 0, case.program.buffers[a].nbytes // 2]
        else:
            shifts = [low, low - 1, high, high + 1]
        for shift in shifts:
            assert is_right(case, {a: 0, b: shift}), f"seed {seed}: {b} at {shift} from {a}: ({low}, {high}) forbidden"


@pytest.mark.parametrize("seed", range(CASES))
def test_one_byte_closer_is_wrong(seed: int) -> None:
    """The loop's input against what the last layer makes: nothing but rows that are read or made counts."""
    case = random_case(seed)
    if case is None or case.program.loops[0].backwards:
        return
    last = len(case.program.buffers) - 1
    problem, _ = problem_of(case.program)
    for choice in problem.choices:
        for item in choice.alternatives[0]:
            if (item.a, item.b) == ("tensor 0", f"tensor {last}") and item.low < item.high:
                assert not is_right(case, {0: 0, last: item.low + 1}), f"seed {seed}"


@pytest.mark.parametrize("seed", range(CASES))
def test_the_other_end_is_the_mirror_image(seed: int) -> None:
    case = random_case(seed)
    if case is None:
        return
    sizes = {buffer.name: buffer.nbytes for buffer in case.program.buffers}
    found: list[dict[tuple[str, str], tuple[int, int]]] = []
    for backwards in (False, True):
        loop = replace(case.program.loops[0], backwards=backwards)
        problem, _ = problem_of(replace(case.program, loops=(loop,)))
        items = [item for choice in problem.choices for item in choice.alternatives[0]]
        found.append({(str(item.a), str(item.b)): (item.low, item.high) for item in items})
    assert found[0].keys() == found[1].keys()
    for (a, b), (low, high) in found[0].items():
        apart = sizes[a] - sizes[b]
        assert found[1][a, b] == ((low, high) if low == high == 0 else (apart - high, apart - low))


@pytest.mark.parametrize("seed", range(0, CASES, 3))
def test_no_arena_is_below_the_bytes_that_wait(seed: int) -> None:
    case = random_case(seed)
    if case is not None:
        assert loop_bytes(case.program).all <= solve(problem_of(case.program)[0], "exact").arena_bytes


def test_most_cases_are_loops_with_overlaps() -> None:
    cases = [case for seed in range(CASES) if (case := random_case(seed)) is not None]
    assert len(cases) > CASES // 2
    assert sum(bool(problem_of(case.program)[0].choices) for case in cases) > CASES // 3


def test_what_is_live_beside_another_before_the_loop_is_kept_apart_from_it() -> None:
    """A gate of an unrolled GRU: what a loop leaves out of an input may lie on nothing that lived beside it before.

    Layer 2 reads the first two rows of `b` while `a` is whole; the loop reads the others. `b` was put on the rows of
    `a` that layer 5 reads.
    """
    sizes = {"x": 1, "a": 6, "b": 6, "c": 1, "d": 2, "e": 2, "y": 1}
    buffers = tuple(ProgramBuffer(name, rows, 4, 4) for name, rows in sizes.items())
    parts = Window(1, 2, 2)
    calls = (
        Call("a", (Read(0),), 1),
        Call("b", (Read(0),), 2),
        Call("c", (Read(1), Read(2)), 3),
        Call("d", (Read(1, parts), Read(2, parts)), 4),
        Call("e", (Read(4, Window(1, 0, 0)), Read(2, Window(1, 4, 4))), 5),
        Call("y", (Read(1), Read(3), Read(5)), 6),
    )
    runs = tuple(Run(call, row, row, row + 1) for row in range(2) for call in (3, 4))
    program = Program(buffers, calls, (Loop(3, 4, runs, None, False),), (0,), (6,))
    problem, _ = problem_of(program)
    pairs = {frozenset((item.a, item.b)) for choice in problem.choices for item in choice.alternatives[0]}
    assert pairs and frozenset(("a", "b")) not in pairs
