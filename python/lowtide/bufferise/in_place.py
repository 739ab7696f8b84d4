"""Layers that need no code: what they move lies where it belongs, since the allocator put the input there."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from lowtide.bufferise.layer_call import memrefs_of, root_of
from lowtide.bufferise.program import Bufferised
from lowtide.graph.move import move_of
from lowtide.graph.nest import LayerBody

Place = tuple[int, int]


def moves_in_place(read: Bufferised, bodies: Mapping[str, LayerBody], offsets: Sequence[int]) -> dict[int, Place]:
    """The calls, outside loops, that would move bytes onto themselves.

    Args:
        read: the bufferised network.
        bodies: the layers' loop descriptions by function name.
        offsets: of the buffers in the arena, in bytes.

    Returns:
        for each such call the first byte and the number of bytes of its output that it is about.
    """
    places = dict(zip(read.values, offsets, strict=True))
    found: dict[int, Place] = {}
    for number, (call, function) in enumerate(zip(read.calls, read.functions, strict=True)):
        body = bodies[function]
        move = move_of(body)
        if move is None or read.program.loop_of(number) is not None:
            continue
        operands = memrefs_of(call)
        source = places.get(root_of(operands[move.argument]))
        target = read.program.calls[number].writes
        size = read.program.buffers[target].nbytes // math.prod(body.destination)
        if source is not None and source + move.source * size == offsets[target] + move.target * size:
            found[number] = move.target * size, move.count * size
    return found


def erase_calls(read: Bufferised, moves: Mapping[int, Place]) -> None:
    """Erase the calls that have nothing to do."""
    for number in moves:
        read.calls[number].erase()
