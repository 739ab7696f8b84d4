"""Merges sums over one axis after another, as TOSA writes a mean over rows and columns, into one sum over all axes.

Before: `reduce(reduce(x over rows) over columns)`, with a row of 32-bit sums in between. After: one reduction with the
axes in their order, so that a layer can take its input row by row into one sum a channel. Sums of integers are the same
in any order; those of floats are then added in the order of the input's elements, as LiteRT's reference kernel does.
"""

from __future__ import annotations

from collections.abc import Sequence

from lowtide.ir import (
    ArrayAttr,
    Attribute,
    Block,
    DenseI64ArrayAttr,
    FloatAttr,
    InsertionPoint,
    IntegerAttr,
    IntegerType,
    Operation,
    RankedTensorType,
    Value,
    linalg,
    tensor,
)
from lowtide.normalise.analysis import defining

_RESHAPES = ("tensor.expand_shape", "tensor.collapse_shape")
_I64 = 64


def merge_sums(block: Block) -> None:
    """Merge each `linalg.reduce` that adds up what another one has added up and nobody else reads, in place."""
    for op in [view.operation for view in block.operations]:
        inner = _summed_before(op)
        if inner is not None:
            _merge(inner, op)


def _summed_before(outer: Operation) -> Operation | None:
    """The sum that this one adds up, if both can be one."""
    if not _is_sum(outer):
        return None
    value = outer.operands[0]
    inner = defining(value)
    while inner is not None and inner.name in _RESHAPES and _has_one_use(value):
        value = inner.operands[0]
        inner = defining(value)
    if inner is None or not _is_sum(inner) or not _has_one_use(value) or not _starts_from_zero(inner):
        return None
    source, axes = _shape(inner.operands[0]), _axes(inner)
    kept = [1 if axis in axes else extent for axis, extent in enumerate(source)]
    left = {*range(len(source))} - {*axes, *_axes(outer)}
    return inner if _shape(outer.operands[0]) == kept and left and _fill(outer) is not None else None


def _merge(inner: Operation, outer: Operation) -> None:
    """Put one reduction over the axes of both in the place of the two."""
    source, fill = inner.operands[0], _fill(outer)
    assert fill is not None
    axes = sorted({*_axes(inner), *_axes(outer)})
    extents = [extent for axis, extent in enumerate(_shape(source)) if axis not in axes]
    wanted = RankedTensorType(outer.results[0].type)
    with outer.context, outer.location, InsertionPoint(outer):
        kind = RankedTensorType.get(extents, wanted.element_type)
        filled = linalg.fill(fill.operands[0], outs=[tensor.EmptyOp(extents, wanted.element_type).results[0]])
        attributes: dict[str, Attribute] = {"dimensions": DenseI64ArrayAttr.get(axes)}
        merged = Operation.create("linalg.reduce", [kind], [source, filled], attributes, regions=1)
        outer.regions[0].blocks[0].append_to(merged.regions[0])
        result: Value = merged.results[0]
        if extents != list(wanted.shape):
            result = tensor.ExpandShapeOp(wanted, result, _groups(inner, outer), [], wanted.shape).results[0]
    outer.results[0].replace_all_uses_with(result)
    unused = outer
    while unused != inner:
        before = defining(unused.operands[0])
        assert before is not None
        unused.erase()
        unused = before
    inner.erase()


def _groups(inner: Operation, outer: Operation) -> ArrayAttr:
    """Which dimensions of the outer result come of each of the merged one: those of extent 1 go with a neighbour."""
    left = [axis for axis in range(len(_shape(inner.operands[0]))) if axis not in _axes(outer)]
    groups: list[list[int]] = []
    for position, axis in enumerate(left):
        if axis in _axes(inner) and groups:
            groups[-1].append(position)
        elif axis in _axes(inner):
            continue
        else:
            # those before the first that is left go with it
            groups.append([*range(position)] if not groups else [])
            groups[-1].append(position)
    i64 = IntegerType.get_signless(_I64)
    return ArrayAttr.get([ArrayAttr.get([IntegerAttr.get(i64, position) for position in group]) for group in groups])


def _is_sum(op: Operation) -> bool:
    """Whether it is a reduction of one tensor that does nothing but add its elements to the accumulator."""
    if op.name != "linalg.reduce" or len(op.operands) != 2:
        return False
    block = op.regions[0].blocks[0]
    names = [view.operation.name for view in block.operations]
    adds = names in (["arith.addi", "linalg.yield"], ["arith.addf", "linalg.yield"])
    return adds and set(block.operations[0].operation.operands) == set(block.arguments)


def _starts_from_zero(op: Operation) -> bool:
    fill = _fill(op)
    constant = None if fill is None else defining(fill.operands[0])
    if constant is None or constant.name != "arith.constant":
        return False
    value = constant.attributes["value"]
    return isinstance(value, IntegerAttr | FloatAttr) and value.value == 0


def _fill(op: Operation) -> Operation | None:
    """What fills the tensor that the reduction starts from."""
    fill = defining(op.operands[1])
    return fill if fill is not None and fill.name == "linalg.fill" else None


def _axes(op: Operation) -> Sequence[int]:
    return list(DenseI64ArrayAttr(op.attributes["dimensions"]))


def _shape(value: Value) -> list[int]:
    return list(RankedTensorType(value.type).shape)


def _has_one_use(value: Value) -> bool:
    return sum(1 for _ in value.uses) == 1
