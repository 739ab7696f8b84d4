"""Constants, extensions and the operations behind values: what all kernels write their code with."""

from __future__ import annotations

from lowtide.ir import DenseElementsAttr, IndexType, IntegerAttr, IntegerType, Operation, Type, Value, VectorType, arith
from lowtide.normalise.analysis import defining


def index_constant(value: int) -> Value:
    """An `index` constant at the current insertion point."""
    return arith.constant(IndexType.get(), value)


def word(value: int) -> Value:
    """A constant of 32 bits."""
    return arith.constant(IntegerType.get_signless(32), value)


def splat(value: int, kind: VectorType) -> Value:
    """A vector of that type whose lanes all are one constant."""
    return arith.constant(kind, DenseElementsAttr.get_splat(kind, IntegerAttr.get(kind.element_type, value)))


def widened(value: Value, kind: Type, *, signed: bool) -> Value:
    """An integer, or each lane of a vector, extended to that type with its sign or with zeros."""
    return (arith.extsi if signed else arith.extui)(kind, value)


def made_by(value: Value, name: str) -> Operation | None:
    """The operation that makes a value, if it is one of that name."""
    op = defining(value)
    return op if op is not None and op.name == name else None


def is_used(value: Value) -> bool:
    """Whether any operation takes the value."""
    return next(iter(value.uses), None) is not None
