"""What a layer's scalar code computes, for many inputs at once: numpy in the place of registers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from lowtide.graph.nest import Filled, Node, Reshaped, Sliced, Structured
from lowtide.ir import IntegerAttr, IntegerType, Operation, Type, Value
from lowtide.kernels.neutral import constant_of

Integers = npt.NDArray[np.int64]
"""Values of any width up to 64 bits, with their sign."""
_LONG = 64

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


def tabulated(node: Node, given: Mapping[Node, Integers]) -> Integers | None:
    """An element of the node, for the elements that it is made from.

    Args:
        node: no reduction and no pad is between it and what is given.
        given: of the nodes that are known the values, of shapes that broadcast.

    Returns:
        int64 in the shape that they broadcast to; None where there is something else in the code than arithmetic of
        integers.
    """
    if node in given:
        return given[node]
    match node:
        case Filled():
            constant = None if node.scalar is None else constant_of(node.scalar)
            return np.array(constant, np.int64) if isinstance(constant, int) else None
        case Sliced() | Reshaped():
            return tabulated(node.source, given)
        case Structured() if not node.is_reduction:
            return _of_region(node, given)
        case _:
            return None


def _of_region(node: Structured, given: Mapping[Node, Integers]) -> Integers | None:
    block = node.op.regions[0].blocks[0]
    known: dict[Value, Integers] = {}
    for argument, source in zip(block.arguments, (*node.inputs, node.init), strict=True):
        if next(iter(argument.uses), None) is not None:
            found = tabulated(source, given)
            if found is None:
                return None
            known[argument] = found
    for view in block.operations:
        op = view.operation
        if op.name == "linalg.yield":
            return _value(op.operands[0], known)
        if op.name == "arith.constant":
            continue
        operands = [found for found in (_value(operand, known) for operand in op.operands) if found is not None]
        made = _calculated(op, operands) if len(operands) == len(op.operands) else None
        if made is None:
            return None
        known[op.results[0]] = made
    return None


def _value(value: Value, known: Mapping[Value, Integers]) -> Integers | None:
    if value in known:
        return known[value]
    constant = constant_of(value)
    return np.array(constant, np.int64) if isinstance(constant, int) else None


def _calculated(op: Operation, operands: Sequence[Integers]) -> Integers | None:
    widths = [_width(value.type) for value in (*op.results, *op.operands)]
    width, source = widths[0], widths[-1]
    if width is None or source is None or not operands:
        return None
    if op.name in _BINARY:
        return _wrapped(_BINARY[op.name](*operands), width)
    if op.name in ("arith.extsi", "arith.trunci"):
        return _wrapped(operands[0], width)
    if op.name == "arith.extui" and source < _LONG:
        return operands[0] & ((1 << source) - 1)
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


def _wrapped(x: Integers, width: int) -> Integers:
    """The low bits, with the sign that the highest of them says."""
    left = np.int64(_LONG - width)
    return (x << left) >> left


def _width(kind: Type) -> int | None:
    return kind.width if isinstance(kind, IntegerType) and kind.width <= _LONG else None
