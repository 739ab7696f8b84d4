"""QUANTIZE and DEQUANTIZE from or to what TOSA has no rescale for: int16 and int32."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from tflite import BuiltinOperator, BuiltinOptions, TensorType

from lowtide.importer.convert import quantized
from lowtide.importer.lowered.builder import Call, elementwise, f32, i32, integer
from lowtide.importer.lowered.int16_scalars import factor, rescaled_by
from lowtide.importer.lowered.lowering import Lowering
from lowtide.importer.lowered.scalars import clamped, extended, least_and_greatest, truncated
from lowtide.importer.lowered.unary import same_shape
from lowtide.importer.tflite.model import DTYPES
from lowtide.importer.tflite.notes import Conversion
from lowtide.importer.tflite.operators import OpSpec
from lowtide.ir import F32Type, IntegerType, Value, arith

_B, _O, _T = BuiltinOperator, BuiltinOptions, TensorType
_WORD = 32


def _scale(call: Call, *, made: bool) -> tuple[float, int]:
    """Scale and zero point of the input or the output, which int32 may lack."""
    tensor = call.outputs[0] if made else call.tensor(0)
    quantization = tensor.quantization
    if quantization is None or quantization.scales[0] <= 0 or not math.isfinite(quantization.scales[0]):
        call.refuse(f"{tensor} is {tensor.type_name} and has no scale above 0")
    return quantization.scales[0], quantization.zero_points[0]


def _requantize(call: Call) -> Sequence[Value]:
    """QUANTIZE of integers: counted from the zero point, rescaled with two roundings, within the output's type."""
    (scale, given), (made, zero) = _scale(call, made=False), _scale(call, made=True)
    real = factor(call, scale / made)
    low, high = least_and_greatest(DTYPES[call.outputs[0].type])
    bits = np.iinfo(DTYPES[call.outputs[0].type]).bits

    def body(scalars: Sequence[Value]) -> Value:
        x = scalars[0]
        assert isinstance(x.type, IntegerType)
        x = x if x.type.width == _WORD else extended(x)
        x = rescaled_by(arith.subi(x, i32(given)) if given else x, real)
        x = arith.addi(x, i32(zero)) if zero else x
        return x if bits == _WORD else truncated(clamped(x, low, high), bits)

    return [elementwise([call.value(0)], integer(bits), body)]


def _quantize(call: Call) -> Sequence[Value]:
    """QUANTIZE of floats: the quotient by the scale, rounded to nearest, ties away from 0, within int16."""
    conversion = Conversion("float32", "int16", 0.0, *_scale(call, made=True))
    return [elementwise([call.value(0)], integer(16), lambda scalars: quantized(scalars[0], conversion))]


def _dequantize(call: Call) -> Sequence[Value]:
    """DEQUANTIZE: the distance from the zero point times the scale; both are exact floats, so it is rounded once."""
    scale, given = _scale(call, made=False)

    def body(scalars: Sequence[Value]) -> Value:
        x = extended(scalars[0])
        x = arith.subi(x, i32(given)) if given else x
        return arith.mulf(arith.sitofp(F32Type.get(), x), f32(scale))

    return [elementwise([call.value(0)], F32Type.get(), body)]


def _quantizes(types: tuple[int, ...], made: tuple[int, ...]) -> Lowering:
    emit = _quantize if types == (_T.FLOAT32,) else _requantize
    spec = OpSpec(_O.QuantizeOptions, output_types=made, input_types=types)
    return Lowering(spec, same_shape, emit, types, made=made)


LOWERED: Mapping[int, Sequence[Lowering]] = {
    _B.QUANTIZE: (
        _quantizes((_T.INT16,), (_T.INT8, _T.INT16, _T.INT32)),
        _quantizes((_T.INT32,), (_T.INT8, _T.INT16)),
        _quantizes((_T.INT8,), (_T.INT16, _T.INT32)),
        _quantizes((_T.FLOAT32,), (_T.INT16,)),
    ),
    _B.DEQUANTIZE: (
        Lowering(
            OpSpec(_O.DequantizeOptions, output_types=(_T.FLOAT32,), input_types=(_T.INT16,)),
            same_shape,
            _dequantize,
            (_T.INT16,),
        ),
    ),
}
