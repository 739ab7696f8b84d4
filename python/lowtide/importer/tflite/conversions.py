"""QUANTIZE of floats and CAST, which the converter rounds or wraps in other ways than LiteRT, or drops.

It gets a stand-in of them that is easy to find in its TOSA, and `importer/mend.py` puts LiteRT's arithmetic there.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from tflite import BuiltinOperator, TensorType

from lowtide.importer.tflite.model import DTYPES, Operator, Tensor
from lowtide.importer.tflite.notes import Conversion
from lowtide.importer.tflite.rewrite import Rewrite

# Bits of the first stand-in's factor, about 8.5e37: nobody scales by that.
_FIRST_FACTOR = 0x7E800000
_WITHOUT_SCALE = (TensorType.INT32, TensorType.INT64, TensorType.BOOL)


def quantize(rewrite: Rewrite, operator: Operator) -> Operator | None:
    """A stand-in for QUANTIZE of floats; of bytes, the converter rescales as LiteRT does."""
    source, target = _ends(rewrite, operator)
    if source.type != TensorType.FLOAT32:
        return operator
    quantization = target.quantization
    assert quantization is not None
    return _converted(rewrite, operator, quantization.scales[0], quantization.zero_points[0])


def cast(rewrite: Rewrite, operator: Operator) -> Operator | None:
    """A stand-in for CAST, but between types that have no scale to be applied and no sign to be mistaken."""
    source, target = _ends(rewrite, operator)
    if source.type in _WITHOUT_SCALE and target.type in (*_WITHOUT_SCALE, TensorType.FLOAT32):
        return replace(operator, options={})
    return _converted(rewrite, operator)


def _ends(rewrite: Rewrite, operator: Operator) -> tuple[Tensor, Tensor]:
    return rewrite.tensors[operator.inputs[0]], rewrite.tensors[operator.outputs[0]]


def _converted(
    rewrite: Rewrite, operator: Operator, scale: float | None = None, zero_point: int = 0
) -> Operator | None:
    source, target = _ends(rewrite, operator)
    factor = np.uint32(_FIRST_FACTOR + len(rewrite.conversions)).view(np.float32)
    conversion = Conversion(DTYPES[source.type], DTYPES[target.type], float(factor), scale, zero_point)
    if source.data is not None:
        values = np.frombuffer(source.data, conversion.source).reshape(source.shape)
        rewrite.tensors[operator.outputs[0]] = replace(target, data=converted(values, conversion).tobytes())
        return None
    x = operator.inputs[0]
    real = Tensor(target.name, TensorType.FLOAT32, source.shape)
    if source.type != TensorType.FLOAT32:
        x = rewrite.emit(operator, BuiltinOperator.CAST, (x,), rewrite.add(real, f"real{operator.index}"))
    constant = replace(real, shape=(1,) * len(source.shape), data=factor.tobytes())
    product = operator.outputs[0]
    if target.type != TensorType.FLOAT32:
        product = rewrite.add(real, f"standin{operator.index}")
    rewrite.conversions[rewrite.tensors[product].name] = conversion
    factors = (x, rewrite.add(constant, f"factor{operator.index}"))
    multiply = Operator(operator.index, BuiltinOperator.MUL, factors, (product,))
    if target.type == TensorType.FLOAT32:
        return multiply
    rewrite.operators.append(multiply)
    return Operator(operator.index, BuiltinOperator.CAST, (product,), operator.outputs)


def converted(values: npt.NDArray[np.generic], conversion: Conversion) -> npt.NDArray[np.generic]:
    """What LiteRT makes of the values of a constant."""
    target = np.dtype(conversion.target)
    if conversion.scale is not None:
        steps = values.astype(np.float32) / np.float32(conversion.scale)
        rounded = np.where(np.isnan(steps), -np.inf if conversion.zero_point >= 0 else np.inf, steps)
        # floor(x + 1/2) in float64 is exact for what a byte can hold
        rounded = np.copysign(np.floor(np.abs(rounded).astype(np.float64) + 0.5), rounded) + conversion.zero_point
        return np.clip(rounded, np.iinfo(target).min, np.iinfo(target).max).astype(target)
    if values.dtype == np.float32 and target.kind in "iu":
        info = np.iinfo(target)
        nan = info.max if target == np.uint8 else 0
        whole = np.trunc(np.nan_to_num(values.astype(np.float64), nan=nan, posinf=info.max, neginf=info.min))
        return np.clip(whole, info.min, info.max).astype(target)
    return values.astype(target)
