"""Reads the allocator's `Program` off a bufferised network: buffers, calls, and loops with what each iteration runs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from lowtide.errors import InternalError
from lowtide.graph.macs import macs_of
from lowtide.graph.nest import LayerBody, Shape
from lowtide.graph.program import Call, Loop, Program, Read, Run, Store, Window, hull, mirrored
from lowtide.graph.rows import axis_dimension, channels_of, extents_of, row_dimension, windows_of
from lowtide.ir import (
    FlatSymbolRefAttr,
    IntegerAttr,
    MemRefType,
    Module,
    Operation,
    OpResult,
    ShapedType,
    StringAttr,
    Type,
    Value,
    func,
)
from lowtide.kernels.library import kernel_for
from lowtide.network import DTYPE_BYTES
from lowtide.normalise.analysis import defining, element_dtype, operations_in
from lowtide.normalise.form import BACKWARDS, CHANNELS, LAYER, body_names, picked_kernel, reduction_of

_VIEWS = {"memref.expand_shape", "memref.collapse_shape", "memref.cast", "memref.reshape", "memref.reinterpret_cast"}
_ARITHMETIC: dict[str, Callable[[int, int], int]] = {
    "arith.addi": int.__add__,
    "arith.subi": int.__sub__,
    "arith.muli": int.__mul__,
    "arith.divui": int.__floordiv__,
    "arith.maxsi": max,
    "arith.minsi": min,
}


@dataclass(frozen=True)
class Bufferised:
    """A program and the IR that it was read off.

    Attributes:
        program: plain data.
        actual: the same with rows, columns and windows of every loop counted from the start.
        values: the argument or allocation behind each of the program's buffers.
        calls: the operation of each of its calls.
        functions: the function of `@layers` behind each call.
        macs: multiply-accumulates of each call in one inference, recomputation included.
        stored_bytes: what one run of each call stores, each byte once; of a call that goes by rows, what it stores of
            one pixel (a row at one column).
        innermost: channels of the tensor behind each buffer, and bytes of an element.
    """

    program: Program
    actual: Program
    values: tuple[Value, ...]
    calls: tuple[Operation, ...]
    functions: tuple[str, ...]
    macs: tuple[int, ...]
    stored_bytes: tuple[int, ...]
    innermost: tuple[tuple[int, int], ...]


def read_program(
    module: Module, function: func.FuncOp, bodies: Mapping[str, LayerBody], alignment: int, *, keep_input: bool
) -> Bufferised:
    """The program of a bufferised network.

    Args:
        module: holds the layers' declarations.
        function: the network on memrefs.
        bodies: the layers' loop descriptions by function name in `@layers`.
        alignment: least alignment in bytes of any buffer.
        keep_input: inputs stay intact up to the end.
    """
    return _Reader(module, function, bodies, alignment, keep_input=keep_input).read()


def root_of(value: Value) -> Value:
    """The buffer that the value is a view of."""
    while isinstance(value, OpResult) and OpResult(value).owner.operation.name in _VIEWS:
        value = OpResult(value).owner.operation.operands[0]
    return value


def memrefs_of(call: Operation) -> list[Value]:
    """The operands of a call that are buffers, the destination last."""
    return [operand for operand in call.operands if isinstance(operand.type, MemRefType)]


class _Reader:
    def __init__(
        self,
        module: Module,
        function: func.FuncOp,
        bodies: Mapping[str, LayerBody],
        alignment: int,
        *,
        keep_input: bool,
    ) -> None:
        self._block = function.regions[0].blocks[0]
        self._bodies = bodies
        self._names = body_names(module)
        self._declared = {f.name.value: f for f in module.body.operations if isinstance(f, func.FuncOp)}
        self._alignment = alignment
        self._keep_input = keep_input
        self._calls = [op for op in operations_in(self._block) if op.name == "func.call"]
        self._buffers: dict[Value, int] = {}
        self._innermost: list[tuple[int, int]] = []
        self._profiles: dict[tuple[str, int, str | None], tuple[int, int]] = {}

    def read(self) -> Bufferised:
        stores = [self._input(value, number) for number, value in enumerate(self._block.arguments)]
        values: list[Value] = list(self._block.arguments)
        for call in self._calls:
            value = root_of(memrefs_of(call)[-1])
            if value not in self._buffers:
                self._buffers[value] = len(values)
                values.append(value)
                stores.append(self._made(value, call, {store.name for store in stores}))
        self._check_allocations()
        inputs = tuple(range(len(self._block.arguments)))
        terminator = self._block.operations[len(self._block.operations) - 1].operation
        outputs = tuple(self._buffers[root_of(value)] for value in terminator.operands)
        calls = tuple(self._call(call, stores) for call in self._calls)
        kept = inputs if self._keep_input else ()
        program = Program(tuple(stores), calls, tuple(self._loops(stores)), inputs, outputs, kept)
        stored = tuple(self._stored(number, program) for number in range(len(calls)))
        macs = tuple(self._macs(number, program, stores) for number in range(len(self._calls)))
        functions = tuple(self._names[FlatSymbolRefAttr(call.attributes["callee"]).value] for call in self._calls)
        calls_of = tuple(self._calls)
        actual = self._from_the_start(program, stores)
        innermost = tuple(self._innermost)
        program = self._with_overlaps(program)
        return Bufferised(program, actual, tuple(values), calls_of, functions, macs, stored, innermost)

    def _check_allocations(self) -> None:
        for op in operations_in(self._block):
            if op.name == "memref.alloc" and op.results[0] not in self._buffers:
                raise InternalError("allocate", "a buffer that no layer writes", where=str(op.location))

    def _input(self, value: Value, number: int) -> Store:
        self._buffers[value] = number
        return self._store(f"input_{number}", value, tuple(MemRefType(value.type).shape))

    def _made(self, value: Value, writer: Operation, taken: set[str]) -> Store:
        owner = defining(value)
        assert owner is not None
        name = _unique(StringAttr(writer.attributes[LAYER]).value if LAYER in writer.attributes else "buffer", taken)
        destination, shape = self._body(writer).destination, tuple(MemRefType(value.type).shape)
        whole = destination if len(destination) == len(shape) else shape
        backwards = self._is_backwards(writer)
        return self._store(name, value, whole, temporary=owner.block != self._block, backwards=backwards)

    def _store(
        self, name: str, value: Value, whole: Shape, *, temporary: bool = False, backwards: bool = False
    ) -> Store:
        """A buffer for a tensor of the shape `whole`, or for the rows or pixels of it that exist at a time."""
        kind = MemRefType(value.type)
        element = DTYPE_BYTES[element_dtype(kind.element_type)]
        rows, columns = extents_of(whole)
        alignment = max(self._alignment, element)
        self._innermost.append((channels_of(whole), element))
        if whole and kind.shape[-1] < whole[-1] and axis_dimension(whole, "channels") != row_dimension(whole):
            channels, kept = whole[-1], kind.shape[-1]
            places = math.prod(whole) // channels
            row_bytes, capacity = channels * element, places * kept
            # a slice: channel c at c modulo what is kept, at each place of the tensor
            return Store(name, places, row_bytes, alignment, temporary, channels, capacity, block=kept)
        row_bytes = math.prod(whole) * element // rows
        kept = kind.shape[row_dimension(whole)] if whole else 1
        across = kind.shape[row_dimension(whole) + 1] if columns > 1 else 1
        shift = (kept - rows) % kept * columns if backwards else 0
        if kept < rows and across != columns:
            capacity, block = kept * across, across if kept > 1 else 0
            if backwards:
                shift = (capacity - rows * columns) % capacity
                shift = (kept - rows) % kept * columns + (across - columns) % across if block else shift
            return Store(name, rows, row_bytes, alignment, temporary, columns, capacity, shift, block)
        return Store(name, kept, row_bytes, alignment, temporary, columns, None, shift)

    def _body(self, call: Operation) -> LayerBody:
        return self._bodies[self._names[FlatSymbolRefAttr(call.attributes["callee"]).value]]

    def _reduction(self, call: Operation) -> bool:
        return bool(reduction_of(self._declared[FlatSymbolRefAttr(call.attributes["callee"]).value]).dimensions)

    def _arguments(self, call: Operation) -> list[tuple[int, int]]:
        """Number of the argument and of the buffer for each buffer that a call reads."""
        operands = [root_of(value) for value in memrefs_of(call)[:-1]]
        return [(number, self._buffers[value]) for number, value in enumerate(operands) if value in self._buffers]

    def _call(self, call: Operation, stores: Sequence[Store]) -> Call:
        accumulates = self._reduction(call)
        writes = self._buffers[root_of(memrefs_of(call)[-1])]
        rows: dict[int, list[Window | None]] = {}
        columns: dict[int, list[Window | None]] = {}
        inside = call.block != self._block
        body = self._body(call)
        by_channels, made = inside and self._by_channels(call), inside and not accumulates
        down = windows_of(body, "channels" if by_channels else "rows") if made else None
        side = windows_of(body, "columns") if made and not by_channels else None
        for argument, buffer in self._arguments(call):
            viewed = tuple(ShapedType(body.arguments[argument]).shape)
            same = self._is_same(body, argument, stores[buffer])
            if by_channels:
                same = channels_of(viewed) == self._innermost[buffer][0]
            for axis, (found, windows) in enumerate(((rows, down), (columns, side))):
                window = windows.get(argument) if windows is not None and same else None
                if inside and self._is_backwards(call):
                    window = mirrored(window, extents_of(viewed)[axis], extents_of(body.destination)[axis])
                found.setdefault(buffer, []).append(Window(1, 0, 0) if accumulates else window)
        reads = tuple(Read(buffer, hull(of_one), None, hull(columns[buffer])) for buffer, of_one in rows.items())
        return Call(StringAttr(call.attributes[LAYER]).value, reads, writes, accumulates)

    def _is_same(self, body: LayerBody, argument: int, store: Store) -> bool:
        """Whether the argument's rows and columns are those of the buffer that it is a view of."""
        shape = tuple(ShapedType(body.arguments[argument]).shape)
        rows, columns = extents_of(shape)
        return columns == store.columns and _bytes(body.arguments[argument]) == rows * store.row_bytes

    def _macs(self, number: int, program: Program, stores: Sequence[Store]) -> int:
        """Of the whole layer, or of as many rows as the loop goes through."""
        call = self._calls[number]
        body = self._body(call)
        whole = macs_of(body.result)
        if program.loop_of(number) is None:
            return whole
        rows, columns = self._extents(call, stores)
        across = program.columns_run(number)
        return whole * program.rows_run(number) * (columns if across is None else across) // (rows * columns)

    def _extents(self, call: Operation, stores: Sequence[Store]) -> tuple[int, int]:
        """Rows and columns that a call of a loop goes through in all: of its output, or of its input."""
        body = self._body(call)
        if self._by_channels(call):
            shape = self._argument_shape(call) if self._reduction(call) else body.destination
            return channels_of(shape), 1
        if not self._reduction(call):
            return extents_of(body.destination)
        argument, buffer = self._arguments(call)[0]
        return _bytes(body.arguments[argument]) // stores[buffer].row_bytes, stores[buffer].columns

    def _argument_shape(self, call: Operation) -> Shape:
        """Of the activation of a call that accumulates, whole."""
        argument, _ = self._arguments(call)[0]
        return tuple(ShapedType(self._body(call).arguments[argument]).shape)

    def _by_channels(self, call: Operation) -> bool:
        return CHANNELS in self._declared[FlatSymbolRefAttr(call.attributes["callee"]).value].operation.attributes

    def _is_backwards(self, call: Operation) -> bool:
        return BACKWARDS in self._declared[FlatSymbolRefAttr(call.attributes["callee"]).value].operation.attributes

    def _stored(self, number: int, program: Program) -> int:
        body = self._body(self._calls[number])
        whole = _stored_bytes(body)
        if program.loop_of(number) is None or program.calls[number].accumulates:
            return whole
        return whole // math.prod(extents_of(body.destination))

    def _from_the_start(self, program: Program, stores: Sequence[Store]) -> Program:
        """The program with rows and columns as they lie in memory, in loops that go backwards too."""
        calls, loops = list(program.calls), list(program.loops)
        for position, loop in enumerate(program.loops):
            if not loop.backwards:
                continue
            numbers = range(loop.first, loop.last + 1)
            extents = {number: self._extents(self._calls[number], stores) for number in numbers}
            for number in numbers:
                calls[number] = replace(calls[number], reads=self._turned_reads(number, calls[number]))
            runs = (replace(r, begin=extents[r.call][0] - r.end, end=extents[r.call][0] - r.begin) for r in loop.runs)
            columns = loop.columns and tuple(
                tuple((extents[number][1] - end, extents[number][1] - begin) for begin, end in turns)
                for number, turns in zip(numbers, loop.columns, strict=True)
            )
            loops[position] = replace(loop, runs=tuple(runs), columns=columns, backwards=False)
        return replace(program, calls=tuple(calls), loops=tuple(loops))

    def _turned_reads(self, number: int, call: Call) -> tuple[Read, ...]:
        if call.accumulates:
            return call.reads
        body = self._body(self._calls[number])
        outputs = extents_of(body.destination)
        shapes = {b: tuple(ShapedType(body.arguments[a]).shape) for a, b in self._arguments(self._calls[number])}
        return tuple(
            replace(
                read,
                window=mirrored(read.window, extents_of(shapes[read.buffer])[0], outputs[0]),
                columns=mirrored(read.columns, extents_of(shapes[read.buffer])[1], outputs[1]),
            )
            for read in call.reads
        )

    # -- loops ------------------------------------------------------------------------------------------------

    def _loops(self, stores: Sequence[Store]) -> list[Loop]:
        numbers = {call: number for number, call in enumerate(self._calls)}
        found = [view.operation for view in self._block.operations if view.operation.name == "scf.for"]
        return [self._loop(op, numbers, stores) for op in found]

    def _loop(self, op: Operation, numbers: Mapping[Operation, int], stores: Sequence[Store]) -> Loop:
        outer, inside = op.regions[0].blocks[0], None
        for view in outer.operations:
            if view.operation.name == "scf.for":
                inside = view.operation
        block = outer if inside is None else inside.regions[0].blocks[0]
        calls = [view.operation for view in block.operations if view.operation.name == "func.call"]
        bounds = [[o for o in call.operands if not isinstance(o.type, MemRefType)] for call in calls]
        runs: list[Run] = []
        for iteration in _iterations(op):
            variables: dict[Value, int] = {outer.arguments[0]: iteration}
            for call, values in zip(calls, bounds, strict=True):
                begin, end = (_evaluate(value, variables) for value in values[:2])
                if begin < end:
                    runs.append(Run(numbers[call], iteration, begin, end))
        first, last = numbers[calls[0]], numbers[calls[-1]]
        extents = {numbers[call]: self._extents(call, stores) for call in calls}
        backwards = self._is_backwards(calls[0])
        if backwards:
            runs = [replace(r, begin=extents[r.call][0] - r.end, end=extents[r.call][0] - r.begin) for r in runs]
        if inside is None:
            return Loop(first, last, tuple(runs), None, backwards, self._by_channels(calls[0]))
        turns: list[dict[Value, int]] = [{block.arguments[0]: turn} for turn in _iterations(inside)]
        columns = tuple(
            tuple((_evaluate(values[2], turn), _evaluate(values[3], turn)) for turn in turns) for values in bounds
        )
        if backwards:
            across = (extents[number][1] for number in range(first, last + 1))
            columns = tuple(tuple((w - e, w - b) for b, e in turns) for turns, w in zip(columns, across, strict=True))
        return Loop(first, last, tuple(runs), columns, backwards)

    # -- overlaps ---------------------------------------------------------------------------------------------

    def _with_overlaps(self, program: Program) -> Program:
        """Ask the kernels what they allow, where an input dies and the output is whole and new."""
        lives, calls = program.lives(), list(program.calls)
        for number, call in enumerate(program.calls):
            loop = program.loop_of(number)
            first, last = (number, number) if loop is None else (loop.first, loop.last)
            if lives[call.writes][0] != first + 1 or call.accumulates:
                continue
            reads = tuple(
                replace(read, overlap=self._overlap(number, read.buffer, program))
                if lives[read.buffer][1] == last + 1 and lives[read.buffer][0] <= first
                else read
                for read in call.reads
            )
            calls[number] = replace(call, reads=reads)
        return replace(program, calls=tuple(calls))

    def _overlap(self, number: int, buffer: int, program: Program) -> tuple[int, int] | None:
        """The stricter distances of all arguments that the buffer is; None where a ring is in its place, or its own."""
        call = self._calls[number]
        body, name = self._body(call), self._names[FlatSymbolRefAttr(call.attributes["callee"]).value]
        source, output = program.buffers[buffer].nbytes, program.buffers[program.calls[number].writes].nbytes
        if output != _bytes(body.arguments[-1]):
            return None
        found: list[tuple[int, int]] = []
        for argument, read in self._arguments(call):
            if read == buffer:
                if source != _bytes(body.arguments[argument]):
                    return None
                key = name, argument, picked_kernel(call)
                if key not in self._profiles:
                    profile = kernel_for(body, picked_kernel(call)).profile(body, argument, source, output)
                    self._profiles[key] = profile.forwards, profile.backwards
                found.append(self._profiles[key])
        return max(forwards for forwards, _ in found), max(backwards for _, backwards in found)


def _bytes(kind: Type) -> int:
    shaped = ShapedType(kind)
    return math.prod(shaped.shape) * DTYPE_BYTES[element_dtype(shaped.element_type)]


def _stored_bytes(body: LayerBody) -> int:
    return math.prod(body.result.shape) * (_bytes(body.arguments[-1]) // math.prod(body.destination))


def _iterations(loop: Operation) -> range:
    low, high, step = (_evaluate(operand, {}) for operand in list(loop.operands)[:3])
    return range(low, high, step)


def _evaluate(value: Value, variables: Mapping[Value, int]) -> int:
    """An index of a fused loop: constants, the loop's variable, sums, products, quotients, minima and maxima."""
    if value in variables:
        return variables[value]
    op = defining(value)
    if op is not None and op.name == "arith.constant":
        return IntegerAttr(op.attributes["value"]).value
    if op is None or op.name not in _ARITHMETIC:
        place = str(value.owner) if op is None else op.name
        raise InternalError("allocate", f"rows of a fused loop that are not known when it is compiled: '{place}'")
    left, right = (_evaluate(operand, variables) for operand in op.operands)
    return _ARITHMETIC[op.name](left, right)


def _unique(name: str, taken: set[str]) -> str:
    numbered = (f"{name}#{i}" for i in itertools.count(2))
    return name if name not in taken else next(other for other in numbered if other not in taken)
