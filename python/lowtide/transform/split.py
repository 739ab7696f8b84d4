"""Splits an outlined layer that reduces rows in three: start, accumulate, finish.

Before: one function that fills an accumulator, reduces the input into it and computes the output from it. After: a
function that fills the accumulator, one that takes some rows of the input into it, and one that computes the output.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lowtide.ir import (
    Block,
    BlockArgument,
    FunctionType,
    InsertionPoint,
    Operation,
    RankedTensorType,
    Type,
    Value,
    func,
)
from lowtide.normalise.analysis import defining, operands_of
from lowtide.normalise.outline import remap


@dataclass(frozen=True)
class Split:
    """Names of the three functions and the accumulator's type; operands as for the whole layer, see each.

    Attributes:
        start: the operands `initial`, then the accumulator.
        accumulate: the layer's operands, the accumulator in the destination's place.
        finish: the layer's operands, the accumulator in the activation's place.
    """

    start: str
    accumulate: str
    finish: str
    accumulator: RankedTensorType
    initial: tuple[int, ...]


def split_accumulation(bodies: Block, function: func.FuncOp, reduction: Operation, argument: int) -> Split:
    """Add the three functions to the layers' module; the whole layer's function stays.

    Args:
        bodies: block of the layers' module.
        function: the layer.
        reduction: the generic operation in it that reduces the rows.
        argument: the activation.
    """
    name, block = function.name.value, function.regions[0].blocks[0]
    accumulator = RankedTensorType(reduction.results[0].type)
    initial = reduction.operands[len(reduction.operands) - 1]
    types = [value.type for value in block.arguments]
    terminator = block.operations[len(block.operations) - 1].operation
    returned = terminator.operands[0]
    used = tuple(sorted(_arguments(initial)))
    split = Split(f"{name}_start", f"{name}_accumulate", f"{name}_finish", accumulator, used)
    if any(isinstance(view, func.FuncOp) and view.name.value == split.start for view in bodies.operations):
        return split
    with InsertionPoint(bodies), function.location:
        start = _function(split.start, [*(types[a] for a in used), accumulator], accumulator)
        filled = list(start.regions[0].blocks[0].arguments)
        mapping: dict[Value, Value] = dict(zip((block.arguments[a] for a in used), filled[:-1], strict=True))
        _copy(start, initial, mapping)
        accumulate = _function(split.accumulate, [*types[:-1], accumulator], accumulator)
        arguments = list(accumulate.regions[0].blocks[0].arguments)
        mapping = dict(zip(list(block.arguments)[:-1], arguments[:-1], strict=True))
        mapping[initial] = arguments[-1]
        _copy(accumulate, reduction.results[0], mapping)
        types[argument] = accumulator
        finish = _function(split.finish, types, returned.type)
        arguments = list(finish.regions[0].blocks[0].arguments)
        mapping = dict(zip(block.arguments, arguments, strict=True))
        mapping[reduction.results[0]] = arguments[argument]
        _copy(finish, returned, mapping)
    return split


def _arguments(value: Value) -> set[int]:
    """Arguments that the value is computed from."""
    op = defining(value)
    if op is None:
        return {BlockArgument(value).arg_number}
    return set[int]().union(*(_arguments(operand) for operand in operands_of(op)))


def _function(name: str, types: Sequence[Type], result: Type) -> func.FuncOp:
    made = func.FuncOp(name, FunctionType.get(list(types), [result]), visibility="private")
    made.add_entry_block()
    return made


def _copy(function: func.FuncOp, value: Value, mapping: dict[Value, Value]) -> None:
    """Fill the function with what computes `value` from what is mapped."""
    with InsertionPoint(function.regions[0].blocks[0]):
        func.ReturnOp([_clone(value, mapping)])


def _clone(value: Value, mapping: dict[Value, Value]) -> Value:
    if value not in mapping:
        op = defining(value)
        assert op is not None, "an argument that the part does not have"
        for operand in operands_of(op):
            _clone(operand, mapping)
        copy = op.clone(InsertionPoint.current)
        remap(copy, mapping)
        for old, new in zip(op.results, copy.results, strict=True):
            mapping[old] = new
    return mapping[value]
