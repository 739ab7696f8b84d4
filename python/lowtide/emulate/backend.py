"""What every backend offers: open an artifact once, run it on many inputs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from lowtide.emulate.artifact import ArtifactView
from lowtide.emulate.timing.model import Cycles
from lowtide.errors import InternalError, UsageError
from lowtide.network import RESET_MARK, RESET_MARK_BYTES, IoTensor, Slot

Array = npt.NDArray[np.generic]
Bytes = npt.NDArray[np.uint8]
ArtifactKind = Literal["object", "elf"]
"""Which file of an artifact is run: NAME.o, linked as a firmware would, or the embedded ELF NAME.elf."""


@dataclass(frozen=True)
class RunResult:
    """What one run gave. None means that the backend can't measure it, or wasn't asked to.

    Attributes:
        outputs: one array per model output, in the report's order, with its shape and dtype.
        instructions: instructions executed between the call of NAME_run and its return.
        cycles: what these instructions take by the timing model of the target, if it has one.
        stack_used_bytes: from the stack's top to the lowest byte written, rounded up to the ABI's stack alignment.
        arena_touched_bytes: arena bytes that held something: those of the inputs and every byte written by the run.
        return_code: what NAME_run returned.
        call_instructions: most instructions of one call, of a network whose inputs arrive row by row: what must fit
            between two rows.
        witnessed_loads: loads from the arena that were seen to read what the right layer stored.
    """

    outputs: tuple[Array, ...]
    instructions: int | None
    stack_used_bytes: int | None
    arena_touched_bytes: int | None
    return_code: int
    witnessed_loads: int | None = None
    cycles: Cycles | None = None
    call_instructions: int | None = None


class Session(Protocol):
    """A loaded artifact. Its memory is filled anew before every run; only what the network remembers goes on.

    Attributes:
        held: the bytes of each state after the last run; the first ones before there was a run.
    """

    held: tuple[bytes, ...]

    def run(self, inputs: Sequence[Array], *, count: bool = True, probe: bool = False) -> RunResult:
        """Run once on one array per model input.

        Args:
            inputs: arrays with the shapes and dtypes of the report.
            count: count instructions, where the backend can.
            probe: run a second time on memory with the opposite garbage. Fills `arena_touched_bytes`, and raises
                `InternalError` where an output depends on what was in memory before the run.
        """
        ...


class Backend(ABC):
    """A way to run artifacts."""

    @abstractmethod
    def open(self, artifact: ArtifactView) -> Session:
        """Load the artifact; `UsageError` where this backend can't run its target."""

    def run(
        self, artifact: ArtifactView, inputs: Sequence[Array], *, count: bool = True, probe: bool = False
    ) -> RunResult:
        """Open and run once; the arguments are `Session.run`'s."""
        return self.open(artifact).run(inputs, count=count, probe=probe)


def check_inputs(tensors: Sequence[IoTensor], inputs: Sequence[Array]) -> None:
    """`UsageError` unless there is one array per input, of its shape and dtype."""
    if len(tensors) != len(inputs):
        raise UsageError("run", f"the model has {len(tensors)} inputs, {len(inputs)} were given")
    for tensor, array in zip(tensors, inputs, strict=True):
        if array.shape != tensor.shape or array.dtype.name != tensor.dtype:
            wanted, found = f"{tensor.dtype}{list(tensor.shape)}", f"{array.dtype.name}{list(array.shape)}"
            raise UsageError("run", f"expects {wanted}, got {found}", where=f"input {tensor.name}")


def write_inputs(arena: Bytes, slots: Sequence[Slot], inputs: Sequence[Array]) -> None:
    """Put one array per slot into the arena, uint8[arena_bytes]."""
    for slot, array in zip(slots, inputs, strict=True):
        arena[_place(slot)] = np.frombuffer(array.tobytes(), np.uint8)


def first_states(artifact: ArtifactView) -> tuple[bytes, ...]:
    """What a network remembers before its first run, as NAME_reset writes it."""
    return tuple(state.initial for state in artifact.states)


def write_states(arena: Bytes, artifact: ArtifactView, held: Sequence[bytes]) -> None:
    """Put what a network remembers into the arena, and the word that says that it is there."""
    for state, data in zip(artifact.states, held, strict=True):
        arena[_place(state)] = np.frombuffer(data, np.uint8)
    if artifact.mark_offset is not None:
        word = np.frombuffer(np.uint32(RESET_MARK).tobytes(), np.uint8)
        arena[artifact.mark_offset : artifact.mark_offset + len(word)] = word


def read_states(arena: Bytes, artifact: ArtifactView) -> tuple[bytes, ...]:
    """What a network remembers after a run."""
    return tuple(arena[_place(state)].tobytes() for state in artifact.states)


def read_outputs(arena: Bytes, slots: Sequence[Slot]) -> tuple[Array, ...]:
    """Copies of the slots' arrays, each with its shape and dtype."""
    return tuple(arena[_place(slot)].copy().view(slot.tensor.dtype).reshape(slot.tensor.shape) for slot in slots)


def probed(
    artifact: ArtifactView, first: RunResult, second: RunResult, changed: npt.NDArray[np.bool_], memory: str
) -> RunResult:
    """The result of two runs on opposite garbage, with `arena_touched_bytes`.

    Args:
        artifact: the network.
        first, second: what the runs gave.
        changed: bool[arena_bytes], the bytes that either run changed. Opposite garbage differs in every bit, so that a
            written byte differs from what was there in at least one of the runs.
        memory: how a message calls what was filled with garbage.

    Raises:
        InternalError: an output is not the same in both.
    """
    for slot, one, two in zip(artifact.outputs, first.outputs, second.outputs, strict=True):
        if one.tobytes() != two.tobytes():
            message = f"the output depends on what {memory} held before the run: something is read before it is written"
            raise InternalError("run", message, where=f"output {slot.tensor.name}")
    for slot in (*artifact.inputs, *artifact.states):
        changed[_place(slot)] = True
    if artifact.mark_offset is not None:
        changed[artifact.mark_offset : artifact.mark_offset + RESET_MARK_BYTES] = True
    used = max(result.stack_used_bytes or 0 for result in (first, second))
    return replace(first, arena_touched_bytes=int(np.count_nonzero(changed)), stack_used_bytes=used)


def _place(slot: Slot) -> slice:
    return slice(slot.offset, slot.offset + slot.tensor.nbytes)
