"""Runs the compiled network on an emulated core that has exactly the memory that the report claims."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from lowtide.emulate.artifact import ArtifactView
from lowtide.emulate.backend import Array, RunResult, check_inputs
from lowtide.emulate.image.elf_loader import call_elf, load_elf
from lowtide.emulate.image.link import link_object
from lowtide.emulate.machine.cores import core_of
from lowtide.emulate.machine.machine import Machine, StrayAccessError
from lowtide.emulate.machine.memory import Layout, make_layout
from lowtide.emulate.machine.trace import LoadHook, Recorder, Trace
from lowtide.emulate.measure.profile import Profile
from lowtide.errors import InternalError, UsageError

ArtifactKind = Literal["object", "elf"]


class UnicornBackend:
    """Emulates Cortex-M3, M4, M7, M33, rv32imac and rv32imafc.

    Args:
        artifact: run NAME.o, linked as a firmware would, or the embedded ELF NAME.elf.
    """

    def __init__(self, artifact: ArtifactKind = "object") -> None:
        self._kind: ArtifactKind = artifact

    def open(self, artifact: ArtifactView) -> UnicornSession:
        """Link or load the code.

        Raises:
            UsageError: Unicorn can't emulate the target.
            InputError: a file is missing, or the object needs functions that a firmware supplies.
            InternalError: the linked data isn't what the report claims.
        """
        return UnicornSession(artifact, self._kind)

    def run(
        self, artifact: ArtifactView, inputs: Sequence[Array], *, count: bool = True, probe: bool = False
    ) -> RunResult:
        """Open and run once."""
        return self.open(artifact).run(inputs, count=count, probe=probe)


class UnicornSession:
    """A network in flash, run on many inputs; see `Session`."""

    def __init__(self, artifact: ArtifactView, kind: ArtifactKind) -> None:
        self._artifact = artifact
        self._kind: ArtifactKind = kind
        self._core = core_of(artifact.target)
        self._image = load_elf(artifact) if kind == "elf" else link_object(artifact)
        if len(self._image.data) != artifact.data_bytes:
            raise InternalError(
                "run",
                f"the report claims {artifact.data_bytes} data bytes, the code has {len(self._image.data)}",
                where=str(artifact.directory),
            )
        self.layout: Layout = make_layout(
            self._image, arena_bytes=artifact.arena_bytes, stack_bytes=artifact.stack_bytes, loader=kind == "elf"
        )
        self._machines: dict[bool, Machine] = {}

    def run(self, inputs: Sequence[Array], *, count: bool = True, probe: bool = False) -> RunResult:
        """Run once, or twice with `probe`; see `Session.run`.

        Raises:
            InternalError: the code left its memory, read what nobody had written, or refused the arena.
        """
        check_inputs(self._artifact.inputs, inputs)
        machine = self.machine(count)
        result = self._run_on(machine, inputs, inverted=False, count=count)
        if not probe:
            return result
        changed = self._changed(machine, inverted=False)
        second = self._run_on(machine, inputs, inverted=True, count=count)
        self._compare(result, second)
        changed |= self._changed(machine, inverted=True)
        for slot in self._artifact.inputs:
            changed[slot.offset : slot.offset + slot.tensor.nbytes] = True
        used = max(result.stack_used_bytes or 0, second.stack_used_bytes or 0)
        return replace(result, arena_touched_bytes=int(np.count_nonzero(changed)), stack_used_bytes=used)

    def profile(self, inputs: Sequence[Array]) -> Profile:
        """Run once and tell how often each instruction was executed; errors as for `run`."""
        check_inputs(self._artifact.inputs, inputs)
        machine = self.machine(True)
        result = self._run_on(machine, inputs, inverted=False, count=True)
        return Profile(result, self._image, machine.executed(), self._core.isa)

    def trace(self, inputs: Sequence[Array]) -> tuple[RunResult, Trace]:
        """Record every access to the arena, in a run, and in a second where loads need not be aligned.

        Raises:
            UsageError: there are more than fit the memory that is set aside for them.
            InternalError: as `run`.
        """
        check_inputs(self._artifact.inputs, inputs)
        result, trace = self._recorded(inputs)
        if not trace.ambiguous:
            return result, trace
        machine = Machine(self._core, self._image, self.layout, explain=False, count=False)
        hook = LoadHook(machine, self.layout.arena)
        self._run_on(machine, inputs, inverted=False, count=False)
        return result, trace.resolved(hook.trace())

    def _recorded(self, inputs: Sequence[Array]) -> tuple[RunResult, Trace]:
        """Run once with the arena as a device."""
        machine = Machine(self._core, self._image, self.layout, explain=False, count=False)
        recorder = Recorder(machine, self.layout.arena)
        try:
            result = self._run_on(machine, inputs, inverted=False, count=False)
        except InternalError:
            if recorder.full:
                raise UsageError("run", "the network is too large to be witnessed") from None
            raise
        return result, recorder.trace()

    def machine(self, count: bool) -> Machine:
        """The machine that runs with that `count` use."""
        if count not in self._machines:
            self._machines[count] = Machine(self._core, self._image, self.layout, explain=False, count=count)
        return self._machines[count]

    def _run_on(self, machine: Machine, inputs: Sequence[Array], *, inverted: bool, count: bool) -> RunResult:
        try:
            code = self._call(machine, inputs, inverted=inverted)
            if machine.unsure:
                self._explain(inputs, inverted=inverted)
        except StrayAccessError:
            self._explain(inputs, inverted=inverted)
            raise InternalError("run", "the code left its memory, but not when watched") from None
        if code != 0:
            raise InternalError(
                "run", f"{self._artifact.name}_run returned {code}", where=str(self._artifact.directory)
            )
        return RunResult(
            outputs=self._outputs(machine),
            instructions=machine.instructions() if count else None,
            stack_used_bytes=self._stack_used(machine, inverted),
            arena_touched_bytes=None,
            return_code=code,
        )

    def _explain(self, inputs: Sequence[Array], *, inverted: bool) -> None:
        """Run once more; raises `InternalError` with the first access that misses the memory, if there is one."""
        explaining = Machine(self._core, self._image, self.layout, explain=True, count=False)
        self._call(explaining, inputs, inverted=inverted)

    def _call(self, machine: Machine, inputs: Sequence[Array], *, inverted: bool) -> int:
        machine.reset(inverted=inverted)
        arena = machine.bytes_of(self.layout.arena)
        for slot, array in zip(self._artifact.inputs, inputs, strict=True):
            arena[slot.offset : slot.offset + slot.tensor.nbytes] = np.frombuffer(array.tobytes(), dtype=np.uint8)
        if self._kind == "elf":
            code = call_elf(machine, self._image.entry)
        else:
            code = machine.call(self._image.entry, [self.layout.arena.start])
        return code - (1 << 32) if code >= 1 << 31 else code

    def _outputs(self, machine: Machine) -> tuple[Array, ...]:
        arena = machine.bytes_of(self.layout.arena)
        return tuple(
            arena[slot.offset : slot.offset + slot.tensor.nbytes]
            .copy()
            .view(slot.tensor.dtype)
            .reshape(slot.tensor.shape)
            for slot in self._artifact.outputs
        )

    def _stack_used(self, machine: Machine, inverted: bool) -> int:
        stack = machine.bytes_of(self.layout.stack)
        changed = np.flatnonzero(stack != machine.initial(self.layout.stack, inverted=inverted))
        used = len(stack) - int(changed[0]) if len(changed) else 0
        alignment = self._core.stack_alignment
        return -(-used // alignment) * alignment

    def _changed(self, machine: Machine, *, inverted: bool) -> npt.NDArray[np.bool_]:
        arena = machine.bytes_of(self.layout.arena)
        return arena != machine.initial(self.layout.arena, inverted=inverted)

    def _compare(self, first: RunResult, second: RunResult) -> None:
        for slot, one, two in zip(self._artifact.outputs, first.outputs, second.outputs, strict=True):
            if one.tobytes() != two.tobytes():
                raise InternalError(
                    "run",
                    "the output depends on what memory held before the run: something is read before it is written",
                    where=f"output {slot.tensor.name}",
                )
