"""Does a padded element change a reduction? If not, its loop iterations can be left out (clamped bounds).

The scalar region is interpreted over three kinds of abstract value: a known number, the accumulator itself, and
anything else. The pad value is neutral where the region then yields the accumulator unchanged.
"""

from __future__ import annotations

from typing import Literal

from lowtide.graph.nest import Filled, Structured
from lowtide.ir import DenseElementsAttr, FloatAttr, IntegerAttr, Operation, OpResult, Value

Number = int | float
Abstract = Number | Literal["accumulator"] | None

_UNARY = {"arith.extsi", "arith.sitofp", "arith.extf", "arith.index_cast"}


def constant_of(value: Value) -> Number | None:
    """The number that an `arith.constant` scalar (or splat) holds; None for anything else."""
    op = value.owner.operation if isinstance(value, OpResult) else None
    if op is None or op.name != "arith.constant":
        return None
    attribute = op.attributes["value"]
    if isinstance(attribute, DenseElementsAttr):
        attribute = DenseElementsAttr(attribute).get_splat_value()
    if isinstance(attribute, IntegerAttr):
        return attribute.value
    return attribute.value if isinstance(attribute, FloatAttr) else None


def pad_is_neutral(node: Structured, position: int, pad: Value) -> bool:
    """True where input `position` being the scalar `pad` leaves the reduction's accumulator as it is."""
    block = node.op.regions[0].blocks[0]
    values: dict[Value, Abstract] = {argument: None for argument in block.arguments}
    values[block.arguments[position]] = constant_of(pad)
    values[block.arguments[len(block.arguments) - 1]] = "accumulator"
    start = constant_of(node.init.scalar) if isinstance(node.init, Filled) and node.init.scalar is not None else None
    for view in block.operations:
        op = view.operation
        operands = [values[v] if v in values else constant_of(v) for v in op.operands]
        if op.name == "linalg.yield":
            return operands == ["accumulator"]
        values[op.results[0]] = _interpret(op, operands, start)
    return False


def _interpret(op: Operation, operands: list[Abstract], start: Number | None) -> Abstract:
    if op.name in _UNARY:
        return operands[0]
    if len(operands) != 2:
        return None
    left, right = operands
    numbers = [value for value in operands if isinstance(value, (int, float))]
    has_accumulator = "accumulator" in operands
    match op.name:
        case "arith.muli" | "arith.mulf" if 0 in numbers:
            return 0
        case "arith.addi" | "arith.addf" if has_accumulator:
            return "accumulator" if numbers and numbers[0] == 0 else None
        case "arith.maxsi" | "arith.maximumf" if has_accumulator and numbers and start is not None:
            return "accumulator" if numbers[0] <= start else None
        case "arith.minsi" | "arith.minimumf" if has_accumulator and numbers and start is not None:
            return "accumulator" if numbers[0] >= start else None
        case "arith.addi" | "arith.addf" if len(numbers) == 2:
            return numbers[0] + numbers[1]
        case "arith.subi" | "arith.subf" if isinstance(left, (int, float)) and isinstance(right, (int, float)):
            return left - right
        case "arith.muli" | "arith.mulf" if len(numbers) == 2:
            return numbers[0] * numbers[1]
        case _:
            return None
