"""The one way in: a strategy by name, and the validator on whatever it returns."""

from __future__ import annotations

from lowtide.alloc.problem import STAGE, Problem, Solution
from lowtide.alloc.strategies import STRATEGIES
from lowtide.alloc.validate import validate
from lowtide.errors import UsageError


def solve(problem: Problem, strategy: str = "auto") -> Solution:
    """Offsets and choices for the least arena that the strategy finds, checked by the independent validator.

    The same problem and strategy always give the same answer. Raises `UsageError` for an unknown strategy and
    `InternalError` where no allocation can be right (fixed offsets in conflict) or the strategy is wrong.
    """
    if strategy not in STRATEGIES:
        raise UsageError(
            STAGE, f"unknown allocation strategy '{strategy}'", remedy=f"choose one of {', '.join(STRATEGIES)}"
        )
    solution = STRATEGIES[strategy](problem)
    validate(problem, solution)
    return solution
