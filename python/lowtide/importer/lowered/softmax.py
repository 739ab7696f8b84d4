"""Softmax in the forms that the converter does not take, and its logarithm."""

from __future__ import annotations

import math as python_math
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
from tflite import BuiltinOperator, BuiltinOptions, TensorType

from lowtide.importer.lowered.builder import (
    Array,
    Call,
    constant,
    elementwise,
    f32,
    i32,
    integer,
    looked_up,
    number,
    reduce,
    shape_of,
)
from lowtide.importer.lowered.logarithm import logarithm
from lowtide.importer.lowered.lowering import Lowering
from lowtide.importer.lowered.roots import reciprocal
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
from lowtide.importer.tflite.fixed_point import exponential, multiplied
from lowtide.importer.tflite.model import DTYPES, Operator, Shape, Tensor
from lowtide.importer.tflite.operands import Operands, ShapeError
from lowtide.importer.tflite.operators import OpSpec, Option
from lowtide.ir import F32Type, Value, arith, math

_B, _O = BuiltinOperator, BuiltinOptions
_FLOATS, _INT8 = (TensorType.FLOAT32,), (TensorType.INT8,)
_DIFFERENCE_BITS, _SUM_BITS, _LOG_BITS = 5, 12, 4
"""Integer bits of differences from the greatest number, of sums of their powers, and of logarithms."""
_LEAST_FLOAT = float(np.finfo(np.float32).min)
_WORD = 32
_LARGEST_FACTOR = float((1 << 31) - 1)
_LOG_SCALE, _LOG_ZERO = 1 / 16, 127
_SCALES = {TensorType.INT8: (1 / 256, -128), TensorType.UINT8: (1 / 256, 0), TensorType.INT16: (1 / 65536, -32768)}
"""The one scale and zero point of what a softmax makes of bytes."""


def _greatest(source: Value, start: Value, *, signed: bool = True) -> Value:
    """The greatest number along the last axis, which stays with extent 1."""

    def body(scalars: Sequence[Value]) -> Value:
        x, most = scalars
        if isinstance(x.type, F32Type):
            return arith.select(arith.cmpf(arith.CmpFPredicate.OGT, x, most), x, most)
        return (arith.maxsi if signed else arith.maxui)(x, most)

    return reduce(source, [len(shape_of(source)) - 1], start, body, keep=True)


def _row_sums(source: Value, most: Value, start: Value, term: Callable[[Value, Value], Value]) -> Value:
    """The sum along the last axis of a function of each number and its row's greatest."""
    add = arith.addf if isinstance(start.type, F32Type) else arith.addi
    terms = elementwise([source, most], start.type, lambda s: term(s[0], s[1]), shape_of(source))
    return reduce(terms, [len(shape_of(source)) - 1], start, lambda s: add(s[0], s[1]), keep=True)


def _of_floats(call: Call) -> Sequence[Value]:
    """e^(beta (x − greatest)) over the sum of those of the row."""
    source, beta = call.value(0), call.number("beta")
    most = _greatest(source, f32(_LEAST_FLOAT))

    def power(x: Value, greatest: Value) -> Value:
        return math.exp(arith.mulf(arith.subf(x, greatest), f32(beta)))

    total = _row_sums(source, most, f32(0.0), power)
    made = elementwise(
        [source, most, total], F32Type.get(), lambda s: arith.divf(power(s[0], s[1]), s[2]), shape_of(source)
    )
    return [made]


def _differences(scale: float, beta: float) -> tuple[list[int], int]:
    """What LiteRT scales differences of 0, −1 … −255 to, with five integer bits; how far below 0 they count."""
    real = min(beta * scale * (1 << (31 - _DIFFERENCE_BITS)), _LARGEST_FACTOR)
    mantissa, exponent = fixed_point(real)
    radius = python_math.floor(((1 << _DIFFERENCE_BITS) - 1) * 2.0 ** (31 - _DIFFERENCE_BITS - exponent))
    return [multiplied(-step, mantissa, exponent) if step <= radius else 0 for step in range(256)], radius


def _powers(scaled: Sequence[int], radius: int) -> Array:
    """E to each of those, without integer bits; 0 of what does not count."""
    made = [exponential(value, _DIFFERENCE_BITS) if step <= radius else 0 for step, value in enumerate(scaled)]
    return np.array(made, np.int32)


def _below(x: Value, most: Value, *, signed: bool) -> Value:
    """By how much a byte is below its row's greatest."""
    return arith.subi(extended(most, signed=signed), extended(x, signed=signed))


def _in_sum(power: Value) -> Value:
    """A power with the integer bits of sums, rounded with ties up: it is not negative."""
    return arith.shrsi(arith.addi(arith.shrsi(power, i32(_SUM_BITS - 1)), i32(1)), i32(1))


def _of_bytes(call: Call) -> Sequence[Value]:
    """Softmax of bytes in LiteRT's fixed point: powers from a table, one reciprocal a row, two roundings."""
    if call.number("beta") * call.scale(0)[0] * (1 << (31 - _DIFFERENCE_BITS)) <= 1:
        call.refuse(f"its beta {call.number('beta'):g} times its input's scale is too small for LiteRT")
    source, made = call.value(0), call.outputs[0]
    signed = call.tensor(0).type == TensorType.INT8
    low, high = least_and_greatest(DTYPES[made.type])
    bits = 16 if made.type == TensorType.INT16 else 8
    table = constant(_powers(*_differences(call.scale(0)[0], call.number("beta"))))
    most = _greatest(source, number(integer(8), -128 if signed else 0), signed=signed)
    wide = integer(64)

    def power(x: Value, greatest: Value) -> Value:
        return looked_up(table, _below(x, greatest, signed=signed))

    def packed(scalars: Sequence[Value]) -> Value:
        mantissa, room = reciprocal(scalars[0])
        return arith.ori(arith.shli(arith.extsi(wide, mantissa), number(wide, _WORD)), arith.extui(wide, room))

    def share(scalars: Sequence[Value]) -> Value:
        mantissa = arith.trunci(integer(32), arith.shrsi(scalars[2], number(wide, _WORD)))
        shift = arith.subi(i32(_SUM_BITS + 31 - bits), arith.trunci(integer(32), scalars[2]))
        product = high_product(mantissa, power(scalars[0], scalars[1]))
        return truncated(clamped(arith.addi(rounded_shift(product, shift), i32(low)), low, high), bits)

    sums = _row_sums(source, most, i32(0), lambda x, greatest: _in_sum(power(x, greatest)))
    rows = elementwise([sums], wide, packed)
    return [elementwise([source, most, rows], integer(bits), share, shape_of(source))]


def _log_of_floats(call: Call) -> Sequence[Value]:
    """X − greatest − log of the row's sum of powers."""
    source = call.value(0)
    most = _greatest(source, f32(_LEAST_FLOAT))
    total = _row_sums(source, most, f32(0.0), lambda x, greatest: math.exp(arith.subf(x, greatest)))

    def body(scalars: Sequence[Value]) -> Value:
        return arith.subf(arith.subf(scalars[0], scalars[1]), scalars[2])

    logs = elementwise([total], F32Type.get(), lambda scalars: math.log(scalars[0]))
    return [elementwise([source, most, logs], F32Type.get(), body, shape_of(source))]


def _log_of_bytes(call: Call) -> Sequence[Value]:
    """The logarithm of a softmax of int8 in LiteRT's fixed point, in steps of 1/16 from 127 down."""
    source = call.value(0)
    scaled, radius = _differences(call.scale(0)[0], 1.0)
    powers, differences = constant(_powers(scaled, radius)), constant(np.array(scaled, np.int32))
    real = min(call.scale(0)[0] * (1 << (31 - _DIFFERENCE_BITS)), _LARGEST_FACTOR)
    mantissa, exponent = fixed_point(real)
    back = fixed_point((1 << (31 - exponent)) / mantissa)
    most = _greatest(source, number(integer(8), -128))
    low, high = least_and_greatest("int8")

    def least(scalars: Sequence[Value]) -> Value:
        """The difference from which on a number is more than the least that there is."""
        far = rescaled(arith.addi(scalars[0], i32(-(1 << 31))), *back)
        return arith.maxsi(far, i32(-radius - 1))

    def body(scalars: Sequence[Value]) -> Value:
        below = _below(scalars[0], scalars[1], signed=True)
        counts = arith.cmpi(arith.CmpIPredicate.sgt, arith.subi(i32(0), below), scalars[3])
        value = arith.subi(looked_up(differences, below), scalars[2])
        steps = rounded_shift(value, i32(31 - _DIFFERENCE_BITS - _LOG_BITS))
        made = clamped(arith.addi(steps, i32(_LOG_ZERO)), low, high)
        return truncated(arith.select(counts, made, i32(low)), 8)

    def power(x: Value, greatest: Value) -> Value:
        return _in_sum(looked_up(powers, _below(x, greatest, signed=True)))

    sums = _row_sums(source, most, i32(0), power)
    logs = elementwise([sums], integer(32), lambda scalars: logarithm(scalars[0], _SUM_BITS, _DIFFERENCE_BITS))
    return [
        elementwise([source, most, logs, elementwise([logs], integer(32), least)], integer(8), body, shape_of(source))
    ]


def _row_shape(operands: Operands) -> Sequence[Shape]:
    if not operands.shape():
        raise ShapeError("its input is a single number, without an axis")
    return [operands.shape()]


def _is_other(operator: Operator, inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]) -> bool:
    """Whether it is a softmax that the converter does not take."""
    del inputs
    return operator.options.get("beta", 0.0) != 1.0 or any(tensor.type == TensorType.INT16 for tensor in outputs)


def _checked(
    emit: Callable[[Call], Sequence[Value]], scales: Mapping[int, tuple[float, int]], call: Call
) -> Sequence[Value]:
    """Lowers it where its output has the scale that LiteRT makes."""
    scale, zero_point = scales[call.outputs[0].type]
    if call.outputs[0].quantization is None:
        call.refuse("its output has no scale", "export the model again")
    given = call.scale_made()
    if not python_math.isclose(given[0], scale, rel_tol=1e-3) or given[1] != zero_point:
        said = f"its output has the scale {given[0]:.6g} and the zero point {given[1]}"
        call.refuse(f"{said}; LiteRT takes {scale:g} and {zero_point} there", "export the model again")
    return emit(call)


def _softmax(types: tuple[int, ...], made: tuple[int, ...], emit: Callable[[Call], Sequence[Value]]) -> Lowering:
    same = () if TensorType.INT16 in made else (0,)
    spec = OpSpec(_O.SoftmaxOptions, (Option("beta", "f32"),), (1, 1), (), same, made, types)
    return Lowering(spec, _row_shape, emit, types, when=_is_other)


def _log_softmax(types: tuple[int, ...], emit: Callable[[Call], Sequence[Value]]) -> Lowering:
    return Lowering(OpSpec(_O.LogSoftmaxOptions, (), (1, 1), (), (0,), types, types), _row_shape, emit, types)


LOWERED: Mapping[int, Sequence[Lowering]] = {
    _B.SOFTMAX: (
        _softmax(_FLOATS, _FLOATS, _of_floats),
        _softmax(_INT8, (*_INT8, TensorType.INT16), partial(_checked, _of_bytes, _SCALES)),
        _softmax((TensorType.UINT8,), (TensorType.UINT8,), partial(_checked, _of_bytes, _SCALES)),
    ),
    _B.LOG_SOFTMAX: (
        _log_softmax(_FLOATS, _log_of_floats),
        _log_softmax(_INT8, partial(_checked, _log_of_bytes, {TensorType.INT8: (_LOG_SCALE, _LOG_ZERO)})),
    ),
}
