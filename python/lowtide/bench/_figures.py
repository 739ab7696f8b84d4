"""The figures of `lowtide bench speed`, and how they are measured: compile, run once in the emulator, count."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lowtide.codegen import ObjectResult, generate_object
from lowtide.codegen.apart import layers_apart
from lowtide.codegen.iree import scratch_directory
from lowtide.emulate.artifact import ArtifactView
from lowtide.emulate.backends.qemu import QemuBackend
from lowtide.emulate.backends.unicorn import UnicornSession
from lowtide.emulate.inputs import random_inputs
from lowtide.emulate.measure.mix import Mix, mix_of
from lowtide.emulate.measure.profile import Profile
from lowtide.emulate.measure.qemu_profile import profile_in_qemu
from lowtide.emulate.timing.model import Cycles
from lowtide.errors import InternalError, UsageError
from lowtide.lower import Lowered, lower
from lowtide.network import Network
from lowtide.plan.plan import Objective
from lowtide.stages import Stages
from lowtide.targets import Target

SEED = 0
"""Seed of the random input, the one that `lowtide run` takes by default."""


@dataclass(frozen=True)
class LayerFigures:
    """One layer, or a part of one, compiled as a function of its own.

    Attributes:
        name: the model's name of its output.
        kind: conv, depthwise, dense and so on, as in `lowtide.graph.graph.Layer`; empty for what is no layer.
        function: the kernel's function in the artifact; layers of the same name share one.
        macs: multiply-accumulates of one inference.
        mix: the instructions of one inference, by kind.
        code_bytes: bytes of its function.
        cycles: of these instructions, modelled, or None where the core has no timing model.
    """

    name: str
    kind: str
    function: str
    macs: int
    mix: Mix
    code_bytes: int
    cycles: int | None = None


@dataclass(frozen=True)
class Figures:
    """A model on a target.

    Attributes:
        model: the file's stem.
        target, objective: what it was compiled for.
        macs, instructions: figures of one inference; no instructions where the emulator can't count.
        mix: the instructions by kind, or None where the emulator can't tell.
        note: why there is no `mix`, else empty.
        code_bytes, weights_bytes: flash, of instructions and of constants.
        arena_bytes, stack_bytes, data_bytes: RAM.
        layers: in the order of the code, where they were asked for: the layers, then the loops and calls around them.
        apart_instructions: what the layers sum up to; not `instructions`, as the functions are not inlined.
        cycles, cycles_model: of the instructions, by which timing model; None where the core has none.
    """

    model: str
    target: str
    objective: str
    macs: int
    instructions: int | None
    mix: Mix | None
    note: str
    code_bytes: int
    weights_bytes: int
    arena_bytes: int
    stack_bytes: int
    data_bytes: int
    layers: tuple[LayerFigures, ...] = ()
    apart_instructions: int | None = None
    cycles: int | None = None
    cycles_model: str | None = None


def measure(
    model: Path, target: Target, objective: Objective, *, layers: bool, listen: Callable[[str], None]
) -> Figures:
    """Compile a model and run it once.

    Args:
        model: its file.
        target: the core.
        objective: what the plan is searched for.
        layers: compile and run it once more with its layers apart.
        listen: is told what begins.

    Raises:
        LowtideError: whatever a stage refuses.
        InternalError: the instructions by kind or by layer are not all that were counted, or the layers apart compute
            something else.
    """
    listen(f"{model.stem} on {target.name}")
    lowered = lower(model, target, objective=objective, stages=Stages())
    return figures_of(lowered, model, target, objective, layers=layers, listen=listen)


def figures_of(
    lowered: Lowered,
    model: Path,
    target: Target,
    objective: Objective,
    *,
    layers: bool = False,
    listen: Callable[[str], None] = lambda _: None,
) -> Figures:
    """Run what a model became once; arguments and errors as for `measure`."""
    with scratch_directory() as scratch:
        code = generate_object(lowered.network, target, scratch)
        counted = _count(lowered.network, code, target, scratch)
    profile, found = counted.profile, tuple[LayerFigures, ...]()
    if layers and profile is not None:
        listen(f"{model.stem} on {target.name}, layer by layer")
        apart, found = measure_layers(lowered, target)
        _check_equal(profile, apart)
    return Figures(
        model=model.stem,
        target=target.name,
        objective=objective,
        macs=lowered.macs,
        instructions=counted.instructions,
        mix=None if profile is None else _mix(profile),
        note=counted.reason,
        code_bytes=code.code_bytes,
        weights_bytes=code.rodata_bytes,
        arena_bytes=lowered.network.arena_bytes,
        stack_bytes=code.stack_bytes,
        data_bytes=code.data_bytes,
        layers=found,
        apart_instructions=sum(layer.mix.instructions for layer in found) if found else None,
        cycles=None if counted.cycles is None else counted.cycles.count,
        cycles_model=None if counted.cycles is None else counted.cycles.model,
    )


@dataclass(frozen=True)
class _Counted:
    """How many instructions a run was, and which; None, with the reason, for what can't be known of it."""

    instructions: int | None
    reason: str
    profile: Profile | None = None

    @property
    def cycles(self) -> Cycles | None:
        """What they take, where that can be told."""
        return None if self.profile is None else self.profile.result.cycles


def _count(network: Network, code: ObjectResult, target: Target, directory: Path) -> _Counted:
    """Run what lies in the folder, in Unicorn where that has the core, else in QEMU."""
    view = _view(network, target, code, directory)
    inputs = random_inputs([slot.tensor for slot in view.inputs], SEED)
    if not (target.qemu_machine or target.emulator) or target.family == "host":
        return _Counted(None, "not counted, as there is no emulator of it")
    try:
        if code.external_symbols:
            result = QemuBackend().run(view, inputs)
            return _Counted(result.instructions, "the compiler's library is called; kinds and layers are not told")
        in_unicorn = bool(target.emulator)
        profile = UnicornSession(view, "object").profile(inputs) if in_unicorn else profile_in_qemu(view, inputs)
        return _Counted(profile.executed.total, "", profile)
    except UsageError as error:
        return _Counted(None, f"not counted: {error.message}")


def _mix(profile: Profile) -> Mix:
    mix = mix_of(profile.image.flash, profile.executed, profile.isa)
    if mix.instructions != profile.result.instructions:
        raise InternalError("bench", f"{mix.instructions} instructions by kind, {profile.result.instructions} in all")
    return mix


def _check_equal(whole: Profile, apart: Profile) -> None:
    for one, other in zip(whole.result.outputs, apart.result.outputs, strict=True):
        if not np.array_equal(one, other, equal_nan=one.dtype.kind == "f"):
            raise InternalError("bench", "with its layers apart the network computes something else")


def measure_layers(lowered: Lowered, target: Target) -> tuple[Profile, tuple[LayerFigures, ...]]:
    """Compile a network with its layers apart, run it once, and count by layer.

    Raises:
        UsageError: there is no emulator that tells what is executed.
        InternalError: the counts of the layers are not all that were counted.
    """
    apart = layers_apart(lowered.network)
    called = [layer for layer in lowered.layers if not layer.in_place_bytes]
    if len(called) != len(apart.symbols):
        raise InternalError("bench", f"{len(called)} layers have code, the network calls {len(apart.symbols)}")
    with scratch_directory() as scratch:
        counted = _count(apart.network, generate_object(apart.network, target, scratch), target, scratch)
    profile = counted.profile
    if profile is None:
        raise UsageError("bench", f"layers can't be told apart: {counted.reason}")
    by_symbol = _by_symbol(profile)
    kinds = {layer.name: layer.kind for layer in lowered.graph.layers}
    figures: list[LayerFigures] = []
    for symbol, layer in zip(apart.symbols, called, strict=True):
        if symbol not in by_symbol:
            raise InternalError("bench", f"the code has no function {symbol}", where=layer.name)
        kind = kinds.get(layer.name, "")
        figures.append(LayerFigures(layer.name, kind, layer.function, layer.macs, *by_symbol.pop(symbol)))
    for symbol, found in by_symbol.items():
        name = "loops and calls" if symbol == f"{lowered.network.name}_run" else symbol
        figures.append(LayerFigures(f"({name})", "", symbol, 0, *found))
    total = sum(layer.mix.instructions for layer in figures)
    if total != profile.result.instructions:
        raise InternalError("bench", f"{total} of {profile.result.instructions} instructions are of a known function")
    return profile, tuple(figures)


def _by_symbol(profile: Profile) -> dict[str, tuple[Mix, int, int | None]]:
    """The instructions, bytes and cycles of each function, with those of what was compiled for that function alone."""
    found: dict[str, tuple[Mix, int, int | None]] = {}
    cycles = profile.cycles()
    for function in profile.image.functions:
        name = function.name.split(".", 1)[0]
        first = function.address - profile.image.flash_start
        part = profile.executed.between(first, first + function.size)
        mix, size, before = found.get(name, (Mix(), 0, 0))
        mix += mix_of(profile.image.flash, part, profile.isa)
        inside = slice(*np.searchsorted(profile.executed.offsets, (first, first + function.size)).tolist())
        spent = None if cycles is None or before is None else before + int(cycles[inside].sum())
        found[name] = mix, size + function.size, spent
    return found


def _view(network: Network, target: Target, code: ObjectResult, directory: Path) -> ArtifactView:
    return ArtifactView(
        directory=directory,
        name=network.name,
        target=target,
        arena_bytes=network.arena_bytes,
        stack_bytes=code.stack_bytes,
        data_bytes=code.data_bytes,
        sram_bytes=network.arena_bytes + code.stack_bytes + code.data_bytes,
        inputs=network.inputs,
        outputs=network.outputs,
    )
