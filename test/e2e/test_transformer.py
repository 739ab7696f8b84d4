"""A transformer block of int8 in one piece: 64 tokens of 64 features, 2 heads, 256 hidden features, two norms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from transformer_nets import transformer

import lowtide
from lowtide.emulate.oracle import ENGINES
from lowtide.importer.tflite.writer import write

pytestmark = pytest.mark.skipif(not ENGINES["litert"].installed, reason="needs LiteRT")
ARENA = 10_432
"""The second head holds it: the input, which is added in the end, its values and keys, and what the first head saw."""
RUNS = 3


def test_a_block_is_exact_and_takes_less_than_its_layers(tmp_path: Path) -> None:
    model = transformer(np.random.default_rng(1), tokens=64, features=64, heads=2, hidden=256)
    path = tmp_path / "block.tflite"
    path.write_bytes(write(model))
    # of a network with GELU, which LiteRT Micro has not, LiteRT's reference kernels say what is right: docs/oracle.md
    verified = lowtide.verify(path, target="cortex-m4", count=RUNS, objective="free", out=tmp_path / "out")
    report = verified.report
    print(f"arena {report.arena_bytes}, layer by layer {report.baseline_bytes}")
    assert verified.passed and verified.emulated == RUNS, verified.difference
    # head by head, scores and hidden features are made and used token by token
    assert report.arena_bytes <= ARENA <= report.baseline_bytes // 2
