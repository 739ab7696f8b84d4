"""Makes constant operands of views static: MLIR folds those of slices, and leaves a pad's amounts in SSA values."""

from __future__ import annotations

from lowtide.ir import (
    Attribute,
    Block,
    DenseI32ArrayAttr,
    DenseI64ArrayAttr,
    InsertionPoint,
    IntegerAttr,
    Operation,
    ShapedType,
    Value,
)
from lowtide.normalise.analysis import defining, is_constant


def make_static(block: Block) -> None:
    """Replace every `tensor.pad` whose amounts are all constants by one with static amounts."""
    for op in [view.operation for view in block.operations]:
        if op.name == "tensor.pad" and len(op.operands) > 1 and all(map(is_constant, list(op.operands)[1:])):
            _replace(op)


def _replace(op: Operation) -> None:
    source, *amounts = op.operands
    low = _amounts(op, "static_low", amounts)
    high = _amounts(op, "static_high", amounts)
    with op.context, op.location, InsertionPoint(op):
        attributes: dict[str, Attribute] = {
            "static_low": DenseI64ArrayAttr.get(low),
            "static_high": DenseI64ArrayAttr.get(high),
            "operandSegmentSizes": DenseI32ArrayAttr.get([1, 0, 0]),
        }
        new = Operation.create("tensor.pad", [op.results[0].type], [source], attributes, regions=1)
    # the region yields the value of the padding, which stays the same
    op.regions[0].blocks[0].append_to(new.regions[0])
    op.results[0].replace_all_uses_with(new.results[0])
    op.erase()


def _amounts(op: Operation, name: str, amounts: list[Value]) -> list[int]:
    """The static list, its dynamic entries taken from `amounts`, which loses them."""
    found: list[int] = []
    for static in DenseI64ArrayAttr(op.attributes[name]):
        found.append(_number(amounts.pop(0)) if ShapedType.is_dynamic_size(static) else static)
    return found


def _number(value: Value) -> int:
    op = defining(value)
    assert op is not None
    return IntegerAttr(op.attributes["value"]).value
