"""Primitives that a plan pays flash and memory for: the same numbers, in the arena that was predicted, witnessed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import lowtide
from lowtide.bench._sample_nets import NETWORKS
from lowtide.importer.tflite.writer import write

RUNS = 2


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "stacked.tflite"
    path.write_bytes(write(NETWORKS["stacked"]().model()))
    return path


@pytest.mark.parametrize(("ram", "in_loops"), [(40_000, False), (9_000, True)])
def test_they_compute_the_same_in_less_time(ram: int, in_loops: bool, model: Path, tmp_path: Path) -> None:
    """Whole layers where there is room for them, and pairs of rows in loops where there is not."""
    lowtide.compile(model, target="cortex-m4", objective="fit", ram=ram, out=tmp_path / "plain")
    fast = lowtide.compile(model, target="cortex-m4", objective="fit", ram=ram, flash=400_000, out=tmp_path / "fast")
    script = fast.file(".plan.mlir").read_text(encoding="utf-8")
    assert '"winograd"' in script and ("fuse_spatial" in script) == in_loops
    workspaces = [name for layer in fast.report.layers for name in layer.workspaces]
    assert workspaces and set(workspaces) <= {buffer.name for buffer in fast.report.buffers}
    assert fast.report.sram_bytes <= ram and fast.report.flash_bytes <= 400_000
    for seed in range(RUNS):
        x = np.random.default_rng(seed).integers(-128, 128, (1, 18, 18, 16), np.int8)
        slow = lowtide.run(tmp_path / "plain", [x])
        quick = lowtide.run(tmp_path / "fast", [x], witness=True)
        np.testing.assert_array_equal(quick.outputs[0], slow.outputs[0])
        # modelled, so the same on every machine
        assert quick.cycles is not None and slow.cycles is not None and quick.cycles.count < slow.cycles.count
