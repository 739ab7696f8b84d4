"""Functions of one number: by a table for bytes, in floats as LiteRT computes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
from tflite import BuiltinOperator, BuiltinOptions, TensorType

from lowtide.importer.lowered import tables
from lowtide.importer.lowered.builder import Call, element_type, elementwise, f32, number, tabulated
from lowtide.importer.lowered.functions import cosine, exponential_less_one, sine
from lowtide.importer.lowered.lowering import Lowering
from lowtide.importer.lowered.tables import Bytes, Ends
from lowtide.importer.tflite.model import DTYPES, Shape
from lowtide.importer.tflite.operands import Operands
from lowtide.importer.tflite.operators import OpSpec, Option
from lowtide.ir import Value, arith, math

_B, _O = BuiltinOperator, BuiltinOptions
_FLOATS = (TensorType.FLOAT32,)
_INT8, _UINT8, _INT32 = TensorType.INT8, TensorType.UINT8, TensorType.INT32
_ROOT_OF_HALF = 0.7071067811865476
_ROOT_OF_2_BY_PI = 0.7978845608028654


def same_shape(operands: Operands) -> Sequence[Shape]:
    """The shape of the first operand."""
    return [operands.shape()]


def _scalar(call: Call, function: Callable[[Value], Value]) -> Sequence[Value]:
    made = element_type(call.outputs[0].type)
    return [elementwise([call.value(0)], made, lambda scalars: function(scalars[0]))]


def _of_scalars(
    function: Callable[[Value], Value],
    options_type: int = 0,
    types: tuple[int, ...] = _FLOATS,
    options: tuple[Option, ...] = (),
) -> Lowering:
    spec = OpSpec(options_type, options, same_type=(0,), output_types=types, input_types=types)
    return Lowering(spec, same_shape, partial(_scalar, function=function), types)


def _looked_up(call: Call, table: Callable[[Ends], Bytes]) -> Sequence[Value]:
    ends = Ends(DTYPES[call.outputs[0].type], *call.scale(0), *call.scale_made())
    return [tabulated(call.value(0), table(ends))]


def _of_bytes(table: Callable[[Ends], Bytes], options_type: int = 0, types: tuple[int, ...] = (_INT8,)) -> Lowering:
    spec = OpSpec(options_type, same_type=(0,), output_types=types, input_types=types)
    return Lowering(spec, same_shape, partial(_looked_up, table=table), types)


def _elu(x: Value) -> Value:
    below = arith.cmpf(arith.CmpFPredicate.OLT, x, f32(0.0))
    return arith.select(below, exponential_less_one(arith.select(below, x, f32(0.0))), x)


def _gelu(x: Value) -> Value:
    share = arith.addf(math.erf(arith.mulf(x, f32(_ROOT_OF_HALF))), f32(1.0))
    return arith.mulf(arith.mulf(f32(0.5), x), share)


def _gelu_by_tanh(x: Value) -> Value:
    cube = arith.mulf(arith.mulf(arith.mulf(f32(0.044715), x), x), x)
    share = math.tanh(arith.mulf(f32(_ROOT_OF_2_BY_PI), arith.addf(x, cube)))
    return arith.mulf(arith.mulf(f32(0.5), x), arith.addf(f32(1.0), share))


def _float_gelu(call: Call) -> Sequence[Value]:
    return _scalar(call, _gelu_by_tanh if call.option("approximate") else _gelu)


def _byte_gelu(call: Call) -> Sequence[Value]:
    return _looked_up(call, partial(tables.gelu, approximate=bool(call.option("approximate"))))


def _sign(x: Value) -> Value:
    kind = arith.CmpFPredicate
    below = arith.select(arith.cmpf(kind.OLT, x, f32(0.0)), f32(-1.0), x)
    return arith.select(arith.cmpf(kind.OGT, x, f32(0.0)), f32(1.0), below)


def _integer_sign(x: Value) -> Value:
    kind = x.type
    return arith.minsi(arith.maxsi(x, number(kind, -1)), number(kind, 1))


_APPROXIMATE = (Option("approximate", "bool"),)


def _gelu_of(types: tuple[int, ...], emit: Callable[[Call], Sequence[Value]]) -> Lowering:
    spec = OpSpec(_O.GeluOptions, _APPROXIMATE, same_type=(0,), output_types=types, input_types=types)
    return Lowering(spec, same_shape, emit, types)


LOWERED: Mapping[int, Sequence[Lowering]] = {
    _B.ABS: (
        _of_scalars(math.absf, _O.AbsOptions),
        _of_scalars(math.absi, _O.AbsOptions, (_INT32,)),
        _of_bytes(tables.magnitude, _O.AbsOptions),
    ),
    _B.SQUARE: (_of_scalars(lambda x: arith.mulf(x, x), _O.SquareOptions),),
    _B.EXP: (
        _of_scalars(math.exp, _O.ExpOptions),
        _of_bytes(partial(tables.of_floats, function=tables.single(np.exp)), _O.ExpOptions),
    ),
    _B.LOG: (_of_scalars(math.log), _of_bytes(tables.log)),
    _B.SIN: (_of_scalars(sine),),
    _B.COS: (_of_scalars(cosine, _O.CosOptions),),
    _B.SQRT: (_of_scalars(math.sqrt), _of_bytes(tables.root)),
    _B.RSQRT: (_of_scalars(lambda x: arith.divf(f32(1.0), math.sqrt(x))), _of_bytes(tables.reciprocal_root)),
    # the stored bytes: LiteRT looks at no scale
    _B.NEG: (_of_scalars(lambda x: arith.subi(number(x.type, 0), x), _O.NegOptions, (_INT8,)),),
    # LiteRT's ties go to the even number
    _B.ROUND: (_of_scalars(math.roundeven),),
    _B.ELU: (_of_scalars(_elu), _of_bytes(tables.elu)),
    _B.GELU: (_gelu_of(_FLOATS, _float_gelu), _gelu_of((_INT8, _UINT8), _byte_gelu)),
    _B.SIGN: (_of_scalars(_sign, _O.SignOptions), _of_scalars(_integer_sign, _O.SignOptions, (_INT32,))),
}
