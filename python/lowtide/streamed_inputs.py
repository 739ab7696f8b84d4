"""Which inputs `--stream-input` names, and the networks for which that means nothing."""

from __future__ import annotations

from collections.abc import Sequence

from lowtide.errors import InputError, UsageError
from lowtide.graph.graph import Graph, Layer
from lowtide.network import IoTensor

STAGE = "stream"


def numbers_of(names: Sequence[str], inputs: Sequence[IoTensor], where: str) -> tuple[int, ...]:
    """The inputs with these names, as numbers from 0, in their order.

    Args:
        names: of inputs; empty for the only one.
        inputs: the model's.
        where: the model's file.

    Raises:
        UsageError: there is no such input, or it is named twice; or none is named and there are several.
    """
    there = [tensor.name for tensor in inputs]
    shown = ", ".join(f"'{name}'" for name in there) or "none"
    found: list[int] = []
    for name in names:
        if not name and len(inputs) != 1:
            message = f"the model has {len(inputs)} inputs, and --stream-input does not say which one"
            raise UsageError(STAGE, message, where=where, remedy=f"give --stream-input=NAME, one of {shown}")
        if name and there.count(name) != 1:
            kind = "several inputs are called" if name in there else "no input is called"
            raise UsageError(STAGE, f"{kind} '{name}'", where=where, remedy=f"the model's inputs are {shown}")
        found.append(there.index(name) if name else 0)
    if len(set(found)) < len(found):
        raise UsageError(STAGE, "--stream-input names an input twice", where=where, remedy="give it once")
    return tuple(sorted(found))


def check_readers(graph: Graph) -> None:
    """Refuse a streamed input of which a layer may read any row at any time: it would lie in memory whole.

    Raises:
        InputError: with that layer's name.
    """
    for source in graph.sources:
        for layer in graph.layers:
            if source.output in layer.inputs and not _takes_rows(layer, source.output):
                message = f"this layer ({layer.kind}) needs all rows of '{source.name}' before it can begin"
                remedy = "leave out --stream-input, or reorder the model's input so that its rows are what comes first"
                raise InputError(STAGE, message, where=f"'{layer.name}'", remedy=remedy)


def _takes_rows(layer: Layer, tensor: int) -> bool:
    """Whether a layer takes the tensor in a window of rows that moves, or a few rows at a time."""
    window = dict(layer.rows.windows or ()).get(tensor)
    return layer.rows.accumulates == tensor or (window is not None and window.stride > 0)
