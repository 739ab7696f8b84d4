"""An order of the layers in which loops by rows reach further than in the model's own."""

from __future__ import annotations

from lowtide.graph.graph import Graph, Layer


def loop_order(graph: Graph) -> tuple[int, ...] | None:
    """The steps of the layers in an order in which what a layer reads row by row is made directly before it.

    A loop is of layers that follow each other. Where a layer reads one tensor by rows and another whole, as attention
    reads queries and keys, the one that is read whole has to be there before the loop; models often make it last.

    Returns:
        None where no layer reads two computed tensors in these two ways.
    """
    if not any(_whole(layer, graph) and len(_made(layer, graph)) > len(_whole(layer, graph)) for layer in graph.layers):
        return None
    writers: dict[int, list[Layer]] = {}
    for layer in graph.layers:
        writers.setdefault(layer.output, []).append(layer)
    order: dict[int, None] = {}

    def place(layer: Layer) -> None:
        if layer.step in order:
            return
        whole = _whole(layer, graph)
        for index in sorted(layer.inputs, key=lambda index: index not in whole):
            for maker in writers.get(index, ()):
                if maker.step < layer.step:
                    place(maker)
        # parts of one tensor keep their order
        for other in writers[layer.output]:
            if other.step < layer.step:
                place(other)
        order[layer.step] = None

    for layer in reversed(graph.layers):
        if all(layer.output not in other.inputs for other in graph.layers):
            place(layer)
    for layer in graph.layers:
        place(layer)
    return tuple(order)


def _made(layer: Layer, graph: Graph) -> list[int]:
    """The tensors that it reads of other layers."""
    return [index for index in layer.inputs if graph.tensors[index].producer]


def _whole(layer: Layer, graph: Graph) -> list[int]:
    """Those of them any row of which it may read at any time."""
    windows = dict(layer.rows.windows or ())
    # a window that does not move is the same rows at any time
    return [
        index
        for index in _made(layer, graph)
        if index in windows and ((window := windows[index]) is None or window.stride == 0)
    ]
