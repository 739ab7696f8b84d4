"""The visible list of stages: from a model file to a network on one arena."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from lowtide.bound.bind import Binder
from lowtide.bound.build import build_graph
from lowtide.bufferise.allocate import allocate
from lowtide.bufferise.placement import Placement
from lowtide.cost.data import cost_model
from lowtide.cost.operation_counts import Counted
from lowtide.emission.emit import emit
from lowtide.errors import InputError
from lowtide.front import normalised
from lowtide.graph.graph import Graph
from lowtide.graph.program import Loop
from lowtide.importer import ImportedModel
from lowtide.importer.tflite import NO_SHAPES, explain_refusal
from lowtide.importer.tflite.given_shapes import Shapes
from lowtide.ir import Module, Operation, StringAttr, bytecode_of, declarations_of, i64_array, parse_module, text_of
from lowtide.kernels.library import GENERAL
from lowtide.kernels.microkernels import PLAIN, note_microkernels
from lowtide.limits import check_arena
from lowtide.network import IoTensor, Network, Slot, State, Stream
from lowtide.normalise.outline import COPIED, outline_once
from lowtide.normalise.stream import STREAMED
from lowtide.placement import LayerAccess, PlacedBuffer
from lowtide.plan.loop_cost import by_time, part_of_time
from lowtide.plan.plan import DEFAULT_OBJECTIVE, Objective, Plan, check_objective
from lowtide.plan.planners import Planner, planner_for
from lowtide.plan.primitives import Chooser
from lowtide.plan.untiled import Untiled
from lowtide.plan.watch import unwatched
from lowtide.script.emit import script_for
from lowtide.stages import Stages
from lowtide.streamed_inputs import check_readers
from lowtide.targets import Target
from lowtide.transform.interpreter import apply_script
from lowtide.transform.plans import apply_plan

LONGEST_NAME = 63
"""Characters of a network's name: as many as C tells apart, and the names of files have room for what follows it."""
_DIGEST = 8


@dataclass(frozen=True)
class Lowered:
    """A model, lowered.

    Attributes:
        network: what codegen takes.
        graph: the layers and tensors, untiled, in the order of the plan.
        found: what the search found, before flash was spent on kernels.
        baseline_bytes: what executing layer by layer in the model's own order needs, without overlap and with copies
            for concats.
        plan: what that order and the script follow from; None where the script was given.
        script: the transform script that was applied.
        buffers: where each buffer lies and when; steps are those of `graph`.
        layers: what each layer reads and writes.
        loops: the fused loops of those.
        macs: multiply-accumulates of one inference, counted over the bufferised code.
        bound_bytes: what the allocator proved no arena for this plan can be under.
    """

    network: Network
    graph: Graph
    found: Untiled
    baseline_bytes: int
    plan: Plan | None
    script: str
    buffers: tuple[PlacedBuffer, ...]
    bound_bytes: int
    layers: tuple[LayerAccess, ...]
    loops: tuple[Loop, ...]
    macs: int


def identifier(name: str) -> str:
    """A C identifier for a model's file name; what is too long for the names of files and symbols ends in a digest."""
    word = re.sub(r"\W", "_", name, flags=re.ASCII)
    word = f"m_{word}" if not word or word[0].isdigit() else word
    if len(word) <= LONGEST_NAME:
        return word
    digest = hashlib.sha256(os.fsencode(name)).hexdigest()[:_DIGEST]
    return f"{word[: LONGEST_NAME - _DIGEST - 1]}_{digest}"


def inspect_model(
    model: str | Path,
    *,
    until: Sequence[str] = (),
    shape: Shapes = NO_SHAPES,
    listen: Callable[[str], None] = lambda _: None,
) -> Graph:
    """The layers and tensors of a model, untiled, without compiling it.

    Raises:
        InputError, UsageError: the model is refused.
    """
    try:
        module = normalised(Path(model), until, Stages(listen), shape).module
    except InputError as error:
        # who looks at a model wants to know all at once
        raise explain_refusal(Path(model), until, shape, error) if Path(model).suffix == ".tflite" else error from None
    outline_once(module)
    return build_graph(module)


def _copy(module: Module) -> Module:
    # by bytecode: unlike a clone it can't share anything with what a script changes
    return parse_module(bytecode_of(module), module.context)


def graph_of(
    module: Module,
    copied: Sequence[int],
    *,
    streamed: Sequence[int] = (),
    layer_counts: Counted | None = None,
    binder: Binder | None = None,
) -> Graph:
    """The graph of a normalised module with these parts of concats copied; the module stays as it is.

    Args:
        module: the network in normalised linalg.
        copied: numbers of the parts, from 1 in program order.
        streamed: numbers of the inputs, from 0, that arrive row by row.
        layer_counts: what to count of each layer's kernel, for the cost model; None counts nothing.
        binder: the target's; a new one where there is none.
    """
    return build_graph(outlined_copy(module, copied, streamed), binder, layer_counts=layer_counts)


def outlined_copy(module: Module, copied: Sequence[int], streamed: Sequence[int] = ()) -> Module:
    """A normalised module cut into layers; arguments as for `graph_of`, and the module stays as it is."""
    outlined = _copy(module)
    with module.context:
        outlined.operation.attributes[COPIED] = i64_array(copied)
        if streamed:
            outlined.operation.attributes[STREAMED] = i64_array(streamed)
    outline_once(outlined)
    return outlined


@dataclass(frozen=True)
class Opened:
    """A model's file that has been read: what all plans for a target start from.

    Attributes:
        path: the file.
        model: its network in normalised linalg, which stays as it is.
        binder: its distinct layers.
    """

    path: Path
    model: ImportedModel
    binder: Binder


def open_model(path: Path, target: Target, until: Sequence[str], stages: Stages, shapes: Shapes = NO_SHAPES) -> Opened:
    """Read a model for a target.

    Raises:
        LowtideError: the model is refused.
    """
    model = normalised(path, until, stages, shapes)
    for ends in (model.inputs, model.outputs):
        check_arena(sum(tensor.nbytes for tensor in ends), str(path))
    note_microkernels(model.module, target.microkernels)
    return Opened(path, model, Binder(target.microkernels))


def lower(
    path: Path | Opened,
    target: Target,
    *,
    objective: Objective = DEFAULT_OBJECTIVE,
    plan: Path | None = None,
    arena_limit: int | None = None,
    planner: Planner | None = None,
    until: Sequence[str] = (),
    keep_input: bool = False,
    streamed: Sequence[int] = (),
    layer_counts: bool = False,
    spare_flash: int = 0,
    waits: float = 0.0,
    stages: Stages,
) -> Lowered:
    """Every stage up to codegen, of a file or of one that has been read.

    Args:
        path: the file, or what `open_model` made of it.
        target: the core.
        objective: what the search looks for.
        plan: a script's file, to be applied instead of searching.
        arena_limit: bytes that `fit` stays within if it can; where the plan's arena is known to stay within it, the
            script carries it as the arena's budget.
        planner: another search than the objective's.
        until: tensors that become the outputs; of a file that has been read they are already.
        keep_input: the inputs' bytes stay intact.
        streamed: numbers of the inputs, from 0, that arrive row by row; with `plan` the script says so itself.
        layer_counts: whether the graph says what the kernels do, as the cost model needs it.
        spare_flash: bytes of flash that layers may take more than they must, where that makes them faster.
        waits: see `Chooser`.
        stages: told of each stage as it begins.

    Raises:
        LowtideError: whatever a stage refuses.
    """
    check_objective(objective)
    model_of_cost, wanted = cost_model(target), objective if plan is None else "untiled"
    loop_cost, allowance = by_time(model_of_cost), part_of_time(model_of_cost)
    alignment = target.buffer_alignment
    chooser = Chooser(model_of_cost, spare_flash, alignment, keep_input, waits) if spare_flash > 0 else None
    search = planner or planner_for(wanted, arena_limit, loop_cost, allowance, chooser)
    # the planners that go by a cost need to know what the kernels do
    counted: Counted | None = "rows" if planner is None and wanted == "free" else None
    if layer_counts or (planner is None and wanted == "fit") or spare_flash > 0:
        counted = "all"
    opened = path if isinstance(path, Opened) else open_model(path, target, until, stages)
    path, model, binder = opened.path, opened.model, opened.binder
    # the script rewrites it, and another plan may start from the same
    module = _copy(model.module)
    with stages.stage("plan"):
        # outlining changes the module, and the script is for the one before it
        cut = partial(graph_of, module, streamed=streamed, layer_counts=counted, binder=binder)
        with stages.search() if objective != "untiled" and plan is None else nullcontext(unwatched) as watch:
            found = search(cut, target.buffer_alignment, keep_input=keep_input, watch=watch)
        check_readers(found.graph)
        decided = replace(_budgeted(found.plan, arena_limit), streamed=tuple(streamed))
        if plan is None:
            check_arena(decided.arena_bytes or 0)
        if chooser is not None and plan is None and not decided.kernels:
            # no memory is paid for speed where none was asked for
            most = arena_limit if objective == "fit" and arena_limit is not None else 0
            chosen = chooser.choose(found.ordered, decided, most)
            decided = replace(decided, kernels=chosen.kernels, arena_bytes=chosen.arena_bytes)
        script = script_for(decided) if plan is None else _read_script(plan)
    with stages.stage("transform"):
        if plan is None:
            apply_script(module, script, name="plan", binder=binder)
        else:
            module = apply_plan(module, script, str(plan))
    stages.dump("transform", module)
    with stages.stage("outline", module):
        outline_once(module)
    with stages.stage("allocate", module):
        options = {"alignment": str(target.buffer_alignment), "keep-input": str(int(keep_input))}
        placement = allocate(module, binder, options)
    if plan is None and decided.arena_bytes is not None:
        assert decided.arena_bytes == placement.arena_bytes, "planner and code make one program of the same data"
    name = identifier(path.stem)
    with stages.stage("kernels"):
        code, functions = _emitted(placement, name, target.microkernels)
        # the kernels of another core are none for the machine that this runs on; any order that an arena allows
        # allows the general kernel's
        host = target.family == "host"
        plain = None if host else _emitted(placement, name, PLAIN, GENERAL)[0]
    stages.dump("kernels", code)
    return Lowered(
        network=_network(code, plain, name, model, placement, keep_input),
        graph=found.ordered,
        found=found,
        baseline_bytes=found.baseline_bytes,
        plan=decided if plan is None else None,
        script=script,
        buffers=placement.buffers,
        bound_bytes=placement.bound_bytes,
        layers=placement.accesses(functions),
        loops=placement.actual.loops,
        macs=placement.macs,
    )


def _emitted(
    placement: Placement, name: str, microkernels: str, kernel: str | None = None
) -> tuple[Module, tuple[str, ...]]:
    """The network's code in a module of its own, and the function of each call."""
    operation = placement.network.layers[0].op
    with operation.context, operation.location:
        module = Module.create()
    functions = emit(placement, module, f"{name}_body", microkernels, kernel)
    return module, functions


def _budgeted(plan: Plan, arena_limit: int | None) -> Plan:
    """The plan with its budget; without one where it does not fit: what does is then said with the code's figures."""
    fits = arena_limit is not None and plan.arena_bytes is not None and plan.arena_bytes <= arena_limit
    return replace(plan, budget=arena_limit) if arena_limit is not None and fits else plan


def _read_script(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise InputError("transform", f"cannot read the plan: {reason}", where=str(path)) from None


def _network(
    code: Module, plain: Module | None, name: str, model: ImportedModel, placement: Placement, keep_input: bool
) -> Network:
    operations = _operations(code)
    constants = [op for op in operations if op.name == "memref.global"]
    portable = [] if plain is None else [op for op in _operations(plain) if op.name == "func.func"]
    return Network(
        name=name,
        body=text_of(op for op in operations if op.name != "memref.global"),
        arena_bytes=placement.arena_bytes,
        inputs=_slots(
            [tensor for number, tensor in enumerate(model.inputs) if number not in placement.streamed], placement.inputs
        ),
        streams=_streams(model.inputs, placement),
        position_offset=placement.position,
        sites=len(placement.sites),
        outputs=_slots(model.outputs, placement.outputs),
        keep_input=keep_input,
        portable=text_of(portable),
        states=tuple(
            State(state.tensor, offset, state.initial)
            for state, offset in zip(model.states, placement.states, strict=True)
        ),
        mark_offset=placement.mark,
        constants=text_of(constants, generic=True),
        declared=declarations_of(constants),
    )


def _streams(tensors: Sequence[IoTensor], placement: Placement) -> tuple[Stream, ...]:
    """Where the rows of each streamed input go, in the order of the inputs."""
    found: list[Stream] = []
    for number, call in zip(placement.streamed, placement.program.sources, strict=True):
        buffer = placement.buffers[placement.program.calls[call].writes]
        made = placement.network.graph.tensors[
            placement.network.graph.layers[placement.program.calls[call].layer - 1].output
        ]
        found.append(Stream(tensors[number], buffer.offset, number, made.rows, buffer.size // made.row_bytes))
    return tuple(sorted(found, key=lambda stream: stream.number))


def _operations(module: Module) -> list[Operation]:
    """The operations of the module, all of them private."""
    operations = [view.operation for view in module.body.operations]
    with module.context:
        for op in operations:
            op.attributes["sym_visibility"] = StringAttr.get("private")
    return operations


def _slots(tensors: Sequence[IoTensor], offsets: Sequence[int]) -> tuple[Slot, ...]:
    return tuple(Slot(tensor, offset) for tensor, offset in zip(tensors, offsets, strict=True))
