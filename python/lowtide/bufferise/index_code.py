"""Evaluates the index arithmetic of fused loops, which depends on nothing but the loops' own variables."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lowtide.errors import InternalError
from lowtide.ir import IntegerAttr, Operation, Value
from lowtide.normalise.analysis import defining

_ARITHMETIC: dict[str, Callable[[int, int], int]] = {
    "arith.addi": int.__add__,
    "arith.subi": int.__sub__,
    "arith.muli": int.__mul__,
    "arith.divui": int.__floordiv__,
    "arith.maxsi": max,
    "arith.minsi": min,
}


def iterations(loop: Operation) -> range:
    """The values that an `scf.for` with constant bounds goes through."""
    low, high, step = (evaluate(operand, {}) for operand in list(loop.operands)[:3])
    return range(low, high, step)


def evaluate(value: Value, variables: Mapping[Value, int]) -> int:
    """An index of a fused loop: constants, the loop's variable, sums, products, quotients, minima and maxima.

    Args:
        value: of type index.
        variables: what the loops' variables are.

    Raises:
        InternalError: it depends on something else.
    """
    if value in variables:
        return variables[value]
    op = defining(value)
    if op is not None and op.name == "arith.constant":
        return IntegerAttr(op.attributes["value"]).value
    if op is None or op.name not in _ARITHMETIC:
        place = str(value.owner) if op is None else op.name
        raise InternalError("allocate", f"rows of a fused loop that are not known when it is compiled: '{place}'")
    left, right = (evaluate(operand, variables) for operand in op.operands)
    return _ARITHMETIC[op.name](left, right)
