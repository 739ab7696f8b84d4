"""The validator accepts right solutions and catches every wrong one, off by one included."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lowtide.alloc import Buffer, Choice, Forbidden, Problem, Solution, validate
from lowtide.errors import InternalError

BUFFERS = (Buffer("a", 10, 1, 0, 1), Buffer("b", 6, 1, 1, 2), Buffer("c", 4, 2, 2, 3), Buffer("d", 3, 1, 0, 3, 20))
PROBLEM = Problem(BUFFERS)
SOLUTION = Solution((0, 10, 0, 20), (), 23, 19, "by hand")
OVERLAP = Problem(
    BUFFERS[:2],
    (Choice("layer", ((Forbidden("a", "b", -2, 10),), (Forbidden("b", "a", -3, 6), Forbidden("a", "b", 90, 99)))),),
)


def refused(problem: Problem, solution: Solution, *names: str) -> None:
    with pytest.raises(InternalError) as caught:
        validate(problem, solution)
    for name in names:
        assert f"'{name}'" in str(caught.value)


def test_accepts_a_right_solution() -> None:
    validate(PROBLEM, SOLUTION)


def test_touching_buffers_are_fine_and_one_byte_closer_is_not() -> None:
    refused(PROBLEM, replace(SOLUTION, offsets=(0, 9, 0, 20)), "a", "b")
    refused(PROBLEM, replace(SOLUTION, offsets=(5, 0, 6, 20)), "a", "b")
    validate(PROBLEM, replace(SOLUTION, offsets=(6, 0, 6, 20)))


def test_live_at_one_common_step_is_a_conflict() -> None:
    touching = (Buffer("a", 4, 1, 0, 1), Buffer("b", 4, 1, 1, 2))
    refused(Problem(touching), Solution((0, 0), (), 4, 4, ""), "a", "b")
    refused(Problem(touching[::-1]), Solution((0, 0), (), 4, 4, ""), "a", "b")
    apart = (touching[0], replace(touching[1], first=2))
    validate(Problem(apart), Solution((0, 0), (), 4, 4, ""))


def test_offsets() -> None:
    refused(PROBLEM, replace(SOLUTION, offsets=(-1, 10, 0, 20)), "a")
    refused(PROBLEM, replace(SOLUTION, offsets=(0, 10, 1, 20)), "c")
    refused(PROBLEM, replace(SOLUTION, offsets=(0, 10, 0, 21), arena_bytes=24), "d")
    refused(PROBLEM, replace(SOLUTION, offsets=(0, 10, 0)))


def test_arena_is_exact_and_not_below_the_bound() -> None:
    refused(PROBLEM, replace(SOLUTION, arena_bytes=22))
    refused(PROBLEM, replace(SOLUTION, arena_bytes=24))
    refused(PROBLEM, replace(SOLUTION, bound_bytes=24))


@pytest.mark.parametrize("difference", [-6, -3, -2, 10])
def test_the_named_interval_replaces_the_default(difference: int) -> None:
    a, b = max(0, -difference), max(0, difference)
    validate(OVERLAP, Solution((a, b), (0,), max(a + 10, b + 6), 0, ""))


@pytest.mark.parametrize("difference", [-1, 0, 9])
def test_the_named_interval_is_kept_to_the_byte(difference: int) -> None:
    a, b = max(0, -difference), max(0, difference)
    refused(OVERLAP, Solution((a, b), (0,), max(a + 10, b + 6), 0, ""), "a", "b")


def test_all_intervals_of_the_alternative_hold_in_their_own_direction() -> None:
    validate(OVERLAP, Solution((0, 3), (1,), 10, 0, ""))
    refused(OVERLAP, Solution((0, 2), (1,), 10, 0, ""), "a", "b")
    refused(OVERLAP, Solution((0, 95), (1,), 101, 0, ""), "a", "b")


def test_the_picked_alternatives_exist() -> None:
    refused(OVERLAP, Solution((0, 10), (), 16, 0, ""))
    refused(OVERLAP, Solution((0, 10), (2,), 16, 0, ""), "layer")
    refused(OVERLAP, Solution((0, 10), (-1,), 16, 0, ""), "layer")


def test_an_interval_of_a_pair_not_live_together_holds_too() -> None:
    apart = (Buffer("a", 4, 1, 0, 0), Buffer("b", 4, 1, 1, 1))
    problem = Problem(apart, (Choice("c", ((Forbidden("a", "b", -1, 1),),)),))
    refused(problem, Solution((0, 0), (0,), 4, 0, ""), "a", "b")
    validate(problem, Solution((0, 1), (0,), 5, 0, ""))
