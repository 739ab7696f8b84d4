"""Search from first-fit's answer: a tree search with restarts where no overlap is allowed, a climb elsewhere.

The effort is counted in nodes and attempts, so the same problem always has the same answer.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from lowtide.alloc.problem import Problem, Solution
from lowtide.alloc.strategies.first_fit import first_fit

if TYPE_CHECKING:
    from lowtide.alloc.search.climb import Climb
    from lowtide.alloc.search.restarts import Packing

NAME = "local-search"
NODES = 600_000
"""Nodes for the arena asked for, at most: some ten seconds."""
WORK = 4_000_000_000
"""Buffers × sections visited for it, at most: a node of a large problem is dear."""
LATER = 12
"""Each arena tried after that gets this part of the effort."""
STEPS = 8
"""So many of them are tried."""
ATTEMPTS = 300
"""First-fits while climbing, for each buffer and choice."""
PLACEMENTS = 1_000_000
"""Buffers that they place, at most: a second or two."""


def local_search(problem: Problem) -> Solution:
    """An arena no worse than first-fit's; where no overlap is allowed, with a better bound if one was proven."""
    start = replace(first_fit(problem), strategy=NAME)
    if start.arena_bytes <= max(start.bound_bytes, problem.capacity or 0):
        return start
    # They load numba, which takes a second.
    from lowtide.alloc.search.climb import Climb
    from lowtide.alloc.search.restarts import Packing

    if Packing.possible(problem):
        return _packed(Packing(problem), problem, start)
    return _climbed(Climb(problem), problem, start)


def _climbed(climb: Climb, problem: Problem, start: Solution) -> Solution:
    count = len(problem.buffers)
    attempts = min(ATTEMPTS * (count + len(problem.choices)), PLACEMENTS // count)
    enough = max(start.bound_bytes, problem.capacity or 0)
    best = climb.improved(start.offsets, start.choices, enough, attempts)
    if best.arena >= start.arena_bytes:
        return start
    offsets, choices = tuple(best.offsets.tolist()), tuple(best.picks.tolist())
    return replace(start, offsets=offsets, choices=choices, arena_bytes=best.arena)


def _packed(packing: Packing, problem: Problem, start: Solution) -> Solution:
    """Try what is asked for, then halve the gap between what was not found and the best found."""
    best = replace(start, bound_bytes=packing.rounded_up(start.bound_bytes))
    missed = best.bound_bytes - packing.granularity
    target = enough = max(best.bound_bytes, problem.capacity or 0)
    budget = min(NODES, WORK // packing.cells)
    for _ in range(1 + STEPS):
        if best.arena_bytes <= enough or best.arena_bytes - missed <= packing.granularity:
            break
        outcome = packing.fit(target, budget)
        if outcome.offsets is not None:
            ends = (offset + buffer.size for offset, buffer in zip(outcome.offsets, problem.buffers, strict=True))
            best = replace(best, offsets=outcome.offsets, arena_bytes=max(ends))
        else:
            missed = target
        if outcome.infeasible:
            best = replace(best, bound_bytes=packing.rounded_up(target + 1))
        target = packing.rounded_up((missed + best.arena_bytes) // 2)
        budget = min(NODES, WORK // packing.cells) // LATER
    return best
