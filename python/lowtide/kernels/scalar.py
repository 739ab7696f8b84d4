"""Building blocks of kernels: index arithmetic and copies of scalar regions."""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager

from lowtide.errors import InternalError
from lowtide.indexing.linear import Linear, Var
from lowtide.ir import Block, InsertionPoint, Operation, Value, arith, llvm, scf
from lowtide.kernels.rescale import Ready, Rescale, emit_rescale
from lowtide.kernels.values import index_constant, made_by


@contextmanager
def counted(low: Value, high: Value, step: int = 1) -> Generator[Value]:
    """A loop at the current insertion point that carries nothing: what is emitted inside `with` is its body.

    Yields the loop's variable.
    """
    loop = scf.ForOp(low, high, index_constant(step))
    with InsertionPoint(loop.body):
        yield loop.induction_variable
        scf.YieldOp([])


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
        terms = [self._term(var, coefficient) for var, coefficient in expression.terms]
        if expression.const or not terms:
            terms.append(index_constant(expression.const))
        return functools.reduce(arith.addi, terms)

    def _term(self, var: Var, coefficient: int) -> Value:
        value = self._values[var]
        return value if coefficient == 1 else arith.muli(value, index_constant(coefficient))


def settled(value: Value) -> Value:
    """The value, about which the compiler knows nothing, so that it does not rearrange what it is used in.

    It would add up products first, and run out of registers. It is no instruction.
    """
    return llvm.InlineAsmOp(value.type, [value], "", "=r,0").results[0]


def clamped(value: Value, extent: int) -> Value:
    """`value` limited to 0 … extent − 1, so that no data can make a table look-up leave its table."""
    upper = arith.minsi(value, index_constant(extent - 1))
    return arith.maxsi(upper, index_constant(0))


SpecialOp = Callable[[Operation, Sequence[Value]], Value]
"""Code to emit in place of an operation, from it and its operands as they have become."""


def clone_region(
    block: Block,
    arguments: Sequence[Value],
    captured: Callable[[Value], Value],
    special: Mapping[str, SpecialOp],
    cheaper: Mapping[Operation, Rescale],
    *,
    bare: bool = False,
    ready: Callable[[Rescale], Ready | None] = lambda _: None,
) -> list[Value]:
    """Copy the scalar code of a structured op to the current insertion point.

    Args:
        block: the region's only block.
        arguments: replaces the block's arguments.
        captured: gives the replacement of a value defined outside the block.
        special: by op name, code to emit in place of the op (for `linalg.index`, `tensor.extract`).
        cheaper: by its last op, a rescale to emit in its cheap form.
        bare: see `emit_rescale`.
        ready: gives what it takes of a table.

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
        if op in cheaper:
            mapping[op.results[0]] = emit_rescale(cheaper[op], mapped, bare=bare, ready=ready(cheaper[op]))
            continue
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
    op = made_by(value, "arith.constant")
    if op is None:
        raise InternalError("kernels", "scalar code reads a value that is neither a constant nor an argument")
    return op.clone(InsertionPoint.current).results[0]
