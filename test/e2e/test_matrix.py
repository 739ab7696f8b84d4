"""Operator variants beside the repository, each against the reference engine: a sample, and all of them when slow."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from command import DIGITS, ROOT, SHARED
from matrix import Verdict, judge
from oracles import needs_micro

FOLDER = SHARED / "matrix"
SAMPLE = (
    "avgpool_k3_s2_VALID__int8", "bin_mul_bc_hw__int8", "dw_k4x3_s2_SAME_c4_m3__int8", "h_avepool_u8", "h_fc_in3_o300",
    "h_relu6_up", "h_softmax_u8", "h_tanh_outodd", "m_act__uint8", "m_cnn__float",
)  # fmt: skip
ALL = sorted(path.stem for path in FOLDER.glob("*.tflite"))


@needs_micro
@pytest.mark.parametrize("target", ["cortex-m4", "rv32imac"])
@pytest.mark.parametrize("name", SAMPLE)
def test_sample(name: str, target: str) -> None:
    _right(name, target)


@needs_micro
@pytest.mark.slow
@pytest.mark.parametrize("target", ["cortex-m4", "rv32imac"])
@pytest.mark.parametrize("name", ALL)
def test_all(name: str, target: str) -> None:
    _right(name, target)


def _right(name: str, target: str) -> None:
    path = FOLDER / f"{name}.tflite"
    if not path.exists():
        pytest.skip(f"{FOLDER.name}/{path.name} is not beside the repository")
    verdict = judge(path, target, runs=8)
    if verdict.kind == "refused":
        # which operators are taken is not this test's question, but a refusal has to name what it refuses
        assert verdict.message
        return
    assert verdict.kind in ("equal", "no reference"), verdict


@needs_micro
def test_the_tool_judges_a_folder_and_goes_on_from_what_it_knows(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    shutil.copy(DIGITS, folder / "digits.tflite")
    (folder / "broken.tflite").write_bytes(b"no model")
    results = tmp_path / "kept" / "results.jsonl"
    command = [sys.executable, str(ROOT / "tools" / "matrix.py"), str(folder), "--targets", "host", "--runs", "1"]
    command += ["--jobs", "1", "--results", str(results)]
    first = subprocess.run(command, capture_output=True, text=True, check=True)
    kept = results.read_text(encoding="utf-8")
    assert kept.count('"equal"') == 1 and kept.count('"refused"') == 1
    assert "host: 1 equal, 0 different, 1 refused, 0 no reference, 0 crashed" in first.stdout
    second = subprocess.run(command, capture_output=True, text=True, check=True)
    assert second.stdout == first.stdout and results.read_text(encoding="utf-8") == kept


def test_the_tool_tells_of_a_process_that_dies(tmp_path: Path) -> None:
    """What a file does to the process that judges it must not end the sweep."""
    kept = tmp_path / "results.jsonl"
    verdict = Verdict("digits", "host", "crashed", message="the process died with exit code -11")
    kept.write_text(json.dumps(asdict(verdict)) + "\n", encoding="utf-8")
    shutil.copy(DIGITS, tmp_path / "digits.tflite")
    command = [sys.executable, str(ROOT / "tools" / "matrix.py"), str(tmp_path), "--targets", "host"]
    done = subprocess.run([*command, "--results", str(kept)], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "0 equal, 0 different, 0 refused, 0 no reference, 1 crashed" in done.stdout
