"""What integer operations of scalar code compute, for many inputs at once: numpy in the place of registers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from lowtide.ir import IndexType, IntegerAttr, IntegerType, Operation, Type

Integers = npt.NDArray[np.int64]
"""Values of any width up to 64 bits, with their sign."""
_LONG = 64
_INDEX = 32
"""Bits of an index on the cores that lowtide compiles for; the host's has more, which only overflows tell apart."""

_BINARY: Mapping[str, Callable[[Integers, Integers], Integers]] = {
    "arith.addi": np.add,
    "arith.subi": np.subtract,
    "arith.muli": np.multiply,
    "arith.minsi": np.minimum,
    "arith.maxsi": np.maximum,
    "arith.andi": np.bitwise_and,
    "arith.ori": np.bitwise_or,
    "arith.xori": np.bitwise_xor,
}
_SIGNED: tuple[Callable[[Integers, Integers], npt.NDArray[np.bool_]], ...] = (
    np.equal,
    np.not_equal,
    np.less,
    np.less_equal,
    np.greater,
    np.greater_equal,
)
"""By the number of `arith.cmpi`'s predicate; those without sign are not taken."""
DIVISIONS = frozenset(
    f"arith.{name}" for name in ("divui", "divsi", "remui", "remsi", "ceildivui", "ceildivsi", "floordivsi")
)


def calculated(op: Operation, operands: Sequence[Integers]) -> Integers | None:
    """The result of an integer operation, wrapped to its width.

    Args:
        op: the operation; its attributes count.
        operands: the values of its operands, of shapes that broadcast.

    Returns:
        None where the operation is not known, or has no value for some of the operands: a division by zero, a shift
        by its width and more, an index that leaves 32 bits.
    """
    widths = [_width(value.type) for value in (*op.results, *op.operands)]
    width, source = widths[0], widths[-1]
    if width is None or source is None or not operands:
        return None
    made = _result(op, operands, width, source)
    if made is None or not isinstance(op.results[0].type, IndexType):
        return made
    limit = 1 << (_INDEX - 1)
    return made if made.size == 0 or (made.min() >= -limit and made.max() < limit) else None


def _result(op: Operation, operands: Sequence[Integers], width: int, source: int) -> Integers | None:
    if op.name in _BINARY:
        return _wrapped(_BINARY[op.name](*operands), width)
    if op.name in ("arith.extsi", "arith.trunci", "arith.index_cast"):
        return _wrapped(operands[0], width)
    if op.name in ("arith.extui", "arith.index_castui") and source < _LONG:
        return operands[0] & ((1 << source) - 1)
    if op.name == "math.ctlz":
        return _leading_zeros(operands[0], width)
    if op.name in DIVISIONS:
        return _divided(op.name, operands, width)
    return _compared(op, operands) if op.name in ("arith.cmpi", "arith.select") else _shifted(op.name, operands, width)


def _compared(op: Operation, operands: Sequence[Integers]) -> Integers | None:
    if op.name == "arith.select":
        return np.where(operands[0] != 0, operands[1], operands[2])
    predicate = IntegerAttr(op.attributes["predicate"]).value
    return -_SIGNED[predicate](*operands).astype(np.int64) if predicate < len(_SIGNED) else None


def _shifted(name: str, operands: Sequence[Integers], width: int) -> Integers | None:
    if name not in ("arith.shli", "arith.shrsi", "arith.shrui"):
        return None
    x, amount = operands
    if amount.min() < 0 or amount.max() >= width:
        return None
    if name == "arith.shrsi":
        return x >> amount
    if name == "arith.shli":
        return _wrapped(x << amount, width)
    unsigned = x.astype(np.uint64) & np.uint64((1 << width) - 1)
    return _wrapped((unsigned >> amount.astype(np.uint64)).astype(np.int64), width)


def _leading_zeros(x: Integers, width: int) -> Integers:
    """How many of the highest bits are 0."""
    count, rest = np.full(x.shape, width, np.int64), x.astype(np.uint64) & np.uint64((1 << width) - 1)
    while rest.any():
        count -= (rest != 0).astype(np.int64)
        rest = rest >> np.uint64(1)
    return count


def _divided(name: str, operands: Sequence[Integers], width: int) -> Integers | None:
    """Quotients and remainders of numbers that are not negative: there all ways to round towards a side are two."""
    x, y = np.broadcast_arrays(*operands)
    if not x.size or x.min() < 0 or y.min() <= 0:
        return None
    if "rem" in name:
        return x % y
    return _wrapped(-(-x // y) if "ceil" in name else x // y, width)


def _wrapped(x: Integers, width: int) -> Integers:
    """The low bits, with the sign that the highest of them says."""
    left = np.int64(_LONG - width)
    return (x << left) >> left


def _width(kind: Type) -> int | None:
    if isinstance(kind, IndexType):
        return _LONG
    return kind.width if isinstance(kind, IntegerType) and kind.width <= _LONG else None
