"""Operators that pick elements by indices, which may be known when the model is imported or only when it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tflite import BuiltinOperator, BuiltinOptions, TensorType

from lowtide.importer.lowered.arguments import alike
from lowtide.importer.lowered.builder import (
    Call,
    element_of,
    element_type,
    elementwise,
    empty,
    f32,
    generic,
    i32,
    integer,
    loop_index,
    reshape,
    shape_of,
    taken_at,
)
from lowtide.importer.lowered.functions import to_float
from lowtide.importer.lowered.lowering import Lowering
from lowtide.importer.lowered.scalars import clamped, extended
from lowtide.importer.tflite.model import Operator, Shape, Tensor
from lowtide.importer.tflite.operands import INTEGERS, Operands, ShapeError, axis_of
from lowtide.importer.tflite.operators import ALL_TYPES, OpSpec, Option
from lowtide.ir import AffineExpr, AffineMap, IntegerType, Value, arith

_B, _O = BuiltinOperator, BuiltinOptions
_INDICES = tuple(INTEGERS)
_REFLECT, _SYMMETRIC = 0, 1


def _word(x: Value) -> Value:
    """An index in 32 bits."""
    return arith.trunci(integer(32), x) if IntegerType(x.type).width > 32 else x


def _mirror(call: Call) -> Sequence[Value]:
    """A tensor continued beyond its edges by its mirror image, with the edge itself (symmetric) or without it."""
    source, shape = call.value(0), call.outputs[0].shape
    edge = 1 if call.option("mode") == _SYMMETRIC else 0
    low = call.array(1).reshape(-1, 2)[:, 0].tolist()

    def body(_: Sequence[Value]) -> Value:
        return taken_at(source, [_reflected(axis, size, low[axis], edge, shape[axis]) for axis, size in sizes])

    sizes = list(enumerate(shape_of(source)))
    out = (empty(shape, element_of(source)), AffineMap.get_identity(len(shape)))
    return generic([], [out], ["parallel"] * len(shape), body)


def _reflected(axis: int, size: int, low: int, edge: int, made: int) -> Value:
    """Which index of an axis a place of the padded one shows."""
    kind = arith.CmpIPredicate
    place = loop_index(axis)
    if made == size:
        return place
    if low:
        place = arith.subi(place, i32(low))
        place = arith.select(arith.cmpi(kind.slt, place, i32(0)), arith.subi(i32(-edge), place), place)
    if made > size + low:
        back = arith.subi(i32(2 * size - 2 + edge), place)
        place = arith.select(arith.cmpi(kind.sge, place, i32(size)), back, place)
    return place


def _mirror_shape(operands: Operands) -> Sequence[Shape]:
    shape = operands.shape()
    amounts = operands.numbers(1, 2 * len(shape))
    edge = 1 - int(operands.option("mode") == _SYMMETRIC)
    for axis, size in enumerate(shape):
        for amount in amounts[2 * axis : 2 * axis + 2]:
            if not 0 <= amount <= size - edge:
                raise ShapeError(f"it pads axis {axis} of {size} elements by {amount}")
    return [tuple(size + amounts[2 * i] + amounts[2 * i + 1] for i, size in enumerate(shape))]


def _one_hot(call: Call) -> Sequence[Value]:
    """One value where an axis' index is that of the operand, another elsewhere; bytes as they are stored."""
    made = call.outputs[0]
    axis = _hot_axis(call.option("axis"), len(made.shape))
    rank = len(made.shape)
    without = [AffineExpr.get_dim(i) for i in range(rank) if i != axis]
    single = AffineMap.get(rank, 0, [AffineExpr.get_constant(0)] * len(call.tensor(2).shape))
    other = AffineMap.get(rank, 0, [AffineExpr.get_constant(0)] * len(call.tensor(3).shape))
    inputs = [
        (call.value(0), AffineMap.get(rank, 0, without)),
        (call.value(2), single),
        (call.value(3), other),
    ]

    def body(scalars: Sequence[Value]) -> Value:
        index, on, off = scalars[:3]
        here = loop_index(axis)
        if index.type != here.type:
            here = arith.extsi(index.type, here)
        return arith.select(arith.cmpi(arith.CmpIPredicate.eq, index, here), on, off)

    out = (empty(made.shape, element_type(made.type)), AffineMap.get_identity(rank))
    return generic(inputs, [out], ["parallel"] * rank, body)


def _hot_axis(axis: int, rank: int) -> int:
    return rank - 1 if axis == -1 else axis_of(axis, rank)


def _one_hot_shape(operands: Operands) -> Sequence[Shape]:
    shape = operands.shape()
    axis = _hot_axis(operands.option("axis"), len(shape) + 1)
    depth = operands.numbers(1, 1)[0]
    if depth < 1:
        raise ShapeError(f"its depth is {depth}")
    alike(operands, (2, 3))
    for position in (2, 3):
        tensor = operands.inputs[position]
        if tensor is not None and tensor.elements != 1:
            raise ShapeError(f"its input {position} is not one number")
    return [(*shape[:axis], depth, *shape[axis:])]


def _gather(call: Call) -> Sequence[Value]:
    """Parts of an axis by their indices, of each batch by its own."""
    source, indices = call.value(0), call.value(1)
    shape, made = shape_of(source), call.outputs[0].shape
    batches = _batches(call.option("batch_dims"), len(shape_of(indices)))
    axis = axis_of(call.option("axis"), len(shape))
    rank, picked = len(made), len(shape_of(indices)) - batches
    own = [AffineExpr.get_dim(i) for i in (*range(batches), *range(axis, axis + picked))]

    def body(scalars: Sequence[Value]) -> Value:
        after = [loop_index(i + picked - 1) for i in range(axis + 1, len(shape))]
        return taken_at(source, [*(loop_index(i) for i in range(axis)), _word(scalars[0]), *after])

    out = (empty(made, element_of(source)), AffineMap.get_identity(rank))
    return generic([(indices, AffineMap.get(rank, 0, own))], [out], ["parallel"] * rank, body)


def _gather_nd(call: Call) -> Sequence[Value]:
    """Elements or parts by the indices of their first axes, which lie along the last axis of the second operand."""
    source, indices = call.value(0), call.value(1)
    made = call.outputs[0].shape
    outer, named = len(shape_of(indices)) - 1, shape_of(indices)[-1]
    rank = len(made)
    inputs = [
        (
            indices,
            AffineMap.get(rank, 0, [*(AffineExpr.get_dim(i) for i in range(outer)), AffineExpr.get_constant(part)]),
        )
        for part in range(named)
    ]

    def body(scalars: Sequence[Value]) -> Value:
        return taken_at(source, [*(_word(x) for x in scalars[:named]), *(loop_index(i) for i in range(outer, rank))])

    out = (empty(made, element_of(source)), AffineMap.get_identity(rank))
    return generic(inputs, [out], ["parallel"] * rank, body)


def _gather_nd_shape(operands: Operands) -> Sequence[Shape]:
    shape, indices = operands.shape(0), operands.shape(1)
    _index_tensor(operands, 1)
    if not indices or indices[-1] > len(shape):
        raise ShapeError(f"its indices' shape {list(indices)} names more axes than {list(shape)} has")
    _within(operands, 1, shape[: indices[-1]])
    return [(*indices[:-1], *shape[indices[-1] :])]


def _index_tensor(operands: Operands, position: int) -> None:
    tensor = operands.inputs[position]
    if tensor is None or tensor.type not in INTEGERS:
        raise ShapeError("its indices are not INT32 or INT64")


def _within(operands: Operands, position: int, extents: Sequence[int]) -> None:
    """Raises ShapeError where constant indices, which go round the extents, are outside them."""
    tensor = operands.inputs[position]
    if tensor is None or tensor.data is None:
        return
    for place, index in enumerate(operands.numbers(position)):
        extent = extents[place % len(extents)]
        if not 0 <= index < extent:
            raise ShapeError(f"it has an index outside 0…{extent - 1}")


def _batches(option: int, rank: int) -> int:
    """How many axes of indices are batches; a number below 0 leaves out so many of them from behind."""
    if not -rank <= option <= rank:
        raise ShapeError(f"its batch_dims is {option}, and its indices have {rank} dimensions")
    return option + rank if option < 0 else option


def _has_batches(operator: Operator, inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]) -> bool:
    """Whether a GATHER goes by batches."""
    del inputs, outputs
    return bool(operator.options.get("batch_dims", 0))


def _gather_shape(operands: Operands) -> Sequence[Shape]:
    shape, indices = operands.shape(0), operands.shape(1)
    axis = axis_of(operands.option("axis"), len(shape))
    _index_tensor(operands, 1)
    batches = _batches(operands.option("batch_dims"), len(indices))
    if batches > axis or shape[:batches] != indices[:batches]:
        shapes = f"{list(shape)} and {list(indices)}"
        raise ShapeError(
            f"its first {batches} axes are not batches, or those of {shapes} differ, or axis {axis} is one"
        )
    _within(operands, 1, shape[axis : axis + 1])
    return [(*shape[:axis], *indices[batches:], *shape[axis + 1 :])]


def _embedding(call: Call) -> Sequence[Value]:
    """Rows of a table; floats of int8 are those times the table's scale."""
    indices, table = call.value(0), call.value(1)
    made = call.outputs[0]
    rank = len(made.shape)
    wanted = element_type(made.type)
    scale = _table_scale(call) if wanted != element_of(table) else 1.0

    def body(scalars: Sequence[Value]) -> Value:
        found = taken_at(table, [_word(scalars[0]), *(loop_index(i) for i in range(1, rank))])
        return found if found.type == wanted else arith.mulf(to_float(extended(found)), f32(scale))

    out = (empty(made.shape, wanted), AffineMap.get_identity(rank))
    rows = AffineMap.get(rank, 0, [AffineExpr.get_dim(0)])
    return generic([(indices, rows)], [out], ["parallel"] * rank, body)


def _table_scale(call: Call) -> float:
    """The scale of a table of int8 of which floats are made."""
    table, made = call.tensor(1), call.outputs[0]
    if (table.type, made.type) != (TensorType.INT8, TensorType.FLOAT32):
        call.refuse(f"it makes {made.type_name} of a table of {table.type_name}")
    if table.quantization is None or table.quantization.zero_points[0] or len(table.quantization.scales) != 1:
        call.refuse("its table of int8 has no scale, several, or a zero point other than 0: LiteRT Micro takes none")
    return call.scale(1)[0]


def _embedding_shape(operands: Operands) -> Sequence[Shape]:
    rows, table = operands.shape(0, 1), operands.shape(1)
    held = operands.inputs[1]
    if len(table) < 2 or held is None or held.type not in (TensorType.FLOAT32, TensorType.INT8):
        raise ShapeError("its table is not of FLOAT32 or INT8 with two dimensions or more")
    _within(operands, 0, table[:1])
    return [(*rows, *table[1:])]


def _updated(call: Call) -> Sequence[Value]:
    """A tensor with a part replaced; where the part would not fit, it is moved inside."""
    source, part, starts = call.value(0), call.value(1), call.value(2)
    shape, extents = shape_of(source), shape_of(part)
    rank = len(shape)
    every = AffineMap.get_identity(rank)
    each = [(starts, AffineMap.get(rank, 0, [AffineExpr.get_constant(axis)])) for axis in range(rank)]

    def body(scalars: Sequence[Value]) -> Value:
        inside: Value | None = None
        places: list[Value] = []
        for axis, (size, extent) in enumerate(zip(shape, extents, strict=True)):
            place = arith.subi(loop_index(axis), clamped(_word(scalars[1 + axis]), 0, size - extent))
            test = arith.cmpi(arith.CmpIPredicate.ult, place, i32(extent))
            inside = test if inside is None else arith.andi(inside, test)
            places.append(clamped(place, 0, extent - 1))
        assert inside is not None
        return arith.select(inside, taken_at(part, places), scalars[0])

    out = (empty(shape, element_of(source)), every)
    return generic([(source, every), *each], [out], ["parallel"] * rank, body)


def _updated_shape(operands: Operands) -> Sequence[Shape]:
    shape, part = operands.shape(0), operands.shape(1)
    _index_tensor(operands, 2)
    alike(operands, (0, 1))
    fits = len(part) == len(shape) and all(new <= size for new, size in zip(part, shape, strict=True))
    if not shape or not fits or operands.shape(2) != (len(shape),):
        raise ShapeError(f"a part of {list(part)} at {list(operands.shape(2))} indices does not fit {list(shape)}")
    return [shape]


def _fill(call: Call) -> Sequence[Value]:
    """A tensor of a shape that is known, full of a number that is not."""
    made = call.outputs[0]
    return [elementwise([reshape(call.value(1), ())], element_type(made.type), lambda scalars: scalars[0], made.shape)]


def _fill_shape(operands: Operands) -> Sequence[Shape]:
    shape, value = operands.numbers(0), operands.inputs[1]
    if min(shape, default=1) < 1 or value is None or value.elements != 1:
        raise ShapeError(f"it fills the shape {shape[:8]}, or not with one number")
    return [tuple(shape)]


def _moves(
    options_type: int,
    *options: Option,
    inputs: int,
    constants: tuple[int, ...] = (),
    data: int = 0,
    types: tuple[int, ...] = ALL_TYPES,
) -> OpSpec:
    """An operator that moves the elements of its operand `data`."""
    return OpSpec(options_type, options, (inputs, inputs), constants, (data,), ALL_TYPES, types, copies=True)


_AXIS = Option("axis")
_EMBEDDING = OpSpec(0, (), (2, 2), (), (), (TensorType.FLOAT32, TensorType.INT8), (TensorType.INT32,), copies=True)
LOWERED: Mapping[int, Sequence[Lowering]] = {
    _B.MIRROR_PAD: (
        Lowering(
            _moves(_O.MirrorPadOptions, Option("mode", "i8", 0, (_REFLECT, _SYMMETRIC)), inputs=2, constants=(1,)),
            _mirror_shape,
            _mirror,
        ),
    ),
    _B.ONE_HOT: (
        Lowering(
            _moves(_O.OneHotOptions, _AXIS, inputs=4, constants=(1,), data=2, types=_INDICES), _one_hot_shape, _one_hot
        ),
    ),
    _B.FILL: (
        Lowering(
            _moves(_O.FillOptions, inputs=2, constants=(0,), data=1, types=_INDICES), _fill_shape, _fill, _INDICES
        ),
    ),
    _B.GATHER_ND: (Lowering(_moves(_O.GatherNdOptions, inputs=2), _gather_nd_shape, _gather_nd),),
    _B.EMBEDDING_LOOKUP: (Lowering(_EMBEDDING, _embedding_shape, _embedding),),
    _B.DYNAMIC_UPDATE_SLICE: (Lowering(_moves(_O.DynamicUpdateSliceOptions, inputs=3), _updated_shape, _updated),),
    _B.GATHER: (
        Lowering(
            _moves(_O.GatherOptions, _AXIS, Option("batch_dims"), inputs=2),
            _gather_shape,
            _gather,
            when=_has_batches,
        ),
    ),
}
