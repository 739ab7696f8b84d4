"""Where a lowered network's buffers lie in the arena, and what each layer reads and writes there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lowtide.graph.program import Window


@dataclass(frozen=True)
class PlacedBuffer:
    """A buffer at its place: `size` and `offset` in bytes, live in steps `first` to `last`, both included.

    Attributes:
        pixels: how many it holds at a time; where that is not all of the tensor, it is a ring: pixel
            p = row * columns + column lies at p modulo `pixels`.
        columns: pixels of a row.
        shift: how far a ring that fills from its end is shifted: pixel p lies at p + shift.
        block: columns of a block, in which row and column are each taken modulo the block's; 0 for a ring. A slice of
            channels is a block: each place of the tensor a row, the channels its columns.
        channels: extent of the innermost dimension of the tensor.
        element: bytes of an element.
    """

    name: str
    size: int
    offset: int
    first: int
    last: int
    pixels: int = 1
    columns: int = 1
    shift: int = 0
    block: int = 0
    channels: int = 1
    element: int = 1


@dataclass(frozen=True)
class LayerAccess:
    """What one layer of a lowered network, or a part of one, reads and writes in the arena.

    Attributes:
        name: the model's name of its output.
        function: its kernel.
        direction: forwards or backwards: which way the kernel goes through its output.
        inputs: names of the buffers that it reads.
        output: name of the buffer that it writes.
        stored_bytes: how much of the output a run writes, each byte once; in a loop, unless it accumulates, how much
            of each pixel (one row at one column).
        in_place_first, in_place_bytes: the part of the output that lies there already, since the allocator put the
            input that is to be copied in that place; the layer then has no code.
        windows: for each input the rows, and the columns, that those of the output need, None for any, as always
            outside loops.
        accumulates: it goes by the rows of its input, and reads what it writes.
        macs: multiply-accumulates of all its runs in one inference, recomputation included.
        rewrites: it stores bytes of its output more than once, and has buffers of its own: a loop of MLIR's tiling.
        workspaces: names of the buffers in which it keeps what nobody else reads.
    """

    name: str
    function: str
    direction: str
    inputs: tuple[str, ...]
    output: str
    stored_bytes: int
    in_place_first: int = 0
    in_place_bytes: int = 0
    windows: tuple[tuple[Window | None, Window | None], ...] = ()
    accumulates: bool = False
    macs: int = 0
    rewrites: bool = False
    workspaces: tuple[str, ...] = ()


def taken_bytes(buffers: Sequence[PlacedBuffer], step: int) -> int:
    """Bytes of the arena that are taken at a step, shared ones once."""
    total = end = 0
    for buffer in sorted(buffers, key=lambda buffer: buffer.offset):
        if buffer.first <= step <= buffer.last:
            total += max(0, buffer.offset + buffer.size - max(end, buffer.offset))
            end = max(end, buffer.offset + buffer.size)
    return total


def step_names(layers: Sequence[str]) -> tuple[str, ...]:
    """Names of the steps of a network with these layers."""
    return ("input", *layers, "output")
