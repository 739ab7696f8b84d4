"""The ways in which a fused loop may go: by rows, channels or pixels, forwards or backwards, with recomputed layers."""

from __future__ import annotations

from dataclasses import dataclass

from lowtide.graph.fusion import Axis, Fusion
from lowtide.graph.graph import Graph
from lowtide.graph.program import Direction, Window


@dataclass(frozen=True)
class Mode:
    """How a loop goes: see `Fusion`."""

    columns: int = 0
    direction: Direction = "forwards"
    axis: Axis = "rows"
    rows: int = 1
    recomputed: bool = False

    def fusion(self, graph: Graph, first: int, last: int) -> Fusion:
        """The loop of these layers of the graph."""
        recompute = wider_layers(graph, first, last) if self.recomputed else ()
        return Fusion(first, last, self.rows, self.columns, self.direction, self.axis, recompute)


def wider_layers(graph: Graph, first: int, last: int) -> tuple[int, ...]:
    """Positions in a chain, from 1, of layers that make more of each pixel than they take of one, for one reader.

    Recomputed where the reader's window needs them, they spare a line buffer wider than that of their input: the
    expansion in front of a depthwise convolution is such a layer.
    """
    layers = graph.layers[first - 1 : last]
    found: list[int] = []
    for position, layer in enumerate(layers[:-1], start=1):
        output = graph.tensors[layer.output]
        users = [other for other in graph.layers if layer.output in other.inputs]
        inside = [graph.tensors[index] for index in layer.inputs if any(index == other.output for other in layers)]
        pointwise = all(w == Window(1, 0, 0) for _, w in (*(layer.rows.windows or ()), *(layer.rows.columns or ())))
        wider = len(inside) == len(layer.inputs) == 1 and output.row_bytes > inside[0].row_bytes
        if pointwise and wider and len(users) == 1 and output.last_use <= layers[-1].step:
            found.append(position)
    return tuple(found)


ROWS = (Mode(), Mode(direction="backwards"))
PIXELS = (Mode(1), Mode(1, "backwards"))
PATCHES = (Mode(1, recomputed=True), Mode(1, "backwards", recomputed=True))
CHANNELS = (Mode(axis="channels", rows=8), Mode(axis="channels"))
