"""Networks whose buffers lie where a test wants them, compiled for cortex-m4 and run on its emulator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowtide.alloc import Buffer, Forbidden, Problem, Solution
from lowtide.bufferise import allocate
from lowtide.bufferise.accesses import layer_accesses, loops_of, note_accesses
from lowtide.bufferise.directions import note_directions
from lowtide.bufferise.in_place import erase_calls, moves_in_place
from lowtide.bufferise.program import Bufferised, read_program
from lowtide.codegen.body import prepare_body
from lowtide.codegen.object import build_object
from lowtide.emulate.artifact import ArtifactView
from lowtide.emulate.inputs import random_inputs
from lowtide.emulate.trace import Trace
from lowtide.emulate.unicorn_backend import UnicornBackend
from lowtide.emulate.witness import Witnessed, check_trace
from lowtide.errors import InternalError
from lowtide.graph.conflicts import problem_of
from lowtide.graph.program import Loop
from lowtide.graph.read import layer_bodies
from lowtide.ir import ArrayAttr, IntegerAttr, MemRefType, Module, StringAttr
from lowtide.kernels.library import note_lanes
from lowtide.lower import placed_buffers
from lowtide.network import IoTensor, Network, Slot
from lowtide.normalise.analysis import element_dtype, network_function, operations_in
from lowtide.normalise.form import KERNEL
from lowtide.passes import run_passes
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


def pulled(module: Module) -> Module:
    """The module with the general kernel picked for all layers: only its profile is the least that holds."""
    with module.context:
        for op in operations_in(network_function(module, "test").regions[0].blocks[0]):
            if op.name == "func.call":
                op.attributes[KERNEL] = StringAttr.get("pull")
    return module


def trace(text: str) -> Trace:
    """Accesses to single bytes: `l3` loads byte 3, `s4` stores byte 4."""
    words = text.split()
    offsets = np.array([int(word[1:]) for word in words])
    return Trace(offsets, np.ones(len(words), np.int64), np.array([word[0] == "s" for word in words]))


def _problem(module: Module) -> tuple[Bufferised, Problem, tuple[int | None, ...]]:
    function = network_function(module, "test")
    note_lanes(module, TARGET.lanes)
    read = read_program(module, function, layer_bodies(module), 1, keep_input=False)
    return read, *problem_of(read.program)


def overlaps(module: Module) -> list[Overlap]:
    """What a bufferised network allows, where the two buffers then share bytes."""
    with module.context:
        _, problem, layers = _problem(module)
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
    """Compile a bufferised network, whose module this changes, with two buffers `shift` bytes apart, and witness a run.

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
    with module.context, module.operation.location:
        function = network_function(module, "test")
        bodies = layer_bodies(module)
        read, problem, layers = _problem(module)
        direction = {} if overlap is None else {overlap.layer: overlap.direction}
        picked = tuple(direction.get(number, 0) for number in range(len(problem.choices)))
        note_directions(read.calls, layers, picked)
        close = {} if overlap is None else _close(overlap.forbidden, shift)
        places = _places(problem.buffers, close)
        offsets = tuple(places[buffer.name] for buffer in problem.buffers)
        moves = moves_in_place(read, bodies, offsets)
        note_accesses(module, read, moves)
        erase_calls(read, moves)
        arena = max(offset + buffer.size for offset, buffer in zip(offsets, problem.buffers, strict=True))
        block = function.regions[0].blocks[0]
        tensors = [_tensor(MemRefType(argument.type)) for argument in block.arguments]
        results = [_tensor(MemRefType(value.type)) for value in block.operations[len(block.operations) - 1].operands]
        allocate.apply_solution(module, function, read, problem, Solution(offsets, picked, arena, 0, "given"))
    arrays = list(inputs) or random_inputs(tensors, 0)
    return _run(module, arrays, tensors, results, arena, folder, report)


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


def _tensor(memref: MemRefType) -> IoTensor:
    return IoTensor("x", tuple(memref.shape), element_dtype(memref.element_type))


def _slots(module: Module, tensors: Sequence[IoTensor], name: str) -> tuple[Slot, ...]:
    starts = [IntegerAttr(item).value for item in ArrayAttr(module.operation.attributes[name])]
    return tuple(Slot(tensor, start) for tensor, start in zip(tensors, starts, strict=True))


def _run(
    module: Module,
    arrays: Sequence[Array],
    tensors: Sequence[IoTensor],
    results: Sequence[IoTensor],
    arena: int,
    folder: Path,
    report: Change,
) -> Seen:
    run_passes(module, "lowtide-kernels")
    inputs, outputs = _slots(module, tensors, allocate.INPUTS), _slots(module, results, allocate.OUTPUTS)
    with module.context:
        main = network_function(module, "test")
        main.operation.attributes["sym_name"] = StringAttr.get("net_body")
        main.operation.attributes["sym_visibility"] = StringAttr.get("private")
    body = "\n".join(view.operation.get_asm(enable_debug_info=False) for view in module.body.operations)
    network = Network("net", body, arena, inputs, outputs, False)
    folder.mkdir()
    code = build_object(network, TARGET, prepare_body(network).own, folder).data
    (folder / "net.o").write_bytes(code)
    view = ArtifactView(folder, "net", TARGET, arena, STACK, 0, arena + STACK, inputs, outputs)
    result, trace = UnicornBackend().open(view).trace(arrays)
    given = tuple(output.tobytes() for output in result.outputs)
    loops = report(loops_of(module))
    try:
        return Seen(given, check_trace(trace, layer_accesses(module), placed_buffers(module), arena, loops))
    except InternalError as error:
        return Seen(given, error)
