"""Reads the allocator's `Program` off a bufferised network: buffers, calls, and loops with what each iteration runs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from lowtide.errors import InternalError
from lowtide.graph.macs import macs_of
from lowtide.graph.nest import LayerBody, Shape
from lowtide.graph.program import Call, Loop, Program, Read, Run, Store, Window
from lowtide.graph.rows import extents_of, hull, row_dimension, row_windows
from lowtide.ir import (
    FlatSymbolRefAttr,
    IntegerAttr,
    MemRefType,
    Module,
    Operation,
    OpResult,
    ShapedType,
    StringAttr,
    Value,
    func,
)
from lowtide.kernels.library import kernel_for
from lowtide.network import DTYPE_BYTES
from lowtide.normalise.analysis import defining, element_dtype, operations_in
from lowtide.normalise.form import LAYER, body_names, reduction_of

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
        values: the argument or allocation behind each of the program's buffers.
        calls: the operation of each of its calls.
        functions: the function of `@layers` behind each call.
        macs: multiply-accumulates of each call in one inference, recomputation included.
        stored_bytes: what one run of each call stores, each byte once; of a call that goes by rows, what it stores of
            one pixel (a row at one column).
    """

    program: Program
    values: tuple[Value, ...]
    calls: tuple[Operation, ...]
    functions: tuple[str, ...]
    macs: tuple[int, ...]
    stored_bytes: tuple[int, ...]


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
        self._profiles: dict[tuple[str, int], tuple[int, int]] = {}

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
        program = Program(tuple(stores), calls, tuple(self._loops()), inputs, outputs, kept)
        stored = tuple(self._stored(number, program) for number in range(len(calls)))
        macs = tuple(self._macs(number, program, stores) for number in range(len(self._calls)))
        functions = tuple(self._names[FlatSymbolRefAttr(call.attributes["callee"]).value] for call in self._calls)
        return Bufferised(self._with_overlaps(program), tuple(values), tuple(self._calls), functions, macs, stored)

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
        return self._store(name, value, whole, temporary=owner.block != self._block)

    def _store(self, name: str, value: Value, whole: Shape, *, temporary: bool = False) -> Store:
        """A buffer for a tensor of the shape `whole`, or for the rows or pixels of it that exist at a time."""
        kind = MemRefType(value.type)
        element = DTYPE_BYTES[element_dtype(kind.element_type)]
        rows, columns = extents_of(whole)
        row_bytes = math.prod(whole) * element // rows
        alignment = max(self._alignment, element)
        kept = kind.shape[row_dimension(whole)] if whole else 1
        across = kind.shape[row_dimension(whole) + 1] if columns > 1 else 1
        if kept < rows and across != columns:
            return Store(name, rows, row_bytes, alignment, temporary, columns, capacity=across)
        return Store(name, kept, row_bytes, alignment, temporary, columns)

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
        down = row_windows(body) if inside and not accumulates else None
        side = row_windows(body, columns=True) if inside and not accumulates else None
        for argument, buffer in self._arguments(call):
            same = self._is_same(body, argument, stores[buffer])
            for found, windows in ((rows, down), (columns, side)):
                window = windows.get(argument) if windows is not None and same else None
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
        rows, columns = extents_of(body.destination)
        if self._reduction(call):
            argument, buffer = self._arguments(call)[0]
            rows, columns = _bytes(body.arguments[argument]) // stores[buffer].row_bytes, stores[buffer].columns
        across = program.columns_run(number)
        return whole * program.rows_run(number) * (columns if across is None else across) // (rows * columns)

    def _stored(self, number: int, program: Program) -> int:
        body = self._body(self._calls[number])
        whole = _stored_bytes(body)
        if program.loop_of(number) is None or program.calls[number].accumulates:
            return whole
        return whole // math.prod(extents_of(body.destination))

    # -- loops ------------------------------------------------------------------------------------------------

    def _loops(self) -> list[Loop]:
        numbers = {call: number for number, call in enumerate(self._calls)}
        found = [view.operation for view in self._block.operations if view.operation.name == "scf.for"]
        return [self._loop(op, numbers) for op in found]

    def _loop(self, op: Operation, numbers: Mapping[Operation, int]) -> Loop:
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
        if inside is None:
            return Loop(first, last, tuple(runs))
        turns = [{block.arguments[0]: turn} for turn in _iterations(inside)]
        columns = tuple(
            tuple((_evaluate(values[2], turn), _evaluate(values[3], turn)) for turn in turns) for values in bounds
        )
        return Loop(first, last, tuple(runs), columns)

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
                if (name, argument) not in self._profiles:
                    profile = kernel_for(body).profile(body, argument, source, output)
                    self._profiles[name, argument] = profile.forwards, profile.backwards
                found.append(self._profiles[name, argument])
        return max(forwards for forwards, _ in found), max(backwards for _, backwards in found)


def _bytes(kind: object) -> int:
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
