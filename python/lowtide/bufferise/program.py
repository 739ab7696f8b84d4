"""Reads the allocator's `Program` off a bufferised network: buffers, calls, and loops with what each iteration runs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from lowtide.bufferise.index_code import evaluate, iterations
from lowtide.bufferise.layer_call import LayerCall, layer_calls, root_of
from lowtide.errors import InternalError
from lowtide.graph.macs import macs_of
from lowtide.graph.nest import LayerBody, Shape
from lowtide.graph.program import Call, Loop, Program, Read, Run, Store, Window, hull, mirrored
from lowtide.graph.rows import axis_dimension, channels_of, extents_of, row_dimension, windows_of
from lowtide.ir import MemRefType, Module, Operation, Value, func
from lowtide.kernels.library import kernel_for, lanes_of
from lowtide.network import DTYPE_BYTES
from lowtide.normalise.analysis import calls_in, defining, element_dtype, operations_in


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
        self._alignment = alignment
        self._keep_input = keep_input
        self._calls = layer_calls(module, [call.operation for call in calls_in(function)], bodies)
        self._stores: list[Store] = []
        self._values: list[Value] = []
        self._buffers: dict[Value, int] = {}
        self._innermost: list[tuple[int, int]] = []
        self._lanes = lanes_of(module)
        self._profiles: dict[tuple[str, int, str | None], tuple[int, int]] = {}

    def read(self) -> Bufferised:
        for number, value in enumerate(self._block.arguments):
            self._add(value, self._store(f"input_{number}", value, tuple(MemRefType(value.type).shape)))
        for call in self._calls:
            if call.destination not in self._buffers:
                self._add(call.destination, self._made(call))
        self._check_allocations()
        inputs = tuple(range(len(self._block.arguments)))
        terminator = self._block.operations[len(self._block.operations) - 1].operation
        outputs = tuple(self._buffers[root_of(value)] for value in terminator.operands)
        calls, kept = tuple(map(self._call, self._calls)), inputs if self._keep_input else ()
        actual = Program(tuple(self._stores), calls, tuple(self._loops()), inputs, outputs, kept)
        numbers = range(len(calls))
        return Bufferised(
            program=self._with_overlaps(self._from_the_end(actual)),
            actual=actual,
            values=tuple(self._values),
            calls=tuple(call.op for call in self._calls),
            functions=tuple(call.function for call in self._calls),
            macs=tuple(self._macs(number, actual) for number in numbers),
            stored_bytes=tuple(self._stored(number, actual) for number in numbers),
            innermost=tuple(self._innermost),
        )

    def _add(self, value: Value, store: Store) -> None:
        self._buffers[value] = len(self._values)
        self._values.append(value)
        self._stores.append(store)

    def _check_allocations(self) -> None:
        for op in operations_in(self._block):
            if op.name == "memref.alloc" and op.results[0] not in self._buffers:
                raise InternalError("allocate", "a buffer that no layer writes", where=str(op.location))

    def _made(self, writer: LayerCall) -> Store:
        """The buffer that a call is the first to write."""
        value = writer.destination
        owner = defining(value)
        assert owner is not None
        name = _unique(writer.name or "buffer", {store.name for store in self._stores})
        destination, shape = writer.body.destination, tuple(MemRefType(value.type).shape)
        whole = destination if len(destination) == len(shape) else shape
        return self._store(name, value, whole, temporary=owner.block != self._block, backwards=writer.backwards)

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

    # -- calls ------------------------------------------------------------------------------------------------

    def _in_loop(self, call: LayerCall) -> bool:
        return call.op.block != self._block

    def _arguments(self, call: LayerCall) -> Iterator[tuple[int, int]]:
        """Number of the argument and of the buffer for each buffer that a call reads."""
        for number, value in enumerate(call.inputs):
            if value in self._buffers:
                yield number, self._buffers[value]

    def _call(self, call: LayerCall) -> Call:
        rows: dict[int, list[Window | None]] = {}
        columns: dict[int, list[Window | None]] = {}
        made = self._in_loop(call) and not call.accumulates
        down = windows_of(call.body, "channels" if call.by_channels else "rows") if made else None
        side = windows_of(call.body, "columns") if made and not call.by_channels else None
        for argument, buffer in self._arguments(call):
            same = self._is_same(call, argument, buffer)
            for found, windows in ((rows, down), (columns, side)):
                window = windows.get(argument) if windows is not None and same else None
                found.setdefault(buffer, []).append(Window(1, 0, 0) if call.accumulates else window)
        reads = tuple(Read(buffer, hull(of_one), None, hull(columns[buffer])) for buffer, of_one in rows.items())
        return Call(call.name, reads, self._buffers[call.destination], call.accumulates)

    def _is_same(self, call: LayerCall, argument: int, buffer: int) -> bool:
        """Whether the argument's rows and columns (or channels) are those of the buffer that it is a view of."""
        if call.by_channels:
            return channels_of(call.shape(argument)) == self._innermost[buffer][0]
        rows, columns = extents_of(call.shape(argument))
        store = self._stores[buffer]
        return columns == store.columns and call.nbytes(argument) == rows * store.row_bytes

    def _extents(self, call: LayerCall) -> tuple[int, int]:
        """Rows (or channels) and columns that a call of a loop goes through in all: of its output, or of its input."""
        if not call.accumulates:
            return (channels_of(call.body.destination), 1) if call.by_channels else extents_of(call.body.destination)
        argument, buffer = next(self._arguments(call))
        if call.by_channels:
            return channels_of(call.shape(argument)), 1
        return call.nbytes(argument) // self._stores[buffer].row_bytes, self._stores[buffer].columns

    def _macs(self, number: int, program: Program) -> int:
        """Of the whole layer, or of as many rows as the loop goes through."""
        call = self._calls[number]
        whole = macs_of(call.body.result)
        if program.loop_of(number) is None:
            return whole
        rows, columns = self._extents(call)
        across = program.columns_run(number)
        return whole * program.rows_run(number) * (columns if across is None else across) // (rows * columns)

    def _stored(self, number: int, program: Program) -> int:
        call = self._calls[number]
        if program.loop_of(number) is None or call.accumulates:
            return call.stored_bytes
        return call.stored_bytes // math.prod(extents_of(call.body.destination))

    # -- loops ------------------------------------------------------------------------------------------------

    def _loops(self) -> list[Loop]:
        numbers = {call.op: number for number, call in enumerate(self._calls)}
        found = [view.operation for view in self._block.operations if view.operation.name == "scf.for"]
        loops = [_loop(op, numbers) for op in found]
        return [replace(loop, by_channels=self._calls[loop.first].by_channels) for loop in loops]

    def _from_the_end(self, program: Program) -> Program:
        """The program with rows, columns and windows of the loops that go backwards counted from the end."""
        calls, loops = list(program.calls), list(program.loops)
        for position, loop in enumerate(program.loops):
            if not self._calls[loop.first].backwards:
                continue
            numbers = range(loop.first, loop.last + 1)
            extents = {number: self._extents(self._calls[number]) for number in numbers}
            for number in numbers:
                calls[number] = replace(calls[number], reads=self._turned_reads(number, calls[number]))
            runs = (r._replace(begin=extents[r.call][0] - r.end, end=extents[r.call][0] - r.begin) for r in loop.runs)
            columns = loop.columns and tuple(
                tuple((extents[number][1] - end, extents[number][1] - begin) for begin, end in turns)
                for number, turns in zip(numbers, loop.columns, strict=True)
            )
            loops[position] = replace(loop, runs=tuple(runs), columns=columns, backwards=True)
        return replace(program, calls=tuple(calls), loops=tuple(loops))

    def _turned_reads(self, number: int, call: Call) -> tuple[Read, ...]:
        if call.accumulates:
            return call.reads
        layer = self._calls[number]
        outputs = extents_of(layer.body.destination)
        inputs = {buffer: extents_of(layer.shape(argument)) for argument, buffer in self._arguments(layer)}
        return tuple(
            replace(
                read,
                window=mirrored(read.window, inputs[read.buffer][0], outputs[0]),
                columns=mirrored(read.columns, inputs[read.buffer][1], outputs[1]),
            )
            for read in call.reads
        )

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
        source, output = program.buffers[buffer].nbytes, program.buffers[program.calls[number].writes].nbytes
        if output != call.nbytes(-1):
            return None
        found: list[tuple[int, int]] = []
        for argument, read in self._arguments(call):
            if read == buffer:
                if source != call.nbytes(argument):
                    return None
                key = call.function, argument, call.kernel
                if key not in self._profiles:
                    profile = kernel_for(call.body, call.kernel).profile(
                        call.body, argument, source, output, self._lanes
                    )
                    self._profiles[key] = profile.forwards, profile.backwards
                found.append(self._profiles[key])
        return max(forwards for forwards, _ in found), max(backwards for _, backwards in found)


def _loop(op: Operation, numbers: Mapping[Operation, int]) -> Loop:
    """A loop's runs, with rows and columns as they lie in memory."""
    outer = op.regions[0].blocks[0]
    inside = next((view.operation for view in outer.operations if view.operation.name == "scf.for"), None)
    block = outer if inside is None else inside.regions[0].blocks[0]
    calls = [view.operation for view in block.operations if view.operation.name == "func.call"]
    bounds = [[o for o in call.operands if not isinstance(o.type, MemRefType)] for call in calls]
    runs: list[Run] = []
    for iteration in iterations(op):
        variables: dict[Value, int] = {outer.arguments[0]: iteration}
        for call, values in zip(calls, bounds, strict=True):
            begin, end = (evaluate(value, variables) for value in values[:2])
            if begin < end:
                runs.append(Run(numbers[call], iteration, begin, end))
    first, last = numbers[calls[0]], numbers[calls[-1]]
    if inside is None:
        return Loop(first, last, tuple(runs))
    turns: list[dict[Value, int]] = [{block.arguments[0]: turn} for turn in iterations(inside)]
    columns = tuple(
        tuple((evaluate(values[2], turn), evaluate(values[3], turn)) for turn in turns) for values in bounds
    )
    return Loop(first, last, tuple(runs), columns)


def _unique(name: str, taken: set[str]) -> str:
    numbered = (f"{name}#{i}" for i in itertools.count(2))
    return name if name not in taken else next(other for other in numbered if other not in taken)
