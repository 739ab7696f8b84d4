"""Tables of 8-bit operators to the last bit as LiteRT has them, where the converter's are only near."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from tflite import BuiltinOperator, TensorType

from lowtide.importer.tflite.fixed_point import logistic_table, tanh_table
from lowtide.importer.tflite.model import Model, Quantization, Tensor

Table = npt.NDArray[np.int8]
_LOGISTIC_SCALE, _TANH_SCALE = 1 / 256, 1 / 128
_SIGN_BIT = 128
# below it Micro's code shifts by a negative number, which C does not define
_LEAST_SCALE = 2.0**-27


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
    if given is None or made.quantization is None or given.scales[0] < _LEAST_SCALE:
        return None
    logistic = code == BuiltinOperator.LOGISTIC
    if made.type == TensorType.UINT8:
        return _unsigned_logistic(given) if logistic else None
    if logistic:
        return logistic_table(given)
    # the axis of a scale for the whole tensor means nothing
    own = (made.quantization.scales, made.quantization.zero_points) == ((_TANH_SCALE,), (0,))
    return tanh_table(given) if own else None


def _unsigned_logistic(given: Quantization) -> Table:
    """LOGISTIC of each uint8, each and its result less by 128: LiteRT computes in float32, where ties are common."""
    stored = np.arange(256) - given.zero_points[0]
    x = np.float32(given.scales[0]) * stored.astype(np.float32)
    # one rounding, as the C library has it
    power = np.exp(-x.astype(np.float64)).astype(np.float32)
    steps = np.float32(1) / (np.float32(1) + power) * np.float32(1 / _LOGISTIC_SCALE)
    rounded = np.floor(steps.astype(np.float64) + 0.5)
    return (np.clip(rounded, 0, 255) - _SIGN_BIT).astype(np.int8)
