"""Softmax of any beta, softmax of int8 to int16, and the logarithm of a softmax."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from lowered_nets import Build, assert_like_litert, assert_random_like_litert, made_by, oracle_fixture, refusal, run
from lowered_variants import SOFTMAX
from oracles import needs_oracle
from tflite_nets import Net

from lowtide.emulate.oracle import Oracle
from lowtide.errors import InputError
from lowtide.importer import import_model
from lowtide.ir import make_context

oracle = pytest.fixture(oracle_fixture, scope="module")


def rows(
    name: str,
    shape: tuple[int, ...],
    types: Sequence[str],
    scales: Sequence[tuple[float, int] | None],
    beta: float = 1,
) -> Build:
    """An operator along the last axis; types and scales are of its input and its output."""

    def build(net: Net) -> tuple[list[int], list[int]]:
        x, y = (
            net.tensor(label, shape, dtype, *(scale or (None, 0)))
            for label, dtype, scale in zip("xy", types, scales, strict=True)
        )
        return [x], [net.operator(name, (x,), y, {"beta": beta} if name == "SOFTMAX" else {})]

    return build


@needs_oracle
def test_random_variants(oracle: Oracle) -> None:
    assert_random_like_litert(oracle, tuple(SOFTMAX), 24, seed=21)


@needs_oracle
@pytest.mark.parametrize("scale", [0.003, 0.05, 0.4, 9.0])
def test_rows_of_all_kinds_of_bytes(oracle: Oracle, scale: float) -> None:
    rng = np.random.default_rng(5)
    parts = [rng.integers(-128, 128, (8, 60)), np.full((1, 60), 7), np.where(rng.random((3, 60)) < 0.05, 127, -128)]
    x = np.concatenate(parts).astype(np.int8)
    both = ("int8", "int8")
    assert_like_litert(oracle, rows("LOG_SOFTMAX", x.shape, both, ((scale, 9), (1 / 16, 127))), [x])
    assert_like_litert(oracle, rows("SOFTMAX", x.shape, both, ((scale, 9), (1 / 256, -128)), 0.7), [x])
    wide = ("int8", "int16")
    assert_like_litert(oracle, rows("SOFTMAX", x.shape, wide, ((scale, 9), (1 / 65536, -32768))), [x])


def test_floats_far_from_0_do_not_overflow() -> None:
    x = np.array([[1e4, 1e4 - 1, 0], [-1e4, -1e4, -1e4]], np.float32)
    exact = x.astype(np.float64) - x.max(1, keepdims=True)
    logs = exact - np.log(np.exp(exact).sum(1, keepdims=True))
    none = (None, None)
    np.testing.assert_allclose(run(rows("LOG_SOFTMAX", (2, 3), ("float32",) * 2, none), [x])[0], logs, rtol=1e-6)
    halves = np.exp(exact / 2) / np.exp(exact / 2).sum(1, keepdims=True)
    got = run(rows("SOFTMAX", (2, 3), ("float32",) * 2, none, 0.5), [x])[0]
    np.testing.assert_allclose(got, halves, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (rows("SOFTMAX", (2, 3), ("int8", "int8"), ((0.1, 0), (0.1, 0)), 0.5), "lowtide takes 1/256"),
        (rows("SOFTMAX", (), ("float32", "float32"), (None, None), 0.5), "without an axis"),
        (
            rows("SOFTMAX", (2, 3), ("int32", "int32"), (None, None), 0.5),
            "its output is INT32, which lowtide",
        ),
    ],
)
def test_what_litert_does_not_take_is_refused(tmp_path: Path, build: Build, said: str) -> None:
    assert said in refusal(tmp_path, build)


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (rows("SOFTMAX", (2, 3), ("int8", "int16"), ((0.1, 0), (0.1, 0))), "LiteRT makes 1/65536 and -32768"),
        (rows("SOFTMAX", (2, 3), ("int8", "int16"), ((0.1, 0), None)), "is INT16 and has no scale"),
        (rows("SOFTMAX", (2, 3), ("int8", "int8"), ((0.1, 0), (1 / 256, -128)), 0.0), "too small for LiteRT"),
        (rows("LOG_SOFTMAX", (2, 3), ("int8", "int8"), ((0.1, 0), (0.1, 0))), "LiteRT takes 0.0625 and 127 there"),
    ],
)
def test_other_scales_than_litert_makes_are_refused(tmp_path: Path, build: Build, said: str) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(made_by(build))
    with pytest.raises(InputError, match=r"operator 0 .*SOFTMAX") as caught:
        import_model(path, make_context())
    assert said in str(caught.value)
