"""Layers of many numbers of channels on an emulated RV32 with vectors, which the host's build has no part in."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from boards import need_board
from elftools.elf.elffile import ELFFile
from rescaled import rescaled
from tosa_nets import TosaNet, Value, Window

from lowtide.artifact import compile_model
from lowtide.emulate import load_artifact
from lowtide.emulate.backends.qemu import QemuBackend

TARGET = "rv32gcv"
AROUND = Window((3, 3), ((1, 1), (1, 1)))
WIDE = Window((5, 5), ((2, 1), (2, 1)), (2, 2))
POINT = Window((1, 1))


def _narrow(net: TosaNet, wide: Value, zero: int) -> Value:
    """Rescaled channel by channel, so that most of the range is used; of shifts that are alike, or not."""
    channels = int(wide.array.shape[-1])
    peak = int(np.abs(wide.array).max(initial=1))
    multipliers = net.rng.integers(1 << 30, 1 << 31, channels).astype(np.int32)
    shifts = np.full(channels, max(32, 31 + (peak // 100).bit_length()), np.int8)
    if zero:
        shifts[::2] += 1
    return rescaled(net, wide, multipliers, shifts, zero)


def _chain(seed: int, zero: int) -> tuple[TosaNet, Value]:
    """Patches and runs, edges, vectors of 32 channels and of all powers of two below, one channel left over."""
    net = TosaNet(np.random.default_rng(seed))
    y = net.input([1, 6, 8, 3], "int8")
    for channels, window, kind in (
        *((16, AROUND, "conv"), (16, AROUND, "depthwise"), (40, POINT, "conv"), (40, WIDE, "depthwise")),
        *((63, POINT, "conv"), (63, AROUND, "depthwise"), (6, Window((2, 3), ((1, 0), (0, 1))), "conv")),
    ):
        if kind == "conv":
            wide = net.conv(y, net.random((channels, *window.kernel, y.array.shape[3]), "int8"), window, zero)
        else:
            wide = net.depthwise(y, net.random((*window.kernel, channels, 1), "int8"), window, zero)
        y = _narrow(net, wide, zero)
    return net, y


def _code(folder: Path) -> bytes:
    with next(folder.glob("*.o")).open("rb") as stream:
        sections = ELFFile(stream).iter_sections()
        return b"".join(section.data() for section in sections if section.name.startswith(".text"))


def _asks_for_vlenb(code: bytes) -> bool:
    """Whether the size of a vector register is read, as where one is spilled: csrr rd, vlenb."""
    return any(struct.unpack_from("<I", code, at)[0] & 0xFFFF_F07F == 0xC220_2073 for at in range(0, len(code) - 3, 2))


@pytest.mark.parametrize("zero", [-128, 0, 5])
def test_layers_give_numpys_numbers(zero: int, tmp_path: Path) -> None:
    need_board(TARGET)
    net, wanted = _chain(zero + 300, zero)
    model = tmp_path / "net.mlir"
    model.write_text(net.text([wanted]))
    for objective in ("untiled", "free") if zero < 0 else ("free",):
        compile_model(model, target=TARGET, out=tmp_path / objective, objective=objective)
        result = QemuBackend().open(load_artifact(tmp_path / objective)).run([value.array for value in net.inputs])
        assert np.array_equal(result.outputs[0], wanted.array)
        assert not _asks_for_vlenb(_code(tmp_path / objective)), "vectors are spilled"
    assert len(np.unique(wanted.array)) > wanted.array.size // 8
