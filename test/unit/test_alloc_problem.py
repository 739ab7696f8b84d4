"""Problems that make no sense are refused by name."""

from __future__ import annotations

import pytest

from lowtide.alloc import Buffer, Choice, Forbidden, Problem, live_bound, solve
from lowtide.errors import InternalError, UsageError

GOOD = Buffer("a", 8, 4, 0, 1)


@pytest.mark.parametrize(
    ("buffer", "message"),
    [
        (Buffer("x", 0, 4, 0, 1), "size of 0"),
        (Buffer("x", -4, 4, 0, 1), "size of -4"),
        (Buffer("x", 1 << 60, 4, 0, 1), "size of"),
        (Buffer("x", 4, 0, 0, 1), "alignment of 0"),
        (Buffer("x", 4, 4, 2, 1), "live from step 2 to step 1"),
        (Buffer("x", 4, 4, 0, 1, fixed_offset=2), "fixed offset 2"),
        (Buffer("x", 4, 4, 0, 1, fixed_offset=-4), "fixed offset -4"),
    ],
)
def test_bad_buffer(buffer: Buffer, message: str) -> None:
    with pytest.raises(InternalError, match=message) as caught:
        Problem((GOOD, buffer))
    assert "'x'" in str(caught.value)


def test_same_name_twice() -> None:
    with pytest.raises(InternalError, match="same name") as caught:
        Problem((GOOD, GOOD))
    assert "'a'" in str(caught.value)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (Choice("c", ()), "without alternatives"),
        (Choice("c", ((Forbidden("a", "nobody", 0, 4),),)), "no buffer 'nobody'"),
        (Choice("c", ((Forbidden(0, 7, 0, 4),),)), "no buffer '7'"),
        (Choice("c", ((Forbidden("a", 0, 0, 4),),)), "itself"),
        (Choice("c", ((Forbidden("a", "b", 0, 1 << 60),),)), "out of range"),
    ],
)
def test_bad_choice(choice: Choice, message: str) -> None:
    with pytest.raises(InternalError, match=message):
        Problem((GOOD, Buffer("b", 8, 4, 0, 1)), (choice,))


def test_unknown_strategy_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match="'best'") as caught:
        solve(Problem((GOOD,)), "best")
    assert "first-fit" in str(caught.value)


def test_fixed_offsets_in_conflict_name_both_buffers() -> None:
    problem = Problem((Buffer("one", 8, 4, 0, 1, 0), Buffer("two", 8, 4, 1, 2, 4), Buffer("three", 64, 4, 1, 1)))
    for strategy in ("first-fit", "exact", "auto"):
        with pytest.raises(InternalError) as caught:
            solve(problem, strategy)
        assert "'one'" in str(caught.value)
        assert "'two'" in str(caught.value)


def test_live_bound_is_the_largest_live_sum() -> None:
    assert live_bound([]) == 0
    assert live_bound([Buffer("a", 5, 1, 0, 1), Buffer("b", 7, 1, 1, 2), Buffer("c", 6, 1, 2, 9)]) == 13
    assert live_bound([Buffer("a", 5, 1, 0, 1), Buffer("b", 7, 1, 2, 2)]) == 7


def test_no_buffers() -> None:
    solution = solve(Problem(()))
    assert (solution.offsets, solution.arena_bytes, solution.bound_bytes) == ((), 0, 0)
