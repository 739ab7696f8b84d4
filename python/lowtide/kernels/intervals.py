"""Between which values the integers of a layer lie, from what its constants hold; what makes cheaper code exact."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from lowtide.graph.nest import Filled, LayerBody, Node, Operand, Padded, Reshaped, Sliced, Structured, Undefined
from lowtide.ir import DenseElementsAttr, IntegerType, Operation, RankedTensorType, Type, Value
from lowtide.kernels.neutral import constant_of

Interval = tuple[int, int]
"""Least and greatest value, both included."""


class Intervals:
    """The intervals of a layer's values.

    Args:
        body: the layer.
        constants: of the tensor arguments whose values are known.
    """

    def __init__(self, body: LayerBody, constants: Mapping[int, Interval]) -> None:
        self._arguments = body.arguments
        self._constants = constants
        self._nodes: dict[Node, Interval | None] = {}

    def of_block(self, node: Structured) -> dict[Value, Interval]:
        """The intervals of all integers in the node's scalar code, over all of its iterations."""
        known = self._of_inputs(node)
        start = self._accumulator(node) if node.is_reduction else self.of_node(node.init)
        if start is not None:
            known[list(node.block.arguments)[-1]] = start
        for view in node.block.operations:
            _interpret(view.operation, known)
        return known

    def _of_inputs(self, node: Structured) -> dict[Value, Interval]:
        """What is known of the arguments of the scalar code that stand for inputs."""
        found = ((a, self.of_node(source)) for a, source in zip(node.block.arguments, node.inputs, strict=False))
        return {argument: interval for argument, interval in found if interval is not None}

    def of_node(self, node: Node) -> Interval | None:
        """The interval of a tensor's integers; None for floats and for what nobody wrote."""
        if node not in self._nodes:
            self._nodes[node] = self._of_node(node)
        return self._nodes[node]

    def _of_node(self, node: Node) -> Interval | None:
        match node:
            case Operand():
                width = _width(RankedTensorType(self._arguments[node.argument]).element_type)
                found = self._constants.get(node.argument, None if width is None else full(width))
            case Filled():
                found = _filled(node)
            case Padded():
                pad, source = constant_of(node.scalar), self.of_node(node.source)
                found = hull(source, (pad, pad)) if isinstance(pad, int) and source is not None else None
            case Sliced() | Reshaped():
                found = self.of_node(node.source)
            case Structured() if node.is_reduction:
                found = self._accumulator(node)
            case Structured():
                found = self.of_block(node).get(node.yielded)
            case Undefined():
                found = None
        return found

    def _accumulator(self, node: Structured) -> Interval | None:
        """The interval of a sum, from what it starts from and adds; all its type holds for any other reduction."""
        width = _width(RankedTensorType(node.op.results[0].type).element_type)
        if width is None:
            return None
        start, step = self.of_node(node.init), self._step(node)
        if start is None or step is None:
            return full(width)
        extents = zip(node.extents, node.kinds, strict=True)
        count = math.prod(extent for extent, kind in extents if kind == "reduction")
        total = start[0] + count * min(step[0], 0), start[1] + count * max(step[1], 0)
        return total if _within(total, full(width)) else full(width)

    def _step(self, node: Structured) -> Interval | None:
        """The interval of what an iteration of a sum adds; None where the reduction is no sum."""
        total, known = list(node.block.arguments)[-1], self._of_inputs(node)
        for view in node.block.operations:
            op = view.operation
            if len(op.results) == 1 and op.results[0] == node.yielded:
                others = [operand for operand in op.operands if operand != total]
                return known.get(others[0]) if op.name == "arith.addi" and len(others) == 1 else None
            _interpret(op, known)
        return None


def full(width: int) -> Interval:
    """All values of a signed integer."""
    return -(1 << (width - 1)), (1 << (width - 1)) - 1


def hull(left: Interval, right: Interval) -> Interval:
    """The least interval that has both."""
    return min(left[0], right[0]), max(left[1], right[1])


def filled_with(node: Filled) -> int | None:
    """The integer that all elements are; None for floats."""
    value = None if node.scalar is None else constant_of(node.scalar)
    if node.splat is not None:
        splat = DenseElementsAttr(node.splat.attributes["value"]).get_splat_value()
        value = getattr(splat, "value", None)
    return value if isinstance(value, int) else None


def _filled(node: Filled) -> Interval | None:
    value = filled_with(node)
    return None if value is None else (value, value)


def _width(kind: Type) -> int | None:
    return kind.width if isinstance(kind, IntegerType) else None


def _within(inner: Interval, outer: Interval) -> bool:
    return outer[0] <= inner[0] and inner[1] <= outer[1]


def _corners(function: Callable[[int, int], int]) -> Callable[[Interval, Interval], Interval]:
    """The interval of a function that is monotone in each of its arguments: its extremes are at the ends of theirs."""

    def interval(left: Interval, right: Interval) -> Interval:
        values = [function(a, b) for a in left for b in right]
        return min(values), max(values)

    return interval


_BINARY: Mapping[str, Callable[[Interval, Interval], Interval]] = {
    "arith.addi": lambda a, b: (a[0] + b[0], a[1] + b[1]),
    "arith.subi": lambda a, b: (a[0] - b[1], a[1] - b[0]),
    "arith.muli": _corners(lambda a, b: a * b),
    "arith.maxsi": lambda a, b: (max(a[0], b[0]), max(a[1], b[1])),
    "arith.minsi": lambda a, b: (min(a[0], b[0]), min(a[1], b[1])),
}
_SHIFTS: Mapping[str, Callable[[Interval, Interval], Interval]] = {
    "arith.shli": _corners(lambda a, b: a << b),
    "arith.shrsi": _corners(lambda a, b: a >> b),
}


def _interpret(op: Operation, known: dict[Value, Interval]) -> None:
    """Add the interval of the operation's result, that of its type where no rule says more."""
    if len(op.results) != 1 or not isinstance(op.results[0].type, IntegerType):
        return
    width = op.results[0].type.width
    operands = [_operand(operand, known) for operand in op.operands]
    found = _calculate(op, [o for o in operands if o is not None]) if None not in operands else None
    known[op.results[0]] = found if found is not None and _within(found, full(width)) else full(width)


def _operand(value: Value, known: Mapping[Value, Interval]) -> Interval | None:
    if value in known:
        return known[value]
    constant = constant_of(value)
    if isinstance(constant, int):
        return constant, constant
    return full(value.type.width) if isinstance(value.type, IntegerType) else None


def _calculate(op: Operation, operands: list[Interval]) -> Interval | None:
    match op.name:
        case "arith.extsi" | "arith.trunci":
            return operands[0]
        case "arith.extui":
            kind = op.operands[0].type
            assert isinstance(kind, IntegerType)
            return operands[0] if operands[0][0] >= 0 else (0, (1 << kind.width) - 1)
        case "arith.select":
            return hull(operands[1], operands[2])
        case name if name in _BINARY:
            return _BINARY[name](*operands)
        case name if name in _SHIFTS and operands[1][0] >= 0 and operands[1][1] < 64:
            return _SHIFTS[name](*operands)
        case _:
            return None
