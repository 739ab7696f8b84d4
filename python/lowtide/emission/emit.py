"""Emits a network's code: its function, and each layer's kernel in the directions that its calls ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lowtide.bound.bind import Binder
from lowtide.bound.loop_nest import LoopNest
from lowtide.bufferise.allocate import arena_of, placement_of
from lowtide.bufferise.placement import Placement
from lowtide.emission.calls import Declared, LayerCall, emit_calls
from lowtide.emission.division import replace_divisions
from lowtide.emission.flags import widen_flags
from lowtide.errors import InternalError
from lowtide.graph.nest import LayerBody
from lowtide.graph.program import DIRECTIONS
from lowtide.graph.rows import row_dimension
from lowtide.ir import (
    FlatSymbolRefAttr,
    FunctionType,
    InsertionPoint,
    MemRefType,
    Module,
    StringAttr,
    UnitAttr,
    Value,
    arith,
    func,
    i64,
    i64_array,
    run_pipeline,
)
from lowtide.kernels.constants import Globals, Numbers, type_of
from lowtide.kernels.kernel import Kernel
from lowtide.kernels.library import GENERAL, KERNELS, kernel_name
from lowtide.kernels.loops import How, Part
from lowtide.kernels.microkernels import microkernels_of
from lowtide.kernels.values import index_constant
from lowtide.normalise.analysis import public_functions
from lowtide.passes import Pass

STAGE = "kernels"
ARENA = "lowtide.arena_bytes"
INPUTS = "lowtide.input_offsets"
OUTPUTS = "lowtide.output_offsets"
MACS = "lowtide.macs"
BOUND = "lowtide.allocation_bound_bytes"
CLEAN_UP = "builtin.module(func.func(math-expand-ops{ops=roundeven,tanh},canonicalize,cse))"
# IREE's inliner honours only this spelling
NO_INLINE = "llvm.no_inline"


def run(module: Module, _: Mapping[str, str]) -> None:
    """Put the code of a network that has an arena in its place, and note offsets and sizes on the module.

    Raises:
        InputError: it has none.
    """
    microkernels = microkernels_of(module)
    with module.context, module.operation.location:
        placement = placement_of(module, Binder(microkernels))
        (network,) = public_functions(module)
        name, arena = network.name.value, arena_of(module)
        emit(placement, module, "lowtide_network", microkernels)
        for op in (network.operation, arena):
            assert op is not None
            op.erase()
        rename(module, name)


PASS = Pass("lowtide-kernels", "replace the network by code on its arena", run)


def emit(
    placement: Placement, module: Module, name: str, microkernels: str, kernel: str | None = None
) -> tuple[str, ...]:
    """Emit the code of a network.

    Args:
        placement: the network on its arena.
        module: what the code is added to, and offsets and sizes are noted on; of the network's context.
        name: the name of the network's function.
        microkernels: how the core multiplies.
        kernel: the one for every layer; None for those that were picked, or are best.

    Returns:
        the function of each call of the placement's program.
    """
    with module.context, module.operation.location:
        code = emit_calls(placement, module, name)
        constants = Globals(module)
        for declared in code.declared:
            _define_all(module, declared, microkernels, constants, kernel)
        _note(module, placement)
        widen_flags(module)
        replace_divisions(module)
        run_pipeline(module, CLEAN_UP, stage=STAGE, error=InternalError)
    return code.functions


def _note(module: Module, placement: Placement) -> None:
    """Say on the module what its code takes: bytes of the arena, offsets of inputs and outputs, MACs."""
    notes = module.operation.attributes
    notes[ARENA], notes[BOUND] = i64(placement.arena_bytes), i64(placement.bound_bytes)
    notes[MACS] = i64(placement.macs)
    notes[INPUTS], notes[OUTPUTS] = i64_array(placement.inputs), i64_array(placement.outputs)


def _define_all(module: Module, declared: Declared, microkernels: str, constants: Globals, kernel: str | None) -> None:
    """Each kernel in each direction that its calls ask for; of a loop of MLIR's own tiling its code."""
    if isinstance(declared.body, LoopNest):
        _define_nest(module, declared, declared.body)
        return
    found: dict[tuple[str, str], list[LayerCall]] = {}
    for call in declared.calls:
        picked = kernel_name(declared.body, kernel or call.kernel)
        found.setdefault((picked, call.direction), []).append(call)
    # in a fixed order, so that the same network gives the same text
    for (picked, direction), alike in sorted(found.items(), key=lambda item: _rank(*item[0])):
        calls = [call.op for call in alike]
        how = How(microkernels, direction == DIRECTIONS[1], constants=constants.intervals(calls))
        _define(module, declared, declared.body, picked, how, _Callers(calls, constants))


def _define_nest(module: Module, declared: Declared, nest: LoopNest) -> None:
    function = nest.function.operation.clone(InsertionPoint.at_block_begin(module.body))
    function.attributes["sym_name"] = StringAttr.get(declared.name)
    function.attributes["sym_visibility"] = StringAttr.get("private")
    function.attributes[NO_INLINE] = UnitAttr.get()


def _rank(kernel: str, direction: str) -> tuple[int, int]:
    return list(KERNELS).index(kernel), DIRECTIONS.index(direction)


@dataclass(frozen=True)
class _Callers:
    calls: Sequence[func.CallOp]
    constants: Globals

    def derived(self, kernel: Kernel, body: LayerBody, microkernels: str) -> list[list[Numbers]]:
        """The derived constants of each call; none where one is made from what is no constant."""
        wanted = kernel.derived(body, microkernels)
        made: list[list[Numbers]] = []
        for call in self.calls:
            buffers = [operand for operand in call.operation.operands if isinstance(operand.type, MemRefType)]
            sources = [(item, [self.constants.value(buffers[n]) for n in item.arguments]) for item in wanted]
            made.append([item.make(*given) for item, given in sources if all(value is not None for value in given)])
        return made if all(len(of_one) == len(wanted) for of_one in made) else [[] for _ in self.calls]

    def call(self, name: str, derived: Sequence[Sequence[Numbers]]) -> None:
        """Turn the calls into calls of that function, with these constants behind the operands."""
        for call, values in zip(self.calls, derived, strict=True):
            op = call.operation
            with InsertionPoint(op), op.location:
                operands = [*op.operands, *(self.constants.new(value) for value in values)]
                made = func.CallOp([], FlatSymbolRefAttr.get(name), operands).operation
            # what passes or scripts have noted on the call stays with it
            for word in op.attributes:
                if word != "callee":
                    made.attributes[word] = op.attributes[word]
            op.erase()


def _define(module: Module, declared: Declared, body: LayerBody, kernel: str, how: How, callers: _Callers) -> None:
    """One kernel in one direction, for these callers."""
    location = callers.calls[0].location
    name = declared.name + ("" if kernel == kernel_name(body) else f"_{kernel}")
    name += "_backwards" if how.backwards else ""
    # weights in the order in which the kernel reads them, and the like: constants of the callers, made at compile time
    derived = callers.derived(KERNELS[kernel], body, how.microkernels)
    with InsertionPoint.at_block_begin(module.body), location:
        more = [type_of(value) for value in derived[0]]
        function = func.FuncOp(name, FunctionType.get([*declared.types, *more], []), visibility="private")
    # a register-tiled kernel keeps registers and a frame of its own: half the stack, and as fast as inlined
    if len(callers.calls) > 1 or kernel != GENERAL:
        function.operation.attributes[NO_INLINE] = UnitAttr.get()
    block = function.add_entry_block()
    arguments = list(block.arguments)
    own, made = arguments[: len(arguments) - len(more)], arguments[len(arguments) - len(more) :]
    with InsertionPoint(block), location:
        memrefs = [argument for argument in own if isinstance(argument.type, MemRefType)]
        # workspaces come last; the general kernel, which has none, is given those of the kernel in whose place it is
        memrefs, spaces = memrefs[: len(body.arguments)], memrefs[len(body.arguments) :]
        part = _part(declared, body, own)
        values = tuple(zip(*derived, strict=True))
        KERNELS[kernel].emit(body, memrefs, replace(how, part=part, derived=made, values=values, workspaces=spaces))
        func.ReturnOp([])
    callers.call(name, derived)


def _part(declared: Declared, body: LayerBody, arguments: Sequence[Value]) -> Part | None:
    """What a call of this function goes through, if it is one of a fused loop."""
    bounds = [argument for argument in arguments if not isinstance(argument.type, MemRefType)]
    if not bounds:
        return None
    pairs = list(zip(bounds[::2], bounds[1::2], strict=True))
    reduction, unit = declared.reduction, 1
    # where one dimension goes over all elements of the input, rows and columns are ranges of elements
    if reduction.flat is not None:
        columns, channels = reduction.flat
        unit = channels if len(pairs) > 1 else columns * channels
        ranges = {reduction.dimensions[0]: _flat(pairs, *reduction.flat)}
    elif reduction.dimensions:
        ranges = dict(zip(reduction.dimensions, pairs, strict=True))
    else:
        destination = body.destination
        row = len(destination) - 1 if declared.by_channels else row_dimension(destination)
        ranges = {row + position: pair for position, pair in enumerate(pairs)}
    return Part(ranges, bool(reduction.dimensions), declared.backwards, unit)


def _flat(pairs: Sequence[tuple[Value, Value]], columns: int, channels: int) -> tuple[Value, Value]:
    """Elements of whole rows, or of the columns of one row or none."""
    begin, end = pairs[0]
    row, pixel = index_constant(columns * channels), index_constant(channels)
    if len(pairs) == 1:
        return arith.muli(begin, row), arith.muli(end, row)
    left, right = pairs[1]
    first = arith.addi(arith.muli(begin, row), arith.muli(left, pixel))
    count = arith.muli(arith.muli(arith.subi(end, begin), arith.subi(right, left)), pixel)
    return first, arith.addi(first, count)


def rename(module: Module, name: str) -> None:
    """Give the network's function its name."""
    (network,) = public_functions(module)
    network.operation.attributes["sym_name"] = StringAttr.get(name)
