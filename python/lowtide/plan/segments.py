"""The parts that a chain of layers is cut into, and the dynamic programs over where it is cut."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lowtide.graph.fusion import Fusion
from lowtide.graph.graph import Graph

NEVER = 1 << 62
"""More bytes than any plan needs: of what can't be had at all."""


@dataclass(frozen=True)
class Segment:
    """One whole layer, or several in one loop.

    Attributes:
        fusion: the loop; of one layer where it is whole.
        nbytes: what it needs beside all that waits for later, in bytes; at least that where not `exact`.
        cost: what it takes more than its layers take whole; 0 for a layer that is whole.
        exact: the allocator has been asked.
    """

    fusion: Fusion
    nbytes: int
    cost: int
    exact: bool = False

    @property
    def first(self) -> int:
        """Number of its first layer."""
        return self.fusion.first

    @property
    def last(self) -> int:
        """Number of its last layer."""
        return self.fusion.last

    @property
    def fusions(self) -> tuple[Fusion, ...]:
        """The loop, nothing for a whole layer."""
        return () if self.first == self.last else (self.fusion,)


def peak_of(chain: Iterable[Segment]) -> int:
    """The most bytes that a segment needs."""
    return max(segment.nbytes for segment in chain)


def cost_of(chain: Iterable[Segment]) -> int:
    """What all loops of a chain take more than their layers would take whole."""
    return sum(segment.cost for segment in chain)


def segment_graph(graph: Graph, first: int, last: int, keep_input: bool = False) -> Graph:
    """Layers `first` to `last` alone: what is there before is their input, what later ones need their output.

    Steps and the numbers of tensors stay those of the whole graph.

    Args:
        graph: layers in the order in which they run.
        first, last: numbered from 1, both included.
        keep_input: the network's inputs stay to the end.
    """
    end = len(graph.layers) + 1
    stays = {*(graph.inputs if keep_input else ()), *(before for before, _ in graph.states)}
    uses = [(t, end if t.index in stays else t.last_use) for t in graph.tensors if t.producer <= last]
    inputs = tuple(t.index for t, use in uses if t.producer < first and use >= first)
    outputs = tuple(t.index for t, use in uses if use > last)
    return Graph(graph.layers[first - 1 : last], graph.tensors, inputs, outputs, row_overlap=graph.row_overlap)


def least_peak(segments: Sequence[Segment], layers: int) -> int:
    """The least peak of any way to cut the layers into segments."""
    best = [0] + [NEVER] * layers
    for segment in sorted(segments, key=lambda s: s.first):
        peak = max(best[segment.first - 1], segment.nbytes)
        best[segment.last] = min(best[segment.last], peak)
    assert best[layers] < NEVER, "whole layers always are a way"
    return best[layers]


def cheapest(segments: Sequence[Segment], layers: int, peak: int) -> tuple[Segment, ...]:
    """The segments of the least cost none of which needs more than `peak` bytes; of equals the first found."""
    costs = {0: 0}
    ways: dict[int, Segment] = {}
    # whatever ends before a segment's first layer is settled before the segment is looked at
    for segment in sorted(segments, key=lambda s: (s.first, s.last)):
        if segment.nbytes <= peak and segment.first - 1 in costs:
            cost = costs[segment.first - 1] + segment.cost
            if segment.last not in costs or cost < costs[segment.last]:
                costs[segment.last], ways[segment.last] = cost, segment
    chain: list[Segment] = []
    while layers:
        chain.append(ways[layers])
        layers = chain[-1].first - 1
    return tuple(reversed(chain))
