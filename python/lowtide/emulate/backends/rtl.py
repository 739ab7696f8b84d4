"""Runs the compiled network on a simulated open core: true cycles, by the code that the core is made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lowtide.emulate.artifact import ArtifactView
from lowtide.emulate.backend import (
    Array,
    Backend,
    Bytes,
    RunResult,
    check_inputs,
    first_states,
    probed,
    read_outputs,
    read_states,
    write_inputs,
    write_states,
)
from lowtide.emulate.image.link import link_object
from lowtide.emulate.machine.memory import Region, garbage, make_layout
from lowtide.emulate.rtl.build import find_simulator
from lowtide.emulate.rtl.cores import CORES
from lowtide.emulate.rtl.simulation import Memory, Simulated, simulate
from lowtide.emulate.rtl.start import BOOT, start_code
from lowtide.emulate.timing.model import Cycles
from lowtide.errors import InternalError, UsageError
from lowtide.targets import Target

_SEED = 0x10E7
_STACK_ALIGNMENT = 16


class RtlBackend(Backend):
    """Simulates rv32imac's code, which has no atomic instructions, on a core without them.

    Args:
        core: a name of `CORES`.
    """

    core: str = ""

    def open(self, artifact: ArtifactView) -> RtlSession:
        """Link the code, and build the simulator where that was not done before.

        Raises:
            UsageError: the target is none of the core's, or what makes the simulator is not installed.
            InputError: a file is missing, or the object needs functions that a firmware supplies.
        """
        return RtlSession(artifact, self.core)


class IbexBackend(RtlBackend):
    """lowRISC's Ibex."""

    core = "ibex"


class Cv32e40pBackend(RtlBackend):
    """OpenHW's CV32E40P."""

    core = "cv32e40p"


class RtlSession:
    """A network in the memory of a simulated core, run on many inputs; see `Session`."""

    def __init__(self, artifact: ArtifactView, core: str) -> None:
        self._core = CORES[core]
        _check(artifact.target, core)
        if artifact.streams:
            message = f"{core} runs a network in one call, and this one's inputs arrive row by row"
            raise UsageError("run", message, where=str(artifact.directory), remedy="run --backend unicorn or qemu")
        self._artifact = artifact
        self._image = link_object(artifact)
        self._layout = make_layout(
            self._image, arena_bytes=artifact.arena_bytes, stack_bytes=artifact.stack_bytes, loader=False
        )
        self._simulator: Path = find_simulator(self._core)
        self.held = first_states(artifact)

    def run(self, inputs: Sequence[Array], *, count: bool = True, probe: bool = False) -> RunResult:
        """Run once, or twice with `probe`; see `Session.run`.

        Raises:
            InternalError: the code left its memory or refused the arena, or its output depends on what nobody wrote.
        """
        check_inputs(self._artifact.given, inputs)
        result, arena, changed = self._run(inputs, inverted=False)
        after = read_states(arena, self._artifact)
        if not count:
            result = replace(result, instructions=None, cycles=None)
        if probe:
            second, _, also = self._run(inputs, inverted=True)
            result = probed(self._artifact, result, second, changed | also, "memory")
        self.held = after
        return result

    def _run(self, inputs: Sequence[Array], *, inverted: bool) -> tuple[RunResult, Bytes, npt.NDArray[np.bool_]]:
        layout, image = self._layout, self._image
        stack, arena = (garbage(one.size, _SEED, inverted=inverted) for one in (layout.stack, layout.arena))
        before = arena.copy()
        write_inputs(arena, self._artifact.inputs, inputs)
        write_states(arena, self._artifact, self.held)
        top = layout.stack.end // _STACK_ALIGNMENT * _STACK_ALIGNMENT
        code = np.frombuffer(start_code(image.entry, layout.arena.start, top), np.uint8)
        memories = [
            Memory(layout.arena.start, arena, True),
            Memory(layout.flash.start, np.frombuffer(image.flash, np.uint8), False),
            Memory(layout.stack.start, stack, True),
            Memory(layout.data.start, np.frombuffer(image.data, np.uint8), True),
            Memory(BOOT, code, False),
        ]
        done = simulate(self._simulator, [memory for memory in memories if len(memory.data)])
        self._check_end(done)
        after = done.memories[0]
        used = _used(layout.stack, stack, done.memories[1]) if layout.stack.size else 0
        result = RunResult(
            outputs=read_outputs(after, self._artifact.outputs),
            instructions=done.instructions,
            stack_used_bytes=used,
            arena_touched_bytes=None,
            return_code=done.returned,
            cycles=Cycles(count=done.cycles, model=self._core.title, source="simulated"),
        )
        return result, after, after != before

    def _check_end(self, done: Simulated) -> None:
        name, where = self._artifact.name, str(self._artifact.directory)
        if done.stray is not None:
            message = f"the code accesses address 0x{done.stray:08x}, {self._layout.miss(done.stray, 1)}"
            raise InternalError("run", message, where=where)
        if done.returned != 0:
            raise InternalError("run", f"{name}_run returned {done.returned}", where=where)


def _used(region: Region, before: Bytes, after: Bytes) -> int:
    """Bytes of the stack from its lowest changed one on."""
    changed = np.flatnonzero(before != after)
    used = region.size - int(changed[0]) if len(changed) else 0
    return -(-used // _STACK_ALIGNMENT) * _STACK_ALIGNMENT


def _check(target: Target, core: str) -> None:
    if target.family != "riscv" or target.hard_float:
        raise UsageError("run", f"{core} can't run {target.name}", remedy="compile for rv32imac")
