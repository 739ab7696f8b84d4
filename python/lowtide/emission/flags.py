"""Buffers of flags (`i1`) as buffers of bytes: IREE packs flags into bits, a network's tensors hold one in a byte.

Whatever is not zero is true when it is read, and true is written as 1.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lowtide.ir import (
    DenseElementsAttr,
    FunctionType,
    InsertionPoint,
    IntegerAttr,
    IntegerType,
    MemRefType,
    Module,
    Operation,
    RankedTensorType,
    Type,
    TypeAttr,
    Value,
    arith,
    func,
)
from lowtide.normalise.analysis import operations_in


def widen_flags(module: Module) -> None:
    """Retype every buffer of flags in place, and convert what is loaded and stored."""
    for view in module.body.operations:
        if view.operation.name == "memref.global":
            _widen_constant(view.operation)
        if isinstance(view, func.FuncOp) and not view.is_external:
            block = view.regions[0].blocks[0]
            _retype(list(block.arguments))
            for op in list(operations_in(block)):
                _widen(op)
            inputs = [argument.type for argument in block.arguments]
            view.operation.attributes["function_type"] = TypeAttr.get(FunctionType.get(inputs, view.type.results))


def _widened(kind: Type) -> Type | None:
    """The type of the bytes that hold a buffer of flags; None for any other type."""
    if not isinstance(kind, MemRefType) or kind.element_type != IntegerType.get_signless(1):
        return None
    return MemRefType.get(kind.shape, IntegerType.get_signless(8), kind.layout, kind.memory_space)


def _retype(values: list[Value]) -> None:
    for value in values:
        wanted = _widened(value.type)
        if wanted is not None:
            value.set_type(wanted)


def _widen(op: Operation) -> None:
    _retype(list(op.results))
    for region in op.regions:
        for block in region.blocks:
            _retype(list(block.arguments))
    flag, byte = IntegerType.get_signless(1), IntegerType.get_signless(8)
    # the load gives a byte now; what used the flag takes whether that is not zero
    if op.name == "memref.load" and op.results[0].type == flag:
        op.results[0].set_type(byte)
        users = list(op.results[0].uses)
        with InsertionPoint.after(op), op.location:
            zero = arith.constant(byte, 0)
            loaded = arith.cmpi(arith.CmpIPredicate.ne, op.results[0], zero)
        for use in users:
            use.owner.operation.operands[use.operand_number] = loaded
    if op.name == "memref.store" and op.operands[0].type == flag:
        with InsertionPoint(op), op.location:
            op.operands[0] = arith.extui(byte, op.operands[0])


def _widen_constant(op: Operation) -> None:
    kind = TypeAttr(op.attributes["type"]).value
    wanted = _widened(kind)
    if wanted is None:
        return
    op.attributes["type"] = TypeAttr.get(wanted)
    values = op.attributes["initial_value"]
    if isinstance(values, DenseElementsAttr):
        byte = IntegerType.get_signless(8)
        tensor = RankedTensorType.get(MemRefType(kind).shape, byte)
        # a splat of flags has no buffer of bytes that numpy could read
        if values.is_splat:
            truth = int(bool(getattr(values.get_splat_value(), "value", False)))
            op.attributes["initial_value"] = DenseElementsAttr.get_splat(tensor, IntegerAttr.get(byte, truth))
        else:
            data: npt.NDArray[np.int8] = np.array(values).astype(np.int8)
            op.attributes["initial_value"] = DenseElementsAttr.get(data.data, type=tensor)
