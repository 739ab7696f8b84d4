"""The buffers of a bufferised network and the steps that each lives through."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lowtide.alloc import Buffer
from lowtide.errors import InternalError
from lowtide.ir import BlockArgument, MemRefType, Operation, OpResult, StringAttr, Value, func
from lowtide.network import DTYPE_BYTES
from lowtide.normalise.analysis import element_dtype
from lowtide.normalise.form import LAYER

_VIEWS = {"memref.expand_shape", "memref.collapse_shape", "memref.cast", "memref.reshape", "memref.reinterpret_cast"}

_USERS = ("func.call", "memref.copy", "func.return")


@dataclass(frozen=True)
class Root:
    """A buffer of the network: where it comes from, and the steps (operations of the function) it lives through."""

    value: Value
    buffer: Buffer


def steps_of(function: func.FuncOp) -> dict[Operation, int]:
    """The step of each operation that reads or writes buffers.

    Step 0 is the arrival of the inputs, step i the i-th call (from 1), the step after the last the departure of the
    outputs.
    """
    operations = (view.operation for view in function.regions[0].blocks[0].operations)
    return {op: step for step, op in enumerate((op for op in operations if op.name in _USERS), start=1)}


def buffer_roots(function: func.FuncOp, steps: Mapping[Operation, int], alignment: int, keep_input: bool) -> list[Root]:
    """Arguments and allocations of a bufferised network with their live intervals.

    A buffer lives from the step that writes it to the last step that uses it or a view of it.

    Args:
        function: the network on memrefs.
        steps: as `steps_of` gives them.
        alignment: least alignment in bytes of any buffer.
        keep_input: inputs stay intact up to the end.
    """
    block = function.regions[0].blocks[0]
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


def root_of(value: Value) -> Value:
    """The buffer that the value is a view of."""
    while isinstance(value, OpResult) and OpResult(value).owner.operation.name in _VIEWS:
        value = OpResult(value).owner.operation.operands[0]
    return value
