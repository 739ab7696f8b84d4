"""Strategies on random problems and on the ones whose answers are known."""

from __future__ import annotations

import itertools
import time
from dataclasses import replace

import pytest
from hypothesis import given, settings, strategies as st

from lowtide.alloc import STRATEGIES, Buffer, Choice, Forbidden, Problem, arena_bound, live_bound, solve, validate
from lowtide.errors import InternalError

ALIGNMENTS = st.sampled_from([1, 2, 4, 12, 16])


@st.composite
def buffers(draw: st.DrawFn, most: int = 12, largest: int = 200) -> tuple[Buffer, ...]:
    found: list[Buffer] = []
    for index in range(draw(st.integers(1, most))):
        first = draw(st.integers(0, 8))
        last = first + draw(st.integers(0, 4))
        found.append(Buffer(f"b{index}", draw(st.integers(1, largest)), draw(ALIGNMENTS), first, last))
    if draw(st.booleans()):
        found[0] = replace(found[0], fixed_offset=found[0].alignment * draw(st.integers(0, 9)))
    return tuple(found)


@st.composite
def problems(draw: st.DrawFn, most: int = 12, largest: int = 200) -> Problem:
    """Buffers, and choices that shrink or move the intervals of some pairs."""
    found = draw(buffers(most, largest))
    choices: list[Choice] = []
    for index in range(draw(st.integers(0, 3)) if len(found) > 1 else 0):
        alternatives: list[tuple[Forbidden, ...]] = []
        for _ in range(draw(st.integers(1, 3))):
            pairs = draw(st.lists(st.permutations(range(len(found))), max_size=2))
            alternatives.append(tuple(_interval(draw, found, pair[0], pair[1]) for pair in pairs))
        choices.append(Choice(f"c{index}", tuple(alternatives)))
    return Problem(found, tuple(choices))


def _interval(draw: st.DrawFn, found: tuple[Buffer, ...], a: int, b: int) -> Forbidden:
    low = draw(st.integers(-found[b].size, found[a].size))
    high = draw(st.integers(-found[b].size, found[a].size))
    return Forbidden(found[a].name, b, low, high)


def chain(layers: int, directions: int) -> Problem:
    """design.md's chain: depthwise layers on 8,000 bytes, D = 384 in both directions."""
    found = tuple(Buffer(f"t{index}", 8000, 16, index, index + 1) for index in range(layers + 1))
    both = [
        (
            (Forbidden(f"t{index}", f"t{index + 1}", -384, 8000),),
            (Forbidden(f"t{index}", f"t{index + 1}", -8000, 384),),
        )
        for index in range(layers)
    ]
    return Problem(found, tuple(Choice(f"l{index}", pair[:directions]) for index, pair in enumerate(both)))


@settings(max_examples=100, deadline=None)
@given(problems())
def test_random_problems_get_valid_solutions_above_the_bound(problem: Problem) -> None:
    solution = solve(problem, "first-fit")
    assert solution.arena_bytes >= solution.bound_bytes == arena_bound(problem)
    assert solve(problem, "first-fit") == solution


@settings(max_examples=60, deadline=None)
@given(problems(most=7))
def test_exact_is_never_worse_and_never_below_the_bound(problem: Problem) -> None:
    quick, best = solve(problem, "first-fit"), solve(problem, "exact")
    assert quick.bound_bytes <= best.bound_bytes <= best.arena_bytes <= quick.arena_bytes
    assert best.bound_bytes == best.arena_bytes


@settings(max_examples=60, deadline=None)
@given(problems(most=3, largest=9))
def test_exact_and_the_bounds_against_brute_force(problem: Problem) -> None:
    free = tuple(replace(buffer, alignment=min(buffer.alignment, 2), fixed_offset=None) for buffer in problem.buffers)
    problem = replace(problem, buffers=free)
    optimum = _brute_force(problem)
    assert arena_bound(problem) <= optimum
    assert solve(problem, "exact").arena_bytes == optimum


def _brute_force(problem: Problem) -> int:
    ranges = [range(0, 32, buffer.alignment) for buffer in problem.buffers]
    picks = [range(len(choice.alternatives)) for choice in problem.choices]
    return min(
        max(offset + buffer.size for offset, buffer in zip(offsets, problem.buffers, strict=True))
        for offsets in itertools.product(*ranges)
        for choices in itertools.product(*picks)
        if _allowed(problem, offsets, choices)
    )


def _allowed(problem: Problem, offsets: tuple[int, ...], choices: tuple[int, ...]) -> bool:
    intervals = [
        item for choice, picked in zip(problem.choices, choices, strict=True) for item in choice.alternatives[picked]
    ]
    named = [{problem.index(item.a), problem.index(item.b)} for item in intervals]
    for item in intervals:
        if item.low < offsets[problem.index(item.b)] - offsets[problem.index(item.a)] < item.high:
            return False
    for (a, one), (b, two) in itertools.combinations(enumerate(problem.buffers), 2):
        together = one.first <= two.last and two.first <= one.last
        if together and {a, b} not in named and -two.size < offsets[b] - offsets[a] < one.size:
            return False
    return True


@settings(max_examples=150, deadline=None)
@given(buffers(), st.data())
def test_a_mutated_solution_is_caught_exactly_when_it_is_wrong(found: tuple[Buffer, ...], data: st.DataObject) -> None:
    problem = Problem(found)
    solution = solve(problem, "first-fit")
    moved = data.draw(st.integers(0, len(found) - 1))
    offsets = list(solution.offsets)
    offsets[moved] = max(0, offsets[moved] + found[moved].alignment * data.draw(st.integers(-20, 20)))
    arena = max(offset + buffer.size for offset, buffer in zip(offsets, found, strict=True))
    mutant = replace(solution, offsets=tuple(offsets), arena_bytes=arena, bound_bytes=0)
    wrong = found[moved].fixed_offset not in (None, offsets[moved]) or not _allowed(problem, tuple(offsets), ())
    if wrong:
        with pytest.raises(InternalError):
            validate(problem, mutant)
    else:
        validate(problem, mutant)


@pytest.mark.parametrize("layers", [4, 6, 12])
def test_chain_with_directions_chosen_takes_one_tensor_and_one_distance(layers: int) -> None:
    solution = solve(chain(layers, 2))
    assert (solution.arena_bytes, solution.bound_bytes) == (8384, 8384)
    assert set(solution.choices) == {0, 1}


def test_chain_all_forwards_adds_a_distance_for_each_layer() -> None:
    solution = solve(chain(4, 1))
    assert (solution.arena_bytes, solution.bound_bytes) == (9536, 9536)


def test_an_empty_interval_lets_a_layer_work_in_place() -> None:
    pair = (Buffer("in", 64, 16, 0, 1), Buffer("out", 64, 16, 1, 2))
    in_place = Choice("add", ((Forbidden("in", "out", 0, 64),),))
    assert solve(Problem(pair, (in_place,))).arena_bytes == 64
    assert solve(Problem(pair)).arena_bytes == 128


def test_bound_counts_the_alignment_between_buffers_but_not_above_the_topmost() -> None:
    found = (Buffer("a", 17, 16, 0, 1), Buffer("b", 33, 16, 0, 1), Buffer("c", 16, 16, 0, 1))
    solution = solve(Problem(found), "first-fit")
    assert live_bound(found) == 66
    assert solution.arena_bytes == solution.bound_bytes == 16 + 32 + 33


def test_fixed_offsets_are_kept_and_counted_in_the_bound() -> None:
    found = (Buffer("in", 16, 16, 0, 1, fixed_offset=64), Buffer("x", 48, 16, 1, 2), Buffer("y", 96, 16, 0, 0))
    solution = solve(Problem(found))
    assert solution.offsets[0] == 64
    assert solution.bound_bytes == solution.arena_bytes == 176


def test_a_large_enough_capacity_stops_the_search() -> None:
    unlucky = chain(12, 1)
    assert solve(replace(unlucky, capacity=1 << 20)).strategy == "first-fit"


def test_residual_network_reaches_the_live_bound() -> None:
    """A block keeps its skip while the branch widens: the widest block sets the arena."""
    found: list[Buffer] = []
    for block, (skip, wide) in enumerate([(6272, 18816), (3136, 18816), (1568, 9408)]):
        step = 3 * block
        found += [
            Buffer(f"skip{block}", skip, 16, step, step + 3),
            Buffer(f"expand{block}", wide, 16, step, step + 1),
            Buffer(f"depthwise{block}", wide, 16, step + 1, step + 2),
        ]
    solution = solve(Problem(tuple(found)), "first-fit")
    assert solution.arena_bytes == solution.bound_bytes == live_bound(found)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_is_deterministic(strategy: str) -> None:
    problem = chain(5, 2)
    assert solve(problem, strategy) == solve(problem, strategy)


def test_thousands_of_buffers_take_seconds() -> None:
    sizes = itertools.cycle([96, 1000, 4096, 8000, 33, 12345, 7])
    spans = itertools.cycle([1, 1, 2, 1, 7, 1, 1, 3])
    found = tuple(Buffer(f"b{i}", next(sizes), 16, i, i + next(spans)) for i in range(5000))
    start = time.monotonic()
    solution = solve(Problem(found), "first-fit")
    assert time.monotonic() - start < 30
    assert solution.arena_bytes <= 1.05 * solution.bound_bytes
