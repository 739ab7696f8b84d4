"""What the tree search looks at, as numpy records that compiled code reads by field; tree.py explains the words."""

from __future__ import annotations

from collections.abc import MutableSequence, Sequence
from typing import NamedTuple, Protocol

import numpy as np


class BufferState(Protocol):
    """A buffer and where the search has got to with it.

    Attributes:
        first, behind: its sections, half-open.
        size, alignment: bytes.
        beside_begin, beside_end: its neighbours, as places in `Board.beside`.
        offset: bytes, or -1 while it isn't placed.
        ground, lifted, least: bytes, 0 or 1, bytes; `least` only holds at the node at hand.
    """

    first: int
    behind: int
    size: int
    alignment: int
    beside_begin: int
    beside_end: int
    offset: int
    ground: int
    lifted: int
    least: int


class SectionState(Protocol):
    """A section at the node at hand.

    Attributes:
        reach: the least height that its unplaced buffers come to.
        bottom: the least offset among them, or -1 without any.
        blame: 1 + how often it failed, over the whole search.
        mark: for the moment.
    """

    reach: int
    bottom: int
    blame: float
    mark: int


class Board(NamedTuple):
    """The problem and the state of the search.

    Attributes:
        buffers, sections: numpy records with the fields above, and one section more than there are.
        beside: all lists of neighbours.
        members: all buffers, those of a component side by side.
        part_end: at the place in `members` where a component begins, where it ends.
        scratch: buffers, for the moment.
        trail: rows (buffer, ground, lifted) of changes to undo; ground -1 for a placement.
        counters: nodes visited, and rows of the trail.
    """

    buffers: Sequence[BufferState]
    sections: Sequence[SectionState]
    beside: Sequence[int]
    members: MutableSequence[int]
    part_end: MutableSequence[int]
    scratch: MutableSequence[int]
    trail: Sequence[MutableSequence[int]]
    counters: MutableSequence[int]


def _record(protocol: type) -> np.dtype[np.void]:
    codes = {"int": np.int64, "float": np.float64}
    return np.dtype([(name, codes[code]) for name, code in protocol.__annotations__.items()])


BUFFER = _record(BufferState)
SECTION = _record(SectionState)
