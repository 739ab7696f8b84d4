"""Operator variants beside the repository, each against the reference engine: a sample, and all of them when slow."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from command import DIGITS, SHARED
from matrix import KINDS, judge
from oracles import needs_micro

FOLDER = SHARED / "matrix"
SAMPLE = (
    "avgpool_k3_s2_VALID__int8", "bin_mul_bc_hw__int8", "dw_m2_k3_s2__int8", "h_fc_in3_o300", "h_relu6_up", "h_softmax_u8",
    "h_tanh_outodd", "m_act__uint8", "m_cnn__float",
)  # fmt: skip
ALL = sorted(path.stem for path in FOLDER.glob("*.tflite"))
# Every operator that a refusal may still name: each is one that the importer does not take yet.


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
    sys.path.insert(0, str(DIGITS.parents[2] / "tools"))
    import matrix as library

    tool = _tool()
    folder = tmp_path / "models"
    folder.mkdir()
    shutil.copy(DIGITS, folder / "digits.tflite")
    (folder / "broken.tflite").write_bytes(b"no model")
    results = tmp_path / "kept" / "results.jsonl"
    arguments = [str(folder), "--targets", "host", "--runs", "1", "--jobs", "1", "--results", str(results)]
    assert tool(arguments) == 0
    kept = results.read_text(encoding="utf-8")
    assert kept.count('"equal"') == 1 and kept.count('"refused"') == 1
    assert tool(arguments) == 0 and results.read_text(encoding="utf-8") == kept
    assert library.KINDS is KINDS
