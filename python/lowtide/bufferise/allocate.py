"""Gives every buffer an offset in one arena: `memref.alloc` becomes `memref.view`, arguments become views too."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lowtide.alloc import Buffer, Problem, Solution, solve
from lowtide.errors import InternalError
from lowtide.ir import (
    ArrayAttr,
    BlockArgument,
    FunctionType,
    IndexType,
    InsertionPoint,
    IntegerAttr,
    IntegerType,
    MemRefType,
    Module,
    Operation,
    OpResult,
    StringAttr,
    TypeAttr,
    Value,
    arith,
    func,
    memref,
)
from lowtide.network import DTYPE_BYTES
from lowtide.normalise.analysis import element_dtype
from lowtide.normalise.outline import LAYER, main_function
from lowtide.passes import Pass

ARENA = "lowtide.arena_bytes"
BOUND = "lowtide.allocation_bound_bytes"
INPUTS = "lowtide.input_offsets"
OUTPUTS = "lowtide.output_offsets"
BUFFERS = "lowtide.buffers"
STRATEGY = "lowtide.strategy"
KEEP_INPUT = "lowtide.keep_input"
ALIGNMENT = "lowtide.buffer_alignment"

_VIEWS = {"memref.expand_shape", "memref.collapse_shape", "memref.cast", "memref.reshape", "memref.reinterpret_cast"}


@dataclass(frozen=True)
class Root:
    """A buffer of the network: where it comes from, and the steps (operations of the function) it lives through."""

    value: Value
    buffer: Buffer


def buffer_roots(function: func.FuncOp, alignment: int, keep_input: bool) -> list[Root]:
    """Arguments and allocations of a bufferised network with their live intervals.

    Step 0 is the arrival of the inputs, step i the i-th call (from 1), the step after the last the departure of the
    outputs. A buffer lives from the step that writes it to the last step that uses it or a view of it.

    Args:
        function: the network on memrefs.
        alignment: least alignment in bytes of any buffer.
        keep_input: inputs stay intact up to the end.
    """
    block = function.regions[0].blocks[0]
    steps: dict[Operation, int] = {}
    for view in block.operations:
        op = view.operation
        if op.name in ("func.call", "memref.copy", "func.return"):
            steps[op] = len(steps) + 1
    roots: list[Root] = []
    for argument in block.arguments:
        last = len(steps) if keep_input else max(_uses(argument, steps), default=0)
        name = f"input_{BlockArgument(argument).arg_number}"
        roots.append(Root(argument, _buffer(name, argument, alignment, 0, last)))
    for view in block.operations:
        op = view.operation
        if op.name == "memref.alloc":
            used = list(_uses(op.results[0], steps))
            if not used:
                raise InternalError("allocate", "a buffer that no layer uses", where=str(op.location))
            name = _unique(_writer_name(op.results[0], steps), {root.buffer.name for root in roots})
            roots.append(Root(op.results[0], _buffer(name, op.results[0], alignment, min(used), max(used))))
    return roots


def _buffer(name: str, value: Value, alignment: int, first: int, last: int) -> Buffer:
    memref_type = MemRefType(value.type)
    element = DTYPE_BYTES[element_dtype(memref_type.element_type)]
    return Buffer(name, math.prod(memref_type.shape) * element, max(alignment, element), first, last)


def _uses(value: Value, steps: Mapping[Operation, int]) -> Iterable[int]:
    """Steps that use the value or a view of it."""
    for use in value.uses:
        op = use.owner.operation
        if op in steps:
            yield steps[op]
        elif op.name in _VIEWS:
            yield from _uses(op.results[0], steps)
        else:
            raise InternalError("allocate", f"a buffer is used by '{op.name}'", where=str(op.location))


def _unique(name: str, taken: set[str]) -> str:
    numbered = (f"{name}#{i}" for i in itertools.count(2))
    return name if name not in taken else next(other for other in numbered if other not in taken)


def _writer_name(value: Value, steps: Mapping[Operation, int]) -> str:
    """Name of the layer that writes the buffer first."""
    calls = [use.owner.operation for use in value.uses if use.owner.operation in steps]
    first = min(calls, key=lambda op: steps[op], default=None)
    if first is None or LAYER not in first.attributes:
        return "buffer"
    return StringAttr(first.attributes[LAYER]).value


def run(module: Module, options: Mapping[str, str]) -> None:
    """Allocate the arena; options `alignment` (bytes) and `keep-input` (0 or 1) override the module's attributes."""
    with module.context, module.operation.location:
        function = main_function(module)
        alignment = int(options.get("alignment", _integer(module, ALIGNMENT, 4)))
        keep = bool(int(options.get("keep-input", _integer(module, KEEP_INPUT, 0))))
        strategy = options.get("strategy", _strategy(module))
        roots = buffer_roots(function, alignment, keep)
        solution = solve(Problem(tuple(root.buffer for root in roots)), strategy)
        apply_solution(module, function, roots, solution)


PASS = Pass("lowtide-allocate", "give every buffer an offset in one arena", run)


def _integer(module: Module, name: str, default: int) -> int:
    attributes = module.operation.attributes
    return IntegerAttr(attributes[name]).value if name in attributes else default


def _strategy(module: Module) -> str:
    attributes = module.operation.attributes
    return StringAttr(attributes[STRATEGY]).value if STRATEGY in attributes else "auto"


def apply_solution(module: Module, function: func.FuncOp, roots: list[Root], solution: Solution) -> None:
    """Rewrite the function to take the arena alone, and note offsets and sizes as attributes of the module."""
    block = function.regions[0].blocks[0]
    offsets = {root.value: offset for root, offset in zip(roots, solution.offsets, strict=True)}
    terminator = block.operations[len(block.operations) - 1].operation
    outputs = [offsets[_root_of(value)] for value in terminator.operands]
    inputs = [offsets[argument] for argument in block.arguments]
    _note(module, roots, solution, inputs, outputs)
    arena = block.add_argument(MemRefType.get([solution.arena_bytes], IntegerType.get_signless(8)), function.location)
    with InsertionPoint.at_block_begin(block):
        for root in roots:
            offset = arith.constant(IndexType.get(), offsets[root.value])
            root.value.replace_all_uses_with(memref.view(root.value.type, arena, offset, []))
    for root in roots:
        if isinstance(root.value, OpResult):
            OpResult(root.value).owner.operation.erase()
    with InsertionPoint(terminator), function.location:
        func.ReturnOp([])
    terminator.erase()
    for _ in inputs:
        block.erase_argument(0)
    function.operation.attributes["function_type"] = TypeAttr.get(FunctionType.get([arena.type], []))
    for name in ("arg_attrs", "res_attrs"):
        if name in function.operation.attributes:
            del function.operation.attributes[name]


def _root_of(value: Value) -> Value:
    """The buffer that the value is a view of."""
    while isinstance(value, OpResult) and OpResult(value).owner.operation.name in _VIEWS:
        value = OpResult(value).owner.operation.operands[0]
    return value


def _note(module: Module, roots: list[Root], solution: Solution, inputs: list[int], outputs: list[int]) -> None:
    i64 = IntegerType.get_signless(64)
    attributes = module.operation.attributes

    def numbers(values: Iterable[int]) -> ArrayAttr:
        return ArrayAttr.get([IntegerAttr.get(i64, value) for value in values])

    attributes[ARENA] = IntegerAttr.get(i64, solution.arena_bytes)
    attributes[BOUND] = IntegerAttr.get(i64, solution.bound_bytes)
    attributes[INPUTS] = numbers(inputs)
    attributes[OUTPUTS] = numbers(outputs)
    rows: list[ArrayAttr | StringAttr] = []
    for root, offset in zip(roots, solution.offsets, strict=True):
        b = root.buffer
        rows.append(ArrayAttr.get([StringAttr.get(b.name), numbers([b.size, offset, b.first, b.last])]))
    attributes[BUFFERS] = ArrayAttr.get(rows)
