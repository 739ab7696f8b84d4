"""What crosses the border between the IR stages and codegen, run and report: plain frozen dataclasses."""

from __future__ import annotations

import math
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

    @property
    def text(self) -> str:
        """All operations, constants included."""
        return f"{self.constants}\n{self.body}"

    @property
    def functions(self) -> tuple[str, ...]:
        """The functions that a firmware calls: NAME_run, and NAME_reset where there is something to forget."""
        return tuple(f"{self.name}_{what}" for what in (("run", "reset") if self.states else ("run",)))
