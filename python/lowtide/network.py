"""What crosses the border between the IR stages and codegen, run and report: plain frozen dataclasses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lowtide.dtypes import DTYPE_BYTES, DType


@dataclass(frozen=True)
class IoTensor:
    """A model input or output as the firmware sees it.

    `scale` and `zero_point` are None where the tensor is not quantised (per tensor).
    """

    name: str
    shape: tuple[int, ...]
    dtype: DType
    scale: float | None = None
    zero_point: int | None = None

    @property
    def nbytes(self) -> int:
        """Size in bytes, dense row-major."""
        return math.prod(self.shape) * DTYPE_BYTES[self.dtype]


@dataclass(frozen=True)
class Slot:
    """An `IoTensor` at its byte offset in the arena."""

    tensor: IoTensor
    offset: int


@dataclass(frozen=True)
class Stream(Slot):
    """An input that arrives row by row, at the byte offset of the rows of it that there are at a time.

    Attributes:
        number: which of the model's inputs it is, from 0.
        rows: how many arrive in one inference.
        held: how many there are at a time; row y lies at y modulo `held`.
    """

    number: int = 0
    rows: int = 1
    held: int = 1

    @property
    def row_bytes(self) -> int:
        """Size of a row in bytes."""
        return self.tensor.nbytes // self.rows


RESET_MARK = 0x4C545253
"""The word in the arena that says that a network's states hold something."""
RESET_MARK_BYTES = 4


@dataclass(frozen=True)
class InitialState:
    """What a network remembers from one run to the next, and its bytes before the first."""

    tensor: IoTensor
    initial: bytes


@dataclass(frozen=True)
class State(Slot):
    """A state at its byte offset in the arena, and its bytes before the first run."""

    initial: bytes = b""


STREAMING = ("begin", "feed", "next", "arrived")
"""The functions that a firmware calls where an input arrives row by row."""


def all_inputs(inputs: Sequence[Slot], streams: Sequence[Stream]) -> tuple[Slot, ...]:
    """The model's inputs in their order.

    Args:
        inputs: those that lie in the arena whole, in that order.
        streams: those that arrive row by row.
    """
    numbered = {stream.number: stream for stream in streams}
    whole = iter(inputs)
    return tuple(numbered[n] if n in numbered else next(whole) for n in range(len(inputs) + len(streams)))


@dataclass(frozen=True)
class Network:
    """A network lowered to loops on one arena: what codegen compiles.

    Attributes:
        name: a C identifier; prefix of every exported symbol and file.
        body: MLIR text, the *operations* (no enclosing module) of the network: `func.func private` kernels, and the
            entry `func.func private @<name>_body(%arena: memref<{arena_bytes}xi8>)`, which returns nothing.
            Only func, scf, memref, arith, math, vector, llvm-intrinsic ops; no allocation. Constants
            (`memref.global`) may stand there, too.
        arena_bytes: size of the arena; its base is 16-byte aligned.
        inputs, outputs: where the firmware writes and reads.
        streams: the inputs that arrive row by row, which are none of `inputs`; `position_offset` is where the words lie
            that say how far a run has got, through so many `sites`: loops and calls that take such rows.
        states: what it remembers; `mark_offset` is where the word lies that says that it does.
        keep_input: True where the inputs' bytes are intact after a run.
        portable: the functions of `body` once more, with kernels for any machine on the same arena; the constants are
            those of `body`. Empty where `body` itself is for any machine.
        constants: `memref.global` operations that `body` uses, as generic MLIR text. They are most of a network's
            text, and nothing looks into them on their way to the target's compiler.
        declared: the same without their values.
    """

    name: str
    body: str
    arena_bytes: int
    inputs: tuple[Slot, ...]
    outputs: tuple[Slot, ...]
    keep_input: bool
    portable: str = ""
    states: tuple[State, ...] = ()
    mark_offset: int | None = None
    constants: str = ""
    declared: str = ""
    streams: tuple[Stream, ...] = ()
    position_offset: int | None = None
    sites: int = 0

    @property
    def text(self) -> str:
        """All operations, constants included."""
        return f"{self.constants}\n{self.body}"

    @property
    def given(self) -> tuple[Slot, ...]:
        """The model's inputs in their order: whole ones, and streams."""
        return all_inputs(self.inputs, self.streams)

    @property
    def functions(self) -> tuple[str, ...]:
        """The functions that a firmware calls: NAME_run, and NAME_reset where there is something to forget.

        Where rows arrive one after the other NAME_begin, _feed, _next and _arrived take the place of NAME_run.
        """
        run = STREAMING if self.streams else ("run",)
        return tuple(f"{self.name}_{what}" for what in (*run, *(("reset",) if self.states else ())))
