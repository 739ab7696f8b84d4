"""The searches: what they find, what they prove, and that they always find the same."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numba
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray

from lowtide import compiled
from lowtide.alloc import STRATEGIES, Buffer, Choice, Forbidden, Problem, Solution, arena_bound, solve, validate
from lowtide.alloc.csv import capacity_in, read_table
from lowtide.alloc.search.climb import Climb
from lowtide.alloc.search.restarts import Packing
from lowtide.alloc.strategies.exact import improved

PROBLEMS = Path(__file__).parents[3] / "shared" / "minimalloc"
ALIGNMENTS = st.sampled_from([1, 2, 4, 8])

_F = TypeVar("_F", bound=Callable[..., object])


def tiles(cuts: int, seed: int, steps: int = 40, capacity: int = 1024) -> Problem:
    """Buffers that fill steps × capacity without a gap: a rectangle cut in two again and again, then shuffled."""
    print(f"seed {seed}")
    generator = random.Random(seed)
    pieces = [(0, steps, capacity)]
    while len(pieces) < cuts:
        first, behind, size = pieces.pop(max(range(len(pieces)), key=lambda at: _area(pieces[at], generator)))
        if generator.random() < 0.5 and behind - first > 1:
            cut = generator.randrange(first + 1, behind)
            pieces += [(first, cut, size), (cut, behind, size)]
        elif size > 1:
            cut = generator.randrange(1, size)
            pieces += [(first, behind, cut), (first, behind, size - cut)]
        else:
            pieces.append((first, behind, size))
    generator.shuffle(pieces)
    found = tuple(Buffer(f"b{at}", size, 1, first, behind - 1) for at, (first, behind, size) in enumerate(pieces))
    return Problem(found, (), capacity)


def _area(piece: tuple[int, int, int], generator: random.Random) -> float:
    return (piece[1] - piece[0]) * piece[2] * generator.random()


@st.composite
def plain(draw: st.DrawFn) -> Problem:
    """Few small buffers, some aligned."""
    found: list[Buffer] = []
    for index in range(draw(st.integers(1, 7))):
        first = draw(st.integers(0, 5))
        last = first + draw(st.integers(0, 3))
        found.append(Buffer(f"b{index}", draw(st.integers(1, 9)), draw(ALIGNMENTS), first, last))
    return Problem(tuple(found))


@st.composite
def overlapping(draw: st.DrawFn) -> Problem:
    """As `plain`, with choices and perhaps a fixed offset."""
    problem = draw(plain())
    count = len(problem.buffers)
    choices: list[Choice] = []
    for number in range(draw(st.integers(0, 3)) if count > 1 else 0):
        pair = draw(st.permutations(range(count)))[:2]
        intervals = draw(st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=1, max_size=3))
        alternatives = tuple((Forbidden(pair[0], pair[1], low, high),) for low, high in intervals)
        choices.append(Choice(f"c{number}", alternatives))
    fixed = draw(st.sampled_from([None, 0, 8]))
    return Problem((replace(problem.buffers[0], fixed_offset=fixed), *problem.buffers[1:]), tuple(choices))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_tiling_that_first_fit_misses_is_found(seed: int) -> None:
    problem = tiles(70, seed)
    assert solve(problem, "first-fit").arena_bytes > 1024
    assert solve(problem, "local-search").arena_bytes == 1024


def test_the_least_arena_is_found_without_a_capacity() -> None:
    problem = replace(tiles(50, 4), capacity=None)
    solution = solve(problem, "local-search")
    assert (solution.arena_bytes, solution.bound_bytes, solution.strategy) == (1024, 1024, "local-search")


@settings(max_examples=80, deadline=None)
@given(plain())
def test_the_tree_search_finds_what_there_is_and_proves_what_there_is_not(problem: Problem) -> None:
    optimum = improved(problem, STRATEGIES["first-fit"](problem))
    assert optimum.arena_bytes == optimum.bound_bytes
    packing = Packing(problem)
    found = packing.fit(optimum.arena_bytes, 100_000)
    assert found.offsets is not None and all(offset % packing.granularity == 0 for offset in found.offsets)
    validate(problem, Solution(found.offsets, (), optimum.arena_bytes, 0, "tree"))
    less = packing.fit(optimum.arena_bytes - 1, 100_000)
    assert less.offsets is None and less.infeasible


@settings(max_examples=60, deadline=None)
@given(overlapping())
def test_local_search_takes_every_problem_and_is_never_worse_than_first_fit(problem: Problem) -> None:
    quick, searched = solve(problem, "first-fit"), solve(problem, "local-search")
    assert quick.bound_bytes <= searched.bound_bytes <= searched.arena_bytes <= quick.arena_bytes
    assert solve(problem, "local-search") == searched


def test_a_bound_is_raised_to_what_the_search_proves() -> None:
    rows = [(3, 0, 1), (3, 3, 6), (3, 0, 0), (1, 3, 3), (1, 2, 4), (3, 5, 5), (1, 1, 3), (2, 1, 2)]
    problem = Problem(tuple(Buffer(f"b{at}", size, 1, first, last) for at, (size, first, last) in enumerate(rows)))
    solution = solve(problem, "local-search")
    assert arena_bound(problem) == 6
    assert (solution.arena_bytes, solution.bound_bytes) == (7, 7)


def test_parts_that_share_no_step_are_solved_apart() -> None:
    one, two = tiles(40, 5), tiles(40, 6)
    later = tuple(replace(b, name=f"later {b.name}", first=b.first + 40, last=b.last + 40) for b in two.buffers)
    assert solve(Problem(one.buffers + later, (), 1024), "local-search").arena_bytes == 1024


def test_the_effort_is_counted_in_nodes_and_repeats() -> None:
    problem = tiles(90, 7)
    outcomes = [Packing(problem).fit(1024, 300) for _ in range(2)]
    packing = Packing(problem)
    again = [packing.fit(1024, 20_000) for _ in range(2)]
    assert outcomes[0] == outcomes[1] and outcomes[0].nodes <= 301
    assert again[0] == again[1]


def test_no_arena_below_a_single_buffer() -> None:
    problem = Problem((Buffer("a", 10, 4, 0, 0),))
    assert Packing(problem).fit(9, 10).infeasible
    assert Packing(problem).fit(10, 10).offsets == (0,)


def test_the_climb_improves_an_order_and_the_alternatives() -> None:
    chain = tuple(Buffer(f"t{at}", 8000, 16, at, at + 1) for at in range(9))
    both = [((Forbidden(at, at + 1, -384, 8000),), (Forbidden(at, at + 1, -8000, 384),)) for at in range(8)]
    problem = Problem(chain, tuple(Choice(f"l{at}", pair) for at, pair in enumerate(both)))
    climb = Climb(problem)
    start = climb.attempt(_numbers(range(9)), _numbers([0] * 8))
    best = climb.improved((0,) * 9, (0,) * 8, 0, 3_000)
    assert best.arena < start.arena
    assert best.arena == 8384


def _numbers(values: Iterable[int]) -> NDArray[np.int64]:
    return np.array(list(values), dtype=np.int64)


def test_machine_code_without_a_folder_to_keep_it_in(monkeypatch: pytest.MonkeyPatch) -> None:
    real = numba.njit

    def njit(*, cache: bool = False) -> Callable[[_F], _F]:
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return real(cache=False)

    monkeypatch.setattr(numba, "njit", njit)
    assert compiled.compiled(_twice)(21) == 42


def _twice(value: int) -> int:
    return 2 * value


@pytest.mark.slow
@pytest.mark.parametrize("name", list("ABCDEFGHIJK"))
def test_minimallocs_problems_fit(name: str) -> None:
    path = PROBLEMS / f"{name}.1048576.csv"
    if not path.exists():
        pytest.skip("MiniMalloc's problems are not beside the repository, in ../shared/minimalloc")
    solution = solve(read_table(path, capacity_in(path)).problem, "local-search")
    assert solution.arena_bytes <= 1_048_576
