"""Booleans as inputs, outputs and between layers, on emulated cores: a byte each in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tflite_nets import Net

import lowtide


@pytest.mark.parametrize("target", ["cortex-m4", "rv32imac"])
def test_booleans(target: str, tmp_path: Path) -> None:
    net = Net()
    flags = net.tensor("flags", (1, 3), np.bool_)
    numbers = net.tensor("numbers", (1, 4), np.int8, 0.5, 0)
    odd = net.operator("CAST", (numbers,), net.tensor("truth", (1, 4), np.bool_))
    known = net.tensor("known", (1, 2), np.bool_, data=bytes([1, 0]))
    joined = net.tensor("y", (1, 9), np.bool_)
    net.operator("CONCATENATION", (flags, odd, known), joined, {"axis": 1})
    path = net.save(tmp_path, [flags, numbers], [joined])
    lowtide.compile(path, target=target, out=tmp_path / "out")
    given = [np.array([[True, False, True]]), np.array([[0, 1, -128, 2]], np.int8)]
    got = lowtide.run(tmp_path / "out", given).outputs[0]
    assert got.reshape(-1).tolist() == [True, False, True, False, True, True, True, True, False]
