"""A network as code: buffers become views of the arena, fused loops `scf.for`, layers calls of their kernels.

Destinations are explicit and every buffer has its place, so that bufferisation is a mapping: nothing is copied.
"""

from __future__ import annotations

import itertools
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from lowtide import streaming
from lowtide.bound.build import PlacedLayer
from lowtide.bound.loop_nest import LoopNest
from lowtide.bufferise.placement import Placement
from lowtide.emission.loop_code import bounds_of, end_of
from lowtide.emission.operands import Operands
from lowtide.emission.position import Position, iterations_with, when
from lowtide.graph.fusion import Fusion
from lowtide.graph.nest import LayerBody
from lowtide.graph.program import Call, Loop
from lowtide.graph.row_ranges import RowRange, RowSchedule
from lowtide.graph.rows import (
    Accumulation,
    accumulating_body,
    accumulation_of,
    copying_body,
    extents_of,
    finishing_body,
    starting_body,
)
from lowtide.ir import (
    FlatSymbolRefAttr,
    FunctionType,
    IndexType,
    InsertionPoint,
    IntegerType,
    MemRefType,
    Module,
    RankedTensorType,
    Type,
    Value,
    arith,
    func,
    scf,
)
from lowtide.kernels.library import kernel_for_part
from lowtide.kernels.values import index_constant
from lowtide.normalise.form import KERNEL, text_in
from lowtide.plan.memory import schedule_of

Bounds = list[tuple[Value, Value]]
"""What a call in a loop goes through: first row and end, then first column and end where the loop cuts columns too."""


@dataclass(frozen=True)
class Reduction:
    """How an accumulating call of a fused loop cuts its reduction.

    Attributes:
        dimensions: which dimensions of the body's iteration space are the input's rows and columns; none for a call
            that does not accumulate.
        flat: columns and channels of the input, where one dimension goes over all of its elements, as a dense layer's
            does.
    """

    dimensions: tuple[int, ...] = ()
    flat: tuple[int, int] | None = None


@dataclass(eq=False)
class Declared:
    """A function that the network calls, to be filled by a kernel.

    Attributes:
        name: the function's name with the layer's own kernel, forwards; other kernels and directions append to it.
        body: what it computes, or the code that does so.
        reduction: how its calls cut the reduction, where they accumulate.
        backwards: whether the loop around its calls goes from the last row, so that line buffers fill from their end.
        by_channels: whether its last two operands are the first channel and the end, instead of rows.
        types: the types of its operands.
        calls: in the order of the code.
    """

    name: str
    body: LayerBody | LoopNest
    reduction: Reduction = field(default_factory=Reduction)
    backwards: bool = False
    by_channels: bool = False
    types: tuple[Type, ...] = ()
    calls: list[LayerCall] = field(default_factory=list["LayerCall"])

    @property
    def form(self) -> object:
        """What calls of one function agree on, beside its body."""
        return self.types, self.reduction, self.backwards, self.by_channels


@dataclass(frozen=True, eq=False)
class LayerCall:
    """One call.

    Attributes:
        op: the operation.
        kernel: the one picked for it, if any.
        direction: which way its loops go, one of `DIRECTIONS`.
    """

    op: func.CallOp
    kernel: str | None
    direction: str


@dataclass(frozen=True)
class NetworkCode:
    """The function of a network, which calls what is still to be defined.

    Attributes:
        declared: the functions that it calls, in the order of their first calls.
        functions: the name of the function that each call of the program calls, before kernels are picked.
    """

    declared: tuple[Declared, ...]
    functions: tuple[str, ...]


def emit_calls(placement: Placement, module: Module, name: str) -> NetworkCode:
    """Add the function of a network to a module, with its constants.

    Args:
        placement: the network on its arena.
        module: what is inserted into; its context is the network's, and current.
        name: the function's name; it takes the arena.
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

    def emit(self, name: str) -> NetworkCode:
        arena = MemRefType.get([self._placement.arena_bytes], IntegerType.get_signless(8))
        with InsertionPoint(self._module.body):
            main = func.FuncOp(name, FunctionType.get([arena], []))
        block = main.add_entry_block()
        with InsertionPoint(block):
            end = func.ReturnOp([])
        with InsertionPoint(end):
            # views and constants come before everything that uses them, in front of this
            anchor = arith.ConstantOp(IndexType.get(), 0)
            self._given = Operands(self._placement, self._module, block.arguments[0], anchor)
            if self._program.position is None:
                self._span(0, len(self._program.calls))
            else:
                self._streamed(Position(self._given.buffer(self._program.position)))
        anchor.operation.erase()
        return NetworkCode(tuple(self._declared.values()), tuple(self._functions))

    def _span(self, number: int, end: int) -> None:
        """Calls one after the other, those of a loop in it."""
        while number < end:
            loop = self._program.loop_of(number)
            if loop is None:
                self._whole(number)
                number += 1
            else:
                self._loop(loop)
                number = loop.last + 1

    # -- rows that arrive from outside --------------------------------------------------------------------------

    def _streamed(self, position: Position) -> None:
        """The network cut at its sites, the loops and calls that take rows from outside.

        The function is called once to begin, and again whenever the rows that it wants have arrived: it takes up where
        it was, runs what those rows allow and says which rows it wants next. A phase is what follows a site, up to and
        with entering the next one; it falls through to the next phase, whose loop runs as far as it can.
        """
        sites = self._placement.sites
        ends = [*(first for first, _ in sites), len(self._program.calls)]
        with position.in_phase(0):
            self._span(0, ends[0])
            self._enter(position, sites, 0)
        for number, (first, end) in enumerate(sites):
            with position.in_phase(number + 1), when(self._site(first, position)):
                self._span(end, ends[number + 1])
                self._enter(position, sites, number + 1)

    def _enter(self, position: Position, sites: Sequence[tuple[int, int]], number: int) -> None:
        """Go on to a site, or to the end behind the last one."""
        if number < len(sites):
            loop = self._program.loop_of(sites[number][0])
            start = 0
            if loop is not None:
                fusion = self._fusion(self._program.calls[loop.first])
                start = schedule_of(self._network.graph, fusion).rows.start
            position.store(streaming.ITERATION, index_constant(start))
        position.enter(number + 1)

    def _site(self, first: int, position: Position) -> Value:
        """What a site does with the rows that have arrived; says whether it is done."""
        loop = self._program.loop_of(first)
        if loop is not None:
            return self._arriving_loop(loop, position)
        # a source in no loop: all of its rows are wanted at once
        source = self._placement.stream_of(first)
        self._functions.append(self._layer(self._program.calls[first]).bound.name)
        layer = self._network.graph.layers[self._program.calls[first].layer - 1]
        rows = self._network.graph.tensors[layer.output].rows
        arrived, whole = position.load(streaming.arrived(source)), index_constant(rows)
        position.store(streaming.wanted(source), whole)
        return arith.cmpi(arith.CmpIPredicate.sge, arrived, whole)

    def _arriving_loop(self, loop: Loop, position: Position) -> Value:
        """The iterations of a loop for which rows have arrived; says whether it is done."""
        fusion = self._fusion(self._program.calls[loop.first])
        schedule = schedule_of(self._network.graph, fusion).rows
        sources: dict[int, RowRange] = {}
        for number in self._program.sources:
            rows = schedule.ranges[number - loop.first] if loop.first <= number <= loop.last else None
            if isinstance(rows, RowRange):
                sources[self._placement.stream_of(number)] = rows
        begun, end = position.load(streaming.ITERATION), index_constant(schedule.stop)
        for source, rows in sources.items():
            ready = iterations_with(rows, position.load(streaming.arrived(source)), schedule.stop)
            end = arith.minsi(end, ready)
        self._loop(loop, (begun, end))
        reached = arith.maxsi(begun, end)
        position.store(streaming.ITERATION, reached)
        # of the iteration that is next; when all are done, of the last one
        following = arith.minsi(arith.addi(reached, index_constant(1)), index_constant(schedule.stop))
        for source, rows in sources.items():
            position.store(streaming.wanted(source), end_of(rows, following))
        return arith.cmpi(arith.CmpIPredicate.sge, reached, index_constant(schedule.stop))

    # -- calls ------------------------------------------------------------------------------------------------

    def _whole(self, number: int) -> None:
        """The call of a whole layer, or of what comes before or after its loop."""
        call = self._program.calls[number]
        layer = self._layer(call)
        bound = layer.bound
        if call.part:
            self._split(number, call, layer)
        elif number in self._placement.in_place:
            # the allocator has put the input where the output is wanted: nothing is left to move
            self._functions.append(bound.name)
        else:
            self._call(number, Declared(bound.name, bound.body), self._given.of_call(call, layer), _kernel(layer))

    def _split(self, number: int, call: Call, layer: PlacedLayer) -> None:
        """The call before the loop that fills an accumulator, the one after it that makes the output, or of a state."""
        given = self._given
        if call.part == "state":
            (read,) = call.reads
            operands = [given.whole(buffer, read.tensor) for buffer in (read.buffer, call.writes)]
            kind = MemRefType(operands[0].type)
            body = copying_body(RankedTensorType.get(kind.shape, kind.element_type))
            self._call(number, Declared(f"{layer.bound.name}_state", body), operands, None)
            return
        description, accumulation = layer.bound.description, self._accumulation(layer, self._fusion(call))
        if call.part == "start":
            body, used = starting_body(description, accumulation)
            taken = [given.operand(layer.inputs[argument], call) for argument in used]
        else:
            body = finishing_body(description, accumulation)
            # the accumulator takes the place of the activation
            taken = [
                given.buffer(call.reads[0].buffer) if a == accumulation.argument else given.operand(operand, call)
                for a, operand in enumerate(layer.inputs)
            ]
        wanted = Declared(f"{layer.bound.name}_{call.part}", body)
        self._call(number, wanted, [*taken, given.destination(call)], kernel_for_part(body, _kernel(layer)))

    def _fusion(self, call: Call) -> Fusion:
        """The loop that a call is in, or that it comes before or after."""
        return next(fusion for fusion in self._network.fusions if fusion.first <= call.layer <= fusion.last)

    def _accumulation(self, layer: PlacedLayer, fusion: Fusion) -> Accumulation:
        activations = [a for a, value in enumerate(layer.inputs) if value in self._network.tensors]
        found = accumulation_of(layer.bound.description, activations, fusion.axis)
        assert found is not None, "the planner has seen one"
        return found

    def _loop(self, loop: Loop, span: tuple[Value, Value] | None = None) -> None:
        """`scf.for` over the rows, and one over columns inside; over a span of the iterations where one is given."""
        first = self._program.calls[loop.first]
        fusion = self._fusion(first)
        schedule = schedule_of(self._network.graph, fusion)
        numbers = range(loop.first, loop.last + 1)
        # one `scf.for` for all stages: each makes what it can once the stage before it has made its rows
        with self._layer(first).op.location, _for(schedule.rows, span) as row:
            down = bounds_of(schedule.rows, row)
            if schedule.columns is None:
                for number, stage, rows in zip(numbers, schedule.stages, down, strict=True):
                    self._part(number, fusion, [_turned(rows, stage.rows, fusion)])
            else:
                with _for(schedule.columns) as column:
                    across = bounds_of(schedule.columns, column)
                    for number, stage, rows, side in zip(numbers, schedule.stages, down, across, strict=True):
                        turned = [_turned(rows, stage.rows, fusion), _turned(side, stage.columns or 1, fusion)]
                        self._part(number, fusion, turned)

    def _part(self, number: int, fusion: Fusion, bounds: Bounds) -> None:
        """A call by rows inside a loop."""
        call = self._program.calls[number]
        layer = self._layer(call)
        bound, kernel = layer.bound, _kernel(layer)
        if number in self._program.sources:
            # the rows have arrived: the iteration runs for no other reason
            self._functions.append(bound.name)
            return
        name, body, reduction = bound.name, bound.body, Reduction()
        operands = self._given.of_call(call, layer, fusion)
        if call.accumulates:
            accumulation = self._accumulation(layer, fusion)
            name, body = f"{bound.name}_accumulate", accumulating_body(bound.description, accumulation)
            kernel = kernel_for_part(body, kernel)
            reduction = self._reduction(call, fusion, accumulation, by_columns=len(bounds) > 1)
        wanted = Declared(name, body, reduction, fusion.direction == "backwards", fusion.axis == "channels")
        self._call(number, wanted, [*operands, *itertools.chain(*bounds)], kernel)

    def _reduction(self, call: Call, fusion: Fusion, accumulation: Accumulation, *, by_columns: bool) -> Reduction:
        """What rows and columns of the input are in the reduction."""
        if fusion.axis == "channels":
            return Reduction((accumulation.dimension,))
        rows, columns = extents_of(self._network.graph.tensors[call.reads[0].tensor].shape)
        extent = accumulation.node.extents[accumulation.dimension]
        # the reduction goes over whole rows at once, as a dense layer's does: rows become ranges of elements
        if extent != rows:
            return Reduction((accumulation.dimension,), (columns, extent // (rows * columns)))
        across = (accumulation.columns,) if by_columns and accumulation.columns is not None else ()
        return Reduction((accumulation.dimension, *across))

    def _call(self, number: int, wanted: Declared, operands: Sequence[Value], kernel: str | None) -> None:
        """Call a function, which is declared where no call before has asked for the same."""
        wanted.types = tuple(value.type for value in operands)
        declared = self._declare(wanted)
        with self._layer(self._program.calls[number]).op.location:
            op = func.CallOp([], FlatSymbolRefAttr.get(declared.name), operands)
        declared.calls.append(LayerCall(op, kernel, self._placement.directions[number]))
        self._functions.append(declared.name)

    def _declare(self, wanted: Declared) -> Declared:
        """The function for a body and these types of operands: a new one, or one made before."""
        base = wanted.name
        for name in itertools.chain([base, f"{base}_rows"], (f"{base}_rows_{i}" for i in itertools.count(2))):
            if name not in self._declared:
                wanted.name = name
                return self._declared.setdefault(name, wanted)
            if self._declared[name].form == wanted.form:
                return self._declared[name]
        raise AssertionError("there is always another name")

    def _layer(self, call: Call) -> PlacedLayer:
        return self._network.layers[call.layer - 1]


def _kernel(layer: PlacedLayer) -> str | None:
    """The one that a script has picked for a layer."""
    return text_in(layer.op, KERNEL)


@contextmanager
def _for(schedule: RowSchedule, span: tuple[Value, Value] | None = None) -> Generator[Value]:
    """An `scf.for` over a schedule's iterations, or some, its body filled inside the `with`; gives its variable."""
    first, end = span or (index_constant(schedule.start), index_constant(schedule.stop))
    loop = scf.ForOp(first, end, index_constant(1))
    with InsertionPoint(loop.body):
        yield loop.induction_variable
        scf.YieldOp([])


def _turned(bounds: tuple[Value, Value], extent: int, fusion: Fusion) -> tuple[Value, Value]:
    """The rows themselves, where they are counted from the end."""
    if fusion.direction != "backwards":
        return bounds
    whole = index_constant(extent)
    return arith.subi(whole, bounds[1]), arith.subi(whole, bounds[0])
