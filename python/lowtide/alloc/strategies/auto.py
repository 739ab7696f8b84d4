"""First-fit, and the exact solver where first-fit has not proven its answer."""

from __future__ import annotations

from lowtide.alloc.liveness import live_pairs
from lowtide.alloc.problem import Problem, Solution
from lowtide.alloc.strategies.exact import improved
from lowtide.alloc.strategies.first_fit import first_fit

EFFORT = 0.5
"""Deterministic time of the solver: a second at most."""
BRIEF = 0.02
"""The part of it with presolving."""
MOST_PAIRS = 20_000
"""Pairs live together beyond which the exact solver would do little in its effort but build its model."""


def auto(problem: Problem) -> Solution:
    """The quick answer where it is proven to be the best or the problem is large, the exact one otherwise."""
    quick = first_fit(problem)
    enough = max(quick.bound_bytes, problem.capacity or 0)
    if quick.arena_bytes <= enough or live_pairs(problem.buffers).pairs > MOST_PAIRS:
        return quick
    # Presolving proves many answers at once; where it does not, the plain search goes on three times as fast.
    return improved(problem, improved(problem, quick, BRIEF), EFFORT, presolve=False)
