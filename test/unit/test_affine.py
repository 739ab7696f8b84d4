"""A function of one or two bytes as one plane: exact for every input, found for quantised sums.

`LOWTIDE_TEST_SEED` starts another sequence; a failure prints it.
"""

from __future__ import annotations

import os

import numpy as np
import pytest
from numpy.typing import NDArray

from lowtide.kernels.affine import Affine, affine_of, values_of_bytes

SEED = int(os.environ.get("LOWTIDE_TEST_SEED", "0"))
Integers = NDArray[np.int64]


def _rescaled(x: Integers, scale: float) -> Integers:
    """TOSA's rescale with double rounding, from its specification."""
    mantissa, exponent = np.frexp(scale)
    multiplier, shift = round(float(mantissa) * (1 << 31)), 31 - int(exponent)
    nudge = np.where(x >= 0, 1 << 30, -(1 << 30)) if shift > 31 else 0
    return (x * multiplier + (1 << (shift - 1)) + nudge) >> shift


def _quantised_sum(scales: tuple[float, float, float], zeros: tuple[int, int, int], *, signed: bool) -> Integers:
    """TFLite's ADD of every pair of bytes, by their bits."""
    values = values_of_bytes(signed=signed)
    twice = 2 * max(scales[:2])
    left, right = (
        _rescaled((values - zero) << 20, scale / twice) for scale, zero in zip(scales[:2], zeros, strict=False)
    )
    total = _rescaled(left[:, None] + right[None, :], twice / (scales[2] * (1 << 20))) + zeros[2]
    return np.clip(total, -128 if signed else 0, 127 if signed else 255)


def _value(found: Affine, *bits: Integers) -> Integers:
    values = values_of_bytes(signed=found.signed)
    total = sum((values[b] * factor for b, factor in zip(bits, found.factors, strict=True)), np.int64(found.constant))
    assert np.all(np.abs(total) < 1 << 31)
    low, high = (-(1 << 31) if found.low is None else found.low), ((1 << 31) if found.high is None else found.high)
    return np.clip(np.asarray(total) >> found.shift, low, high)


@pytest.mark.parametrize("signed", [True, False])
def test_quantised_sums(signed: bool) -> None:
    random = np.random.default_rng(SEED)
    misses = 0
    for _ in range(12):
        scales = random.uniform(0.01, 0.09, 3)
        zeros = random.integers(-128, 128, 3) + (0 if signed else 128)
        table = _quantised_sum(tuple(scales.tolist()), tuple(zeros.tolist()), signed=signed)
        found = affine_of(table)
        if found is None:
            misses += 1
            continue
        bits = np.arange(256)
        got = _value(found, bits[:, None], bits[None, :])
        assert np.array_equal(got.astype(np.int8), table.astype(np.int8)), f"LOWTIDE_TEST_SEED={SEED} {scales} {zeros}"
    assert misses <= 1, f"LOWTIDE_TEST_SEED={SEED}"


def test_sums_of_equal_scales_have_many_ties() -> None:
    table = _quantised_sum((0.05, 0.05, 0.1), (3, -7, 1), signed=True)
    found = affine_of(table)
    bits = np.arange(256)
    assert found is None or np.array_equal(_value(found, bits[:, None], bits[None, :]), table)


def test_one_byte() -> None:
    values = values_of_bytes(signed=True)
    for table in (np.clip(values, -20, 30), values, np.maximum(values, 0), (values * 3 + 1) >> 2):
        found = affine_of(table)
        assert found is not None and np.array_equal(_value(found, np.arange(256)), table)


def test_what_is_no_plane() -> None:
    values = values_of_bytes(signed=True)
    assert affine_of((values[:, None] * values[None, :]) >> 7) is None
    assert affine_of(values * values >> 7) is None
    assert affine_of(np.zeros(256, np.int64)) is None
