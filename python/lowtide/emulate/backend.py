"""What every backend offers: open an artifact once, run it on many inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from lowtide.emulate.artifact import ArtifactView
from lowtide.errors import UsageError
from lowtide.network import Slot

Array = npt.NDArray[np.generic]


@dataclass(frozen=True)
class RunResult:
    """What one run gave. None means that the backend can't measure it, or wasn't asked to.

    Attributes:
        outputs: one array per model output, in the report's order, with its shape and dtype.
        instructions: instructions executed between the call of NAME_run and its return.
        stack_used_bytes: from the stack's top to the lowest byte written, rounded up to the ABI's stack alignment.
        arena_touched_bytes: arena bytes that held something: those of the inputs and every byte written by the run.
        return_code: what NAME_run returned.
        witnessed_loads: loads from the arena that were seen to read what the right layer stored.
    """

    outputs: tuple[Array, ...]
    instructions: int | None
    stack_used_bytes: int | None
    arena_touched_bytes: int | None
    return_code: int
    witnessed_loads: int | None = None


class Session(Protocol):
    """A loaded artifact. Its memory is reset before every run, so that runs don't see each other."""

    def run(self, inputs: Sequence[Array], *, count: bool = True, probe: bool = False) -> RunResult:
        """Run once on one array per model input.

        Args:
            inputs: arrays with the shapes and dtypes of the report.
            count: count instructions, where the backend can.
            probe: run a second time on memory with the opposite garbage. Fills `arena_touched_bytes`, and raises
                `InternalError` where an output depends on what was in memory before the run.
        """
        ...


class Backend(Protocol):
    """A way to run artifacts."""

    def open(self, artifact: ArtifactView) -> Session:
        """Load the artifact; `UsageError` where this backend can't run its target."""
        ...

    def run(
        self, artifact: ArtifactView, inputs: Sequence[Array], *, count: bool = True, probe: bool = False
    ) -> RunResult:
        """Open and run once; the arguments are `Session.run`'s."""
        ...


def check_inputs(slots: Sequence[Slot], inputs: Sequence[Array]) -> None:
    """`UsageError` unless there is one array per slot, of its shape and dtype."""
    if len(slots) != len(inputs):
        raise UsageError("run", f"the model has {len(slots)} inputs, {len(inputs)} were given")
    for slot, array in zip(slots, inputs, strict=True):
        tensor = slot.tensor
        if array.shape != tensor.shape or array.dtype.name != tensor.dtype:
            found = f"{array.dtype.name}{list(array.shape)}"
            raise UsageError(
                "run", f"expects {tensor.dtype}{list(tensor.shape)}, got {found}", where=f"input {tensor.name}"
            )
