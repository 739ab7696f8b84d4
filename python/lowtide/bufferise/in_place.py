"""Layers that need no code: what they move lies where it belongs, since the allocator put the input there."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from lowtide.bufferise.roots import Root, root_of
from lowtide.graph.move import move_of
from lowtide.graph.nest import LayerBody
from lowtide.ir import FlatSymbolRefAttr, Operation

Place = tuple[int, int]


def moves_in_place(
    steps: Mapping[Operation, int], roots: Sequence[Root], bodies: Mapping[str, LayerBody], offsets: Sequence[int]
) -> dict[int, Place]:
    """The steps of calls that would move bytes onto themselves.

    Args:
        steps: step of each call.
        roots: the network's buffers.
        bodies: the layers' loop descriptions by function name.
        offsets: of the buffers in the arena, in bytes.

    Returns:
        for each step the first byte and the number of bytes of the call's output that it is about.
    """
    places = {root.value: (root.buffer, offset) for root, offset in zip(roots, offsets, strict=True)}
    found: dict[int, Place] = {}
    for call, step in steps.items():
        if call.name != "func.call":
            continue
        body = bodies[FlatSymbolRefAttr(call.attributes["callee"]).value]
        move = move_of(body)
        source = None if move is None else places.get(root_of(call.operands[move.argument]))
        if move is None or source is None:
            continue
        output, offset = places[root_of(call.operands[len(call.operands) - 1])]
        size = output.size // math.prod(body.destination)
        if source[1] + move.source * size == offset + move.target * size:
            found[step] = move.target * size, move.count * size
    return found


def erase_calls(steps: Mapping[Operation, int], moves: Mapping[int, Place]) -> None:
    """Erase the calls that have nothing to do."""
    for call in [op for op, step in steps.items() if step in moves]:
        call.erase()
