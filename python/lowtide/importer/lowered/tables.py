"""What LiteRT makes of each byte with an operator of one operand: 256 numbers, computed when the model is imported.

All tables go by the byte's value as unsigned number: entry 255 is that of the int8 −1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lowtide.importer.lowered.scalars import fixed_point, least_and_greatest
from lowtide.importer.tflite.fixed_point import inverse_root, multiplied

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.int8] | npt.NDArray[np.uint8]
_FAR = float(1 << 20)
"""Beyond what any byte stands for."""
_ROOT_SHIFT = 20


@dataclass(frozen=True)
class Ends:
    """Scales and zero points of an operator's operand and of its result, both of the type `dtype`."""

    dtype: str
    scale: float
    zero_point: int
    scale_made: float
    zero_point_made: int

    def stored(self) -> npt.NDArray[np.int32]:
        """The number that each byte stands for."""
        return np.arange(256).astype(np.uint8).view(self.dtype).astype(np.int32)

    def real(self) -> Floats:
        """The real number that each byte stands for, in float32."""
        return np.float32(self.scale) * (self.stored() - self.zero_point).astype(np.float32)

    def clamped(self, values: npt.NDArray[np.int64]) -> Bytes:
        """Whole numbers within the type."""
        low, high = least_and_greatest(self.dtype)
        return np.clip(values, low, high).astype(self.dtype)


def of_floats(ends: Ends, function: Callable[[Floats], Floats]) -> Bytes:
    """A function of floats, scaled by the reciprocal of the result's scale, rounded with ties away from zero."""
    with np.errstate(all="ignore"):
        made = function(ends.real()).astype(np.float32) * (np.float32(1) / np.float32(ends.scale_made))
        whole = np.copysign(np.floor(np.abs(made).astype(np.float64) + 0.5), made).astype(np.float32)
        steps = whole + np.float32(ends.zero_point_made)
        return ends.clamped(np.clip(steps, -_FAR, _FAR).astype(np.int64))


def single(function: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]) -> Callable[[Floats], Floats]:
    """A function of doubles rounded once to float32, as C's library of float functions is meant to be."""
    return lambda x: function(x.astype(np.float64)).astype(np.float32)


def log(ends: Ends) -> Bytes:
    """The natural logarithm; of numbers that have none, the least that the result can be."""
    with np.errstate(over="ignore"):
        least = np.float32(least_and_greatest(ends.dtype)[0] - ends.zero_point_made) * np.float32(ends.scale_made)
    return of_floats(ends, lambda x: np.where(x <= 0, least, single(np.log)(np.where(x <= 0, np.float32(1), x))))


def elu(ends: Ends) -> Bytes:
    """The number x itself, but e^x − 1 below 0."""
    return of_floats(ends, lambda x: np.where(x < 0, single(np.exp)(x) - np.float32(1), x))


def gelu(ends: Ends, *, approximate: bool) -> Bytes:
    """The number x times the share of a normal distribution that is below it; that by a tanh if approximate."""
    return of_floats(ends, _gelu_by_tanh if approximate else _gelu)


def _gelu(x: Floats) -> Floats:
    below = x * np.float32(-math.sqrt(0.5))
    share = np.array([math.erfc(float(value)) for value in below], np.float32)
    return np.float32(0.5) * x * share


def _gelu_by_tanh(x: Floats) -> Floats:
    cubic = (x + np.float32(0.044715) * x * x * x).astype(np.float32)
    scaled = (np.float32(math.sqrt(2 / math.pi)) * cubic).astype(np.float32)
    return (np.float32(0.5) * x * (np.float32(1) + single(np.tanh)(scaled))).astype(np.float32)


def magnitude(ends: Ends) -> Bytes:
    """|x|, rescaled with two roundings where the scales differ."""
    values = np.abs(ends.stored().astype(np.int64) - ends.zero_point)
    if np.float32(ends.scale) != np.float32(ends.scale_made):
        factor = fixed_point(ends.scale / ends.scale_made)
        values = np.array([multiplied(int(value), *factor) for value in values], np.int64)
    return ends.clamped(values + ends.zero_point_made)


def root(ends: Ends) -> Bytes:
    """√x in floats, cut off to a whole number of steps; LiteRT stops at numbers below 0, which here become 0."""
    steps = np.sqrt(np.maximum(ends.real(), np.float32(0))) / np.float32(ends.scale_made)
    whole = np.trunc(np.minimum(steps, np.float32(1 << 30))).astype(np.int64)
    return ends.clamped(whole + ends.zero_point_made)


def reciprocal_root(ends: Ends) -> Bytes:
    """1/√x in fixed point; the greatest number for 0, and for numbers below it, at which LiteRT stops."""
    mantissa, exponent = fixed_point(1 / (math.sqrt(ends.scale) * ends.scale_made))
    made: list[int] = []
    for value in (ends.stored() - ends.zero_point).tolist():
        if value <= 0:
            made.append(least_and_greatest(ends.dtype)[1])
            continue
        root_mantissa, root_exponent = inverse_root(value)
        scaled = multiplied(1, root_mantissa, root_exponent + _ROOT_SHIFT)
        made.append(multiplied(scaled, mantissa, exponent - _ROOT_SHIFT) + ends.zero_point_made)
    return ends.clamped(np.array(made, np.int64))
