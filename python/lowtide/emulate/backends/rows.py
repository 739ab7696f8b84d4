"""Runs a network whose inputs arrive row by row on an emulated machine, through either of its interfaces."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from lowtide.emulate.artifact import ArtifactView
from lowtide.emulate.backend import Array, Bytes
from lowtide.emulate.machine.machine import Machine
from lowtide.errors import InternalError

Interface = Literal["push", "pull"]
"""Whether the caller hands over rows (NAME_feed) or is told where the next ones go (NAME_next, NAME_arrived)."""
INTERFACES: tuple[Interface, ...] = get_args(Interface)
_WORD = 4
MORE, DONE = 0, 1
"""What the functions return while rows are wanted, and when the outputs are there."""


def split_inputs(artifact: ArtifactView, inputs: Sequence[Array]) -> tuple[list[Array], list[Array]]:
    """One array per model input as those that lie in the arena before a run, and those that arrive row by row."""
    streamed = {stream.number for stream in artifact.streams}
    whole = [array for number, array in enumerate(inputs) if number not in streamed]
    return whole, [inputs[stream.number] for stream in artifact.streams]


def caller_bytes(artifact: ArtifactView) -> int:
    """What the caller of a streamed network has in its own memory: one row, and two words that NAME_next fills."""
    return max((-(-stream.row_bytes // _WORD) * _WORD for stream in artifact.streams), default=0) + 2 * _WORD


@dataclass(frozen=True)
class Rows:
    """The inputs of one run, as bytes of rows, and the machine that gets them.

    Attributes:
        machine: with the arena as it is before the run.
        functions: addresses of NAME_begin and so on, by what follows NAME_.
        streams: for each streamed input uint8[rows, row_bytes].
        watch: called after each call.
    """

    machine: Machine
    functions: Mapping[str, int]
    streams: Sequence[Bytes]
    watch: Callable[[], None] = lambda: None

    @staticmethod
    def of(
        machine: Machine,
        functions: Mapping[str, int],
        artifact: ArtifactView,
        arrays: Sequence[Array],
        watch: Callable[[], None] = lambda: None,
    ) -> Rows:
        """The arrays as rows."""
        rows = [
            np.frombuffer(array.tobytes(), np.uint8).reshape(stream.rows, stream.row_bytes)
            for array, stream in zip(arrays, artifact.streams, strict=True)
        ]
        return Rows(machine, functions, rows, watch)

    def call(self, name: str, *arguments: int) -> int:
        """Call a function on the arena; what it returned, with its sign."""
        code = self.machine.call(self.functions[name], [self.machine.layout.arena.start, *arguments])
        self.watch()
        return code - (1 << 32) if code >= 1 << 31 else code

    def run(self, interface: Interface) -> int:
        """A whole run; 0, or the error that a function returned."""
        state, fed = self.call("begin"), [0] * len(self.streams)
        while state == MORE:
            state = self._push(fed) if interface == "push" else self._pull()
        return 0 if state == DONE else state

    def _next(self) -> tuple[int, int, int, int]:
        """The first input of which rows are wanted; where they go, the first of them, and how many."""
        words = self.machine.layout.loader.end - 2 * _WORD
        for number in range(len(self.streams)):
            place = self.call("next", number, words, words + _WORD) & 0xFFFF_FFFF
            if place:
                told = self.machine.bytes_of(self.machine.layout.loader)[-2 * _WORD :].view("<i4")
                return number, place, int(told[0]), int(told[1])
        raise InternalError("run", "the network wants no row, and is not done")

    def _push(self, fed: list[int]) -> int:
        """Hand over the next row of the first input that wants one, whose number `fed` counts."""
        number = self._next()[0] if len(fed) > 1 else 0
        row = self.streams[number][fed[number]]
        self.machine.bytes_of(self.machine.layout.loader)[: len(row)] = row
        fed[number] += 1
        return self.call("feed", number, self.machine.layout.loader.start, fed[number] - 1)

    def _pull(self) -> int:
        number, place, first, count = self._next()
        size = self.streams[number].shape[1] * count
        arena = self.machine.layout.arena
        offset = place - arena.start
        if not 0 <= offset <= arena.size - size:
            raise InternalError("run", f"rows of input {number} are wanted outside of the arena")
        self.machine.bytes_of(arena)[offset : offset + size] = self.streams[number][first : first + count].ravel()
        return self.call("arrived", number, count)
