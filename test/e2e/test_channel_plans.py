"""Loops by channels on the FDT paper's networks that spatial tiling does not fit: bit for bit the untiled outputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from shared_models import MODELS, SHARED

import lowtide
from lowtide.graph.fusion import Fusion
from lowtide.plan.plan import Plan
from lowtide.script.emit import script_for

pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="the real models are not beside the repository (../shared)")
RUNS = 3


@pytest.mark.parametrize(
    ("name", "first", "last", "slice_size", "arena"),
    # 4,143: the 76.2 % that the paper saves on this network; a conv and its pool, two of eight channels at a time
    [("text_class", 2, 4, 2, 4_143), ("text_class", 2, 4, 3, 5_000), ("magic_wand", 1, 2, 2, 6_000)],
)
def test_a_channel_plan_is_bit_exact(
    name: str, first: int, last: int, slice_size: int, arena: int, tmp_path: Path
) -> None:
    known = next(known for known in MODELS if known.name == name)
    script = tmp_path / "edited.plan.mlir"
    script.write_text(script_for(Plan("free", fusions=(Fusion(first, last, slice_size, axis="channels"),))))
    whole = lowtide.compile(known.path, target="cortex-m4", objective="untiled", out=tmp_path / "whole")
    fused = lowtide.compile(known.path, target="cortex-m4", plan=script, out=tmp_path / "fused")
    assert fused.report.arena_bytes <= arena < whole.report.arena_bytes
    assert fused.report.macs == whole.report.macs
    with np.load(known.golden) as golden:
        inputs = golden["x"]
    for x in inputs[:RUNS]:
        one, other = (lowtide.run(folder, inputs=[x]).outputs for folder in (tmp_path / "whole", tmp_path / "fused"))
        assert [array.tobytes() for array in one] == [array.tobytes() for array in other]
