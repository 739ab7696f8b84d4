"""The one way in: a strategy by name, and the validator on whatever it returns."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from lowtide.alloc.problem import STAGE, Choice, Forbidden, Problem, Solution
from lowtide.alloc.strategies import STRATEGIES
from lowtide.alloc.validate import validate
from lowtide.errors import UsageError


def solve(problem: Problem, strategy: str = "auto") -> Solution:
    """Offsets and choices for the least arena that the strategy finds, checked by the independent validator.

    The same problem and strategy always give the same answer. Raises `UsageError` for an unknown strategy and
    `InternalError` where no allocation can be right (fixed offsets in conflict) or the strategy is wrong.
    """
    if strategy not in STRATEGIES:
        message = f"unknown allocation strategy '{strategy}'"
        raise UsageError(STAGE, message, remedy=f"choose one of {', '.join(STRATEGIES)}")
    # A plan is predicted by the solution of the problem that the compile then has, under other names.
    solution = _solved(_anonymous(problem), strategy) if strategy == "auto" else STRATEGIES[strategy](problem)
    validate(problem, solution)
    return solution


@lru_cache(maxsize=4)
def _solved(problem: Problem, strategy: str) -> Solution:
    return STRATEGIES[strategy](problem)


def _anonymous(problem: Problem) -> Problem:
    """The same problem with numbers for names."""
    buffers = tuple(replace(buffer, name=str(number)) for number, buffer in enumerate(problem.buffers))

    def numbered(item: Forbidden) -> Forbidden:
        return Forbidden(problem.index(item.a), problem.index(item.b), item.low, item.high)

    choices = tuple(Choice("", tuple(tuple(map(numbered, one)) for one in c.alternatives)) for c in problem.choices)
    return Problem(buffers, choices, problem.capacity)
