"""The dynamic program over cuts against all cuts; the search's answer on a real chain."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import pytest

from lowtide.graph.fusion import Fusion
from lowtide.plan.segments import Segment, cheapest, least_peak

CASES = 200


def random_segments(choose: random.Random) -> tuple[list[Segment], int]:
    """Every whole layer, and some loops of several; sizes collide on purpose."""
    layers = choose.randint(1, 7)
    segments = [Segment(Fusion(n, n), choose.randint(1, 12), 0) for n in range(1, layers + 1)]
    for first in range(1, layers + 1):
        for last in range(first + 1, layers + 1):
            segments += [
                Segment(Fusion(first, last), choose.randint(1, 12), choose.randint(0, 6))
                for _ in range(choose.randint(0, 2))
            ]
    choose.shuffle(segments)
    return segments, layers


def all_chains(segments: Sequence[Segment], layers: int, first: int = 1) -> Iterator[tuple[Segment, ...]]:
    """Every way to cut layers `first` to the last."""
    if first > layers:
        yield ()
    for segment in segments:
        if segment.first == first:
            yield from ((segment, *rest) for rest in all_chains(segments, layers, segment.last + 1))


@pytest.mark.parametrize("seed", range(CASES))
def test_against_all_cuts(seed: int) -> None:
    segments, layers = random_segments(random.Random(seed))
    chains = list(all_chains(segments, layers))
    peaks = [max(segment.nbytes for segment in chain) for chain in chains]
    peak = least_peak(segments, layers)
    assert peak == min(peaks)
    for bound in (peak, peak + 2):
        found = cheapest(segments, layers, bound)
        assert found in chains
        assert max(segment.nbytes for segment in found) <= bound
        costs = [sum(s.cost for s in chain) for chain, most in zip(chains, peaks, strict=True) if most <= bound]
        assert sum(segment.cost for segment in found) == min(costs)
