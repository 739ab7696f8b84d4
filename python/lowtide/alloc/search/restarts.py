"""The tree search again and again, each time a little differently, within a budget of nodes.

A search that starts badly rarely recovers, and another one is often done at once: so most runs are short (their
lengths follow Luby's sequence). Each run ranks the buffers and looks for scarce sections in its own way, drawn with a
fixed seed; what sections were blamed for is kept. Only nodes are counted, so the answer is the same on every machine.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from lowtide.alloc.liveness import Live, live_pairs
from lowtide.alloc.problem import Problem
from lowtide.alloc.search.board import BUFFER, SECTION, Board
from lowtide.alloc.search.tree import ABORTED, INFEASIBLE, SOLVED, search

Ints = NDArray[np.int64]

SEED = 1
RUN = 1_000
"""Nodes of the shortest runs."""
NOISE = 0.2
"""The share by which a weight is varied at random, half of it in either direction."""


@dataclass(frozen=True)
class Outcome:
    """`offsets` within the capacity, or None; then `infeasible` tells whether none exist or the budget ran out."""

    offsets: tuple[int, ...] | None
    infeasible: bool
    nodes: int


@dataclass(frozen=True)
class _Style:
    """How a run decides; see `tree.search`. The weight of a buffer is width ** wide * size ** large."""

    slack_weight: float
    blame_power: int
    wide: int
    large: int


_FIRST = _Style(1.0, 2, 1, 0)
_SHAPES = ((1, 0), (0, 1), (1, 1), (2, 1), (1, 3))


@dataclass(frozen=True)
class Packing:
    """A problem without choices and fixed offsets, ready to be searched at any capacity."""

    problem: Problem

    @staticmethod
    def possible(problem: Problem) -> bool:
        """The tree search knows no overlap and no fixed offsets."""
        return not problem.choices and all(buffer.fixed_offset is None for buffer in problem.buffers)

    @cached_property
    def granularity(self) -> int:
        """The offsets of allocations that are pushed down, and their arenas, are multiples of so many bytes."""
        of_sizes = math.gcd(*(buffer.size for buffer in self.problem.buffers))
        return math.gcd(of_sizes, *(a for a in {b.alignment for b in self.problem.buffers} if of_sizes % a))

    def rounded_up(self, arena: int) -> int:
        """The least arena possible that has so many bytes, by granularity."""
        return arena + -arena % self.granularity

    @cached_property
    def cells(self) -> int:
        """Buffers × their sections: about what a node costs."""
        return int((self._buffers["behind"] - self._buffers["first"]).sum())

    @cached_property
    def _buffers(self) -> NDArray[np.void]:
        buffers = self.problem.buffers
        table = np.zeros(len(buffers), dtype=BUFFER)
        table["first"] = np.searchsorted(self._steps, [buffer.first for buffer in buffers])
        table["behind"] = np.searchsorted(self._steps, [buffer.last + 1 for buffer in buffers])
        table["size"] = [buffer.size for buffer in buffers]
        table["alignment"] = [buffer.alignment for buffer in buffers]
        table["beside_begin"] = self._live.starts[:-1]
        table["beside_end"] = self._live.starts[1:]
        return table

    @cached_property
    def _steps(self) -> Ints:
        """Where sections begin."""
        return np.unique([step for buffer in self.problem.buffers for step in (buffer.first, buffer.last + 1)])

    @cached_property
    def _live(self) -> Live:
        return live_pairs(self.problem.buffers)

    @cached_property
    def _sections(self) -> NDArray[np.void]:
        return np.zeros(len(self._steps) + 1, dtype=SECTION)

    @cached_property
    def _members(self) -> Ints:
        return np.concatenate(self._components)

    @cached_property
    def _board(self) -> Board:
        count = len(self.problem.buffers)
        # a placement raises the ground of neighbours, each of which can then be lifted once more
        trail = np.zeros((2 * self._live.pairs + 2 * count, 3), dtype=np.int64)
        part_end, scratch, counters = (np.zeros(length, dtype=np.int64) for length in (count, count, 2))
        arrays = (self._buffers, self._sections, self._live.others, self._members, part_end, scratch, trail, counters)
        return Board(*cast(Any, arrays))

    def fit(self, capacity: int, budget: int) -> Outcome:
        """Offsets within so many bytes; gives up after so many nodes."""
        spent = 0
        self._sections["blame"] = 1
        begin = 0
        for component in self._components:
            end = begin + len(component)
            status, nodes = self._fit_component(begin, end, capacity, budget - spent)
            spent += nodes
            if status != SOLVED:
                return Outcome(None, status == INFEASIBLE, spent)
            begin = end
        return Outcome(tuple(self._buffers["offset"].tolist()), False, spent)

    def _fit_component(self, begin: int, end: int, capacity: int, budget: int) -> tuple[int, int]:
        """How the search ended, and the nodes it took."""
        spent = 0
        status = ABORTED
        # a search moves the members about: each run starts from the same order
        component = self._members[begin:end].copy()
        generator = random.Random(SEED)
        runs = _luby()
        while status == ABORTED and spent < budget:
            # the first run decides in the way that does best on most problems, the others in ways drawn at random
            style = _drawn(generator) if spent else _FIRST
            rank = cast(Any, self._rank(style, generator))
            limit = min(RUN * next(runs), budget - spent)
            self._clear(begin, end, component)
            status = search(self._board, begin, end, capacity, limit, rank, style.slack_weight, style.blame_power)
            spent += self._board.counters[0]
        return status, int(spent)

    def _clear(self, begin: int, end: int, component: Ints) -> None:
        """Take all buffers of a component off the board; what sections were blamed for stays."""
        self._members[begin:end] = component
        self._buffers["offset"][component] = -1
        self._buffers["ground"][component] = 0
        self._buffers["lifted"][component] = 0
        self._board.counters[1] = 0

    def _rank(self, style: _Style, generator: random.Random) -> Ints:
        """The buffers' places by falling weight."""
        width = (self._buffers["behind"] - self._buffers["first"]).astype(np.float64)
        size = self._buffers["size"] / self._buffers["size"].max()
        # noise in every rank, so that no two runs with the same style are the same search
        weight = np.array([1 + NOISE * (generator.random() - 0.5) for _ in self.problem.buffers])
        for _ in range(style.wide):
            weight *= width
        for _ in range(style.large):
            weight *= size
        rank = np.empty(len(weight), dtype=np.int64)
        rank[np.argsort(-weight, kind="stable")] = np.arange(len(weight))
        return rank

    @cached_property
    def _components(self) -> tuple[Ints, ...]:
        """Buffers that share no step with those of another component, the smallest component first."""
        components: list[list[int]] = []
        behind = -1
        for index in np.argsort(self._buffers["first"], kind="stable").tolist():
            # no buffer so far reaches into this one's first section
            if self._buffers["first"][index] >= behind:
                components.append([])
            components[-1].append(index)
            behind = max(behind, int(self._buffers["behind"][index]))
        return tuple(np.array(component, dtype=np.int64) for component in sorted(components, key=len))


def _drawn(generator: random.Random) -> _Style:
    wide, large = generator.choice(_SHAPES)
    return _Style(generator.choice((0.5, 1.0, 2.0, 4.0)), generator.randrange(3), wide, large)


def _luby() -> Iterator[int]:
    """1, 1, 2, 1, 1, 2, 4, 1, 1, 2, 1, 1, 2, 4, 8, …"""
    ends, value = 1, 1
    while True:
        yield value
        if ends & -ends == value:
            ends, value = ends + 1, 1
        else:
            value *= 2
