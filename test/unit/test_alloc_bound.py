"""The lower bound of small problems whose best arena is plain: never above it, and as near as its rules reach."""

from __future__ import annotations

from lowtide.alloc import Buffer, Choice, Forbidden, Problem, solve
from lowtide.alloc.bound import arena_bound


def together(*sizes: int, choices: tuple[Choice, ...] = (), alignment: int = 1) -> Problem:
    """Buffers a, b, … of these sizes, all live at once."""
    return Problem(tuple(Buffer(chr(97 + n), size, alignment, 0, 1) for n, size in enumerate(sizes)), choices)


def in_place(a: str, b: str) -> Choice:
    return Choice(f"{a} over {b}", ((Forbidden(a, b, 0, 0),),))


def both(problem: Problem) -> tuple[int, int]:
    """The bound, and the least arena."""
    return arena_bound(problem), solve(problem, "exact").arena_bytes


def test_buffers_that_share_nothing_are_added_up() -> None:
    assert both(together(10, 4, 7)) == (21, 21)


def test_only_the_topmost_is_not_filled_up_to_the_alignment() -> None:
    assert both(together(10, 4, 7, alignment=8)) == (8 + 8 + 10, 26)


def test_a_layer_in_place_takes_one_buffer() -> None:
    assert both(together(10, 10, choices=(in_place("a", "b"),))) == (10, 10)


def test_every_pair_that_overlaps_counts() -> None:
    problem = together(10, 10, 6, 6, choices=(in_place("a", "b"), in_place("c", "d")))
    assert both(problem) == (16, 16)


def test_an_interval_holds_in_its_own_direction() -> None:
    """a may begin two bytes above b or more, so that all four of its bytes lie in b."""
    problem = together(4, 10, choices=(Choice("layer", ((Forbidden("b", "a", -10, 2),),)),))
    assert both(problem) == (10, 10)


def test_the_best_alternative_counts() -> None:
    choice = Choice("layer", ((Forbidden("a", "b", -9, 10),), (Forbidden("a", "b", -6, 10),)))
    assert both(together(10, 10, choices=(choice,))) == (16, 16)
