"""What the integer operations of arith compute: the one table of it, for many inputs at once in arrays of numpy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from lowtide.ir import IndexType, IntegerAttr, IntegerType, Operation, Type

Integers = npt.NDArray[np.int64]
"""Values of any width up to 64 bits, with their sign."""
_LONG = 64
_INDEX = 32
"""Bits of an index on the cores that lowtide compiles for; the host's has more, which only overflows tell apart."""

_Array = npt.NDArray[Any]
_Rule = Callable[[Sequence[Integers], int, int], Integers | None]
"""Computes a result from the operands, the width of the result and that of the last operand, or gives None."""


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
    is_comparison = op.name == "arith.cmpi"
    rule = _COMPARISONS[IntegerAttr(op.attributes["predicate"]).value] if is_comparison else _RULES.get(op.name)
    if width is None or source is None or rule is None:
        return None
    made = rule(operands, width, source)
    if made is None or not isinstance(op.results[0].type, IndexType):
        return made
    limit = 1 << (_INDEX - 1)
    return made if made.size == 0 or (made.min() >= -limit and made.max() < limit) else None


def _width(kind: Type) -> int | None:
    if isinstance(kind, IndexType):
        return _LONG
    return kind.width if isinstance(kind, IntegerType) and kind.width <= _LONG else None


def _bits(x: Integers, width: int) -> npt.NDArray[np.uint64]:
    """The low bits, as a number without sign."""
    return x.astype(np.uint64) & np.uint64((1 << width) - 1)


def _wrapped(x: _Array, width: int) -> Integers:
    """The low bits, with the sign that the highest of them says."""
    left = np.int64(_LONG - width)
    return (x.astype(np.int64) << left) >> left


def _signed(function: Callable[..., _Array]) -> _Rule:
    return lambda operands, width, _: _wrapped(function(*operands), width)


def _unsigned(function: Callable[..., _Array]) -> _Rule:
    return lambda operands, width, source: _wrapped(function(*(_bits(x, source) for x in operands)), width)


def _shift(function: Callable[..., _Array], *, signed: bool = True) -> _Rule:
    def rule(operands: Sequence[Integers], width: int, _: int) -> Integers | None:
        x, amount = operands
        if amount.min() < 0 or amount.max() >= width:
            return None
        return _wrapped(function(x, amount) if signed else function(_bits(x, width), _bits(amount, width)), width)

    return rule


def _division(function: Callable[[_Array, _Array], _Array], *, signed: bool = True) -> _Rule:
    def rule(operands: Sequence[Integers], width: int, _: int) -> Integers | None:
        x, y = np.broadcast_arrays(*operands)
        overflows = signed and bool(((x == -1 << (width - 1)) & (y == -1)).any())
        if not x.size or not y.all() or overflows:
            return None
        return _wrapped(function(x, y) if signed else function(_bits(x, width), _bits(y, width)), width)

    return rule


def _towards_zero(x: _Array, y: _Array) -> _Array:
    return x // y + ((x % y != 0) & ((x < 0) != (y < 0)))


def _upwards(x: _Array, y: _Array) -> _Array:
    return x // y + (x % y != 0)


def _leading_zeros(operands: Sequence[Integers], width: int, _: int) -> Integers:
    """How many of the highest bits are 0."""
    count, rest = np.full(operands[0].shape, width, np.int64), _bits(operands[0], width)
    while rest.any():
        count -= (rest != 0).astype(np.int64)
        rest = rest >> np.uint64(1)
    return count


_DIVISIONS: Mapping[str, _Rule] = {
    "arith.divui": _division(np.floor_divide, signed=False),
    "arith.divsi": _division(_towards_zero),
    "arith.remui": _division(np.remainder, signed=False),
    "arith.remsi": _division(np.fmod),
    "arith.ceildivui": _division(_upwards, signed=False),
    "arith.ceildivsi": _division(_upwards),
    "arith.floordivsi": _division(np.floor_divide),
}
DIVISIONS = frozenset(_DIVISIONS)
_RULES: Mapping[str, _Rule] = {
    "arith.addi": _signed(np.add),
    "arith.subi": _signed(np.subtract),
    "arith.muli": _signed(np.multiply),
    "arith.minsi": _signed(np.minimum),
    "arith.maxsi": _signed(np.maximum),
    "arith.minui": _unsigned(np.minimum),
    "arith.maxui": _unsigned(np.maximum),
    "arith.andi": _signed(np.bitwise_and),
    "arith.ori": _signed(np.bitwise_or),
    "arith.xori": _signed(np.bitwise_xor),
    "arith.shli": _shift(np.left_shift),
    "arith.shrsi": _shift(np.right_shift),
    "arith.shrui": _shift(np.right_shift, signed=False),
    **dict.fromkeys(("arith.extsi", "arith.trunci", "arith.index_cast"), _signed(np.positive)),
    **dict.fromkeys(("arith.extui", "arith.index_castui"), _unsigned(np.positive)),
    "arith.select": lambda operands, _width, _source: np.where(operands[0] != 0, operands[1], operands[2]),
    "math.ctlz": _leading_zeros,
    **_DIVISIONS,
}
_COMPARISONS: Sequence[_Rule] = (
    _signed(np.equal),
    _signed(np.not_equal),
    _signed(np.less),
    _signed(np.less_equal),
    _signed(np.greater),
    _signed(np.greater_equal),
    _unsigned(np.less),
    _unsigned(np.less_equal),
    _unsigned(np.greater),
    _unsigned(np.greater_equal),
)
"""The comparisons by the number of `arith.cmpi`'s predicate."""
