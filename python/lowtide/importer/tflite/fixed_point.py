"""What LiteRT Micro computes in fixed point, above all LOGISTIC and TANH of int8: near ties true values are not enough.

Source: gemmlowp (`fixedpoint/fixedpoint.h`), whose definitions of these functions LiteRT Micro uses. A number with k
integer bits is an int32 of which 31 - k bits are the fraction.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from lowtide.importer.tflite.model import Quantization

_INPUT_BITS = 4
_SOFTMAX_BITS = 5
_GREATEST, _LEAST = (1 << 31) - 1, -(1 << 31)
_ONE = _GREATEST
_ONE_OF_TWO_BITS = 1 << 29
_HALF_ROOT_OF_2 = 1518500250
# exp(-2^n) with no integer bits, for n of -2 and up
_POWERS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)


def logistic_table(given: Quantization) -> npt.NDArray[np.int8]:
    """What LOGISTIC makes of each int8, from -128 on, in steps of 1/256 from -128."""
    return _table(given, _logistic, fraction=8, zero_point=-128)


def tanh_table(given: Quantization) -> npt.NDArray[np.int8]:
    """What TANH makes of each int8, from -128 on, in steps of 1/128 around 0."""
    return _table(given, _tanh, fraction=7, zero_point=0)


def exponentials_of_distances(scale: float, beta: float) -> npt.NDArray[np.int32]:
    """What SOFTMAX makes of each distance of an int8 from the greatest one, 0 to 255: 31 bits behind the point.

    Beyond a distance of 31 in its fixed point, which has 5 integer bits, it is 0.
    """
    real = min(beta * scale * (1 << (31 - _SOFTMAX_BITS)), float(_GREATEST))
    mantissa, shift = math.frexp(real)
    multiplier = math.floor(mantissa * (1 << 31) + 0.5)
    radius = math.floor(((1 << _SOFTMAX_BITS) - 1) * 2.0 ** (31 - _SOFTMAX_BITS - shift))
    made = [
        exponential(product(-distance << shift, multiplier), _SOFTMAX_BITS) if distance <= radius else 0
        for distance in range(256)
    ]
    return np.array(made, np.int32)


def _table(
    given: Quantization, function: Callable[[int], int], *, fraction: int, zero_point: int
) -> npt.NDArray[np.int8]:
    mantissa, shift = math.frexp(given.scales[0] * (1 << (31 - _INPUT_BITS)))
    multiplier = math.floor(mantissa * (1 << 31) + 0.5)
    radius = math.floor(((1 << _INPUT_BITS) - 1) * 2.0 ** (31 - _INPUT_BITS - shift))
    made: list[int] = []
    for stored in range(-128, 128):
        x = stored - given.zero_points[0]
        if x <= -radius or x >= radius:
            made.append(-128 if x <= -radius else 127)
            continue
        scaled = halved(product(x << max(shift, 0), multiplier), max(-shift, 0))
        made.append(min(max(halved(function(scaled), 31 - fraction) + zero_point, -128), 127))
    return np.array(made, np.int8)


def product(a: int, b: int) -> int:
    """The product's high word, doubled; ties go up."""
    return (a * b + (1 << 30)) >> 31


def halved(x: int, times: int) -> int:
    """The number over 2^times; ties go away from zero."""
    if times == 0:
        return x
    return (x + (1 << (times - 1)) - (x < 0)) >> times


def _saturated(x: int) -> int:
    return min(max(x, _LEAST), _GREATEST)


def _exp_near_zero(a: int) -> int:
    """exp(a) for -1/4 <= a < 0, both with no integer bits: four terms around -1/8."""
    at_centre, third = 1895147668, 715827883
    x = a + (1 << 28)
    x2 = product(x, x)
    x3, x4 = product(x2, x), product(x2, x2)
    rest = halved(product(halved(x4, 2) + x3, third) + x2, 1)
    return at_centre + product(at_centre, x + rest)


def exponential(a: int, bits: int) -> int:
    """exp(a) for a <= 0 with so many integer bits; the result has none."""
    if a == 0:
        return _ONE
    quarter = 1 << (31 - bits - 2)
    part = (a & (quarter - 1)) - quarter
    result = _exp_near_zero(_saturated(part << bits))
    left = part - a
    for exponent, power in enumerate(_POWERS, start=-2):
        if bits > exponent and left & 1 << (31 - bits + exponent):
            result = product(result, power)
    return result


def _reciprocal(a: int) -> int:
    """2 / (1 + a) with two integer bits, for a of 0 to 1 with none: three steps of Newton's."""
    total = a + _ONE
    half = (total + 1) // 2
    x = 1515870810 + product(half, -1010580540)
    for _ in range(3):
        x += _saturated(product(x, _ONE_OF_TWO_BITS - product(half, x)) << 2)
    return x


def _logistic(a: int) -> int:
    if a == 0:
        return 1 << 30
    positive = _saturated(_reciprocal(exponential(-abs(a), _INPUT_BITS)) << 1)
    return positive if a > 0 else _ONE - positive


def _tanh(a: int) -> int:
    if a == 0:
        return 0
    # (1 - e) / (1 + e) = 2 / (1 + e) - 1, of e = exp(-2|a|): twice the number is the same int32 with a bit more
    size = _saturated((_reciprocal(exponential(-abs(a), _INPUT_BITS + 1)) - _ONE_OF_TWO_BITS) << 2)
    return size if a > 0 else -size


def multiplied(x: int, mantissa: int, exponent: int) -> int:
    """The number x times mantissa · 2^(exponent − 31), rounded twice: LiteRT's `MultiplyByQuantizedMultiplier`."""
    return halved(product(_wrapped(x << max(exponent, 0)), mantissa), max(-exponent, 0))


def inverse_root(x: int) -> tuple[int, int]:
    """1/√x of an integer above 0, as a mantissa and an exponent for `multiplied`: five steps of Newton's."""
    if x <= 1:
        return _GREATEST, 0
    shift = 11
    while x >= 1 << 29:
        x //= 4
        shift += 1
    pairs = (31 - x.bit_length()) // 2 - 1
    shift -= pairs
    x <<= 2 * pairs
    # three integer bits; products of two such numbers have six, of three nine
    half = halved(x >> 1, 1)
    three_halves, guess = (1 << 28) + (1 << 27), 1 << 28
    for _ in range(5):
        cube = _saturated(product(product(guess, guess), guess) << 6)
        guess = _saturated((product(three_halves, guess) - product(half, cube)) << 3)
    mantissa = product(guess, _HALF_ROOT_OF_2)
    return (mantissa << -shift, 0) if shift < 0 else (mantissa, -shift)


def reciprocal(x: int) -> tuple[int, int]:
    """1/x of an integer above 0: mantissa · 2^(−31 − shift), the mantissa above 2³⁰."""
    room = 32 - x.bit_length()
    return _saturated(_reciprocal((x << room) - (1 << 31)) << 1), 31 - room


def _wrapped(x: int) -> int:
    """The number as 32 bits hold it."""
    return (x - _LEAST) % (1 << 32) + _LEAST
