"""Sees to it that what must be a buffer of its own can be one, by copies that are layers.

A network's results must be written by layers: an input or a constant that is returned is copied. What a concat writes a
part of must be free to be written: a tensor that others still read, an input, a constant are copied.
"""

from __future__ import annotations

from lowtide.ir import Block, InsertionPoint, Operation, RankedTensorType, Value, linalg, tensor
from lowtide.normalise.analysis import Role, defining, role_of


def separate(block: Block) -> None:
    """Insert the copies into a network's block; what the network computes stays the same."""
    for op in [view.operation for view in block.operations]:
        # writing a part in place would destroy what others still read of the tensor
        if role_of(op) is Role.INSERT and not _is_free(op.operands[1]):
            op.operands[1] = _copy(op, op.operands[1])
        if op.name == "func.return":
            for position, operand in enumerate(op.operands):
                if not _is_computed(operand):
                    op.operands[position] = _copy(op, operand)


def _is_free(destination: Value) -> bool:
    """True where a layer may write into the tensor: it is new, and this is its only use."""
    op = defining(destination)
    if op is None or role_of(op) in (Role.CONSTANT, Role.RESHAPE):
        return False
    return role_of(op) is Role.EMPTY or len(list(destination.uses)) == 1


def _is_computed(value: Value) -> bool:
    """True for what a layer writes, or a view of it."""
    op = defining(value)
    if op is None or role_of(op) is Role.CONSTANT:
        return False
    return role_of(op) is not Role.RESHAPE or _is_computed(op.operands[0])


def _copy(before: Operation, value: Value) -> Value:
    kind = RankedTensorType(value.type)
    with before.location, InsertionPoint(before):
        return linalg.copy(value, outs=[tensor.empty(kind.shape, kind.element_type)])
