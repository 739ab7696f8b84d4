"""Operators that make one number of all those along axes, or along a part of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
from tflite import BuiltinOperator, BuiltinOptions, TensorType

from lowtide.importer.lowered.builder import (
    Call,
    dims,
    element_of,
    element_type,
    elementwise,
    f32,
    filled,
    generic,
    i32,
    integer,
    loop_index,
    number,
    reduce,
    reshape,
    shape_of,
)
from lowtide.importer.lowered.lowering import Lowering
from lowtide.importer.lowered.roots import inverse_root
from lowtide.importer.lowered.scalars import (
    clamped,
    extended,
    fixed_point,
    high_product,
    least_and_greatest,
    rescaled,
    rounded_shift,
    truncated,
)
from lowtide.importer.tflite.model import DTYPES, Shape
from lowtide.importer.tflite.operands import INTEGERS, Operands, ShapeError, axis_of
from lowtide.importer.tflite.operators import EIGHT_BIT_TYPES, OpSpec, Option
from lowtide.importer.tflite.shapes import reduced
from lowtide.ir import AffineExpr, AffineMap, F32Type, Value, arith, math

_B, _O = BuiltinOperator, BuiltinOptions
_FLOATS, _INT8, _INT32, _BOOL = (TensorType.FLOAT32,), (TensorType.INT8,), (TensorType.INT32,), (TensorType.BOOL,)
_KEEP_DIMS = (Option("keep_dims", "bool"),)
_NO_ACTIVATION = Option("fused_activation_function", "i8", 0, (0,))
_WORD, _GREATEST = 32, (1 << 31) - 1
_LEAST_NORM = 1e-6
"""What LiteRT divides by at least where it normalises floats."""
_NORM_BITS = 7
"""Bits of fraction of a normalised byte."""
_RUNNING_SHIFT = 19
"""Bits by which CUMSUM shifts bytes: LiteRT shifts by one more and halves the numbers."""


def axes_of(call: Call) -> list[int]:
    """The axes in a constant second operand, each once, in order."""
    rank = len(call.tensor(0).shape)
    return sorted({axis_of(int(axis), rank) for axis in call.array(1).reshape(-1)})


def _made(call: Call, value: Value) -> Sequence[Value]:
    return [reshape(value, call.outputs[0].shape)]


def _reduced(call: Call, start: float, body: Callable[[Value, Value], Value]) -> Sequence[Value]:
    """A reduction without scales, from a start value."""
    source = call.value(0)
    first = number(element_of(source), start)
    return _made(call, reduce(source, axes_of(call), first, lambda scalars: body(*scalars)))


def _over(types: tuple[int, ...], emit: Callable[[Call], Sequence[Value]]) -> Lowering:
    spec = OpSpec(_O.ReducerOptions, _KEEP_DIMS, (2, 2), (1,), (0,), types, types)
    return Lowering(spec, lambda operands: [reduced(operands)], emit, types)


def _product(call: Call) -> Sequence[Value]:
    multiply = arith.mulf if call.outputs[0].type == TensorType.FLOAT32 else arith.muli
    return _reduced(call, 1, multiply)


def _sum_of_bytes(call: Call) -> Sequence[Value]:
    """A sum of bytes, from which their zero points are taken, rescaled with two roundings."""
    dtype = DTYPES[call.outputs[0].type]
    (scale, zero), (scale_made, zero_made) = call.scale(0), call.scale_made()
    source, axes = call.value(0), axes_of(call)
    count = int(np.prod([shape_of(source)[axis] for axis in axes]))

    def add(scalars: Sequence[Value]) -> Value:
        return arith.addi(extended(scalars[0], signed=dtype == "int8"), scalars[1])

    def scaled(scalars: Sequence[Value]) -> Value:
        total = arith.subi(scalars[0], i32(zero * count))
        made = arith.addi(rescaled(total, *fixed_point(scale / scale_made)), i32(zero_made))
        return truncated(clamped(made, *least_and_greatest(dtype)), 8)

    return _made(call, elementwise([reduce(source, axes, i32(0), add)], integer(8), scaled))


def _place(call: Call, *, greatest: bool) -> Sequence[Value]:
    """The first index along an axis at which the greatest or the least number is.

    Number and index make one integer, the number above: the greatest of those is looked for.
    """
    source = call.value(0)
    axis = axis_of(int(call.array(1).reshape(-1)[0]), len(shape_of(source)))
    size = shape_of(source)[axis]
    kind = call.tensor(0).type
    wide = kind in (*_FLOATS, *_INT32)
    bits = _WORD if wide else max(size - 1, 1).bit_length()
    word = integer(64 if wide else 32)

    def body(scalars: Sequence[Value]) -> Value:
        place = loop_index(axis)
        key = ordered(scalars[0], kind)
        if not greatest:
            key = arith.xori(key, i32(-1))
        if kind == TensorType.FLOAT32:
            key = _without_nan(scalars[0], key, place)
        back = arith.subi(i32(size - 1), place)
        if wide:
            key, back = arith.extsi(word, key), arith.extui(word, back)
        return arith.maxsi(arith.ori(arith.shli(key, number(word, bits)), back), scalars[1])

    found = reduce(source, [axis], number(word, -(1 << (63 if wide else 31))), body)
    made = element_type(call.outputs[0].type)

    def index(scalars: Sequence[Value]) -> Value:
        key = arith.trunci(integer(32), scalars[0]) if wide else arith.andi(scalars[0], i32((1 << bits) - 1))
        place = arith.subi(i32(size - 1), key)
        return place if made == integer(32) else arith.extsi(made, place)

    return _made(call, elementwise([found], made, index))


def ordered(x: Value, kind: int) -> Value:
    """A number as an integer in the same order."""
    if kind == TensorType.INT32:
        return x
    if kind != TensorType.FLOAT32:
        return extended(x, signed=kind == TensorType.INT8)
    # both zeros are one number
    bits = arith.bitcast(integer(32), arith.addf(x, f32(0.0)))
    return arith.xori(bits, arith.andi(arith.shrsi(bits, i32(31)), i32(_GREATEST)))


def _without_nan(x: Value, key: Value, place: Value) -> Value:
    """The key by which a float is found; that of NaN never is, but where it comes first, LiteRT goes on from it."""
    first = arith.cmpi(arith.CmpIPredicate.eq, place, i32(0))
    unknown = arith.cmpf(arith.CmpFPredicate.UNO, x, x)
    return arith.select(unknown, arith.select(first, i32(_GREATEST), i32(-_GREATEST - 1)), key)


def _place_shape(operands: Operands) -> Sequence[Shape]:
    shape = operands.shape()
    axis = axis_of(operands.numbers(1, 1)[0], len(shape))
    return [(*shape[:axis], *shape[axis + 1 :])]


def _places(options: int, *, greatest: bool) -> Sequence[Lowering]:
    types = (*_FLOATS, *EIGHT_BIT_TYPES, *_INT32, *_BOOL)
    kinds = Option("output_type", "i8", 0, (TensorType.INT32, TensorType.INT64))
    spec = OpSpec(options, (kinds,), (2, 2), (1,), (), tuple(INTEGERS), types, copies=True)
    return (Lowering(spec, _place_shape, partial(_place, greatest=greatest), types),)


def _running(call: Call, start: Value, term: Callable[[Value], Value]) -> Value:
    """Sums up to each index of an axis, or from it on, with or without it."""
    source = call.value(0)
    shape = shape_of(source)
    axis = axis_of(int(call.array(1).reshape(-1)[0]), len(shape))
    rank = len(shape)
    every = dims(rank + 1)
    # the last loop goes along the axis once more
    read = AffineMap.get(rank + 1, 0, [*every[:axis], AffineExpr.get_dim(rank), *every[axis + 1 : rank]])
    write = AffineMap.get(rank + 1, 0, every[:rank])
    kind = arith.CmpIPredicate
    before = kind.slt if call.option("exclusive") else kind.sle
    behind = kind.sgt if call.option("exclusive") else kind.sge

    def body(scalars: Sequence[Value]) -> Value:
        here, there = loop_index(axis), loop_index(rank)
        counts = arith.cmpi(behind if call.option("reverse") else before, there, here)
        value = term(scalars[0])
        nothing = number(value.type, 0)
        add = arith.addf if isinstance(value.type, F32Type) else arith.addi
        return add(scalars[1], arith.select(counts, value, nothing))

    out = (filled(shape, start), write)
    return generic([(source, read)], [out], ["parallel"] * rank + ["reduction"], body)[0]


def _running_sum(call: Call) -> Sequence[Value]:
    kind = element_type(call.outputs[0].type)
    return [_running(call, number(kind, 0), lambda x: x)]


def _running_sum_of_bytes(call: Call) -> Sequence[Value]:
    """Sums of bytes, rescaled with two roundings; LiteRT's start from the zero point's opposite and not from 0."""
    (scale, zero), (scale_made, zero_made) = call.scale(0), call.scale_made()
    factor = fixed_point(2 * scale / ((1 << (_RUNNING_SHIFT + 1)) * scale_made))
    total = _running(call, i32(-zero), lambda x: arith.subi(extended(x), i32(zero)))

    def scaled(scalars: Sequence[Value]) -> Value:
        made = arith.addi(rescaled(arith.shli(scalars[0], i32(_RUNNING_SHIFT)), *factor), i32(zero_made))
        return truncated(clamped(made, *least_and_greatest("int8")), 8)

    return [elementwise([total], integer(8), scaled)]


def _running_shape(operands: Operands) -> Sequence[Shape]:
    axis_of(operands.numbers(1, 1)[0], len(operands.shape()))
    return [operands.shape()]


def _running_of(types: tuple[int, ...], emit: Callable[[Call], Sequence[Value]]) -> Lowering:
    options = (Option("exclusive", "bool"), Option("reverse", "bool"))
    spec = OpSpec(_O.CumsumOptions, options, (2, 2), (1,), (0,), types, types)
    return Lowering(spec, _running_shape, emit, types)


def _normalised(call: Call) -> Sequence[Value]:
    """Floats over the root of the sum of squares along the last axis."""
    source = call.value(0)
    last = len(shape_of(source)) - 1

    def add(scalars: Sequence[Value]) -> Value:
        return arith.addf(arith.mulf(scalars[0], scalars[0]), scalars[1])

    def divided(scalars: Sequence[Value]) -> Value:
        norm = math.sqrt(scalars[1])
        small = arith.cmpf(arith.CmpFPredicate.OLT, norm, f32(_LEAST_NORM))
        return arith.divf(scalars[0], arith.select(small, f32(_LEAST_NORM), norm))

    squares = reduce(source, [last], f32(0.0), add, keep=True)
    return [elementwise([source, squares], F32Type.get(), divided, shape_of(source))]


def _normalised_bytes(call: Call) -> Sequence[Value]:
    """Bytes over the root of the sum of squares along the last axis, in steps of 1/128: in fixed point."""
    source = call.value(0)
    last = len(shape_of(source)) - 1
    zero, wide = call.scale(0)[1], integer(64)

    def number_of(x: Value) -> Value:
        return arith.subi(extended(x), i32(zero))

    def add(scalars: Sequence[Value]) -> Value:
        x = number_of(scalars[0])
        return arith.addi(arith.muli(x, x), scalars[1])

    def packed(scalars: Sequence[Value]) -> Value:
        mantissa, shift = inverse_root(scalars[0])
        return arith.ori(arith.shli(arith.extsi(wide, mantissa), number(wide, _WORD)), arith.extui(wide, shift))

    def scaled(scalars: Sequence[Value]) -> Value:
        mantissa = arith.trunci(integer(32), arith.shrsi(scalars[1], number(wide, _WORD)))
        shift = arith.subi(arith.trunci(integer(32), scalars[1]), i32(_NORM_BITS))
        up, down = (arith.maxsi(value, i32(0)) for value in (arith.subi(i32(0), shift), shift))
        product = high_product(arith.shli(number_of(scalars[0]), up), mantissa)
        return truncated(clamped(rounded_shift(product, down), *least_and_greatest("int8")), 8)

    squares = reduce(source, [last], i32(0), add, keep=True)
    roots = elementwise([squares], wide, packed)
    return [elementwise([source, roots], integer(8), scaled, shape_of(source))]


def _has_axes(operands: Operands) -> Sequence[Shape]:
    if not operands.shape():
        raise ShapeError("its input is a single number, without an axis")
    return [operands.shape()]


def _norm_of(types: tuple[int, ...], emit: Callable[[Call], Sequence[Value]]) -> Lowering:
    spec = OpSpec(_O.L2NormOptions, (_NO_ACTIVATION,), same_type=(0,), output_types=types, input_types=types)
    return Lowering(spec, _has_axes, emit, types)


LOWERED: Mapping[int, Sequence[Lowering]] = {
    _B.SUM: (_over(EIGHT_BIT_TYPES, _sum_of_bytes),),
    _B.REDUCE_PROD: (_over((*_FLOATS, *_INT32), _product),),
    _B.REDUCE_ALL: (_over(_BOOL, lambda call: _reduced(call, 1, arith.andi)),),
    _B.REDUCE_ANY: (_over(_BOOL, lambda call: _reduced(call, 0, arith.ori)),),
    _B.ARG_MAX: _places(_O.ArgMaxOptions, greatest=True),
    _B.ARG_MIN: _places(_O.ArgMinOptions, greatest=False),
    _B.CUMSUM: (_running_of((*_FLOATS, *_INT32), _running_sum), _running_of(_INT8, _running_sum_of_bytes)),
    _B.L2_NORMALIZATION: (_norm_of(_FLOATS, _normalised), _norm_of(_INT8, _normalised_bytes)),
}
