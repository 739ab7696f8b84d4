"""Real models against stored outputs of LiteRT Micro, in an emulated core with exactly the memory that is claimed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from shared_models import MODELS, SHARED, Known

import lowtide
from lowtide.plan.plan import DEFAULT_OBJECTIVE, Objective

pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="the real models are not beside the repository (../shared)")


def _verify(known: Known, target: str, count: int, out: Path, objective: Objective) -> lowtide.Verification:
    outcome = lowtide.verify(known.path, target=target, golden=known.golden, count=count, objective=objective, out=out)
    assert outcome.passed, outcome.difference
    if known.integer:
        assert outcome.difference.count == 0
    report = outcome.report
    buffers = json.loads((out / "report.json").read_text(encoding="utf-8"))["buffers"]
    assert report.objective == objective
    assert report.baseline_bytes == known.live
    assert report.allocation_bound_bytes <= report.arena_bytes <= known.overlap + 16 * len(buffers)
    if objective == "untiled":
        assert report.untiled_bound_bytes <= report.allocation_bound_bytes
    assert report.arena_bytes == max(buffer["offset"] + buffer["size"] for buffer in buffers)
    used = outcome.result.stack_used_bytes
    assert used is not None and used <= report.stack_bytes <= 1_024
    assert report.data_bytes == 0
    return outcome


def _targets(known: Known) -> tuple[str, str]:
    return ("cortex-m4", "rv32imac" if known.integer else "rv32imafc")


CASES = [pytest.param(known, target, id=f"{known.name}-{target}") for known in MODELS for target in _targets(known)]


@pytest.mark.parametrize(("known", "target"), CASES)
def test_stored_outputs(known: Known, target: str, tmp_path: Path) -> None:
    """All stored runs of the whole layers; of the large models one, emulated."""
    outcome = _verify(known, target, 1 if known.large else 10, tmp_path / "out", "untiled")
    assert outcome.emulated == outcome.runs


@pytest.mark.slow
@pytest.mark.parametrize(("known", "target"), [case for case in CASES if case.values[0].large])  # type: ignore[union-attr]
def test_all_stored_outputs_of_large_models(known: Known, target: str, tmp_path: Path) -> None:
    """Emulated once, the other runs on the host: the same IR."""
    outcome = _verify(known, target, 10, tmp_path / "out", "untiled")
    assert (outcome.runs, outcome.emulated) == (10, 1)


FREE = [known for known in MODELS if known.free is not None]
QUICK = ("kws_ref_model", "micro_speech_quantized", "text_class", "person_detect", "pretrainedResnet_quant")


@pytest.mark.parametrize(
    "known",
    [pytest.param(k, id=k.name, marks=() if k.name in QUICK else pytest.mark.slow) for k in FREE],
)
def test_loops_by_default(known: Known, tmp_path: Path) -> None:
    """The default objective: as small as was promised, no element computed twice, the outputs those of LiteRT Micro."""
    outcome = _verify(known, "cortex-m4", 1 if known.large else 10, tmp_path / "out", DEFAULT_OBJECTIVE)
    report = outcome.report
    assert known.free is not None
    assert report.arena_bytes <= known.free
    assert report.macs == report.baseline_macs
    assert "lowtide.fuse_" in next((tmp_path / "out").glob("*.plan.mlir")).read_text(encoding="utf-8")


LEAST = [known for known in MODELS if known.ram is not None]
SAMPLE = ("kws_ref_model", "micro_speech_quantized", "text_class")


@pytest.mark.parametrize(
    "known",
    [pytest.param(k, id=k.name, marks=() if k.name in SAMPLE else pytest.mark.slow) for k in LEAST],
)
def test_least_ram(known: Known, tmp_path: Path) -> None:
    """Objective `ram`: as small as was promised, and the outputs those of LiteRT Micro. The plan's own figure is the
    arena: a compile raises where it is not."""
    outcome = _verify(known, "cortex-m4", 1 if known.large else 10, tmp_path / "out", "ram")
    report = outcome.report
    assert known.ram is not None
    assert report.arena_bytes <= known.ram
    assert report.macs >= report.baseline_macs
    assert "lowtide.fuse_" in next((tmp_path / "out").glob("*.plan.mlir")).read_text(encoding="utf-8")
