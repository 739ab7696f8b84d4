"""Forbidden intervals of single layers and of layers in loops, to the byte, against simulated loads and stores.

A layer here is a list of steps: what each reads of the input, and how many bytes of the output it then stores. What
its profile allows is found by trying all distances; the problem must forbid exactly what is left.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest

from lowtide.alloc import Forbidden, Problem
from lowtide.graph.conflicts import loop_bytes, problem_of
from lowtide.graph.program import Call, Loop, Program, ProgramBuffer, Read, Run, Window

CASES = 60


@dataclass(frozen=True)
class Steps:
    """A layer forwards: at each step the bytes [low, high) that it reads, and the end of what it has stored then."""

    source: int
    output: int
    reads: tuple[tuple[int, int], ...]
    stored: tuple[int, ...]

    def is_right(self, shift: int, *, backwards: bool) -> bool:
        """Whether all loads see the input where the output begins `shift` bytes above it."""
        lost: set[int] = set()
        ends = (0, *self.stored)
        steps = [(read, range(begin, end)) for read, begin, end in zip(self.reads, ends, self.stored, strict=False)]
        for (low, high), written in reversed(steps) if backwards else steps:
            if lost.intersection(range(low, high)):
                return False
            lost.update(shift + byte for byte in written)
        return True

    def distance(self, *, backwards: bool) -> int:
        """D, or D': the least for which that distance, and every greater one up to apart, is right."""
        found = self.output
        while found > -self.source and self.is_right(self._shift(found - 1, backwards), backwards=backwards):
            found -= 1
        return found

    def _shift(self, distance: int, backwards: bool) -> int:
        return self.source - self.output + distance if backwards else -distance


def random_steps(choose: random.Random) -> Steps:
    """A layer that reads the first byte of its input in its first step, and the last in its last."""
    count, source = choose.randint(2, 6), choose.randint(2, 9)
    stored = sorted(choose.sample(range(1, 12), count))
    reads: list[tuple[int, int]] = []
    for step in range(count):
        middle = round(step * (source - 1) / (count - 1))
        low, high = max(0, middle - choose.randrange(3)), min(source, middle + 1 + choose.randrange(3))
        reads.append((0 if step == 0 else low, source if step == count - 1 else high))
    return Steps(source, stored[-1], tuple(reads), tuple(stored))


def program(layer: Steps, overlap: tuple[int, int] | None) -> Program:
    """The program of that layer alone; its output is the network's."""
    buffers = (ProgramBuffer("x", 1, layer.source, 1), ProgramBuffer("y", 1, layer.output, 1))
    return Program(buffers, (Call("layer", (Read(0, None, overlap),), 1),), (), (0,), (1,))


def of_one_choice(problem: Problem) -> list[Forbidden]:
    """The interval of each alternative of the only choice."""
    (choice,) = problem.choices
    return [item for (item,) in choice.alternatives]


@pytest.mark.parametrize("seed", range(CASES))
def test_one_byte_decides_in_both_directions(seed: int) -> None:
    layer = random_steps(random.Random(seed))
    ahead, behind = layer.distance(backwards=False), layer.distance(backwards=True)
    problem, numbers = problem_of(program(layer, (ahead, behind)))
    assert numbers == (0,)
    for item, backwards in zip(of_one_choice(problem), (False, True), strict=True):
        assert (item.a, item.b) == ("x", "y")
        right = {d: layer.is_right(d, backwards=backwards) for d in range(-layer.output - 2, layer.source + 3)}
        assert right[item.low], (layer, item)
        assert right[item.high], (layer, item)
        assert not right[item.low + 1], (layer, item)
        assert not right[item.high - 1], (layer, item)
        assert all(fine for d, fine in right.items() if not item.low < d < item.high)


def test_elementwise_layers_may_lie_in_place() -> None:
    layer = Steps(4, 4, tuple((n, n + 1) for n in range(4)), (1, 2, 3, 4))
    assert (layer.distance(backwards=False), layer.distance(backwards=True)) == (0, 0)
    forwards, backwards = of_one_choice(problem_of(program(layer, (0, 0)))[0])
    assert (forwards.low, forwards.high) == (0, 4)
    assert (backwards.low, backwards.high) == (-4, 0)


LAYER = Steps(6, 4, ((0, 3), (1, 4), (2, 5), (3, 6)), (1, 2, 3, 4))


def test_no_overlap_where_none_is_asked_for() -> None:
    assert problem_of(program(LAYER, None))[0].choices == ()
    assert problem_of(program(LAYER, (1, 1)), overlap=False)[0].choices == ()


def test_what_is_read_again_is_left_alone() -> None:
    buffers = (ProgramBuffer("x", 1, 6, 1), ProgramBuffer("y", 1, 4, 1), ProgramBuffer("z", 1, 4, 1))
    calls = (
        Call("first", (Read(0, None, (1, 1)),), 1),
        Call("second", (Read(0, None, (2, 3)), Read(1, None, (0, 0))), 2),
    )
    problem, numbers = problem_of(Program(buffers, calls, (), (0,), (2,)))
    assert numbers == (1,)
    forwards, backwards = problem.choices[0].alternatives
    assert [(item.a, item.b, item.low, item.high) for item in forwards] == [("x", "z", -2, 6), ("y", "z", 0, 4)]
    assert [(item.a, item.b, item.low, item.high) for item in backwards] == [("x", "z", -4, 5), ("y", "z", -4, 0)]
    kept, numbers = problem_of(Program(buffers, calls, (), (0,), (2,), kept=(0,)))
    assert numbers == (1,)
    assert [item.a for item in kept.choices[0].alternatives[0]] == ["y"]


def test_the_second_part_of_a_concat_finds_the_first_in_its_output() -> None:
    buffers = (ProgramBuffer("x", 1, 4, 1), ProgramBuffer("y", 1, 4, 1), ProgramBuffer("z", 1, 8, 1))
    calls = (Call("first", (Read(0, None, (0, 0)),), 2), Call("second", (Read(1, None, (0, 0)),), 2))
    problem, numbers = problem_of(Program(buffers, calls, (), (0, 1), (2,)))
    assert numbers == (0,)
    assert {item.a for item in problem.choices[0].alternatives[0]} == {"x"}


# -- loops ---------------------------------------------------------------------------------------------------------


def by_rows(rows: int, step: int) -> tuple[Run, ...]:
    return tuple(Run(0, number, row, min(row + step, rows)) for number, row in enumerate(range(0, rows, step)))


def of_loop(read: Read, source: ProgramBuffer, output: ProgramBuffer, loop: Loop) -> tuple[int, int]:
    """The interval of the input and the output of a loop of one layer."""
    made = Program((source, output), (Call("layer", (read,), 1),), (loop,), (0,), (1,))
    problem, numbers = problem_of(made)
    assert numbers == (None,)
    (item,) = of_one_choice(problem)
    return item.low, item.high


@pytest.mark.parametrize(("overlap", "low"), [(None, -3), ((1, 2), -1), ((0, 2), 0), ((9, 9), -3)])
def test_within_a_run_of_one_layer_the_element_counts(overlap: tuple[int, int] | None, low: int) -> None:
    """Four rows of three bytes, row for row: a run may store its row before it reads it, but for the distance."""
    x, y = ProgramBuffer("x", 4, 3, 1), ProgramBuffer("y", 4, 3, 1)
    assert of_loop(Read(0, Window(1, 0, 0), overlap), x, y, Loop(0, 0, by_rows(4, 1))) == (low, 12)


@pytest.mark.parametrize(("overlap", "high"), [(None, 3), ((1, 2), 2), ((2, 0), 0), ((9, 9), 3)])
def test_a_loop_backwards_has_the_distance_of_the_other_end(overlap: tuple[int, int] | None, high: int) -> None:
    x, y = ProgramBuffer("x", 4, 3, 1), ProgramBuffer("y", 4, 3, 1)
    loop = Loop(0, 0, by_rows(4, 1), None, backwards=True)
    assert of_loop(Read(0, Window(1, 0, 0), overlap), x, y, loop) == (-12, high)


def test_windows_and_steps_of_several_rows() -> None:
    """Rows 2y - 1 to 2y + 1 of nine rows of two bytes for row y of four of five, two at a time."""
    x, y = ProgramBuffer("x", 9, 2, 1), ProgramBuffer("y", 4, 3, 1)
    # first run: stores 6 bytes, still needs all of x; second: stores all 12, needs x from row 3 on
    assert of_loop(Read(0, Window(2, -1, 1)), x, y, Loop(0, 0, by_rows(4, 2))) == (min(0 - 6, 6 - 12), 18)
    assert of_loop(Read(0, Window(2, 0, 1)), x, y, Loop(0, 0, by_rows(4, 2))) == (min(0 - 6, 8 - 12), 18)


def test_a_loop_by_channels_is_done_with_no_byte_before_its_end() -> None:
    x, y = ProgramBuffer("x", 4, 3, 1), ProgramBuffer("y", 4, 3, 1)
    made = Program((x, y), (Call("layer", (Read(0, Window(1, 0, 0), (0, 0)),), 1),), (), (0,), (1,))
    loop = Loop(0, 0, by_rows(4, 1), by_channels=True)
    assert problem_of(replace(made, loops=(loop,)))[0].choices == ()


def test_pixels_of_a_loop_by_columns() -> None:
    """Two rows of three pixels, pixel by pixel: x has four bytes a pixel, y two."""
    x, y = ProgramBuffer("x", 2, 12, 1, columns=3), ProgramBuffer("y", 2, 6, 1, columns=3)
    turns = (tuple((column, column + 1) for column in range(3)),)
    read = Read(0, Window(1, 0, 0), None, Window(1, 0, 0))
    # pixel p is stored, 2·(p + 1) bytes in all, when the input is needed from byte 4·p on
    assert of_loop(read, x, y, Loop(0, 0, by_rows(2, 1), turns)) == (max(4 * 0 - 2, -2), 24)
    # of a window of two columns the left one is needed longest
    left = Read(0, Window(1, 0, 0), None, Window(1, -1, 0))
    assert of_loop(left, x, y, Loop(0, 0, by_rows(2, 1), turns)) == (min(4 * (p - 1) - 2 * (p + 1) for p in (1, 2)), 24)


def chain(kept: Sequence[int] = ()) -> Program:
    """x → a → y in one loop of four rows; of a there is one row at a time."""
    buffers = (ProgramBuffer("x", 4, 3, 1), ProgramBuffer("a", 1, 5, 1, temporary=True), ProgramBuffer("y", 4, 2, 1))
    calls = (Call("a", (Read(0, Window(1, 0, 0)),), 1), Call("y", (Read(1, Window(1, 0, 0)),), 2))
    runs = tuple(Run(call, row, row, row + 1) for row in range(4) for call in (0, 1))
    return Program(buffers, calls, (Loop(0, 1, runs),), (0,), (2,), tuple(kept))


def intervals(made: Program) -> dict[tuple[str, str], tuple[int, int]]:
    """The intervals of the loop's only alternative, by pair."""
    return {
        (str(item.a), str(item.b)): (item.low, item.high)
        for choice in problem_of(made)[0].choices
        for item in choice.alternatives[0]
    }


def test_a_chain_to_the_byte() -> None:
    # when the layer of y has run for row r, it has 2·(r + 1) bytes, and 3·(r + 1) bytes of x are done with; a's row
    # shares no byte with either
    assert intervals(chain()) == {("x", "y"): (3 * 1 - 2 * 1, 12)}
    assert intervals(chain((0,))) == {}


def test_what_ends_with_the_loop_ends_with_its_last_reader() -> None:
    """x of two rows is read by the first layer alone: the last run of the second may store where it lay."""
    buffers = (ProgramBuffer("x", 2, 3, 1), ProgramBuffer("a", 2, 3, 1), ProgramBuffer("y", 2, 6, 1))
    calls = (Call("a", (Read(0, Window(1, 0, 0)),), 1), Call("y", (Read(1, Window(1, 0, 0)),), 2))
    runs = (Run(0, 0, 0, 1), Run(0, 1, 1, 2), Run(1, 1, 0, 1), Run(1, 2, 1, 2))
    found = intervals(Program(buffers, calls, (Loop(0, 1, runs),), (0,), (2,)))
    # x and y never hold anything at once; a may begin a row below x
    assert found == {("x", "a"): (max(0 - 3, 3 - 6), 6), ("x", "y"): (0, 0)}


def test_bytes_that_wait_between_runs() -> None:
    # x after its row 0, a's row and y's first row
    assert loop_bytes(chain()).all == (12 - 3) + 5 + 2
