"""Numbers of 8-bit operators to the last bit as LiteRT has them, where the converter's are only near."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from tflite import BuiltinOperator, TensorType

from lowtide.importer.tflite.fixed_point import logistic_table, tanh_table
from lowtide.importer.tflite.model import Model, Operator, Quantization, Tensor
from lowtide.importer.tflite.operators import BIASED

Table = npt.NDArray[np.int8]
_LOGISTIC_SCALE, _TANH_SCALE = 1 / 256, 1 / 128
_SIGN_BIT = 128


def tables(model: Model) -> dict[str, Table]:
    """LiteRT's tables of LOGISTIC and TANH, by what is made with them.

    Of TANH to another scale than its own LiteRT Micro makes what no scale would give; there, and for TANH of uint8,
    the converter's table is right.
    """
    found: dict[str, Table] = {}
    for operator in model.operators:
        if operator.code not in (BuiltinOperator.LOGISTIC, BuiltinOperator.TANH):
            continue
        given, made = (model.tensors[places[0]] for places in (operator.inputs, operator.outputs))
        table = _table(operator.code, given.quantization, made)
        if table is not None:
            found[made.name] = table
    return found


def _table(code: int, given: Quantization | None, made: Tensor) -> Table | None:
    if given is None or made.quantization is None:
        return None
    logistic = code == BuiltinOperator.LOGISTIC
    if made.type == TensorType.UINT8:
        return _unsigned_logistic(given) if logistic else None
    if logistic:
        return logistic_table(given)
    return tanh_table(given) if made.quantization == Quantization((_TANH_SCALE,), (0,)) else None


def _unsigned_logistic(given: Quantization) -> Table:
    """LOGISTIC of each uint8, each and its result less by 128: LiteRT computes in float32, where ties are common."""
    stored = np.arange(256) - given.zero_points[0]
    x = np.float32(given.scales[0]) * stored.astype(np.float32)
    # one rounding, as the C library has it
    power = np.exp(-x.astype(np.float64)).astype(np.float32)
    steps = np.float32(1) / (np.float32(1) + power) * np.float32(1 / _LOGISTIC_SCALE)
    rounded = np.floor(steps.astype(np.float64) + 0.5)
    return (np.clip(rounded, 0, 255) - _SIGN_BIT).astype(np.int8)


def multipliers(model: Model) -> dict[str, tuple[int, int]]:
    """Multiplier and shift of what convolutions and dense layers make of uint8, by its name.

    LiteRT multiplies the scales of input and weights in float32 there, and in float64 elsewhere.
    """
    found: dict[str, tuple[int, int]] = {}
    for operator in model.operators:
        made = model.tensors[operator.outputs[0]]
        if operator.code in BIASED and made.type == TensorType.UINT8:
            found[made.name] = _multiplier(model, operator)
    return found


def _multiplier(model: Model, operator: Operator) -> tuple[int, int]:
    scales: list[np.float32] = []
    for index in (operator.inputs[0], operator.inputs[1], operator.outputs[0]):
        quantization = model.tensors[index].quantization
        assert quantization is not None
        scales.append(np.float32(quantization.scales[0]))
    mantissa, exponent = math.frexp(float(scales[0] * scales[1]) / float(scales[2]))
    multiplier = math.floor(mantissa * (1 << 31) + 0.5)
    return (multiplier // 2, 30 - exponent) if multiplier == 1 << 31 else (multiplier, 31 - exponent)
