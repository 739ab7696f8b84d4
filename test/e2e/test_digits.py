"""The project's own example on every core that this machine can emulate, from every artifact."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import lowtide
from lowtide.emulate.backend import Array
from lowtide.errors import InputError
from lowtide.targets import TARGETS

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "examples" / "digits" / "digits_int8.tflite"
GOLDEN = ROOT / "examples" / "digits" / "digits_golden.npz"


def _golden() -> tuple[Array, Array]:
    with np.load(GOLDEN) as stored:
        return stored["x"], stored["y"]


@pytest.mark.parametrize("target", [name for name, target in TARGETS.items() if target.emulator])
def test_every_core(target: str, tmp_path: Path) -> None:
    out = tmp_path / "digits"
    outcome = lowtide.verify(MODEL, target=target, golden=GOLDEN, out=out)
    assert outcome.passed and outcome.difference.count == 0
    if TARGETS[target].emulator == "host":
        return
    x, y = _golden()
    from_elf = lowtide.run(out, [x[0]], kind="elf")
    assert np.array_equal(from_elf.outputs[0], y[0])


def test_the_module_runs_under_iree(tmp_path: Path) -> None:
    out = tmp_path / "digits"
    artifact = lowtide.compile(MODEL, target="cortex-m4", out=out)
    x, y = _golden()
    np.save(tmp_path / "x.npy", x[0])
    command = [
        str(Path(sys.executable).with_name("iree-run-module")),
        f"--module={artifact.file('.vmfb')}",
        "--device=local-sync",
        "--function=main",
        f"--input=@{tmp_path / 'x.npy'}",
        f"--output=@{tmp_path / 'y.npy'}",
    ]
    if shutil.which(command[0]) is None:
        pytest.skip("iree-run-module is not beside this Python")
    subprocess.run(command, check=True, capture_output=True)
    assert np.array_equal(np.load(tmp_path / "y.npy"), y[0])


def test_flash_that_is_left_is_spent_on_speed(tmp_path: Path) -> None:
    """In the same arena, with the same numbers."""
    x, y = _golden()
    lean = lowtide.compile(MODEL, target="cortex-m4", out=tmp_path / "lean").report
    fast = lowtide.compile(MODEL, target="cortex-m4", out=tmp_path / "fast", flash=64 * 1024).report
    before, after = (lowtide.run(tmp_path / name, [x[0]]) for name in ("lean", "fast"))
    assert np.array_equal(before.outputs[0], y[0]) and np.array_equal(after.outputs[0], y[0])
    assert after.instructions is not None and before.instructions is not None
    assert after.instructions < before.instructions
    assert lean.flash_bytes < fast.flash_bytes <= 64 * 1024 and lean.arena_bytes == fast.arena_bytes
    # a byte less than that does not do for all layers
    less = lowtide.compile(MODEL, target="cortex-m4", out=tmp_path / "less", flash=fast.flash_bytes - 1).report
    assert lean.flash_bytes <= less.flash_bytes < fast.flash_bytes


def test_too_little_flash_is_refused_with_what_is_needed(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"bytes of flash \(code .*\), --flash gives 10,000") as caught:
        lowtide.compile(MODEL, target="cortex-m4", out=tmp_path / "refused", flash=10_000)
    assert caught.value.remedy is not None
    needed = int(caught.value.remedy.split("--flash ")[1].split(",")[0])
    assert lowtide.compile(MODEL, target="cortex-m4", out=tmp_path / "fits", flash=needed).report.flash_bytes == needed
    assert not (tmp_path / "refused").exists()


def test_keep_input_keeps_it(tmp_path: Path) -> None:
    free = lowtide.compile(MODEL, target="cortex-m4", out=tmp_path / "free").report
    kept = lowtide.compile(MODEL, target="cortex-m4", out=tmp_path / "kept", keep_input=True).report
    assert kept.arena_bytes > free.arena_bytes
    (slot,) = kept.inputs
    ours = next(b for b in kept.buffers if b.offset == slot.offset and b.size == slot.tensor.nbytes)
    assert ours.last == len(kept.steps) - 1
