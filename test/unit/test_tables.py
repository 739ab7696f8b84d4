"""int8 TANH and LOGISTIC give the bytes that LiteRT Micro's fixed-point arithmetic gives, at every scale."""

from __future__ import annotations

import numpy as np
import pytest
from oracles import needs_micro
from tflite_nets import Net
from tflite_run import run_model

from lowtide.emulate.oracle import Oracle
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
