"""Layers in any order of dimensions on emulated cores: numpy's numbers, and every load right byte by byte."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from layouts import Layer, Subscript, layer_of
from tosa_nets import TosaNet, Window

import lowtide


def _at(*loops: str, low: int = 0, high: int = 0) -> Subscript:
    return Subscript(tuple((loop, 1) for loop in loops), low, high)


EXTENTS = {"y": 4, "x": 6, "o": 5, "i": 3, "j": 3, "c": 4}
ROWS, COLUMNS = _at("y", "i", low=1, high=1), _at("x", "j", low=2)
FIRST = (_at(), _at("o"), _at("y"), _at("x"))


def _pool() -> Layer:
    """The neighbours in the transposed result lie along the dimension that the window pads."""
    net = TosaNet(np.random.default_rng(1))
    pooled = net.max_pool(net.input([1, 18, 1, 1], "int8"), Window((3, 1), ((2, 1), (0, 0))))
    y = net.transpose(pooled, [0, 3, 2, 1])
    return Layer(net.text([y]), (net.inputs[0].array,), y.array, "pool")


def _layers() -> dict[str, Layer]:
    weights, of_channel = tuple(map(_at, "ocij")), tuple(map(_at, "oij"))
    without_c = {loop: extent for loop, extent in EXTENTS.items() if loop != "c"}
    last = (_at(), _at("y"), _at("x"), _at("o"))
    return {
        "pool": _pool(),
        "convolution": layer_of(EXTENTS, (_at(), _at("c"), ROWS, COLUMNS), weights, FIRST, zero=3, wide=False),
        "depthwise": layer_of(without_c, (_at(), _at("o"), ROWS, COLUMNS), of_channel, FIRST, zero=-5, wide=False),
        "channels between": layer_of(EXTENTS, (_at(), ROWS, _at("c"), COLUMNS), weights, last, wide=False),
        "one tap and pads": layer_of(
            {"y": 7, "x": 9, "o": 6, "c": 8},
            (_at(), _at("y", low=1, high=1), _at("x", low=2), _at("c")),
            (_at("o"), _at("c")),
            last,
            zero=3,
            wide=False,
        ),
    }


@pytest.mark.parametrize("target", ["cortex-m4", "rv32imac"])
def test_layers_in_any_order(target: str, tmp_path: Path) -> None:
    for name, layer in _layers().items():
        (tmp_path / "layer.mlir").write_text(layer.text, encoding="utf-8")
        lowtide.compile(tmp_path / "layer.mlir", target=target, out=tmp_path / name)
        result = lowtide.run(tmp_path / name, list(layer.inputs), witness=True)
        np.testing.assert_array_equal(result.outputs[0], layer.wanted, name)
