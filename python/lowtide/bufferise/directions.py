"""Which way each layer's loops run: the allocator's choice, noted on the calls for the kernels."""

from __future__ import annotations

from collections.abc import Sequence

from lowtide.graph.program import DIRECTIONS
from lowtide.ir import Operation, StringAttr

DIRECTION = "lowtide.direction"
"""Of a layer's loops: one of `DIRECTIONS`, the first where nothing is said."""


def note_directions(calls: Sequence[Operation], layers: Sequence[int | None], chosen: Sequence[int]) -> None:
    """Tell the kernels which way each of these layers runs.

    Args:
        calls: of the whole network.
        layers: for each choice of the problem the number of its call, None for a loop, which runs forwards.
        chosen: the alternative picked, one a choice.
    """
    for number, choice in zip(layers, chosen, strict=True):
        if number is not None and choice:
            calls[number].attributes[DIRECTION] = StringAttr.get(DIRECTIONS[choice])
