"""Networks whose buffers lie where a test wants them, compiled for cortex-m4 and run on its emulator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lowtide.alloc import Buffer, Forbidden, Solution
from lowtide.bufferise import allocate
from lowtide.bufferise.accesses import layer_accesses, note_accesses
from lowtide.bufferise.directions import note_directions
from lowtide.bufferise.in_place import erase_calls, moves_in_place
from lowtide.bufferise.program import read_program
from lowtide.codegen.body import prepare_body
from lowtide.codegen.object import build_object
from lowtide.emulate.artifact import ArtifactView
from lowtide.emulate.inputs import random_inputs
from lowtide.emulate.unicorn_backend import UnicornBackend
from lowtide.emulate.witness import Witnessed, check_trace
from lowtide.graph.conflicts import problem_of
from lowtide.graph.read import layer_bodies
from lowtide.ir import ArrayAttr, IntegerAttr, MemRefType, Module, StringAttr
from lowtide.network import IoTensor, LayerAccess, Network, Slot
from lowtide.normalise.analysis import element_dtype, network_function
from lowtide.passes import run_passes
from lowtide.report.memory_map import PlacedBuffer
from lowtide.targets import TARGETS

TARGET = TARGETS["cortex-m4"]
STACK = 2048


@dataclass(frozen=True)
class Overlap:
    """What a layer's profile allows in one direction: the least move of a buffer that it forbids.

    Attributes:
        layer: number of the choice, among the layers that have one.
        direction: 0 forwards, 1 backwards.
        forbidden: the interval.
        allowed, beyond: offset of the output less the input's: the closest that is allowed, and one byte further.
    """

    layer: int
    direction: int
    forbidden: Forbidden
    allowed: int
    beyond: int


def overlaps(module: Module) -> list[Overlap]:
    """What the profiles of a bufferised network allow, where the two buffers then share bytes."""
    with module.context:
        function = network_function(module, "test")
        program = read_program(module, function, layer_bodies(module), 1, keep_input=False).program
        problem, _ = problem_of(program)
    sizes = {buffer.name: buffer.size for buffer in problem.buffers}
    found: list[Overlap] = []
    for layer, choice in enumerate(problem.choices):
        for direction, alternative in enumerate(choice.alternatives):
            for item in alternative:
                allowed, beyond = (item.low, item.low + 1) if direction == 0 else (item.high, item.high - 1)
                if -sizes[str(item.b)] < allowed < sizes[str(item.a)]:
                    found.append(Overlap(layer, direction, item, allowed, beyond))
    return found


def witness(module: Module, overlap: Overlap, shift: int, folder: Path) -> Witnessed:
    """Compile a bufferised network, whose module this changes, with two buffers `shift` bytes apart, and witness a run.

    All other buffers share no byte with any.
    """
    with module.context, module.operation.location:
        function = network_function(module, "test")
        bodies = layer_bodies(module)
        read = read_program(module, function, bodies, 1, keep_input=False)
        problem, layers = problem_of(read.program)
        picked = [overlap.direction if number == overlap.layer else 0 for number in range(len(layers))]
        note_directions(read.calls, layers, picked)
        places = _places(problem.buffers, str(overlap.forbidden.a), str(overlap.forbidden.b), shift)
        offsets = tuple(places[buffer.name] for buffer in problem.buffers)
        moves = moves_in_place(read, bodies, offsets)
        note_accesses(module, read, moves)
        erase_calls(read, moves)
        arena = max(offset + buffer.size for offset, buffer in zip(offsets, problem.buffers, strict=True))
        tensors = [_tensor(MemRefType(argument.type)) for argument in function.regions[0].blocks[0].arguments]
        solution = Solution(offsets, tuple(picked), arena, 0, "given")
        allocate.apply_solution(module, function, read, problem, solution)
    placed = [
        PlacedBuffer(buffer.name, buffer.size, offset, buffer.first, buffer.last)
        for buffer, offset in zip(problem.buffers, offsets, strict=True)
    ]
    return _run(module, tensors, placed, layer_accesses(module), arena, folder)


def _places(buffers: Sequence[Buffer], a: str, b: str, shift: int) -> dict[str, int]:
    """Offsets: `a` and `b` `shift` bytes apart, the others above them."""
    places = {a: max(0, -shift), b: max(0, shift)}
    end = max(places[buffer.name] + buffer.size for buffer in buffers if buffer.name in places)
    for buffer in buffers:
        if buffer.name not in places:
            places[buffer.name] = -(-end // buffer.alignment) * buffer.alignment
            end = places[buffer.name] + buffer.size
    return places


def _tensor(memref: MemRefType) -> IoTensor:
    return IoTensor("x", tuple(memref.shape), element_dtype(memref.element_type))


def _run(
    module: Module,
    tensors: Sequence[IoTensor],
    placed: Sequence[PlacedBuffer],
    layers: Sequence[LayerAccess],
    arena: int,
    folder: Path,
) -> Witnessed:
    run_passes(module, "lowtide-kernels")
    starts = [IntegerAttr(item).value for item in ArrayAttr(module.operation.attributes[allocate.INPUTS])]
    inputs = tuple(Slot(tensor, start) for tensor, start in zip(tensors, starts, strict=True))
    output = Slot(IoTensor("y", (1,), "int8"), 0)
    with module.context:
        main = network_function(module, "test")
        main.operation.attributes["sym_name"] = StringAttr.get("net_body")
        main.operation.attributes["sym_visibility"] = StringAttr.get("private")
    body = "\n".join(view.operation.get_asm(enable_debug_info=False) for view in module.body.operations)
    network = Network("net", body, arena, inputs, (output,), False)
    folder.mkdir()
    code, _ = build_object(network, TARGET, prepare_body(network), folder)
    (folder / "net.o").write_bytes(code)
    view = ArtifactView(folder, "net", TARGET, arena, STACK, 0, arena + STACK, inputs, (output,))
    _, trace = UnicornBackend().open(view).trace(random_inputs(list(tensors), 0))
    return check_trace(trace, layers, placed, arena)
