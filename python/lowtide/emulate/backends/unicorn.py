"""Runs the compiled network on an emulated core that has exactly the memory that the report claims."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

from lowtide.emulate.artifact import ArtifactView
from lowtide.emulate.backend import (
    Array,
    ArtifactKind,
    Backend,
    RunResult,
    check_inputs,
    first_states,
    probed,
    read_outputs,
    read_states,
    write_inputs,
    write_states,
)
from lowtide.emulate.backends.rows import Interface, Rows, caller_bytes, split_inputs
from lowtide.emulate.image.elf_loader import call_elf, load_elf
from lowtide.emulate.image.link import link_object
from lowtide.emulate.machine.cores import core_of
from lowtide.emulate.machine.machine import Machine, StrayAccessError
from lowtide.emulate.machine.memory import Layout, make_layout
from lowtide.emulate.machine.order import BlockOrder, Spans
from lowtide.emulate.machine.trace import LoadHook, Recorder, Trace
from lowtide.emulate.measure.profile import Profile
from lowtide.emulate.timing.cycles import cycles_of
from lowtide.emulate.timing.flash import flash_stalls
from lowtide.emulate.timing.model import TIMINGS, Cycles, TimingModel
from lowtide.errors import InternalError, UsageError
from lowtide.flash_models import FlashModel
from lowtide.network import STREAMING


class UnicornBackend(Backend):
    """Emulates Cortex-M3, M4, M7, M33, rv32imac and rv32imafc.

    Args:
        artifact: run NAME.o, linked as a firmware would, or the embedded ELF NAME.elf.
        interface: how rows are brought to a network whose inputs arrive row by row.
    """

    def __init__(self, artifact: ArtifactKind = "object", interface: Interface = "push") -> None:
        self._kind: ArtifactKind = artifact
        self._interface: Interface = interface

    def open(self, artifact: ArtifactView) -> UnicornSession:
        """Link or load the code.

        Raises:
            UsageError: Unicorn can't emulate the target.
            InputError: a file is missing, or the object needs functions that a firmware supplies.
            InternalError: the linked data isn't what the report claims.
        """
        return UnicornSession(artifact, self._kind, self._interface)


class UnicornSession:
    """A network in flash, run on many inputs; see `Session`."""

    def __init__(self, artifact: ArtifactView, kind: ArtifactKind, interface: Interface = "push") -> None:
        self._artifact = artifact
        self._interface: Interface = interface
        self._kind: ArtifactKind = kind
        self._core = core_of(artifact.target)
        self._image = load_elf(artifact) if kind == "elf" else link_object(artifact)
        if len(self._image.data) != artifact.data_bytes:
            message = f"the report claims {artifact.data_bytes} data bytes, the code has {len(self._image.data)}"
            raise InternalError("run", message, where=str(artifact.directory))
        self.layout: Layout = make_layout(
            self._image,
            arena_bytes=artifact.arena_bytes,
            stack_bytes=artifact.stack_bytes,
            loader=kind == "elf",
            caller_bytes=caller_bytes(artifact) if artifact.streams else 0,
        )
        self.functions = {
            what: self._image.address_of(f"{artifact.name}_{what}") for what in (STREAMING if artifact.streams else ())
        }
        self.held = first_states(artifact)
        self._machines: dict[bool, Machine] = {}
        self._call_instructions: list[int] = []

    def run(self, inputs: Sequence[Array], *, count: bool = True, probe: bool = False) -> RunResult:
        """Run once, or twice with `probe`; see `Session.run`.

        Raises:
            InternalError: the code left its memory, read what nobody had written, or refused the arena.
        """
        check_inputs(self._artifact.given, inputs)
        machine = self.machine(count)
        result = self._run_on(machine, inputs, inverted=False, count=count)
        after = read_states(machine.bytes_of(self.layout.arena), self._artifact)
        if not probe:
            self.held = after
            return result
        changed = self._changed(machine, inverted=False)
        second = self._run_on(machine, inputs, inverted=True, count=count)
        changed |= self._changed(machine, inverted=True)
        self.held = after
        return probed(self._artifact, result, second, changed, "memory")

    @property
    def is_streamed(self) -> bool:
        """Whether inputs arrive row by row."""
        return bool(self._artifact.streams)

    def pulled(self, inputs: Sequence[Array], held: tuple[bytes, ...]) -> RunResult:
        """Run a streamed network once on a machine of its own, its rows written to where it wants them.

        Args:
            inputs: as for `run`, whose errors it has.
            held: what the network remembers.
        """
        other = UnicornSession(self._artifact, self._kind, "pull")
        other.held = held
        return other.run(inputs, count=False)

    def profile(self, inputs: Sequence[Array]) -> Profile:
        """Run once and tell how often each instruction was executed; errors as for `run`."""
        check_inputs(self._artifact.given, inputs)
        machine = self.machine(True)
        result = self._run_on(machine, inputs, inverted=False, count=True)
        return Profile(
            result, self._image, machine.executed(), self._core.isa, TIMINGS.get(self._artifact.target.timing)
        )

    def trace(self, inputs: Sequence[Array]) -> tuple[RunResult, Trace]:
        """Record every access to the arena, in a run, and in a second where loads need not be aligned.

        Raises:
            UsageError: there are more than fit the memory that is set aside for them.
            InternalError: as `run`.
        """
        check_inputs(self._artifact.given, inputs)
        result, trace = self._recorded(inputs)
        if not trace.ambiguous:
            return result, trace
        machine = self._new_machine()
        hook = LoadHook(machine, self.layout.arena)
        self._run_on(machine, inputs, inverted=False, count=False)
        return result, trace.resolved(hook.trace())

    def cycles_with(self, inputs: Sequence[Array], flash: FlashModel) -> Cycles:
        """Run twice more, and tell the modelled cycles where flash is slower than the core.

        Raises:
            UsageError: the target has no timing model, or there are more loads and blocks than fit the memory that is
                set aside for them.
            InternalError: as `run`, or the code computes something else when its loads are watched.
        """
        model = TIMINGS.get(self._artifact.target.timing)
        if model is None:
            raise UsageError("run", f"no timing model for {self._artifact.target.name}")
        if not isinstance(model, TimingModel):
            raise UsageError("run", f"no flash is modelled behind {self._artifact.target.name}'s core")
        profile = self.profile(inputs)
        machine = self._new_machine()
        blocks, loads = BlockOrder(machine), LoadHook(machine, self.layout.flash)
        try:
            watched = self._run_on(machine, inputs, inverted=False, count=False)
        except InternalError:
            if blocks.full or loads.full:
                raise UsageError("run", "the network is too large for a model of its flash") from None
            raise
        if any(
            one.tobytes() != two.tobytes() for one, two in zip(profile.result.outputs, watched.outputs, strict=True)
        ):
            raise InternalError("run", "the code computes something else when its loads are watched")
        trace = loads.trace()
        loaded = Spans(trace.offsets, trace.offsets + trace.sizes)
        stalls = flash_stalls(profile, blocks.spans(), loaded, flash)
        assert profile.result.cycles is not None
        return Cycles(count=profile.result.cycles.count + stalls, model=model.title(flash.title))

    def _recorded(self, inputs: Sequence[Array]) -> tuple[RunResult, Trace]:
        """Run once with the arena as a device."""
        machine = self._new_machine()
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
            self._machines[count] = self._new_machine(count=count)
        return self._machines[count]

    def _new_machine(self, *, explain: bool = False, count: bool = False) -> Machine:
        return Machine(self._core, self._image, self.layout, explain=explain, count=count)

    def _run_on(self, machine: Machine, inputs: Sequence[Array], *, inverted: bool, count: bool) -> RunResult:
        try:
            code = self._call(machine, inputs, inverted=inverted)
            if machine.unsure:
                self._explain(inputs, inverted=inverted)
        except StrayAccessError:
            self._explain(inputs, inverted=inverted)
            raise InternalError("run", "the code left its memory, but not when watched") from None
        if code != 0:
            what = "feed" if self._artifact.streams else "run"
            message = f"{self._artifact.name}_{what} returned {code}"
            raise InternalError("run", message, where=str(self._artifact.directory))
        return RunResult(
            outputs=read_outputs(machine.bytes_of(self.layout.arena), self._artifact.outputs),
            instructions=machine.instructions() if count else None,
            stack_used_bytes=self._stack_used(machine, inverted),
            arena_touched_bytes=None,
            return_code=code,
            cycles=self._cycles(machine) if count else None,
            call_instructions=int(np.diff([0, *self._call_instructions]).max()) if self._call_instructions else None,
        )

    def _cycles(self, machine: Machine) -> Cycles | None:
        """What the machine's last run takes by the target's timing model, if it has one."""
        model = TIMINGS.get(self._artifact.target.timing)
        if model is None:
            return None
        return Cycles(count=int(cycles_of(self._image.flash, machine.executed(), model).sum()), model=model.title())

    def _explain(self, inputs: Sequence[Array], *, inverted: bool) -> None:
        """Run once more; raises `InternalError` with the first access that misses the memory, if there is one."""
        self._call(self._new_machine(explain=True), inputs, inverted=inverted)

    def _call(self, machine: Machine, inputs: Sequence[Array], *, inverted: bool) -> int:
        machine.reset(inverted=inverted)
        whole, streamed = split_inputs(self._artifact, inputs)
        write_inputs(machine.bytes_of(self.layout.arena), self._artifact.inputs, whole)
        write_states(machine.bytes_of(self.layout.arena), self._artifact, self.held)
        if self._artifact.streams:
            watch = _unwatched
            if machine.counts:
                self._call_instructions = []
                watch = partial(self._note_call, machine)
            return Rows.of(machine, self.functions, self._artifact, streamed, watch).run(self._interface)
        if self._kind == "elf":
            code = call_elf(machine, self._image.entry)
        else:
            code = machine.call(self._image.entry, [self.layout.arena.start])
        return code - (1 << 32) if code >= 1 << 31 else code

    def _note_call(self, machine: Machine) -> None:
        """Note how many instructions all calls so far have taken."""
        self._call_instructions.append(machine.instructions())

    def _stack_used(self, machine: Machine, inverted: bool) -> int:
        stack = machine.bytes_of(self.layout.stack)
        changed = np.flatnonzero(stack != machine.initial(self.layout.stack, inverted=inverted))
        used = len(stack) - int(changed[0]) if len(changed) else 0
        alignment = self._core.stack_alignment
        return -(-used // alignment) * alignment

    def _changed(self, machine: Machine, *, inverted: bool) -> npt.NDArray[np.bool_]:
        arena = machine.bytes_of(self.layout.arena)
        return arena != machine.initial(self.layout.arena, inverted=inverted)


def _unwatched() -> None:
    """Nothing is noted of a call."""
