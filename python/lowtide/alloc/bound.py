"""Lower bounds of the arena that hold for every solution."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from lowtide.alloc.liveness import live_sums
from lowtide.alloc.problem import Buffer, Problem

Interval = tuple[int, int]


def arena_bound(problem: Problem) -> int:
    """A proven lower bound of `arena_bytes`, in bytes, over all offsets and all alternatives."""
    buffers = problem.buffers
    best = max((buffer.size + (buffer.fixed_offset or 0) for buffer in buffers), default=0)
    soft = _soft_pairs(problem)
    first = np.array([buffer.first for buffer in buffers], dtype=np.int64)
    last = np.array([buffer.last for buffer in buffers], dtype=np.int64)
    padding = max((buffer.alignment for buffer in buffers), default=1) - 1
    steps, at_most = live_sums(buffers, [buffer.size + padding for buffer in buffers])
    for place in np.argsort(-at_most, kind="stable"):
        if at_most[place] <= best:
            break
        live = np.flatnonzero((first <= steps[place]) & (last >= steps[place]))
        best = max(best, _bound_at_step(buffers, live.tolist(), soft))
    return best


def _bound_at_step(buffers: Sequence[Buffer], live: list[int], soft: dict[Interval, int]) -> int:
    pairs = [(a, b) for a, b in _pairs_among(live, soft) if soft[a, b]]
    if not pairs:
        return _disjoint_bound([buffers[index] for index in live])
    overlapping = _matched_bound(buffers, live, pairs, soft)
    return max(overlapping, _disjoint_bound([buffers[index] for index in _independent(buffers, live, pairs)]))


def _disjoint_bound(buffers: Sequence[Buffer]) -> int:
    """Bytes that disjoint buffers take: each but the topmost pushes the next one to the common alignment."""
    common = int(np.gcd.reduce([buffer.alignment for buffer in buffers]))
    paddings = [-buffer.size % common for buffer in buffers]
    return sum(buffer.size for buffer in buffers) + sum(paddings) - max(paddings)


def _pairs_among(live: list[int], soft: dict[Interval, int]) -> Iterable[Interval]:
    if not soft:
        return ()
    members = set(live)
    return [pair for pair in soft if members.issuperset(pair)]


def _independent(buffers: Sequence[Buffer], live: list[int], pairs: list[Interval]) -> list[int]:
    """Live buffers of which no two may overlap, chosen greedily by size."""
    rivals: dict[int, set[int]] = defaultdict(set)
    for a, b in pairs:
        rivals[a].add(b)
        rivals[b].add(a)
    kept: set[int] = set()
    for index in sorted(live, key=lambda index: (-buffers[index].size, index)):
        if not rivals[index] & kept:
            kept.add(index)
    return sorted(kept)


def _matched_bound(buffers: Sequence[Buffer], live: list[int], pairs: list[Interval], soft: dict[Interval, int]) -> int:
    """Where each buffer overlaps at most one other: all bytes less the most that the pairs can share."""
    matched = [index for pair in pairs for index in pair]
    if len(set(matched)) < len(matched):
        return 0
    return sum(buffers[index].size for index in live) - sum(soft[pair] for pair in pairs)


def _soft_pairs(problem: Problem) -> dict[Interval, int]:
    """Pairs that some alternative names → the bytes they can share at most, under any combination of alternatives."""
    named: dict[Interval, list[list[Interval]]] = defaultdict(list)
    for choice in problem.choices:
        for alternative in choice.alternatives:
            intervals: dict[Interval, list[Interval]] = defaultdict(list)
            for item in alternative:
                a, b = problem.index(item.a), problem.index(item.b)
                low, high = (item.low, item.high) if a < b else (-item.high, -item.low)
                intervals[min(a, b), max(a, b)].append((low, high))
            for pair, found in intervals.items():
                named[pair].append(found)
    return {
        (a, b): max(_most_shared(problem.buffers[a].size, problem.buffers[b].size, found) for found in alternatives)
        for (a, b), alternatives in named.items()
    }


def _most_shared(size_a: int, size_b: int, forbidden: list[Interval]) -> int:
    """The most bytes that two buffers share at an allowed difference.

    The shared bytes rise and fall once with the difference, so the best allowed difference is the top of the
    curve or an end of a forbidden interval.
    """
    candidates = [0, size_a - size_b, *(end for interval in forbidden for end in interval)]
    allowed = (d for d in candidates if not any(low < d < high for low, high in forbidden))
    return max((max(0, min(size_a, d + size_b) - max(0, d)) for d in allowed), default=0)
