"""What a layer's scalar code computes, for many inputs at once: numpy in the place of registers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lowtide.arithmetic import Integers, calculated
from lowtide.graph.nest import Filled, Node, Reshaped, Sliced, Structured
from lowtide.ir import Value
from lowtide.kernels.neutral import constant_of
from lowtide.kernels.values import is_used


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
    known: dict[Value, Integers] = {}
    for argument, source in zip(node.block.arguments, (*node.inputs, node.init), strict=True):
        if is_used(argument):
            found = tabulated(source, given)
            if found is None:
                return None
            known[argument] = found
    for view in node.block.operations:
        op = view.operation
        if op.name == "linalg.yield":
            return _value(op.operands[0], known)
        if op.name == "arith.constant":
            continue
        operands = [found for found in (_value(operand, known) for operand in op.operands) if found is not None]
        made = calculated(op, operands) if len(operands) == len(op.operands) else None
        if made is None:
            return None
        known[op.results[0]] = made
    return None


def _value(value: Value, known: Mapping[Value, Integers]) -> Integers | None:
    if value in known:
        return known[value]
    constant = constant_of(value)
    return np.array(constant, np.int64) if isinstance(constant, int) else None
