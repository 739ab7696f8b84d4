"""Dilated windows and channel multipliers take no more than a few instructions a multiply-accumulate, as counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from convolutions import Convolution
from tosa_nets import Window

import lowtide

MOST = 5.0
DILATED = Window((3, 3), ((2, 2), (2, 2)), dilation=(2, 2))


@pytest.mark.parametrize(
    ("target", "element", "kind", "channels"),
    [
        ("cortex-m4", "int8", "conv", (3, 4)),
        ("cortex-m4", "int8", "conv", (8, 8)),
        ("cortex-m4", "float32", "conv", (3, 4)),
        ("cortex-m4", "int8", "multiplied", (3, 6)),
        ("cortex-m4", "float32", "multiplied", (3, 6)),
        ("rv32imac", "int8", "conv", (3, 4)),
        ("rv32imac", "int8", "multiplied", (3, 6)),
    ],
)
def test_instructions_a_mac(target: str, element: str, kind: str, channels: tuple[int, int], tmp_path: Path) -> None:
    """A window of 3 × 3 with dilation 2, padded so that most windows of the small image are at an edge."""
    layer = Convolution(kind, (12, 13), channels, DILATED, (11, 0, -3), True, True, "none", 1, element)
    net, y = layer.net()
    model = tmp_path / "net.mlir"
    model.write_text(net.text([y]), encoding="utf-8")
    report = lowtide.compile(model, target=target, out=tmp_path / "out").report
    outcome = lowtide.run(tmp_path / "out", inputs=[net.inputs[0].array])
    np.testing.assert_array_equal(outcome.outputs[0], y.array)
    assert outcome.instructions is not None
    per_mac = outcome.instructions / report.macs
    assert per_mac <= MOST, per_mac
