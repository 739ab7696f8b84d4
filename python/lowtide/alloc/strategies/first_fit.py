"""First-fit in several orders: each buffer takes the lowest offset that its forbidden intervals leave.

The orders are the ones that do well on networks; where none of them reaches the bound, seeded swaps improve
the best one, within a fixed number of placements, so that the same problem always has the same answer.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from lowtide.alloc.bound import arena_bound
from lowtide.alloc.conflicts import Conflicts, named_conflicts
from lowtide.alloc.liveness import Live, live_pairs
from lowtide.alloc.orders import ORDERS
from lowtide.alloc.problem import Problem, Solution

NAME = "first-fit"
PLACEMENTS = 30_000
ATTEMPTS = 500
"""Buffers placed and orders tried while improving, at most: half a second."""
FEW = 32
"""Intervals up to which plain integers are quicker than arrays."""
SEED = 20_261


@dataclass(frozen=True)
class _Tables:
    """The problem as arrays."""

    problem: Problem
    live: Live
    sizes: NDArray[np.int64]
    known: dict[tuple[int, ...], list[Conflicts]] = field(default_factory=dict[tuple[int, ...], list[Conflicts]])

    @property
    def count(self) -> int:
        return len(self.problem.buffers)

    def beside(self, choices: tuple[int, ...]) -> list[Conflicts]:
        """The conflicts of each buffer with these alternatives; kept, as most attempts ask for the same ones."""
        if choices not in self.known:
            named = named_conflicts(self.problem, choices)
            self.known[choices] = [self._beside(index, named.get(index)) for index in range(self.count)]
        return self.known[choices]

    def _beside(self, index: int, named: Conflicts | None) -> Conflicts:
        beside = self.live.beside(index)
        if named is None:
            return Conflicts(beside, np.broadcast_to(-self.sizes[index], beside.shape), self.sizes[beside])
        plain = np.ones(self.count, np.bool_)
        plain[named.others] = False
        beside = beside[plain[beside]]
        holds_integer = named.highs - named.lows > 1
        return Conflicts(
            np.concatenate([beside, named.others[holds_integer]]),
            np.concatenate([np.broadcast_to(-self.sizes[index], beside.shape), named.lows[holds_integer]]),
            np.concatenate([self.sizes[beside], named.highs[holds_integer]]),
        )


@dataclass(frozen=True)
class _Attempt:
    order: tuple[int, ...]
    choices: tuple[int, ...]
    offsets: tuple[int, ...]
    arena: int


def first_fit(problem: Problem) -> Solution:
    """The best of several first-fit orders and seeded improvements of it; deterministic."""
    bound = arena_bound(problem)
    enough = max(bound, problem.capacity or 0)
    sizes = np.array([buffer.size for buffer in problem.buffers], dtype=np.int64)
    tables = _Tables(problem, live_pairs(problem.buffers), sizes)
    best: _Attempt | None = None
    for order in ORDERS.values():
        attempt = _attempt(tables, order(problem, tables.live), (0,) * len(problem.choices))
        best = attempt if best is None or attempt.arena < best.arena else best
        if best.arena <= enough:
            break
    assert best is not None
    if best.arena > enough:
        best = _improved(tables, best, enough)
    return Solution(best.offsets, best.choices, best.arena, bound, NAME)


def _attempt(tables: _Tables, order: Sequence[int], choices: tuple[int, ...]) -> _Attempt:
    offsets = _place(tables, order, tables.beside(choices))
    return _Attempt(tuple(order), choices, tuple(offsets.tolist()), int((offsets + tables.sizes).max(initial=0)))


def _place(tables: _Tables, order: Sequence[int], beside: Sequence[Conflicts]) -> NDArray[np.int64]:
    """Offsets by first-fit in this order, after the buffers with fixed offsets."""
    buffers = tables.problem.buffers
    known = [-1 if buffer.fixed_offset is None else buffer.fixed_offset for buffer in buffers]
    offsets = np.array(known, dtype=np.int64)
    for index in order:
        if buffers[index].fixed_offset is not None:
            continue
        near, alignment = beside[index], buffers[index].alignment
        if len(near.others) <= FEW:
            spans = [(known[o] + low, known[o] + high) for o, low, high in near.rows if known[o] >= 0]
            known[index] = _lowest_of_few(spans, alignment)
        else:
            bases = offsets[near.others]
            placed = bases >= 0
            bases = bases[placed]
            known[index] = _lowest_of_many(bases + near.lows[placed], bases + near.highs[placed], alignment)
        offsets[index] = known[index]
    return offsets


def _lowest_of_few(spans: list[tuple[int, int]], alignment: int) -> int:
    """The least multiple of `alignment`, not negative, inside none of the open intervals."""
    candidate = 0
    for low, high in sorted(spans):
        if candidate <= low:
            break
        candidate = max(candidate, high + -high % alignment)
    return candidate


def _lowest_of_many(lows: NDArray[np.int64], highs: NDArray[np.int64], alignment: int) -> int:
    """`_lowest_of_few` of the intervals (`lows`, `highs`)."""
    if not len(lows):
        return 0
    by_low = np.argsort(lows)
    reached = np.maximum.accumulate(np.concatenate([[0], highs[by_low]]))
    candidates = reached + -reached % alignment
    free = np.flatnonzero(candidates[:-1] <= lows[by_low])
    return int(candidates[free[0]] if len(free) else candidates[-1])


def _improved(tables: _Tables, best: _Attempt, enough: int) -> _Attempt:
    """Swap, promote and flip alternatives at random while that does not make the arena larger."""
    movable = [index for index in best.order if tables.problem.buffers[index].fixed_offset is None]
    flips = [index for index, choice in enumerate(tables.problem.choices) if len(choice.alternatives) > 1]
    if len(movable) < 2 and not flips:
        return best
    generator = random.Random(SEED)
    for _ in range(min(ATTEMPTS, PLACEMENTS // tables.count)):
        order, choices = _neighbour(generator, tables, best, flips)
        attempt = _attempt(tables, order, choices)
        if attempt.arena <= best.arena:
            best = attempt
        if best.arena <= enough:
            break
    return best


def _neighbour(
    generator: random.Random, tables: _Tables, best: _Attempt, flips: list[int]
) -> tuple[list[int], tuple[int, ...]]:
    order, choices = list(best.order), list(best.choices)
    if flips and (len(order) < 2 or generator.random() < 0.5):
        flipped = generator.choice(flips)
        choices[flipped] = generator.randrange(len(tables.problem.choices[flipped].alternatives))
    elif generator.random() < 0.5:
        one, two = generator.sample(range(len(order)), 2)
        order[one], order[two] = order[two], order[one]
    else:
        top = [index for index in order if best.offsets[index] + tables.sizes[index] == best.arena]
        promoted = generator.choice(top)
        order.remove(promoted)
        order.insert(generator.randrange(len(order) + 1), promoted)
    return order, tuple(choices)
