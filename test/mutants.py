"""Networks whose buffers lie where a test wants them, compiled for cortex-m4 and run on its emulator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowtide.alloc import Buffer, Forbidden, Problem, Solution
from lowtide.bound.bind import Binder
from lowtide.bound.build import BoundNetwork, read_network
from lowtide.bufferise.placement import Placement, place
from lowtide.codegen.body import prepare_body
from lowtide.codegen.object import build_object
from lowtide.emission.emit import emit
from lowtide.emulate.artifact import ArtifactView
from lowtide.emulate.backends.unicorn import UnicornBackend
from lowtide.emulate.inputs import random_inputs
from lowtide.emulate.machine.trace import Trace
from lowtide.emulate.witness.witness import Witnessed, check_trace
from lowtide.errors import InternalError
from lowtide.graph.conflicts import problem_of
from lowtide.graph.program import Loop, Program
from lowtide.ir import Module, StringAttr
from lowtide.network import IoTensor, Network, Slot
from lowtide.normalise.form import KERNEL, network_layers
from lowtide.plan.memory import program_of
from lowtide.targets import TARGETS

Array = NDArray[Any]
TARGET = TARGETS["cortex-m4"]
STACK = 2048


@dataclass(frozen=True)
class Overlap:
    """What a layer, or a loop, allows in one direction: the least move of a buffer that it forbids.

    Attributes:
        layer: number of the choice, among the layers and loops that have one.
        direction: 0 forwards, 1 backwards; 0 of a loop.
        forbidden: the interval.
        allowed, beyond: offset of b less that of a: the closest that is allowed, and one byte further.
    """

    layer: int
    direction: int
    forbidden: Forbidden
    allowed: int
    beyond: int


@dataclass(frozen=True)
class Seen:
    """What a run gave: outputs as bytes, and what the witness says of it, or its complaint."""

    outputs: tuple[bytes, ...]
    witnessed: Witnessed | InternalError


def general(module: Module) -> Module:
    """The module with the general kernel picked for all layers: only its profile is the least that holds."""
    with module.context:
        for layer in network_layers(module, "test"):
            layer.attributes[KERNEL] = StringAttr.get("general")
    return module


def trace(text: str) -> Trace:
    """Accesses to single bytes: `l3` loads byte 3, `s4` stores byte 4."""
    words = text.split()
    offsets = np.array([int(word[1:]) for word in words])
    return Trace(offsets, np.ones(len(words), np.int64), np.array([word[0] == "s" for word in words]))


def _problem(module: Module) -> tuple[BoundNetwork, Program, Problem, tuple[int | None, ...]]:
    network = read_network(module, Binder(TARGET.microkernels))
    program = program_of(network.graph, 1, fusions=network.fusions)
    return network, program, *problem_of(program)


def overlaps(module: Module) -> list[Overlap]:
    """What a network that has been cut into layers allows, where the two buffers then share bytes."""
    with module.context:
        _, _, problem, layers = _problem(module)
    sizes = {buffer.name: buffer.size for buffer in problem.buffers}
    found: list[Overlap] = []
    for layer, (number, choice) in enumerate(zip(layers, problem.choices, strict=True)):
        for direction, alternative in enumerate(choice.alternatives):
            for item in alternative:
                ends = [(item.low, item.low + 1), (item.high, item.high - 1)]
                for allowed, beyond in ends if number is None else ends[direction : direction + 1]:
                    if -sizes[str(item.b)] < allowed < sizes[str(item.a)]:
                        found.append(Overlap(layer, direction, item, allowed, beyond))
    return found


def witness(module: Module, overlap: Overlap, shift: int, folder: Path) -> Witnessed:
    """Compile a network that has been cut into layers with two buffers `shift` bytes apart, and witness a run.

    All other buffers share no byte with any.
    """
    seen = run(module, folder, overlap, shift).witnessed
    if isinstance(seen, InternalError):
        raise seen
    return seen


Change = Callable[[tuple[Loop, ...]], tuple[Loop, ...]]


def run(
    module: Module,
    folder: Path,
    overlap: Overlap | None = None,
    shift: int = 0,
    *,
    inputs: Sequence[Array] = (),
    report: Change = lambda loops: loops,
) -> Seen:
    """As `witness`; without an overlap no two buffers share a byte, and `report` may change what is said of loops.

    Inputs are random where none are given.
    """
    network, program, problem, layers = _problem(module)
    direction = {} if overlap is None else {overlap.layer: overlap.direction}
    picked = tuple(direction.get(number, 0) for number in range(len(problem.choices)))
    close = {} if overlap is None else _close(overlap.forbidden, shift)
    places = _places(problem.buffers, close)
    offsets = tuple(places[buffer.name] for buffer in problem.buffers)
    arena = max(offset + buffer.size for offset, buffer in zip(offsets, problem.buffers, strict=True))
    solution = Solution(offsets, picked, arena, 0, "given")
    chosen = {call: pick for call, pick in zip(layers, picked, strict=True) if call is not None}
    return _run(place(network, program, solution, chosen), module, list(inputs), folder, report)


def _close(forbidden: Forbidden, shift: int) -> dict[str, int]:
    return {str(forbidden.a): max(0, -shift), str(forbidden.b): max(0, shift)}


def _places(buffers: Sequence[Buffer], close: dict[str, int]) -> dict[str, int]:
    """Offsets: some as given, the others above them."""
    places = dict(close)
    end = max((places[buffer.name] + buffer.size for buffer in buffers if buffer.name in places), default=0)
    for buffer in buffers:
        if buffer.name not in places:
            places[buffer.name] = -(-end // buffer.alignment) * buffer.alignment
            end = places[buffer.name] + buffer.size
    return places


def _slots(placement: Placement, tensors: Sequence[int], offsets: Sequence[int]) -> tuple[Slot, ...]:
    found = [placement.network.graph.tensors[index] for index in tensors]
    ends = [IoTensor("x", tensor.shape, tensor.dtype) for tensor in found]
    return tuple(Slot(tensor, start) for tensor, start in zip(ends, offsets, strict=True))


def _run(placement: Placement, network: Module, arrays: list[Array], folder: Path, report: Change) -> Seen:
    graph, arena = placement.network.graph, placement.arena_bytes
    inputs = _slots(placement, graph.inputs, placement.inputs)
    outputs = _slots(placement, graph.outputs, placement.outputs)
    arrays = arrays or list(random_inputs([slot.tensor for slot in inputs], 0))
    with network.context, network.operation.location:
        module = Module.create()
    functions = emit(placement, module, "net_body", TARGET.microkernels)
    with module.context:
        for view in module.body.operations:
            view.operation.attributes["sym_visibility"] = StringAttr.get("private")
    body = "\n".join(view.operation.get_asm(enable_debug_info=False) for view in module.body.operations)
    compiled = Network("net", body, arena, inputs, outputs, False)
    folder.mkdir()
    code = build_object(compiled, TARGET, prepare_body(compiled).own, folder).data
    (folder / "net.o").write_bytes(code)
    view = ArtifactView(folder, "net", TARGET, arena, STACK, 0, arena + STACK, inputs, outputs)
    result, trace = UnicornBackend().open(view).trace(arrays)
    given = tuple(output.tobytes() for output in result.outputs)
    loops = report(placement.actual.loops)
    try:
        return Seen(given, check_trace(trace, placement.accesses(functions), placement.buffers, arena, loops))
    except InternalError as error:
        return Seen(given, error)
