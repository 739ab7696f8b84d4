"""Offsets for buffers in one arena: a problem in, offsets and choices out; no IR, no layers.

`solve` finds a solution by a named strategy and has the independent validator check it.
"""

from lowtide.alloc.bound import arena_bound
from lowtide.alloc.liveness import live_bound
from lowtide.alloc.problem import Buffer, Choice, Forbidden, Problem, Solution
from lowtide.alloc.solve import solve
from lowtide.alloc.strategies import STRATEGIES
from lowtide.alloc.validate import validate

__all__ = [
    "STRATEGIES",
    "Buffer",
    "Choice",
    "Forbidden",
    "Problem",
    "Solution",
    "arena_bound",
    "live_bound",
    "solve",
    "validate",
]
