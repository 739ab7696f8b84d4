"""The allocation problem of a network, from the graph alone: what bufferisation will ask, buffer for buffer."""

from __future__ import annotations

from lowtide.alloc import Buffer, Choice, Forbidden, Problem
from lowtide.graph.graph import Graph, Layer
from lowtide.network import DTYPE_BYTES


def problem_of(graph: Graph, alignment: int, *, keep_input: bool = False, overlap: bool = True) -> Problem:
    """The problem whose least arena is that of the graph in its order.

    Args:
        graph: layers whole.
        alignment: least alignment of a buffer, in bytes.
        keep_input: inputs stay intact up to the end.
        overlap: layers may write over what they no longer read of dying inputs.
    """
    end = len(graph.layers) + 1
    last = {t.index: end if keep_input and t.index in graph.inputs else t.last_use for t in graph.tensors}
    ordered = sorted(graph.tensors, key=lambda t: t.producer)
    buffers = tuple(
        Buffer(_name(t.index), t.nbytes, max(alignment, DTYPE_BYTES[t.dtype]), t.producer, last[t.index])
        for t in ordered
    )
    choices = [_choice(graph, layer, last) for layer in graph.layers] if overlap else []
    return Problem(buffers, tuple(choice for choice in choices if choice is not None))


def _name(index: int) -> str:
    return f"tensor {index}"


def _choice(graph: Graph, layer: Layer, last: dict[int, int]) -> Choice | None:
    """The layer's two directions, None where none of its inputs dies."""
    output = graph.tensors[layer.output]
    forwards: list[Forbidden] = []
    backwards: list[Forbidden] = []
    for overlap in layer.overlaps:
        if last[overlap.tensor] != layer.step:
            continue
        source, size = graph.tensors[overlap.tensor], output.nbytes
        names = _name(source.index), _name(output.index)
        forwards.append(Forbidden(*names, -overlap.forwards, source.nbytes))
        backwards.append(Forbidden(*names, -size, source.nbytes - size + overlap.backwards))
    return Choice(f"step {layer.step}", (tuple(forwards), tuple(backwards))) if forwards else None
