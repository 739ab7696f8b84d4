"""Building blocks of kernels: index arithmetic and copies of scalar regions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from lowtide.errors import InternalError
from lowtide.graph.linear import Linear, Var
from lowtide.ir import (
    Block,
    IndexType,
    InsertionPoint,
    Operation,
    OpResult,
    Value,
    arith,
)


def index_constant(value: int) -> Value:
    """An `index` constant at the current insertion point."""
    return arith.constant(IndexType.get(), value)


class Indices:
    """Turns linear expressions into `index` values at the current insertion point."""

    def __init__(self) -> None:
        self._values: dict[Var, Value] = {}

    def bind(self, var: Var, value: Value) -> None:
        """Give a loop variable its SSA value."""
        self._values[var] = value

    def is_bound(self, var: Var) -> bool:
        """True once the variable's loop is open."""
        return var in self._values

    def value(self, expression: Linear) -> Value:
        """The expression as an `index` value; every variable must be bound."""
        total: Value | None = None
        for var, coefficient in expression.terms:
            term = self._values[var]
            if coefficient != 1:
                term = arith.muli(term, index_constant(coefficient))
            total = term if total is None else arith.addi(total, term)
        if total is None:
            return index_constant(expression.const)
        if expression.const:
            total = arith.addi(total, index_constant(expression.const))
        return total


def clamped(value: Value, extent: int) -> Value:
    """`value` limited to 0 … extent − 1, so that no data can make a table look-up leave its table."""
    upper = arith.minsi(value, index_constant(extent - 1))
    return arith.maxsi(upper, index_constant(0))


SpecialOps = Mapping[str, Callable[[Operation, Sequence[Value]], Value]]


def clone_region(
    block: Block, arguments: Sequence[Value], captured: Callable[[Value], Value], special: SpecialOps
) -> list[Value]:
    """Copy the scalar code of a structured op to the current insertion point.

    Args:
        block: the region's only block.
        arguments: replaces the block's arguments.
        captured: gives the replacement of a value defined outside the block.
        special: by op name, code to emit in place of the op (for `linalg.index`, `tensor.extract`).

    Returns:
        what the block yields.
    """
    mapping: dict[Value, Value] = dict(zip(block.arguments, arguments, strict=True))

    def mapped(value: Value) -> Value:
        if value not in mapping:
            mapping[value] = captured(value)
        return mapping[value]

    for view in block.operations:
        op = view.operation
        if op.name == "linalg.yield":
            return [mapped(operand) for operand in op.operands]
        if op.name in special:
            mapping[op.results[0]] = special[op.name](op, [mapped(operand) for operand in op.operands])
            continue
        if len(op.regions) != 0:
            raise InternalError("kernels", f"scalar code with a nested region: '{op.name}'", where=str(op.location))
        operands = [mapped(operand) for operand in op.operands]
        copy = op.clone(InsertionPoint.current)
        for position, operand in enumerate(operands):
            copy.operands[position] = operand
        for old, new in zip(op.results, copy.results, strict=True):
            mapping[old] = new
    raise InternalError("kernels", "a structured op without a yield")


def clone_constant(value: Value) -> Value:
    """Copy the `arith.constant` that defines `value` to the current insertion point."""
    op = value.owner.operation if isinstance(value, OpResult) else None
    if op is None or op.name != "arith.constant":
        raise InternalError("kernels", "scalar code reads a value that is neither a constant nor an argument")
    return op.clone(InsertionPoint.current).results[0]
