"""Builds the fused loop of a chain of layers: line buffers and accumulators on tensors, calls by rows.

Before: calls of whole layers. After: one `scf.for`; every tensor that stays inside is a ring of rows (carried) or a
buffer of one iteration, every call gets the rows that it is to make, and `row mod ring` is the kernel's affair.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from lowtide.errors import InternalError
from lowtide.graph.loop_schedule import LoopSchedule, schedule_loop
from lowtide.graph.read import layer_bodies, shape_of
from lowtide.graph.row_schedule import RowSchedule, UnschedulableError
from lowtide.graph.rows import Accumulation, accumulation_of, extents_of, row_dimension
from lowtide.ir import (
    ArrayAttr,
    FlatSymbolRefAttr,
    FloatType,
    FunctionType,
    InsertionPoint,
    IntegerAttr,
    Module,
    Operation,
    RankedTensorType,
    Type,
    UnitAttr,
    Value,
    arith,
    bufferization,
    func,
    scf,
    tensor,
)
from lowtide.kernels.scalar import index_constant
from lowtide.normalise.analysis import Role, defining, is_constant, role_of, users_of
from lowtide.normalise.form import (
    BACKWARDS,
    BODY,
    CHANNELS,
    KERNEL,
    LAYER,
    Reduction,
    body_name,
    layers_of,
    note_reduction,
    reduction_of,
)
from lowtide.transform.chain import ChainLayer, layer_of, read_chain, source_of
from lowtide.transform.loop_code import (
    bounds_of,
    with_block,
    with_channels,
    with_rows,
)
from lowtide.transform.split import Split, split_accumulation

STAGE = "transform"
_LARGEST_INDEX = (1 << 31) - 1


def fuse_rows(
    module: Module,
    calls: Sequence[Operation],
    rows: int,
    columns: int = 0,
    *,
    backwards: bool = False,
    again: Sequence[int] = (),
) -> Operation:
    """Replace the calls by one loop over the rows of the last one's output (of its input where it accumulates).

    Args:
        module: outlined.
        calls: of the network's function, in its order, with no other call between them that they feed.
        rows: rows an iteration.
        columns: columns of those rows at a time, in a loop inside; 0 for whole rows.
        backwards: from the last row (and column) to the first.
        again: positions in the chain, from 0, of layers whose rows are computed anew for their one reader.

    Returns:
        the (outer) loop.

    Raises:
        UnschedulableError: they can't go by rows together; nothing has been changed.
    """
    chain = read_chain(calls, layer_bodies(module, STAGE))
    schedule = schedule_loop(
        [layer.stage for layer in chain],
        {tensor: extents for layer in chain for tensor, extents in layer.extents.items()},
        _escaping(chain, calls),
        rows=rows,
        columns=columns,
        backwards=backwards,
        again=again,
        floats=isinstance(RankedTensorType(chain[-1].result.type).element_type, FloatType),
    )
    _check_counters(schedule)
    return _Fuser(module, chain, schedule, backwards=backwards).build()


def fuse_by_channels(module: Module, calls: Sequence[Operation], slice_size: int) -> Operation:
    """Replace the calls by one loop over channels, `slice_size` at a time; see `fuse_rows`.

    The first layer makes a slice of its channels (fan-out), the ones between take it as it is, the last one adds what
    the slice gives (fan-in), or makes its own slice. Sources: FDT, arXiv 2303.17878; Pex, arXiv 2211.17246.
    """
    chain = read_chain(calls, layer_bodies(module, STAGE), channels=True)
    stages, escaping = [layer.stage for layer in chain], _escaping(chain, calls, "slice")
    schedule = schedule_loop(stages, {}, escaping, rows=slice_size)
    _check_counters(schedule)
    return _Fuser(module, chain, schedule, channels=True).build()


def _check_counters(schedule: LoopSchedule) -> None:
    """What the loops calculate has to stay within the 32 bits of a target's index, or they would go astray."""
    for loop in (schedule.rows, schedule.columns):
        if loop is not None and loop.largest_index > _LARGEST_INDEX:
            raise UnschedulableError(f"the loop would count up to {loop.largest_index}, beyond a target's 32 bits")


def _escaping(chain: Sequence[ChainLayer], calls: Sequence[Operation], turn: str = "row") -> set[int]:
    """The tensors that are needed whole after the loop; checks that there can be a loop."""
    _check_between(calls)
    for layer in chain[:-1]:
        if layer.stage.accumulates:
            message = f"layer '{layer_of(layer.call)}' is complete only after its last {turn}; it can only be last"
            raise UnschedulableError(message)
    escaping = {layer.stage.output for layer in chain if _escapes(layer.result, set(calls))}
    return escaping | {chain[-1].stage.output}


def _check_between(calls: Sequence[Operation]) -> None:
    """Nothing else between the calls may take what they make: it would come before the loop."""
    block = calls[0].operation.block
    chosen = set(calls)
    operations = [view.operation for view in block.operations]
    places = {op: place for place, op in enumerate(operations)}
    first, last = places[calls[0]], places[calls[-1]]
    for call in calls:
        for user in _users(call.results[0]):
            if user not in chosen and first < places[user] < last:
                raise UnschedulableError(f"layer '{layer_of(user)}', which is not in the chain, comes before its end")


def _users(value: Value) -> list[Operation]:
    """The operations that take a tensor, or a reshape of it."""
    found: list[Operation] = []
    owner = defining(value)
    assert owner is not None
    for user in users_of(value, owner.block):
        found.extend(_users(user.results[0]) if role_of(user) is Role.RESHAPE else [user])
    return found


def _escapes(value: Value, calls: set[Operation]) -> bool:
    return any(user not in calls for user in _users(value))


@dataclass
class _Fuser:
    module: Module
    chain: tuple[ChainLayer, ...]
    schedule: LoopSchedule
    backwards: bool = False
    channels: bool = False
    current: dict[Value, Value] = field(default_factory=dict[Value, Value])
    split: Split | None = None

    def build(self) -> Operation:
        last = self.chain[-1].call
        with InsertionPoint(last), last.location:
            carried = [layer for layer in self.chain if self._is_carried(layer)]
            for layer in carried:
                self.current[layer.result] = self._initial(layer)
            loop = self._loop(self.schedule.rows, carried, self._iteration)
            if self.split is not None:
                self._finish(self.chain[-1], self.split)
        self._replace()
        return loop.operation

    def _loop(self, schedule: RowSchedule, carried: Sequence[ChainLayer], body: Callable[[Value], None]) -> scf.ForOp:
        """A loop that carries these tensors; they are its results after it."""
        bounds = [index_constant(bound) for bound in (schedule.start, schedule.stop, 1)]
        loop = scf.ForOp(bounds[0], bounds[1], bounds[2], [self.current[layer.result] for layer in carried])
        for layer, value in zip(carried, loop.inner_iter_args, strict=True):
            self.current[layer.result] = value
        with InsertionPoint(loop.body):
            body(loop.induction_variable)
            scf.YieldOp([self.current[layer.result] for layer in carried])
        for layer, result in zip(carried, loop.results, strict=True):
            self.current[layer.result] = result
        return loop

    def _iteration(self, variable: Value) -> None:
        rows = bounds_of(self.schedule.rows, variable)
        if self.schedule.columns is None:
            for layer, bounds in zip(self.chain, rows, strict=True):
                self._call(layer, [self._turned(bounds, layer.stage.rows)])
            return
        columns = self.schedule.columns

        def turn(inner: Value) -> None:
            across = bounds_of(columns, inner)
            for layer, down, side in zip(self.chain, rows, across, strict=True):
                stage = layer.stage
                self._call(layer, [self._turned(down, stage.rows), self._turned(side, stage.columns or 1)])

        self._loop(columns, [layer for layer in self.chain if self._is_carried(layer)], turn)

    def _turned(self, bounds: tuple[Value, Value], extent: int) -> tuple[Value, Value]:
        """The rows themselves, where they are counted from the end."""
        if not self.backwards:
            return bounds
        whole = index_constant(extent)
        return arith.subi(whole, bounds[1]), arith.subi(whole, bounds[0])

    def _flags(self) -> tuple[str, ...]:
        """What the kernels of this loop must know of it."""
        return (*((BACKWARDS,) if self.backwards else ()), *((CHANNELS,) if self.channels else ()))

    def _is_carried(self, layer: ChainLayer) -> bool:
        kept = self.schedule.kept.get(layer.stage.output)
        return kept is None or kept.carried

    def _kept_type(self, layer: ChainLayer) -> RankedTensorType:
        """The tensor, cut to the rows or pixels that exist at a time."""
        whole = RankedTensorType(layer.result.type)
        kept = self.schedule.kept.get(layer.stage.output)
        if kept is None:
            return whole
        if self.channels:
            return with_channels(whole, kept.rows)
        if self.schedule.columns is None:
            return with_rows(whole, kept.rows)
        return with_block(whole, 1, kept.rows) if kept.columns is None else with_block(whole, kept.rows, kept.columns)

    def _initial(self, layer: ChainLayer) -> Value:
        """What a carried tensor is before the loop: memory, or a filled accumulator."""
        if not layer.stage.accumulates:
            return bufferization.alloc_tensor(self._kept_type(layer), [])
        self.split = self._split(layer)
        accumulator = self.split.accumulator
        operands = [layer.call.operands[a] for a in self.split.initial]
        types = [value.type for value in operands]
        function = self._declare(self.split.start, [*types, accumulator], accumulator, Reduction())
        return _call(function, [*operands, bufferization.alloc_tensor(accumulator, [])], accumulator, layer.call)

    def _split(self, layer: ChainLayer) -> Split:
        layers = layers_of(self.module, STAGE).regions[0].blocks[0]
        function = next(f for f in layers.operations if isinstance(f, func.FuncOp) and f.name.value == layer.function)
        accumulation = self._accumulation
        return split_accumulation(layers, function, accumulation.node.op, accumulation.argument)

    @cached_property
    def _accumulation(self) -> Accumulation:
        """Of the last layer, which accumulates."""
        layer, axis = self.chain[-1], "channels" if self.channels else "rows"
        activations = [a for a, value in enumerate(layer.sources) if not is_constant(value)]
        found = accumulation_of(layer.body, activations, axis)
        assert found is not None
        return found

    def _call(self, layer: ChainLayer, ranges: Sequence[tuple[Value, Value]]) -> None:
        """The layer's call by rows, and columns, inside the loop."""
        operands = [self._operand(operand) for operand in list(layer.call.operands)[:-1]]
        function, destination = layer.function, self.current.get(layer.result)
        if destination is None or not self._is_carried(layer):
            destination = bufferization.alloc_tensor(self._kept_type(layer), [])
        reduction = Reduction()
        if self.split is not None and layer.stage.accumulates:
            function, reduction = self.split.accumulate, self._reduction(layer, by_columns=len(ranges) > 1)
        bounds = [bound for pair in ranges for bound in pair]
        types = [value.type for value in (*operands, destination, *bounds)]
        declared = self._declare(function, types, destination.type, reduction, self._flags())
        operands += [destination, *bounds]
        self.current[layer.result] = _call(declared, operands, destination.type, layer.call, KERNEL)

    def _reduction(self, layer: ChainLayer, *, by_columns: bool) -> Reduction:
        """What rows and columns of the input are in the reduction."""
        accumulation = self._accumulation
        if self.channels:
            return Reduction((accumulation.dimension,))
        rows, columns = extents_of(shape_of(layer.sources[accumulation.argument]))
        extent = accumulation.node.extents[accumulation.dimension]
        if extent != rows:
            return Reduction((accumulation.dimension,), (columns, extent // (rows * columns)))
        across = (accumulation.columns,) if by_columns and accumulation.columns is not None else ()
        return Reduction((accumulation.dimension, *across))

    def _finish(self, layer: ChainLayer, split: Split) -> None:
        argument = self._accumulation.argument
        operands = list(layer.call.operands)[:-1]
        operands[argument] = self.current[layer.result]
        operands.append(bufferization.alloc_tensor(layer.result.type, []))
        declared = self._declare(split.finish, [value.type for value in operands], layer.result.type, Reduction())
        self.current[layer.result] = _call(declared, operands, layer.result.type, layer.call)

    def _operand(self, operand: Value) -> Value:
        """The operand inside the loop: what is made there is reshaped there."""
        root = source_of(operand)
        return operand if all(root != layer.result for layer in self.chain) else self._reshaped(operand, root)

    def _reshaped(self, value: Value, root: Value) -> Value:
        if value == root:
            return self.current[root]
        op = defining(value)
        assert op is not None
        source = self._reshaped(op.operands[0], root)
        kind = self._reshaped_type(RankedTensorType(value.type), RankedTensorType(source.type), root)
        reassociation = [
            [IntegerAttr(i).value for i in ArrayAttr(group)] for group in ArrayAttr(op.attributes["reassociation"])
        ]
        if op.name == "tensor.collapse_shape":
            return tensor.collapse_shape(kind, source, reassociation)
        return tensor.expand_shape(kind, source, reassociation, [], list(kind.shape))

    def _reshaped_type(self, whole: RankedTensorType, source: RankedTensorType, root: Value) -> RankedTensorType:
        """The type of a view of what is kept: the rows (or pixels) of the whole view that are there."""
        if self.channels:
            return with_channels(whole, source.shape[-1])
        shape = tuple(RankedTensorType(root.type).shape)
        elements = math.prod(source.shape)
        row = row_dimension(whole.shape)
        if self.schedule.columns is None or whole.shape[row] != extents_of(shape)[0]:
            return with_rows(whole, elements * whole.shape[row] // math.prod(whole.shape))
        return with_block(whole, 1, elements // math.prod(whole.shape[row + 2 :]))

    def _declare(
        self, body: str, types: list[Type], result: Type, reduction: Reduction, flags: Sequence[str] = ()
    ) -> str:
        """A declaration at the top level with these types for a body in `@layers`: a new one, or one made before."""
        function_type = FunctionType.get(types, [result])
        taken = {f.name.value: f for f in self.module.body.operations if isinstance(f, func.FuncOp)}
        names = itertools.chain([body, f"{body}_rows"], (f"{body}_rows_{i}" for i in itertools.count(2)))
        wanted = body, function_type, reduction, tuple(flags)
        name = next(name for name in names if name not in taken or _declared(taken[name]) == wanted)
        if name in taken:
            return name
        with InsertionPoint.at_block_begin(self.module.body), self.chain[-1].call.location:
            declaration = func.FuncOp(name, function_type, visibility="private")
        declaration.operation.attributes[BODY] = FlatSymbolRefAttr.get(body)
        note_reduction(declaration, reduction)
        for flag in flags:
            declaration.operation.attributes[flag] = UnitAttr.get()
        return name

    def _replace(self) -> None:
        """Have what comes after the loop take its results, and erase what it replaces, last first."""
        for layer in reversed(self.chain):
            if layer.stage.output not in self.schedule.kept:
                layer.result.replace_all_uses_with(self.current[layer.result])
            self._erase(layer)

    def _erase(self, layer: ChainLayer) -> None:
        destination = defining(layer.call.operands[len(layer.call.operands) - 1])
        _erase_reshapes(layer.result)
        if list(layer.result.uses):
            raise InternalError(STAGE, f"layer '{layer_of(layer.call)}' is still used after it was fused")
        layer.call.erase()
        if destination is not None and not list(destination.results[0].uses):
            destination.erase()


def _declared(declaration: func.FuncOp) -> tuple[str, FunctionType, Reduction, tuple[str, ...]] | None:
    """What tells a loop's declaration from others; None for one that was there before."""
    attributes = declaration.operation.attributes
    if BODY not in attributes:
        return None
    flags = tuple(flag for flag in (BACKWARDS, CHANNELS) if flag in attributes)
    return body_name(declaration), declaration.type, reduction_of(declaration), flags


def _erase_reshapes(value: Value) -> None:
    for use in list(value.uses):
        user = use.owner.operation
        if role_of(user) is Role.RESHAPE:
            _erase_reshapes(user.results[0])
            if not list(user.results[0].uses):
                user.erase()


def _call(function: str, operands: Sequence[Value], result: Type, original: Operation, *notes: str) -> Value:
    """A call for a layer, or for a part of it; `notes` are what it takes over from the layer's beside the name."""
    call = func.CallOp([result], FlatSymbolRefAttr.get(function), list(operands))
    for name in (LAYER, *notes):
        if name in original.attributes:
            call.attributes[name] = original.attributes[name]
    return call.results[0]
