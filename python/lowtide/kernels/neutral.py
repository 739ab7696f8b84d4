"""Does a padded element change a reduction? If not, its loop iterations can be left out (clamped bounds).

The scalar region is interpreted over three kinds of abstract value: a known number, the accumulator itself, and
anything else. The pad value is neutral where the region then yields the accumulator unchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from lowtide.graph.nest import Filled, Structured
from lowtide.ir import DenseElementsAttr, FloatAttr, IntegerAttr, IntegerType, Operation, Value
from lowtide.kernels.values import made_by

Number = int | float
Abstract = Number | Literal["accumulator"] | None

_UNARY = {"arith.extsi", "arith.sitofp", "arith.extf", "arith.index_cast"}


def constant_of(value: Value) -> Number | None:
    """The number that an `arith.constant` scalar (or splat) holds; None for anything else."""
    op = made_by(value, "arith.constant")
    if op is None:
        return None
    attribute = op.attributes["value"]
    if isinstance(attribute, DenseElementsAttr) and attribute.is_splat:
        attribute = attribute.get_splat_value()
    return attribute.value if isinstance(attribute, IntegerAttr | FloatAttr) else None


def pad_is_neutral(node: Structured, position: int, pad: Value) -> bool:
    """True where input `position` being the scalar `pad` leaves the reduction's accumulator as it is."""
    arguments = list(node.block.arguments)
    values: dict[Value, Abstract] = dict.fromkeys(arguments)
    values[arguments[position]] = constant_of(pad)
    values[arguments[-1]] = "accumulator"
    start, yielded = _start(node), node.yielded
    for op in [view.operation for view in node.block.operations][:-1]:
        if op.name == "arith.constant":
            continue
        operands: list[Abstract] = [values[v] if v in values else constant_of(v) for v in op.operands]
        # Only an accumulator that is a running maximum or minimum and nothing else stays on its side of the start.
        values[op.results[0]] = _interpret(op, operands, start if op.results[0] == yielded else None)
    return values.get(yielded) == "accumulator"


def _start(node: Structured) -> Number | None:
    """What the accumulator starts from, if that is known."""
    if not isinstance(node.init, Filled):
        return None
    scalar = node.init.scalar if node.init.splat is None else node.init.splat.results[0]
    return constant_of(scalar) if scalar is not None else None


def _interpret(op: Operation, operands: Sequence[Abstract], start: Number | None) -> Abstract:
    if op.name in _UNARY:
        return operands[0]
    if len(operands) != 2:
        return None
    numbers = [value for value in operands if isinstance(value, int | float)]
    if "accumulator" in operands:
        return "accumulator" if len(numbers) == 1 and _keeps(op.name, numbers[0], start) else None
    return _calculate(op, numbers)


def _keeps(name: str, number: Number, start: Number | None) -> bool:
    """True where the operation on an accumulator and `number` gives the accumulator."""
    match name:
        case "arith.addi" | "arith.addf":
            return number == 0
        case "arith.maxsi" | "arith.maximumf":
            return start is not None and number <= start
        case "arith.minsi" | "arith.minimumf":
            return start is not None and number >= start
        case _:
            return False


def _calculate(op: Operation, numbers: Sequence[Number]) -> Number | None:
    if op.name in ("arith.muli", "arith.mulf") and 0 in numbers:
        return 0
    if len(numbers) != 2:
        return None
    left, right = numbers
    match op.name:
        case "arith.addi" | "arith.addf":
            result = left + right
        case "arith.subi" | "arith.subf":
            result = left - right
        case "arith.muli" | "arith.mulf":
            result = left * right
        case _:
            return None
    return result if _fits(op, result) else None


def _fits(op: Operation, number: Number) -> bool:
    """False where the operation would have wrapped around."""
    kind = op.results[0].type
    return not isinstance(kind, IntegerType) or -(1 << (kind.width - 1)) <= number < 1 << (kind.width - 1)
