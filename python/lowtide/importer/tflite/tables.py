"""The 256 results of int8 TANH and LOGISTIC as LiteRT Micro computes them: in fixed point, not in floats.

The two agree but for values close to the middle between two results, which scales that are powers of two make often (a
LOGISTIC's result is in 1/256). The arithmetic is gemmlowp's (`fixedpoint/fixedpoint.h`, Google, 2015): a number with
`bits` integer bits is an int32 that counts 2^(bits - 31).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from tflite import BuiltinOperator, TensorType

from lowtide.importer.tflite.model import Model, Operator, Quantization

Table = npt.NDArray[np.int8]

_MOST = (1 << 31) - 1
_INPUT_BITS = 4
_LEAST_SCALE = 2.0 ** (_INPUT_BITS - 31)
_ONE_EIGHTH = 1 << 28
_EXP_MINUS_EIGHTH = 1895147668
_THIRD = 715827883
# e^-(2^k) for k from -2 on, each the factor of one bit of the exponent
_EXP_OF_POWERS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)
# 48/17 and -32/17 with two integer bits: the first guess of Newton's division
_GUESS, _SLOPE = 1515870810, -1010580540
_ONE_IN_2 = 1 << 29


def tables_of(model: Model) -> dict[str, Table]:
    """The tables of a model's int8 TANH and LOGISTIC, by the name of the tensor that they make.

    None has one whose result is in another scale than 1/128 or 1/256, which LiteRT Micro does not look at, or whose
    input has a scale below 2^-27, with which its code shifts by a negative number: the definition decides there.
    """
    found: dict[str, Table] = {}
    for operator in model.operators:
        table = _table(model, operator)
        if table is not None:
            found[model.tensors[operator.outputs[0]].name] = table
    return found


def _table(model: Model, operator: Operator) -> Table | None:
    if operator.code not in (BuiltinOperator.TANH, BuiltinOperator.LOGISTIC):
        return None
    source, made = model.tensors[operator.inputs[0]], model.tensors[operator.outputs[0]]
    if source.type != TensorType.INT8 or source.quantization is None or source.quantization.scales[0] < _LEAST_SCALE:
        return None
    if operator.code == BuiltinOperator.TANH:
        return tanh_table(source.quantization) if made.quantization == Quantization((1 / 128,), (0,)) else None
    return logistic_table(source.quantization)


def tanh_table(source: Quantization) -> Table:
    """Tanh of the stored values -128 … 127, in 1/128."""
    return _tabulated(source, lambda x: _divided(_tanh(x), 24))


def logistic_table(source: Quantization) -> Table:
    """1 / (1 + e^-x) of the stored values -128 … 127, in 1/256 less 128."""
    return _tabulated(source, lambda x: _divided(_logistic(x), 23) - 128)


def _tabulated(source: Quantization, function: Callable[[int], int]) -> Table:
    """A function of fixed-point numbers with four integer bits; what leaves their range is -128 or 127."""
    mantissa, shift = math.frexp(source.scales[0] * (1 << 31 - _INPUT_BITS))
    multiplier = math.floor(mantissa * (1 << 31) + 0.5)
    radius = math.floor(((1 << _INPUT_BITS) - 1) * (1 << 31 - _INPUT_BITS) / 2.0**shift)
    results: list[int] = []
    for stored in range(-128, 128):
        x = stored - source.zero_points[0]
        if abs(x) >= radius:
            results.append(-128 if x <= -radius else 127)
            continue
        scaled = _divided(_product(x << max(shift, 0), multiplier), max(-shift, 0))
        results.append(min(max(function(scaled), -128), 127))
    return np.array(results, np.int8)


def _product(a: int, b: int) -> int:
    """The high half of twice the product, rounded to nearest, ties away from zero but for negative ones."""
    both = a * b
    nudged = both + ((1 << 30) if both >= 0 else 1 - (1 << 30))
    return min(abs(nudged) >> 31, _MOST) * (1 if nudged >= 0 else -1)


def _divided(x: int, exponent: int) -> int:
    """The quotient x / 2^exponent, ties away from zero."""
    mask = (1 << exponent) - 1
    threshold = (mask >> 1) + (x < 0)
    return (x >> exponent) + ((x & mask) > threshold)


def _multiplied(x: int, exponent: int) -> int:
    """The product x · 2^exponent within int32."""
    return min(max(x << exponent, -_MOST - 1), _MOST)


def _exp_of_quarter(a: int) -> int:
    """e^a for a in [-1/4, 0), by Taylor's series around -1/8."""
    x = a + _ONE_EIGHTH
    square = _product(x, x)
    cube, fourth = _product(square, x), _product(square, square)
    higher = _divided(_product(_divided(fourth, 2) + cube, _THIRD) + square, 1)
    return _EXP_MINUS_EIGHTH + _product(_EXP_MINUS_EIGHTH, x + higher)


def _exp_of_negative(a: int, bits: int) -> int:
    """e^a for a number a ≤ 0 with so many integer bits; the result has none."""
    if a == 0:
        return _MOST
    quarter = 1 << 31 - bits - 2
    rest = (a & quarter - 1) - quarter
    result = _exp_of_quarter(_multiplied(rest, bits))
    left = rest - a
    for place, factor in enumerate(_EXP_OF_POWERS[: bits + 2]):
        if left & quarter << place:
            result = _product(result, factor)
    return result


def _reciprocal(a: int) -> int:
    """2 / (1 + a) with two integer bits, for a in [0, 1], by three steps of Newton's."""
    half = (a + _MOST + 1) >> 1
    x = _GUESS + _product(half, _SLOPE)
    for _ in range(3):
        x += _multiplied(_product(x, _ONE_IN_2 - _product(half, x)), 2)
    return x


def _tanh(x: int) -> int:
    if x == 0:
        return 0
    # the same int32 with one more integer bit is twice the number
    exp = _exp_of_negative(-abs(x), _INPUT_BITS + 1)
    magnitude = _multiplied(_reciprocal(exp) - _ONE_IN_2, 2)
    return -magnitude if x < 0 else magnitude


def _logistic(x: int) -> int:
    if x == 0:
        return 1 << 30
    positive = _multiplied(_reciprocal(_exp_of_negative(-abs(x), _INPUT_BITS)), 1)
    return positive if x > 0 else _MOST - positive
