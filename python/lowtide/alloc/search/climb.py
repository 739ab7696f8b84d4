"""First-fit again and again while its order and the alternatives change a little: for problems with overlap."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lowtide.alloc.liveness import live_pairs
from lowtide.alloc.problem import Problem
from lowtide.compiled import compiled

Ints = NDArray[np.int64]

SEED = 20_261
HISTORY = 30
"""An attempt is kept if it is no worse than the attempt so many before it (late acceptance)."""


class Field(NamedTuple):
    """The allocation problem as arrays for compiled code.

    The pairs of buffer i are rows `pair_starts[i]:pair_starts[i + 1]` of `pairs`: the other buffer, whether the two
    are live together, and where its items begin and end. An item is an interval of an alternative: choice, alternative,
    low, high; offset(i) - offset(other) must not lie in (low, high) if the alternative is picked.
    """

    size: Ints
    alignment: Ints
    fixed: Ints
    pair_starts: Ints
    pairs: Ints
    items: Ints


@compiled
def _raised(candidate: int, alignment: int, low: int, high: int) -> int:
    """The candidate, or the lowest multiple of the alignment at or above `high` where it is forbidden."""
    if low < candidate < high:
        return (high + alignment - 1) // alignment * alignment
    return candidate


@compiled
def _lowest(field: Field, index: int, picks: Ints, offsets: Ints) -> int:
    """The lowest offset that the buffers already placed (offset ≥ 0) leave to this one.

    Each forbidden interval that the candidate is in raises it to the interval's end; then all are looked at again, as a
    raised one may be in an interval that it was below. No interval is sorted, so none has to be kept sorted.
    """
    candidate = 0
    before = -1
    alignment = int(field.alignment[index])
    # ends at the first pass in which nothing is raised
    while candidate != before:
        before = candidate
        for row in range(field.pair_starts[index], field.pair_starts[index + 1]):
            other = field.pairs[row, 0]
            base = int(offsets[other])
            if base < 0:
                continue
            named = False
            for item in range(field.pairs[row, 2], field.pairs[row, 3]):
                if picks[field.items[item, 0]] == field.items[item, 1]:
                    named = True
                    low, high = base + int(field.items[item, 2]), base + int(field.items[item, 3])
                    candidate = _raised(candidate, alignment, low, high)
            if not named and field.pairs[row, 1]:
                low, high = base - int(field.size[index]), base + int(field.size[other])
                candidate = _raised(candidate, alignment, low, high)
    return candidate


@compiled
def place(field: Field, order: Ints, picks: Ints, offsets: Ints) -> int:
    """Fill in `offsets` by first-fit in this order of the buffers, fixed ones first; the arena in bytes."""
    offsets[:] = field.fixed
    arena = 0
    for index in order:
        if field.fixed[index] < 0:
            offsets[index] = _lowest(field, index, picks, offsets)
        arena = max(arena, int(offsets[index] + field.size[index]))
    return arena


@dataclass(frozen=True)
class Attempt:
    """An order and the alternatives, and what first-fit makes of them."""

    order: Ints
    picks: Ints
    offsets: Ints
    arena: int


@dataclass(frozen=True)
class Climb:
    """Any problem, ready to be improved upon."""

    problem: Problem

    @cached_property
    def field(self) -> Field:
        """The arrays."""
        buffers = self.problem.buffers
        items: list[tuple[int, int, int, int]] = []
        pairs: list[tuple[int, int, int, int]] = []
        starts = [0]
        named = self._named()
        live = live_pairs(buffers)
        for index in range(len(buffers)):
            beside = set(live.beside(index).tolist())
            for other in sorted(beside | set(named[index])):
                begin = len(items)
                items.extend(named[index].get(other, ()))
                pairs.append((other, other in beside, begin, len(items)))
            starts.append(len(pairs))
        return Field(
            size=np.array([buffer.size for buffer in buffers], dtype=np.int64),
            alignment=np.array([buffer.alignment for buffer in buffers], dtype=np.int64),
            fixed=np.array([-1 if b.fixed_offset is None else b.fixed_offset for b in buffers], dtype=np.int64),
            pair_starts=np.array(starts, dtype=np.int64),
            pairs=np.array(pairs, dtype=np.int64).reshape(-1, 4),
            items=np.array(items, dtype=np.int64).reshape(-1, 4),
        )

    def _named(self) -> dict[int, dict[int, list[tuple[int, int, int, int]]]]:
        """Buffer → other buffer → the items between them."""
        named: dict[int, dict[int, list[tuple[int, int, int, int]]]] = defaultdict(lambda: defaultdict(list))
        for number, choice in enumerate(self.problem.choices):
            for picked, alternative in enumerate(choice.alternatives):
                for item in alternative:
                    a, b = self.problem.index(item.a), self.problem.index(item.b)
                    named[b][a].append((number, picked, item.low, item.high))
                    named[a][b].append((number, picked, -item.high, -item.low))
        return named

    def attempt(self, order: Ints, picks: Ints) -> Attempt:
        """First-fit in this order with these alternatives."""
        offsets = np.empty(len(order), dtype=np.int64)
        return Attempt(order, picks, offsets, int(place(self.field, order, picks, offsets)))

    def improved(self, offsets: tuple[int, ...], picks: tuple[int, ...], enough: int, attempts: int) -> Attempt:
        """The best of so many attempts, the first with the buffers in the order of these offsets.

        Late acceptance: an attempt is kept where it is no worse than the current one, or than the one kept `HISTORY`
        attempts ago, so that the climb leaves local optima. It stops at an arena of `enough` bytes.
        """
        order = np.argsort(np.array(offsets, dtype=np.int64), kind="stable").astype(np.int64)
        current = best = self.attempt(order, np.array(picks, dtype=np.int64))
        generator = random.Random(SEED)
        history = [current.arena] * HISTORY
        for number in range(attempts):
            if best.arena <= enough:
                break
            candidate = self._neighbour(generator, current)
            if candidate.arena <= max(current.arena, history[number % HISTORY]):
                current = candidate
            if candidate.arena < best.arena:
                best = candidate
            history[number % HISTORY] = current.arena
        return best

    def _neighbour(self, generator: random.Random, current: Attempt) -> Attempt:
        """Another alternative of a choice, two buffers swapped, or a topmost one moved anywhere in the order."""
        order, picks = current.order, current.picks
        flippable = self._flippable
        if flippable and (len(order) < 2 or generator.random() < 0.5):
            picks = picks.copy()
            flipped = generator.choice(flippable)
            picks[flipped] = generator.randrange(len(self.problem.choices[flipped].alternatives))
        elif generator.random() < 0.5:
            order = order.copy()
            one, two = generator.randrange(len(order)), generator.randrange(len(order))
            order[one], order[two] = order[two], order[one]
        else:
            # only another place for a buffer at the top of the arena can make it smaller
            topmost = np.flatnonzero(current.offsets + self.field.size == current.arena)
            moved = topmost[generator.randrange(len(topmost))]
            rest = order[order != moved]
            place_at = generator.randrange(len(order))
            order = np.concatenate([rest[:place_at], [moved], rest[place_at:]])
        return self.attempt(order, picks)

    @cached_property
    def _flippable(self) -> list[int]:
        return [index for index, choice in enumerate(self.problem.choices) if len(choice.alternatives) > 1]
