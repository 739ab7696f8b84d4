"""Lower bounds of the arena for a network whose layers stay whole, overlap counted.

While a layer runs, all that is live must be there at once, and only its output may share bytes with inputs that die
there, as far as its kernel allows in one direction or the other. After Jokic et al., arXiv 2007.09963.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from lowtide.graph.graph import Graph, Layer, Overlap

BoundKind = Literal["within a layer", "between layers"]


@dataclass(frozen=True)
class UntiledBound:
    """No arena for the layers in this order is smaller, whatever the allocator does.

    Attributes:
        nbytes: the bound.
        kind: "between layers" where that much must be there when one layer is done and the next has not begun, which
            holds for any kernels; "within a layer" where it takes the access profiles of these kernels.
    """

    nbytes: int
    kind: BoundKind


def untiled_bound(graph: Graph) -> UntiledBound:
    """The largest of all steps' bounds, and where it comes from."""
    between = graph.between_bytes
    within = max(step_bytes(graph, step) for step in range(len(graph.layers) + 2))
    return UntiledBound(between, "between layers") if between >= within else UntiledBound(within, "within a layer")


def step_bytes(graph: Graph, step: int) -> int:
    """The least bytes that all that is live at a step can take."""
    live = graph.live_bytes(step)
    if not 0 < step <= len(graph.layers):
        return live
    layer = graph.layers[step - 1]
    if layer.output in graph.in_place_states:
        return live
    dying = {index for index in layer.inputs if graph.tensors[index].last_use == step}
    return live - saved_bytes(graph, layer, dying)


def saved_bytes(graph: Graph, layer: Layer, dying: Collection[int]) -> int:
    """The most bytes that the layer's output shares with those of its inputs that die there; they share none."""
    output = graph.tensors[layer.output].nbytes
    shared = [
        shared_bytes(graph.tensors[overlap.tensor].nbytes, output, overlap)
        for overlap in layer.overlaps
        if overlap.tensor in dying
    ]
    return max(min(output, sum(forwards for forwards, _ in shared)), min(output, sum(back for _, back in shared)))


def shared_bytes(source: int, output: int, overlap: Overlap) -> tuple[int, int]:
    """The most bytes that an input of `source` bytes shares with the output, for either direction of the loops."""
    # The shared bytes rise and fall once with the output's offset from the input: best is the top or the last allowed.
    tops = (0, source - output)
    forwards = [d for d in (*tops, -overlap.forwards) if d <= -overlap.forwards]
    least = source - output + overlap.backwards
    backwards = [d for d in (*tops, least) if d >= least]
    return max(_shared(source, output, d) for d in forwards), max(_shared(source, output, d) for d in backwards)


def _shared(source: int, output: int, difference: int) -> int:
    return max(0, min(source, difference + output) - max(0, difference))
