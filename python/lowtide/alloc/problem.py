"""The allocation problem and its solution: all that `lowtide.alloc` knows.

Buffers with sizes, alignments and live intervals get one offset each in one arena, and the arena is to be
small. Every conflict is one forbidden open interval of offset differences: two buffers a and b that are live
at one step must not have `off_b - off_a` in (-|b|, |a|), which is to say that their bytes are disjoint. Where
a layer's access profile allows an overlap, an alternative of that layer replaces the interval of a pair.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from lowtide.errors import InternalError

STAGE = "allocate"
MAX_BYTES = 1 << 48
"""Sizes and fixed offsets are below this, so that sums of them fit 64-bit integers."""


@dataclass(frozen=True)
class Buffer:
    """A range of bytes that is live from step `first` to step `last`, both included.

    Attributes:
        name: unique within the problem.
        size: bytes, at least 1.
        alignment: the offset is a multiple of it, in bytes.
        first, last: steps, in execution order.
        fixed_offset: the only offset allowed, in bytes, or None.
    """

    name: str
    size: int
    alignment: int
    first: int
    last: int
    fixed_offset: int | None = None


@dataclass(frozen=True)
class Forbidden:
    """`offset(b) - offset(a)` must not lie in the open interval (`low`, `high`), in bytes.

    `a` and `b` are names or indices of buffers. An interval without an integer in it forbids nothing.
    """

    a: str | int
    b: str | int
    low: int
    high: int


@dataclass(frozen=True)
class Choice:
    """A layer that can be emitted in one or more ways; the solution picks one alternative.

    All intervals of the chosen alternative hold. A pair of buffers that the chosen alternative of any choice
    names has these intervals *instead of* the default one; all other pairs keep the default.
    """

    name: str
    alternatives: tuple[tuple[Forbidden, ...], ...]


@dataclass(frozen=True)
class Problem:
    """Find offsets (and alternatives) for the least arena.

    Args:
        buffers: with unique names.
        choices: one per layer that has something to say on its buffers' overlap.
        capacity: an arena of so many bytes is good enough: a strategy may stop there. It is no promise; look
            at `Solution.arena_bytes`. None asks for the least arena.

    Raises `InternalError` for a problem that makes no sense, naming the buffer or the choice.
    """

    buffers: tuple[Buffer, ...]
    choices: tuple[Choice, ...] = ()
    capacity: int | None = None

    def __post_init__(self) -> None:
        for buffer in self.buffers:
            _check_buffer(buffer)
        if len(self._index) != len(self.buffers):
            names = [buffer.name for buffer in self.buffers]
            twice = next(name for name in names if names.count(name) > 1)
            raise InternalError(STAGE, "two buffers have the same name", where=f"buffer '{twice}'")
        for choice in self.choices:
            self._check_choice(choice)

    @cached_property
    def _index(self) -> dict[str, int]:
        return {buffer.name: index for index, buffer in enumerate(self.buffers)}

    def index(self, reference: str | int) -> int:
        """The position in `buffers` of a name or index; `InternalError` when there is none."""
        found = self._index.get(reference) if isinstance(reference, str) else reference
        if found is None or not 0 <= found < len(self.buffers):
            raise InternalError(STAGE, f"no buffer '{reference}' in the problem")
        return found

    def _check_choice(self, choice: Choice) -> None:
        where = f"choice '{choice.name}'"
        if not choice.alternatives:
            raise InternalError(STAGE, "a choice without alternatives", where=where)
        for forbidden in (item for alternative in choice.alternatives for item in alternative):
            if self.index(forbidden.a) == self.index(forbidden.b):
                raise InternalError(STAGE, f"buffer '{forbidden.a}' conflicts with itself", where=where)
            if max(abs(forbidden.low), abs(forbidden.high)) >= MAX_BYTES:
                raise InternalError(STAGE, "a forbidden interval is out of range", where=where)


@dataclass(frozen=True)
class Solution:
    """Offsets in bytes, one per buffer, and the alternative picked, one per choice, in the problem's order.

    Attributes:
        arena_bytes: the largest end of a buffer, 0 without buffers.
        bound_bytes: no solution of the problem has a smaller arena than this.
        strategy: the name of the strategy that found the offsets.
    """

    offsets: tuple[int, ...]
    choices: tuple[int, ...]
    arena_bytes: int
    bound_bytes: int
    strategy: str


def _check_buffer(buffer: Buffer) -> None:
    where = f"buffer '{buffer.name}'"
    if not 0 < buffer.size < MAX_BYTES:
        raise InternalError(STAGE, f"size of {buffer.size} bytes", where=where)
    if not 0 < buffer.alignment < MAX_BYTES:
        raise InternalError(STAGE, f"alignment of {buffer.alignment} bytes", where=where)
    if buffer.first > buffer.last:
        raise InternalError(STAGE, f"live from step {buffer.first} to step {buffer.last}", where=where)
    fixed = buffer.fixed_offset
    if fixed is not None and (not 0 <= fixed < MAX_BYTES or fixed % buffer.alignment):
        raise InternalError(STAGE, f"fixed offset {fixed} does not fit alignment {buffer.alignment}", where=where)
