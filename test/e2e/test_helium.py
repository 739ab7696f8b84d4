"""Layers of every length of run on an emulated Cortex-M55, whose vectors the host's build has no part in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from boards import need_board
from rescaled import rescaled
from tosa_nets import TosaNet, Value, Window

from lowtide.artifact import compile_model
from lowtide.emulate import load_artifact
from lowtide.emulate.backends.qemu import QemuBackend

TARGET = "cortex-m55"
AROUND = Window((3, 3), ((1, 1), (1, 1)))
POINT = Window((1, 1))


def _narrow(net: TosaNet, wide: Value, zero: int) -> Value:
    """Rescaled channel by channel, so that most of the range is used."""
    channels = int(wide.array.shape[-1])
    peak = int(np.abs(wide.array).max(initial=1))
    multipliers = net.rng.integers(1 << 30, 1 << 31, channels).astype(np.int32)
    shifts = np.full(channels, max(32, 31 + (peak // 100).bit_length()), np.int8)
    return rescaled(net, wide, multipliers, shifts, zero)


def _chain(seed: int, zero: int) -> tuple[TosaNet, Value]:
    """Patches, long runs, edges, channels in groups and left over; sums of up to 27, 9·17, 12 and 20 bytes."""
    net = TosaNet(np.random.default_rng(seed))
    y = net.input([1, 6, 7, 3], "int8")
    for channels, window, kind in (
        *((17, AROUND, "conv"), (12, AROUND, "conv"), (12, AROUND, "depthwise"), (20, POINT, "conv")),
        *((20, Window((3, 2), stride=(1, 1)), "depthwise"), (6, Window((2, 3), ((1, 0), (0, 1))), "conv")),
    ):
        if kind == "conv":
            wide = net.conv(y, net.random((channels, *window.kernel, y.array.shape[3]), "int8"), window, zero)
        else:
            wide = net.depthwise(y, net.random((*window.kernel, channels, 1), "int8"), window, zero)
        y = _narrow(net, wide, zero)
    return net, y


@pytest.mark.parametrize("zero", [-128, 0, 5])
def test_layers_give_numpys_numbers(zero: int, tmp_path: Path) -> None:
    need_board(TARGET)
    net, wanted = _chain(zero + 200, zero)
    model = tmp_path / "net.mlir"
    model.write_text(net.text([wanted]))
    for objective in ("untiled", "free"):
        compile_model(model, target=TARGET, out=tmp_path / objective, objective=objective)
        result = QemuBackend().open(load_artifact(tmp_path / objective)).run([value.array for value in net.inputs])
        assert np.array_equal(result.outputs[0], wanted.array)
    assert len(np.unique(wanted.array)) > wanted.array.size // 8
