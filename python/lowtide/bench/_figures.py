"""The figures of `lowtide bench speed`, and how they are measured: compile, run once in the emulator, count."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lowtide.errors import InternalError, UsageError

if TYPE_CHECKING:
    from lowtide.codegen import CodegenResult
    from lowtide.emulate.artifact import ArtifactView
    from lowtide.emulate.backend import Array
    from lowtide.emulate.mix import Mix
    from lowtide.emulate.unicorn_backend import Profile
    from lowtide.lower import Lowered
    from lowtide.network import Network
    from lowtide.plan.plan import Objective
    from lowtide.targets import Target

SEED = 0
"""Of the random input, as `lowtide run` takes it by default."""


@dataclass(frozen=True)
class LayerFigures:
    """One layer, or a part of one, compiled as a function of its own.

    Attributes:
        name: the model's name of its output.
        kind: see `lowtide.graph.graph.Layer`; empty for what is no layer.
        function: the kernel's function in the artifact; layers of the same name share one.
        macs: of one inference.
        mix: the instructions of one inference.
        code_bytes: of its function.
    """

    name: str
    kind: str
    function: str
    macs: int
    mix: Mix
    code_bytes: int


@dataclass(frozen=True)
class Figures:
    """A model on a target.

    Attributes:
        model: the file's stem.
        target, objective: what it was compiled for.
        macs, instructions: of one inference; None where the emulator can't count.
        mix: the instructions by kind, or None where the emulator can't tell.
        note: why there is no `mix`, else empty.
        code_bytes, weights_bytes: flash, of instructions and of constants.
        arena_bytes, stack_bytes, data_bytes: RAM.
        layers: in the order of the code, where they were asked for: the layers, then the loops and calls around them.
        apart_instructions: what the layers sum up to; more than `instructions`, as the functions are not inlined.
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


def measure(
    model: Path, target: Target, objective: Objective, *, layers: bool, listen: Callable[[str], None]
) -> Figures:
    """Compile a model and run it once.

    Raises:
        LowtideError: whatever a stage refuses.
        InternalError: the instructions by kind are not those that were counted.
    """
    from lowtide.codegen import generate
    from lowtide.codegen.iree import scratch_directory
    from lowtide.lower import lower
    from lowtide.stages import Stages

    listen(f"{model.stem} on {target.name}")
    lowered = lower(model, target, objective=objective, stages=Stages())
    with scratch_directory() as scratch:
        code = generate(lowered.network, target, scratch)
        view = _view(lowered.network, target, code, scratch)
        instructions, mix, note = _counted(view)
    found: tuple[LayerFigures, ...] = ()
    if layers and mix is not None:
        listen(f"{model.stem} on {target.name}, layer by layer")
        found = measure_layers(lowered, target)
    return Figures(
        model=model.stem,
        target=target.name,
        objective=objective,
        macs=lowered.macs,
        instructions=instructions,
        mix=mix,
        note=note,
        code_bytes=code.code_bytes,
        weights_bytes=code.rodata_bytes,
        arena_bytes=lowered.network.arena_bytes,
        stack_bytes=code.stack_bytes,
        data_bytes=code.data_bytes,
        layers=found,
        apart_instructions=sum(layer.mix.instructions for layer in found) if found else None,
    )


def measure_layers(lowered: Lowered, target: Target) -> tuple[LayerFigures, ...]:
    """Compile the network with its layers apart, run it once, and count by layer.

    Raises:
        InternalError: the code has not one function for each layer, or instructions are left over.
    """
    from lowtide.codegen import generate
    from lowtide.codegen.apart import layers_apart
    from lowtide.codegen.iree import scratch_directory

    apart = layers_apart(lowered.network)
    called = [layer for layer in lowered.layers if not layer.in_place_bytes]
    if len(called) != len(apart.symbols):
        raise InternalError("bench", f"{len(called)} layers have code, the network calls {len(apart.symbols)}")
    with scratch_directory() as scratch:
        code = generate(apart.network, target, scratch)
        profile = _profile(_view(apart.network, target, code, scratch))
    by_symbol = _by_symbol(profile)
    kinds = {layer.name: layer.kind for layer in lowered.graph.layers}
    figures: list[LayerFigures] = []
    for symbol, layer in zip(apart.symbols, called, strict=True):
        if symbol not in by_symbol:
            raise InternalError("bench", f"the code has no function {symbol}", where=layer.name)
        mix, size = by_symbol.pop(symbol)
        figures.append(LayerFigures(layer.name, kinds.get(layer.name, ""), layer.function, layer.macs, mix, size))
    for symbol, (mix, size) in by_symbol.items():
        name = "loops and calls" if symbol == f"{lowered.network.name}_run" else symbol
        figures.append(LayerFigures(f"({name})", "", symbol, 0, mix, size))
    total = sum(layer.mix.instructions for layer in figures)
    if total != profile.executed.total:
        raise InternalError("bench", f"{total} of {profile.executed.total} instructions are of a known function")
    return tuple(figures)


def _by_symbol(profile: Profile) -> dict[str, tuple[Mix, int]]:
    """The instructions and the bytes of each function, with what was compiled for that function alone."""
    from lowtide.emulate.mix import Mix, mix_of

    found: dict[str, tuple[Mix, int]] = {}
    for function in profile.image.functions:
        name = function.name.split(".", 1)[0]
        first = function.address - profile.image.flash_start
        part = profile.executed.between(first, first + function.size)
        mix, size = found.get(name, (Mix(), 0))
        found[name] = mix + mix_of(profile.image.flash, part, profile.isa), size + function.size
    return found


def _counted(view: ArtifactView) -> tuple[int | None, Mix | None, str]:
    """Instructions, those by kind, and why there are none."""
    from lowtide.emulate.mix import mix_of

    if not view.target.emulator or view.target.family == "host":
        return _counted_in_qemu(view)
    profile = _profile(view)
    mix = mix_of(profile.image.flash, profile.executed, profile.isa)
    if mix.instructions != profile.result.instructions:
        raise InternalError("bench", f"{mix.instructions} instructions by kind, {profile.result.instructions} in all")
    return profile.result.instructions, mix, ""


def _counted_in_qemu(view: ArtifactView) -> tuple[int | None, Mix | None, str]:
    from lowtide.emulate.qemu_backend import QemuBackend

    if not view.target.qemu_machine:
        return None, None, f"not counted: there is no emulator for {view.target.name}"
    try:
        result = QemuBackend().run(view, _inputs(view))
    except UsageError as error:
        return None, None, f"not counted: {error.message}"
    return result.instructions, None, "counted in QEMU, which does not tell kinds of instructions"


def _profile(view: ArtifactView) -> Profile:
    from lowtide.emulate.unicorn_backend import UnicornSession

    return UnicornSession(view, "object").profile(_inputs(view))


def _inputs(view: ArtifactView) -> tuple[Array, ...]:
    from lowtide.emulate.inputs import random_inputs

    return random_inputs([slot.tensor for slot in view.inputs], SEED)


def _view(network: Network, target: Target, code: CodegenResult, directory: Path) -> ArtifactView:
    from lowtide.emulate.artifact import ArtifactView

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
