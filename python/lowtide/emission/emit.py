"""Replaces each layer's declaration by loops, which the picked kernel emits, or the first that accepts the layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from lowtide.bufferise.bufferise import declared_functions, detach_layers
from lowtide.bufferise.directions import DIRECTION, DIRECTIONS
from lowtide.emission.division import replace_divisions
from lowtide.emission.flags import widen_flags
from lowtide.errors import InternalError
from lowtide.graph.nest import LayerBody, Shape
from lowtide.graph.read import read_layer
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
    run_pipeline,
)
from lowtide.kernels.constants import Globals, Numbers, type_of
from lowtide.kernels.kernel import How, Kernel
from lowtide.kernels.lanes import lanes_of
from lowtide.kernels.library import GENERAL, KERNELS, kernel_name
from lowtide.kernels.loops import Part
from lowtide.kernels.scalar import index_constant
from lowtide.normalise.analysis import calls_in
from lowtide.normalise.form import BACKWARDS, CHANNELS, body_name, outlined_network, picked_kernel, reduction_of
from lowtide.passes import Pass

STAGE = "kernels"
CLEAN_UP = "builtin.module(func.func(math-expand-ops{ops=roundeven,tanh}),canonicalize,cse)"
# IREE's inliner honours only this spelling
NO_INLINE = "llvm.no_inline"


def run(module: Module, _: Mapping[str, str]) -> None:
    """Emit every layer's kernel in the directions its callers ask for; several callers share one function."""
    lanes = lanes_of(module)
    with module.context, module.operation.location:
        outlined_network(module, STAGE, on="buffers")
        layers = detach_layers(module, STAGE)
        block = layers.regions[0].blocks[0]
        bodies = {view.name.value: view for view in block.operations if isinstance(view, func.FuncOp)}
        callers, constants = _callers(module), Globals(module)
        for declaration in declared_functions(module):
            name = declaration.name.value
            if body_name(declaration) not in bodies:
                raise InternalError(STAGE, f"layer '{name}' has no body")
            _define_all(declaration, bodies[body_name(declaration)], callers.get(name, []), lanes, constants)
            declaration.operation.erase()
        widen_flags(module)
        replace_divisions(module)
        run_pipeline(module, CLEAN_UP, stage=STAGE, error=InternalError)


PASS = Pass("lowtide-kernels", "replace each layer by its kernel's loops", run)


def _define_all(
    declaration: func.FuncOp, layer: func.FuncOp, calls: Sequence[func.CallOp], lanes: str, constants: Globals
) -> None:
    """Each kernel in each direction that these callers ask for."""
    body = read_layer(layer)
    found: dict[tuple[str, str], list[func.CallOp]] = {}
    for call in calls:
        found.setdefault((kernel_name(body, picked_kernel(call.operation)), _direction(call)), []).append(call)
    for (kernel, direction), alike in sorted(found.items(), key=lambda item: _rank(*item[0])):
        how = How(lanes, direction == DIRECTIONS[1], constants=constants.intervals(alike))
        _define(declaration, layer, kernel, how, _Callers(alike, constants))


def _rank(kernel: str, direction: str) -> tuple[int, int]:
    return list(KERNELS).index(kernel), DIRECTIONS.index(direction)


@dataclass(frozen=True)
class _Callers:
    calls: Sequence[func.CallOp]
    constants: Globals

    def derived(self, kernel: Kernel, body: LayerBody, lanes: str) -> list[list[Numbers]]:
        """Of each call the derived constants; none where one is made from what is no constant."""
        wanted = kernel.derived(body, lanes)
        made: list[list[Numbers]] = []
        for call in self.calls:
            buffers = [operand for operand in call.operation.operands if isinstance(operand.type, MemRefType)]
            sources = [(item, self.constants.value(buffers[item.argument])) for item in wanted]
            made.append([item.make(source) for item, source in sources if source is not None])
        return made if all(len(of_one) == len(wanted) for of_one in made) else [[] for _ in self.calls]

    def call(self, name: str, derived: Sequence[Sequence[Numbers]]) -> None:
        """Turn the calls into calls of that function, with these constants behind the operands."""
        for call, values in zip(self.calls, derived, strict=True):
            op = call.operation
            with InsertionPoint(op), op.location:
                operands = [*op.operands, *(self.constants.new(value) for value in values)]
                made = func.CallOp([], FlatSymbolRefAttr.get(name), operands).operation
            for word in op.attributes:
                if word != "callee":
                    made.attributes[word] = op.attributes[word]
            op.erase()


def _define(declaration: func.FuncOp, layer: func.FuncOp, kernel: str, how: How, callers: _Callers) -> None:
    """One kernel in one direction, for these callers."""
    body = read_layer(layer)
    name = declaration.name.value + ("" if kernel == kernel_name(body) else f"_{kernel}")
    name += "_backwards" if how.backwards else ""
    derived = callers.derived(KERNELS[kernel], body, how.lanes)
    with InsertionPoint(declaration), layer.location:
        more = [type_of(value) for value in derived[0]]
        kind = FunctionType.get([*declaration.type.inputs, *more], list(declaration.type.results))
        function = func.FuncOp(name, kind, visibility="private")
    # a blocked kernel keeps registers and a frame of its own: half the stack, and as fast as inlined
    if len(callers.calls) > 1 or kernel != GENERAL:
        function.operation.attributes[NO_INLINE] = UnitAttr.get()
    block = function.add_entry_block()
    arguments = list(block.arguments)
    own, made = arguments[: len(arguments) - len(more)], arguments[len(arguments) - len(more) :]
    with InsertionPoint(block), layer.location:
        memrefs = [argument for argument in own if isinstance(argument.type, MemRefType)]
        part = _part(declaration, own, body.destination)
        values = tuple(zip(*derived, strict=True))
        KERNELS[kernel].emit(body, memrefs, replace(how, part=part, derived=made, values=values))
        func.ReturnOp([])
    callers.call(name, derived)


def _part(declaration: func.FuncOp, arguments: Sequence[Value], destination: Shape) -> Part | None:
    """What a call of this function goes through, if it is one of a fused loop."""
    bounds = [argument for argument in arguments if not isinstance(argument.type, MemRefType)]
    if not bounds:
        return None
    pairs = list(zip(bounds[::2], bounds[1::2], strict=True))
    reduction, unit = reduction_of(declaration), 1
    if reduction.flat is not None:
        columns, channels = reduction.flat
        unit = channels if len(pairs) > 1 else columns * channels
        ranges = {reduction.dimensions[0]: _flat(pairs, *reduction.flat)}
    elif reduction.dimensions:
        ranges = dict(zip(reduction.dimensions, pairs, strict=True))
    else:
        by_channels = CHANNELS in declaration.operation.attributes
        row = len(destination) - 1 if by_channels else row_dimension(destination)
        ranges = {row + position: pair for position, pair in enumerate(pairs)}
    return Part(ranges, bool(reduction.dimensions), BACKWARDS in declaration.operation.attributes, unit)


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


def _callers(module: Module) -> dict[str, list[func.CallOp]]:
    """The calls by function name."""
    found: dict[str, list[func.CallOp]] = {}
    for view in module.body.operations:
        if isinstance(view, func.FuncOp) and not view.is_external:
            for call in calls_in(view):
                found.setdefault(call.callee.value, []).append(call)
    return found


def _direction(call: func.CallOp) -> str:
    attributes = call.operation.attributes
    return StringAttr(attributes[DIRECTION]).value if DIRECTION in attributes else DIRECTIONS[0]
