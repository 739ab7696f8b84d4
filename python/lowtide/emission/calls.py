"""A network as code: buffers become views of the arena, fused loops `scf.for`, layers calls of their kernels.

Destinations are explicit and every buffer has its place, so that bufferisation is a mapping: nothing is copied.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from lowtide.bound.build import PlacedLayer
from lowtide.bound.loop_nest import LoopNest
from lowtide.bufferise.placement import Placement
from lowtide.emission.loop_code import bounds_of
from lowtide.graph.fusion import Fusion
from lowtide.graph.nest import LayerBody, Shape
from lowtide.graph.program import Call, Loop, Store
from lowtide.graph.rows import (
    Accumulation,
    accumulating_body,
    accumulation_of,
    extents_of,
    finishing_body,
    row_dimension,
    starting_body,
)
from lowtide.ir import (
    ArrayAttr,
    Attribute,
    DenseElementsAttr,
    FlatSymbolRefAttr,
    FunctionType,
    IndexType,
    InsertionPoint,
    IntegerAttr,
    IntegerType,
    MemRefType,
    Module,
    Operation,
    RankedTensorType,
    Type,
    TypeAttr,
    Value,
    arith,
    func,
    memref,
    scf,
)
from lowtide.kernels.library import kernel_for_part
from lowtide.kernels.scalar import index_constant
from lowtide.normalise.analysis import ELEMENTS, defining, is_constant
from lowtide.normalise.form import KERNEL, text_in
from lowtide.plan.memory import schedule_of

ALIGNMENT = 64
"""Of constants, in bytes."""
_ELEMENT_NAMES = {dtype: name for name, dtype in ELEMENTS.items()}
Bounds = list[tuple[Value, Value]]
"""First row and end, then column, of what a call goes through; nothing for all of it."""


@dataclass(frozen=True)
class Reduction:
    """How an accumulating call of a fused loop cuts its reduction.

    Attributes:
        dimensions: of the body's iteration space: that of the input's rows, and that of its columns; none for a call
            that does not accumulate.
        flat: columns and channels of the input, where one dimension goes over all of its elements.
    """

    dimensions: tuple[int, ...] = ()
    flat: tuple[int, int] | None = None


@dataclass(eq=False)
class Declared:
    """A function that the network calls, to be filled by a kernel.

    Attributes:
        name: of the general case; kernels and directions beside the first are told apart by what follows it.
        body: what it computes, or the code that does so.
        types: of its operands.
        reduction: how its calls cut it.
        backwards: its loop goes from the end, rings fill from there.
        by_channels: its last two operands cut channels.
        calls: in the order of the code.
    """

    name: str
    body: LayerBody | LoopNest
    types: tuple[Type, ...]
    reduction: Reduction = field(default_factory=Reduction)
    backwards: bool = False
    by_channels: bool = False
    calls: list[LayerCall] = field(default_factory=list["LayerCall"])


@dataclass(frozen=True, eq=False)
class LayerCall:
    """One call.

    Attributes:
        op: the operation.
        kernel: the one picked for it, if any.
        direction: of its loops.
    """

    op: func.CallOp
    kernel: str | None
    direction: str


@dataclass(frozen=True)
class NetworkCode:
    """The function of a network, which calls what is still to be defined.

    Attributes:
        declared: the functions that it calls, in the order of their first calls.
        functions: of each call of the program the name of the function, before kernels are picked.
    """

    declared: tuple[Declared, ...]
    functions: tuple[str, ...]


def emit_calls(placement: Placement, module: Module, name: str) -> NetworkCode:
    """Add the function of a network to a module, with its constants.

    Args:
        placement: the network on its arena.
        module: what is inserted into; its context is the network's, and current.
        name: of the function, which takes the arena.
    """
    return _Emitter(placement, module).emit(name)


class _Emitter:
    def __init__(self, placement: Placement, module: Module) -> None:
        self._placement = placement
        self._program = placement.program
        self._network = placement.network
        self._module = module
        self._declared: dict[str, Declared] = {}
        self._functions: list[str] = []
        self._constants: dict[Attribute, str] = {}
        self._views: dict[tuple[int, Shape], Value] = {}
        self._loaded: dict[Value, Value] = {}

    def emit(self, name: str) -> NetworkCode:
        arena = MemRefType.get([self._placement.arena_bytes], IntegerType.get_signless(8))
        with InsertionPoint(self._module.body):
            main = func.FuncOp(name, FunctionType.get([arena], []))
        block = main.add_entry_block()
        self._arena = block.arguments[0]
        with InsertionPoint(block):
            self._end = func.ReturnOp([])
        # views and constants come before everything that uses them, in front of this
        with InsertionPoint(self._end):
            self._anchor = arith.ConstantOp(IndexType.get(), 0)
            number = 0
            while number < len(self._program.calls):
                loop = self._program.loop_of(number)
                if loop is None:
                    self._whole(number)
                    number += 1
                else:
                    self._loop(loop)
                    number = loop.last + 1
        self._anchor.operation.erase()
        return NetworkCode(tuple(self._declared.values()), tuple(self._functions))

    # -- calls ------------------------------------------------------------------------------------------------

    def _whole(self, number: int) -> None:
        """The call of a whole layer, or of what comes before or after its loop."""
        call = self._program.calls[number]
        layer = self._layer(call)
        bound = layer.bound
        if call.part:
            self._split(number, call, layer)
        elif number in self._placement.in_place:
            self._functions.append(bound.name)
        else:
            self._call(number, bound.name, bound.body, self._operands(call, layer), [], kernel=_kernel(layer))

    def _split(self, number: int, call: Call, layer: PlacedLayer) -> None:
        bound, operands = layer.bound, layer.inputs
        accumulation = self._accumulation(layer, by_channels=self._sums_channels(number))
        buffer = self._whole_view(call.writes)
        if call.part == "start":
            body, used = starting_body(bound.description, accumulation)
            taken = [self._operand(operands[a], call) for a in used]
            kernel = kernel_for_part(body, _kernel(layer))
            self._call(number, f"{bound.name}_start", body, [*taken, buffer], [], kernel=kernel)
            return
        taken = [
            self._whole_view(call.reads[0].buffer) if a == accumulation.argument else self._operand(operand, call)
            for a, operand in enumerate(operands)
        ]
        body = finishing_body(bound.description, accumulation)
        kernel = kernel_for_part(body, _kernel(layer))
        self._call(number, f"{bound.name}_finish", body, [*taken, buffer], [], kernel=kernel)

    def _sums_channels(self, number: int) -> bool:
        """Whether the loop that follows a "start", or comes before a "finish", goes by channels."""
        part = self._program.calls[number].part
        ends = [loop for loop in self._program.loops if number in (loop.first - 1, loop.last + 1)]
        return next(loop.by_channels for loop in ends if (number < loop.first) == (part == "start"))

    def _accumulation(self, layer: PlacedLayer, *, by_channels: bool) -> Accumulation:
        activations = [a for a, value in enumerate(layer.inputs) if value in self._network.tensors]
        found = accumulation_of(layer.bound.description, activations, "channels" if by_channels else "rows")
        assert found is not None, "the planner has seen one"
        return found

    def _loop(self, loop: Loop) -> None:
        """`scf.for` over the rows, and one over columns inside."""
        first = self._program.calls[loop.first].layer
        fusion = next(fusion for fusion in self._network.fusions if fusion.first == first)
        schedule = schedule_of(self._network.graph, fusion)
        numbers = range(loop.first, loop.last + 1)
        with self._network.layers[first - 1].op.location, _For(schedule.rows.start, schedule.rows.stop) as outer:
            down = bounds_of(schedule.rows, outer.induction_variable)
            if schedule.columns is None:
                for number, stage, rows in zip(numbers, schedule.stages, down, strict=True):
                    self._part(number, fusion, [_turned(rows, stage.rows, fusion)])
            else:
                with _For(schedule.columns.start, schedule.columns.stop) as inner:
                    across = bounds_of(schedule.columns, inner.induction_variable)
                    for number, stage, rows, side in zip(numbers, schedule.stages, down, across, strict=True):
                        turned = [_turned(rows, stage.rows, fusion), _turned(side, stage.columns or 1, fusion)]
                        self._part(number, fusion, turned)
                    scf.YieldOp([])
            scf.YieldOp([])

    def _part(self, number: int, fusion: Fusion, bounds: Bounds) -> None:
        """A call by rows inside a loop."""
        call = self._program.calls[number]
        layer = self._layer(call)
        bound = layer.bound
        name, body, reduction, kernel = bound.name, bound.body, Reduction(), _kernel(layer)
        operands = self._operands(call, layer, fusion)
        if call.accumulates:
            accumulation = self._accumulation(layer, by_channels=fusion.axis == "channels")
            name, body = f"{bound.name}_accumulate", accumulating_body(bound.description, accumulation)
            kernel = kernel_for_part(body, kernel)
            reduction = self._reduction(call, fusion, accumulation, by_columns=len(bounds) > 1)
        self._call(
            number,
            name,
            body,
            operands,
            bounds,
            kernel=kernel,
            reduction=reduction,
            backwards=fusion.direction == "backwards",
            by_channels=fusion.axis == "channels",
        )

    def _reduction(self, call: Call, fusion: Fusion, accumulation: Accumulation, *, by_columns: bool) -> Reduction:
        """What rows and columns of the input are in the reduction."""
        if fusion.axis == "channels":
            return Reduction((accumulation.dimension,))
        rows, columns = extents_of(self._network.graph.tensors[call.reads[0].tensor].shape)
        extent = accumulation.node.extents[accumulation.dimension]
        if extent != rows:
            return Reduction((accumulation.dimension,), (columns, extent // (rows * columns)))
        across = (accumulation.columns,) if by_columns and accumulation.columns is not None else ()
        return Reduction((accumulation.dimension, *across))

    def _call(
        self,
        number: int,
        name: str,
        body: LayerBody | LoopNest,
        operands: Sequence[Value],
        bounds: Bounds,
        *,
        kernel: str | None = None,
        reduction: Reduction | None = None,
        backwards: bool = False,
        by_channels: bool = False,
    ) -> None:
        given = [*operands, *(bound for pair in bounds for bound in pair)]
        types = tuple(value.type for value in given)
        wanted = Declared(name, body, types, reduction or Reduction(), backwards, by_channels)
        declared = self._declare(wanted)
        with self._layer(self._program.calls[number]).op.location:
            op = func.CallOp([], FlatSymbolRefAttr.get(declared.name), given)
        declared.calls.append(LayerCall(op, kernel, self._placement.directions[number]))
        self._functions.append(declared.name)

    def _declare(self, wanted: Declared) -> Declared:
        """The function for a body and these types of operands: a new one, or one made before."""
        base = wanted.name
        for name in itertools.chain([base, f"{base}_rows"], (f"{base}_rows_{i}" for i in itertools.count(2))):
            if name not in self._declared:
                wanted.name = name
                return self._declared.setdefault(name, wanted)
            found = self._declared[name]
            alike = found.types == wanted.types and found.reduction == wanted.reduction
            if alike and (found.backwards, found.by_channels) == (wanted.backwards, wanted.by_channels):
                return found
        raise AssertionError("there is always another name")

    def _layer(self, call: Call) -> PlacedLayer:
        return self._network.layers[call.layer - 1]

    # -- operands ---------------------------------------------------------------------------------------------

    def _operands(self, call: Call, layer: PlacedLayer, fusion: Fusion | None = None) -> list[Value]:
        """What a layer's call takes: what it reads, the buffer that it writes, its workspaces."""
        read = [self._operand(operand, call, fusion) for operand in layer.inputs]
        return [*read, self._whole_view(call.writes), *map(self._whole_view, call.workspaces)]

    def _operand(self, operand: Value, call: Call, fusion: Fusion | None = None) -> Value:
        if operand not in self._network.tensors:
            return self._constant(operand)
        tensor = self._network.tensors[operand]
        buffer = next(read.buffer for read in call.reads if read.tensor == tensor)
        shape = tuple(RankedTensorType(operand.type).shape)
        return self._view(
            buffer, _viewed(shape, self._network.graph.tensors[tensor].shape, self._store(buffer), fusion)
        )

    def _store(self, buffer: int) -> Store:
        return self._program.buffers[buffer]

    def _whole_view(self, buffer: int) -> Value:
        return self._view(buffer, self._store(buffer).shape)

    def _view(self, buffer: int, shape: Shape) -> Value:
        """The buffer as a memref of that shape, which has its elements."""
        key = buffer, shape
        if key not in self._views:
            element = Type.parse(_ELEMENT_NAMES[self._store(buffer).dtype])
            with InsertionPoint(self._anchor):
                offset = arith.constant(IndexType.get(), self._placement.buffers[buffer].offset)
                self._views[key] = memref.view(MemRefType.get(shape, element), self._arena, offset, [])
        return self._views[key]

    def _constant(self, value: Value) -> Value:
        """A constant of the network, or a view of one."""
        if value not in self._loaded:
            op = defining(value)
            assert op is not None, "what is no tensor of the network is a constant"
            with InsertionPoint(self._anchor):
                self._loaded[value] = self._global(op) if is_constant(value) else self._reshaped(op)
        return self._loaded[value]

    def _global(self, op: Operation) -> Value:
        values = DenseElementsAttr(op.attributes["value"])
        tensor = RankedTensorType(op.results[0].type)
        kind = MemRefType.get(tensor.shape, tensor.element_type)
        if values not in self._constants:
            self._constants[values] = f"__constant_{len(self._constants)}"
            with InsertionPoint.at_block_begin(self._module.body), op.location:
                memref.GlobalOp(
                    self._constants[values],
                    TypeAttr.get(kind),
                    sym_visibility="private",
                    initial_value=values,
                    constant=True,
                    alignment=ALIGNMENT,
                )
        return memref.get_global(kind, self._constants[values])

    def _reshaped(self, op: Operation) -> Value:
        source, tensor = self._constant(op.operands[0]), RankedTensorType(op.results[0].type)
        kind = MemRefType.get(tensor.shape, tensor.element_type)
        groups = [[IntegerAttr(i).value for i in ArrayAttr(g)] for g in ArrayAttr(op.attributes["reassociation"])]
        if op.name == "tensor.collapse_shape":
            return memref.collapse_shape(kind, source, groups)
        return memref.expand_shape(kind, source, groups, [], list(tensor.shape))


def _kernel(layer: PlacedLayer) -> str | None:
    """The one that a script has picked for a layer."""
    return text_in(layer.op, KERNEL)


class _For:
    """An `scf.for` by ones at the current insertion point, whose body is filled inside the `with`."""

    def __init__(self, start: int, stop: int) -> None:
        self._bounds = [index_constant(bound) for bound in (start, stop, 1)]

    def __enter__(self) -> scf.ForOp:
        self._op = scf.ForOp(*self._bounds)
        self._point = InsertionPoint(self._op.body)
        self._point.__enter__()
        return self._op

    def __exit__(self, *exception: object) -> None:
        self._point.__exit__(*exception)


def _turned(bounds: tuple[Value, Value], extent: int, fusion: Fusion) -> tuple[Value, Value]:
    """The rows themselves, where they are counted from the end."""
    if fusion.direction != "backwards":
        return bounds
    whole = index_constant(extent)
    return arith.subi(whole, bounds[1]), arith.subi(whole, bounds[0])


def _viewed(shape: Shape, tensor: Shape, store: Store, fusion: Fusion | None) -> Shape:
    """Of a view of a tensor, the shape of the rows, pixels or channels of it that there are at a time."""
    if fusion is None or store.shape == tensor:
        return shape
    if fusion.axis == "channels":
        return (*shape[:-1], store.shape[-1])
    elements, row = math.prod(store.shape), row_dimension(shape)
    if shape == tensor:
        return store.shape
    if not fusion.columns or shape[row] != extents_of(tensor)[0]:
        return (*shape[:row], elements * shape[row] // math.prod(shape), *shape[row + 1 :])
    return (*shape[:row], 1, elements // math.prod(shape[row + 2 :]), *shape[row + 2 :])
