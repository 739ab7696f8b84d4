"""Makes the converter's TOSA compute what LiteRT computes, where it knows too little or has no operation for it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowtide.errors import InternalError
from lowtide.importer.convert import convert
from lowtide.importer.tflite.notes import Notes
from lowtide.ir import (
    Attribute,
    DenseElementsAttr,
    InsertionPoint,
    IntegerType,
    Module,
    NameLoc,
    Operation,
    RankedTensorType,
    Type,
    Value,
)
from lowtide.normalise.analysis import defining, network_function

STAGE = "importer"
_INT32_BITS = 32
# multiplier and shift that change no scale
_HALF, _HALF_SHIFT = 1 << 30, 30


def mend(module: Module, notes: Notes) -> None:
    """Mend a module that the converter made, in place."""
    block = network_function(module, STAGE).regions[0].blocks[0]
    missing, tables = set(notes.conversions), dict(notes.tables)
    for op in [view.operation for view in block.operations]:
        name = _name(op)
        if op.name == "tosa.mul" and name in missing:
            missing.remove(name)
            _replace_stand_in(op, notes, name)
        elif op.name == "tosa.avg_pool2d" and name in notes.unsigned_pools:
            _count_from_zero(op)
        elif op.name == "tosa.table" and name in tables:
            _tabulate(op, tables.pop(name))
        elif op.name == "tosa.rescale":
            _make_multiplier_positive(op)
            _round_twice(op)
            if name in notes.dense_rounded_once and _is(op.operands[0], "i32"):
                _round_once(op)
    for name in (*missing, *tables):
        raise InternalError(STAGE, f"the converter left no trace of {name}")


def _name(op: Operation) -> str:
    """Name of the tensor that the operation stands for; empty for a constant of several."""
    return op.location.name_str if isinstance(op.location, NameLoc) else ""


def _replace_stand_in(product: Operation, notes: Notes, name: str) -> None:
    """Replace the cast of a product by the conversion that the two stand for, and drop the product."""
    conversion = notes.conversions[name]
    source, factor = product.operands[0], product.operands[1]
    # what made a float of the input: nothing, a cast, or a cast of what a rescale makes of bytes
    stages = () if conversion.source == "float32" else ("tosa.cast", "tosa.rescale")
    for stage in stages:
        made = defining(source)
        if made is not None and made.name == stage and _is(source, "i32" if stage == "tosa.rescale" else "f32"):
            source = made.operands[0]
    if _constant(factor).flat[0] != np.float32(conversion.factor):
        raise InternalError(STAGE, f"the converter has changed the stand-in {name}")
    old = product if conversion.target == "float32" else _only_cast(product, name)
    old.results[0].replace_all_uses_with(convert(old, source, conversion))
    old.erase()
    if conversion.target != "float32":
        product.erase()


def _only_cast(product: Operation, name: str) -> Operation:
    users = [use.owner.operation for use in product.results[0].uses]
    if len(users) != 1 or users[0].name != "tosa.cast":
        raise InternalError(STAGE, f"the converter has changed the stand-in {name}")
    return users[0]


def _is(value: Value, element: str) -> bool:
    return isinstance(value.type, RankedTensorType) and str(value.type.element_type) == element


def _constant(value: Value) -> NDArray[Any]:
    """The elements of a `tosa.const`."""
    op = defining(value)
    if op is None or op.name != "tosa.const":
        raise InternalError(STAGE, f"an operand that was to be a constant is not: {value}")
    values = DenseElementsAttr(op.attributes["values"])
    return np.array(values)


def _make_constant(array: NDArray[Any], element: Type) -> Value:
    """A `tosa.const` at the current insertion point."""
    type_ = RankedTensorType.get(array.shape, element)
    values = DenseElementsAttr.get(np.ascontiguousarray(array).data, type=type_)
    return Operation.create("tosa.const", [type_], attributes={"values": values}).results[0]


def _tabulate(lookup: Operation, table: NDArray[np.int8]) -> None:
    """Look up these results, and not those that the converter worked out in floats."""
    with lookup.context, lookup.location, InsertionPoint(lookup):
        lookup.operands[1] = _make_constant(table, IntegerType.get_signless(8))


def _count_from_zero(pool: Operation) -> None:
    """Let an average pool of uint8 add up the bytes as they are.

    They are int8 by then, each less by 128. LiteRT adds half the window's size to the sum of the unsigned bytes and
    divides: ties go up. Those of negative sums would go down.
    """
    with pool.context, pool.location, InsertionPoint(pool):
        zero = _make_constant(np.array([-128], np.int8), IntegerType.get_signless(8))
    pool.operands[1] = zero
    pool.operands[2] = zero


def _make_multiplier_positive(rescale: Operation) -> None:
    """Give a rescale whose multiplier is negative the negative of its input, and the multiplier without the sign.

    TOSA has no negative multipliers: it takes the sign by which it rounds from the input. LiteRT takes that of the
    product.
    """
    source, multipliers, shifts, zero_point, output_zero = rescale.operands
    values = _constant(multipliers).astype(np.int64)
    if values.min() >= 0:
        return
    if values.max() >= 0:
        raise InternalError(STAGE, "a rescale with multipliers of both signs")
    # 2³¹ is no int32
    lifted = values == -(1 << 31)
    magnitudes = np.where(lifted, 1 << 30, -values).astype(np.int32)
    with rescale.context, rescale.location, InsertionPoint(rescale):
        wide = IntegerType.get_signless(_INT32_BITS)
        type_ = RankedTensorType.get(RankedTensorType(source.type).shape, wide)
        rank = [1] * type_.rank
        cast = Operation.create("tosa.cast", [type_], [source]).results[0]
        zero = _make_constant(_constant(zero_point).astype(np.int32).reshape(rank), wide)
        negative = Operation.create("tosa.sub", [type_], [zero, cast]).results[0]
        nothing = _make_constant(np.zeros(1, np.int32), wide)
        new = (
            negative,
            _make_constant(magnitudes, wide),
            _make_constant(_constant(shifts) - lifted.astype(np.int8), IntegerType.get_signless(8)),
            nothing,
            output_zero,
        )
    for position, operand in enumerate(new):
        rescale.operands[position] = operand


def _round_twice(rescale: Operation) -> None:
    """Let a change of scale from bytes to bytes round as all others do.

    The converter rounds those of RELU and its kind once, LiteRT twice: to the product's high word, then to the shift.
    """
    source, multipliers, shifts = list(rescale.operands)[:3]
    same = (_constant(multipliers) == _HALF) & (_constant(shifts) == _HALF_SHIFT)
    if _is(source, "i8") and _is(rescale.results[0], "i8") and not same.all():
        with rescale.context:
            rescale.attributes["rounding_mode"] = Attribute.parse("#tosa.rounding_mode<DOUBLE_ROUND>")


def _round_once(rescale: Operation) -> None:
    """Let what a dense layer makes be rounded once, as LiteRT does."""
    with rescale.context:
        rescale.attributes["rounding_mode"] = Attribute.parse("#tosa.rounding_mode<SINGLE_ROUND>")
