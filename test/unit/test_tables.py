"""int8 TANH and LOGISTIC give the bytes that LiteRT Micro's fixed-point arithmetic gives, at every scale."""

from __future__ import annotations

import numpy as np
import pytest
from jit import Array
from oracles import needs_micro
from tflite_nets import Net
from tflite_run import run_model

from lowtide.emulate.oracle import Oracle
from lowtide.importer.tflite.exact import tables
from lowtide.importer.tflite.fixed_point import logistic_table, tanh_table
from lowtide.importer.tflite.model import Quantization
from lowtide.importer.tflite.writer import write

ALL = np.arange(-128, 128).astype(np.int8).reshape(1, 256)
FUNCTIONS = {"TANH": (tanh_table, 1 / 128, 0), "LOGISTIC": (logistic_table, 1 / 256, -128)}
# powers of two make ties, where floats round the other way
SCALES = [2.0**k for k in range(-26, 6)] + [0.0123, 0.0471, 0.1, 0.3333, 1.7]


def net(name: str, scale: float, zero_point: int) -> bytes:
    _, made, zero = FUNCTIONS[name]
    net = Net()
    x, y = net.tensor("x", (1, 256), np.int8, scale, zero_point), net.tensor("y", (1, 256), np.int8, made, zero)
    net.operator(name, (x,), y)
    return write(net.model([x], [y]))


@needs_micro
@pytest.mark.parametrize("name", FUNCTIONS)
def test_tables_are_those_of_litert_micro(name: str) -> None:
    table = FUNCTIONS[name][0]
    with Oracle(["micro"]) as oracle:
        for scale in SCALES:
            for zero_point in (-128, 0, 97):
                scale32 = float(np.float32(scale))
                expected = oracle.run(net(name, scale32, zero_point), [(ALL,)]).outputs[0][0].ravel()
                assert np.array_equal(table(Quantization((scale32,), (zero_point,))), expected), (scale, zero_point)


@pytest.mark.parametrize(
    ("name", "scale", "entry", "right"), [("TANH", 1 / 256, -1, -1), ("LOGISTIC", 1 / 128, -1, -1)]
)
def test_a_network_looks_them_up(name: str, scale: float, entry: int, right: int) -> None:
    """At these entries floats give 0, which is the other neighbour of a tie."""
    (output,) = run_model(net(name, scale, 0), [ALL])
    table = FUNCTIONS[name][0](Quantization((scale,), (0,)))
    assert np.array_equal(output.ravel(), table) and table[entry + 128] == right


def _exact(name: str, dtype: type[np.generic], made: tuple[float, int], scale: float = 1 / 16) -> dict[str, Array]:
    """What is known to the last bit of a network of one activation."""
    net = Net()
    x, y = net.tensor("x", (1, 256), dtype, scale, 3), net.tensor("y", (1, 256), dtype, *made)
    net.operator(name, (x,), y)
    return tables(net.model([x], [y]))


def test_only_tanh_to_its_own_scale_is_micro_s() -> None:
    assert set(_exact("TANH", np.int8, (1 / 128, 0))) == {"y"}
    assert not _exact("TANH", np.int8, (1 / 64, 0))
    assert not _exact("TANH", np.int8, (1 / 128, 1))
    assert not _exact("TANH", np.uint8, (1 / 128, 128))
    assert not _exact("TANH", np.int8, (1 / 128, 0), 2.0**-28)


def test_logistic_of_uint8_is_the_nearest_step() -> None:
    table = _exact("LOGISTIC", np.uint8, (1 / 256, 0))["y"].astype(np.int64) + 128
    steps = 256 / (1 + np.exp(-(np.arange(256) - 3) / 16))
    assert np.abs(table - np.minimum(steps, 255)).max() <= 0.5001
