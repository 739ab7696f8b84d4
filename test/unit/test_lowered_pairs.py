"""Comparisons, choices and arithmetic of two and more operands that lowtide lowers itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lowered_nets import Build, assert_like_litert, assert_random_like_litert, oracle_fixture, refusal, run
from lowered_variants import BINARY
from numpy.typing import NDArray
from oracles import needs_oracle
from tflite_nets import Net

from lowtide.emulate.oracle import Oracle
from lowtide.importer.tflite.fixed_point import reciprocal

Array = NDArray[Any]
oracle = pytest.fixture(oracle_fixture, scope="module")
ALL_BYTES = np.arange(256).astype(np.uint8)


def pair(
    name: str,
    shapes: Sequence[Sequence[int]],
    dtypes: Sequence[str],
    scales: Sequence[tuple[float, int] | None] = (None, None, None),
    **options: int,
) -> Build:
    """An operator of two operands; shapes, types and scales are theirs and then the result's."""

    def build(net: Net) -> tuple[list[int], list[int]]:
        tensors = [
            net.tensor(label, shape, dtype, *(scale or (None, 0)))
            for label, shape, dtype, scale in zip("xyz", shapes, dtypes, scales, strict=True)
        ]
        return tensors[:2], [net.operator(name, tensors[:2], tensors[2], options)]

    return build


@needs_oracle
def test_random_variants(oracle: Oracle) -> None:
    assert_random_like_litert(oracle, tuple(BINARY), 40, seed=7)


@needs_oracle
@pytest.mark.parametrize("scale", [0.0011, 0.0078125, 0.3])
def test_bytes_of_one_scale_that_rounding_makes_equal(oracle: Oracle, scale: float) -> None:
    scales = ((scale, 3), (scale, 3), None)
    grid = np.meshgrid(ALL_BYTES.view(np.int8)[::5], ALL_BYTES.view(np.int8)[::3])
    x, y = (np.ascontiguousarray(side).reshape(-1) for side in grid)
    for name in ("EQUAL", "LESS"):
        shapes = [(len(x),)] * 3
        assert_like_litert(oracle, pair(name, shapes, ("int8", "int8", "bool"), scales), [x, y])


def test_quotients_towards_zero_and_down_without_traps() -> None:
    x = np.array([7, -7, 7, -7, 2**31 - 1, -(2**31), 5], np.int32)
    y = np.array([2, 2, -2, -2, -1, -1, 0], np.int32)
    shapes, dtypes = [(7,)] * 3, ["int32"] * 3
    assert run(pair("DIV", shapes, dtypes), [x, y])[0][:5].tolist() == [3, -3, -3, 3, -(2**31) + 1]
    assert run(pair("FLOOR_DIV", shapes, dtypes), [x, y])[0][:5].tolist() == [3, -4, -4, 3, -(2**31) + 1]
    assert run(pair("FLOOR_MOD", shapes, dtypes), [x, y])[0][:5].tolist() == [1, 1, -1, -1, 0]
    assert run(pair("DIV", shapes, dtypes, fused_activation_function=3), [x, y])[0][:4].tolist() == [3, 0, 0, 3]


def test_floats_divided_by_nothing_and_powers() -> None:
    x, y = np.array([1.0, -1.0, 0.0, 6.0], np.float32), np.array([0.0, 0.0, 0.0, 1.5], np.float32)
    got = run(pair("DIV", [(4,)] * 3, ["float32"] * 3), [x, y])[0]
    largest = float(np.finfo(np.float32).max)
    assert got[[0, 1, 3]].tolist() == [largest, -largest, 4.0] and np.isnan(got[2])
    bases, powers = np.array([2.0, 0.5, 9.0, 3.0], np.float32), np.array([10.0, 2.0, 0.5, -1.0], np.float32)
    np.testing.assert_allclose(run(pair("POW", [(4,)] * 3, ["float32"] * 3), [bases, powers])[0], bases**powers, 1e-6)


def test_a_rest_has_the_divisors_sign_also_next_to_whole_quotients() -> None:
    y = np.float32(0.1)
    x = np.array([np.nextafter(np.float32(k) * y, np.float32(side)) for k in range(9) for side in (-9, 9)], np.float32)
    shapes, dtypes = [(len(x),), (1,), (len(x),)], ["float32"] * 3
    quotient = run(pair("FLOOR_DIV", shapes, dtypes), [x, np.array([y])])[0]
    assert quotient.tolist() == np.floor(x.astype(np.float64) / float(y)).tolist()
    rest = run(pair("FLOOR_MOD", shapes, dtypes), [x, np.array([y])])[0]
    assert np.all(rest >= 0) and np.all(rest <= y)


@needs_oracle
@pytest.mark.parametrize("name", ["MAXIMUM", "MINIMUM"])
def test_extremes_of_bytes_look_at_no_scale(oracle: Oracle, name: str) -> None:
    x, y = ALL_BYTES.view(np.int8), ALL_BYTES.view(np.int8)[::-1].copy()
    scales = ((0.1, 3), (0.7, -20), (0.2, 9))
    assert_like_litert(oracle, pair(name, [(256,)] * 3, ["int8"] * 3, scales), [x, y])


def test_reciprocals_in_fixed_point() -> None:
    for x in (1, 2, 3, 7, 255):
        mantissa, shift = reciprocal(x)
        assert mantissa * 2.0 ** (-31 - shift) == pytest.approx(1 / x, rel=1e-7)


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (pair("LESS", [(4,)] * 3, ("int8", "int8", "bool"), ((1.5, 0), (0.1, 0), None)), "must be below 1"),
        (pair("LESS", [(4,)] * 3, ("int32", "float32", "bool")), "different types, FLOAT32 and INT32"),
        (pair("LESS", [(4,), (3,), (4,)], ("int32", "int32", "bool")), "[4] and [3] don't go together"),
        (pair("LESS", [(4,)] * 3, ("bool", "bool", "bool")), "its input is BOOL; lowtide takes FLOAT32"),
        (pair("ADD_N", [(4,), (1,), (4,)], ["float32"] * 3), "different shapes"),
        (pair("ADD_N", [(4,)] * 3, ["int8"] * 3, ((0.1, 0), (0.2, 0), (0.2, 0))), "different scales"),
        (pair("FLOOR_DIV", [(4,)] * 3, ["int8"] * 3, ((0.1, 0),) * 3), "its input is INT8; lowtide takes FLOAT32"),
        (pair("DIV", [(4,)] * 3, ["float32"] * 3, fused_activation_function=6), "fused_activation_function is 6"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, build: Build, said: str) -> None:
    assert said in refusal(tmp_path, build)
