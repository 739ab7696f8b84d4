"""Functions of one number that lowtide lowers itself: of bytes to the bit, of floats to the last digits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lowered_nets import Build, assert_like_litert, assert_random_like_litert, oracle_fixture, refusal, run
from numpy.typing import NDArray
from oracles import needs_oracle
from tflite_nets import Net

from lowtide.emulate.oracle import Oracle
from lowtide.importer.tflite.fixed_point import inverse_root, multiplied

Array = NDArray[Any]
oracle = pytest.fixture(oracle_fixture, scope="module")
FLOATS: dict[str, Callable[[Array], Array]] = {
    "ABS": np.abs,
    "EXP": np.exp,
    "SIN": np.sin,
    "COS": np.cos,
    "SQUARE": np.square,
    "ROUND": np.round,
    "SIGN": np.sign,
    "ELU": lambda x: np.where(x < 0, np.expm1(x), x),
}
OF_POSITIVE: dict[str, Callable[[Array], Array]] = {
    "LOG": np.log,
    "SQRT": np.sqrt,
    "RSQRT": lambda x: 1 / np.sqrt(x),
}


def each(names: Sequence[str], count: int) -> Build:
    """All these operators on one vector of floats."""

    def build(net: Net) -> tuple[list[int], list[int]]:
        x = net.tensor("x", (count,), np.float32)
        return [x], [net.operator(name, (x,), net.tensor(name, (count,), np.float32)) for name in names]

    return build


def of_bytes(name: str, dtype: str, given: tuple[float, int], made: tuple[float, int], **options: bool) -> Build:
    """An operator on all 256 bytes."""

    def build(net: Net) -> tuple[list[int], list[int]]:
        x = net.tensor("x", (256,), dtype, *given)
        return [x], [net.operator(name, (x,), net.tensor("y", (256,), dtype, *made), options)]

    return build


def test_floats_are_near_the_true_values() -> None:
    x = np.concatenate([np.linspace(-30, 30, 600), np.geomspace(1e-6, 30, 200), -np.geomspace(1e-6, 30, 200)])
    x = x.astype(np.float32)
    for (name, function), got in zip(FLOATS.items(), run(each(list(FLOATS), len(x)), [x]), strict=True):
        np.testing.assert_allclose(got, function(x.astype(np.float64)), rtol=2e-6, atol=2e-7, err_msg=name)
    x = np.geomspace(1e-6, 1e6, 500).astype(np.float32)
    for (name, function), got in zip(OF_POSITIVE.items(), run(each(list(OF_POSITIVE), len(x)), [x]), strict=True):
        np.testing.assert_allclose(got, function(x.astype(np.float64)), rtol=1e-6, atol=1e-7, err_msg=name)


def test_turns_of_large_angles_and_of_what_is_not_finite() -> None:
    x = np.array([1e4, -1e4, 12345.678, 1e30, -3e38, np.inf, -np.inf, np.nan], np.float32)
    for function, got in zip((np.sin, np.cos), run(each(["SIN", "COS"], len(x)), [x]), strict=True):
        np.testing.assert_allclose(got[:3], function(x[:3].astype(np.float64)), atol=1e-6)
        assert np.all(np.abs(got[3:5]) <= 1)
        assert np.all(np.isnan(got[5:]))


def test_round_takes_ties_to_even_numbers() -> None:
    x = np.array([0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 0.49999997, 8388609.0], np.float32)
    assert run(each(["ROUND"], len(x)), [x])[0].tolist() == [0, 2, 2, 0, -2, -2, 0, 8388609]


@needs_oracle
@pytest.mark.parametrize(
    ("name", "dtype", "given", "made"),
    [
        ("ABS", "int8", (0.1, 3), (0.1, -7)),
        ("ABS", "int8", (0.1, -128), (0.037, 5)),
        ("EXP", "int8", (0.03, 3), (0.2, -128)),
        ("EXP", "int8", (0.9, -100), (0.01, 0)),
        ("LOG", "int8", (0.02, -50), (0.03, 9)),
        ("SQRT", "int8", (0.02, -128), (0.013, -128)),
        ("RSQRT", "int8", (0.004, -128), (0.06, -128)),
        ("ELU", "int8", (0.05, 20), (0.031, -30)),
        ("GELU", "int8", (0.05, 20), (0.031, -30)),
        ("GELU", "uint8", (0.05, 120), (0.031, 5)),
    ],
)
def test_bytes_are_those_of_litert(
    oracle: Oracle, name: str, dtype: str, given: tuple[float, int], made: tuple[float, int]
) -> None:
    values = np.arange(256).astype(np.uint8).view(dtype)
    assert_like_litert(oracle, of_bytes(name, dtype, given, made), [values])
    if name == "GELU":
        assert_like_litert(oracle, of_bytes(name, dtype, given, made, approximate=True), [values])


@needs_oracle
def test_random_variants(oracle: Oracle) -> None:
    names = ("ABS", "SQUARE", "EXP", "LOG", "SIN", "COS", "SQRT", "RSQRT", "ROUND", "ELU", "GELU", "SIGN")
    assert_random_like_litert(oracle, names, 24, seed=5)


def test_a_root_in_fixed_point() -> None:
    for x in (1, 2, 3, 100, 255, 65025, 1 << 29, (1 << 31) - 1):
        mantissa, exponent = inverse_root(x)
        assert mantissa * 2.0 ** (exponent - 31) == pytest.approx(x**-0.5, rel=2e-6)
    assert multiplied(-3, 1 << 30, 0) == -1 and multiplied(100, 1 << 30, -2) == 13


@pytest.mark.parametrize(("name", "dtype"), [("SIN", "int8"), ("RSQRT", "int32"), ("GELU", "int32"), ("ABS", "uint8")])
def test_other_types_are_refused(tmp_path: Path, name: str, dtype: str) -> None:
    said = refusal(tmp_path, of_bytes(name, dtype, (0.1, 0), (0.1, 0)))
    assert f"operator 0 {name}" in said and f"its input is {dtype.upper()}; lowtide takes FLOAT32" in said
