"""A transformer block of int8 in one piece: 64 tokens of 64 features, 2 heads, 256 hidden features, two norms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from tflite import BuiltinOperator
from transformer_nets import transformer

import lowtide
from lowtide.emulate.oracle import ENGINES
from lowtide.importer.tflite.cut import needed
from lowtide.importer.tflite.model import Model, Operator
from lowtide.importer.tflite.writer import write

pytestmark = pytest.mark.skipif(
    not all(ENGINES[name].installed for name in ("micro", "litert")), reason="needs LiteRT Micro and LiteRT"
)
Bytes = npt.NDArray[np.int8]
ARENA = 10_432
"""The second head holds it: the input, which is added in the end, its values and keys, and what the first head saw."""
RUNS = 3


def _part(model: Model, operators: Sequence[Operator], inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
    """A file of some of the operators."""
    return write(needed(replace(model, operators=tuple(operators), inputs=tuple(inputs), outputs=tuple(outputs))))


def _expected(model: Model, xs: Sequence[Bytes]) -> list[Bytes]:
    """LiteRT Micro has no GELU: what comes before and behind it is Micro's, GELU itself that of LiteRT's kernels."""
    at = next(i for i, operator in enumerate(model.operators) if operator.code == BuiltinOperator.GELU)
    before, gelu, behind = model.operators[:at], model.operators[at], model.operators[at + 1 :]
    (wide,), (bent,) = gelu.inputs, gelu.outputs
    normal = next(i for i, tensor in enumerate(model.tensors) if tensor.name == "norm")
    first = ENGINES["micro"].load(_part(model, before, model.inputs, (wide, normal)))
    second = ENGINES["litert"].load(_part(model, (gelu,), (wide,), (bent,)))
    third = ENGINES["micro"].load(_part(model, behind, (bent, normal), model.outputs))
    found: list[Bytes] = []
    for x in xs:
        widened, added = first([x])
        (y,) = third([*second([widened]), added])
        found.append(y.astype(np.int8, casting="no"))
    return found


def test_a_block_is_exact_and_takes_less_than_its_layers(tmp_path: Path) -> None:
    model = transformer(np.random.default_rng(1), tokens=64, features=64, heads=2, hidden=256)
    path = tmp_path / "block.tflite"
    path.write_bytes(write(model))
    xs = list(np.random.default_rng(2).integers(-128, 128, (RUNS, 1, 64, 64), np.int8))
    np.savez(tmp_path / "golden.npz", x=np.stack(xs), y=np.stack(_expected(model, xs)))
    verified = lowtide.verify(
        path, target="cortex-m4", golden=tmp_path / "golden.npz", count=RUNS, objective="free", out=tmp_path / "out"
    )
    report = verified.report
    print(f"arena {report.arena_bytes}, layer by layer {report.baseline_bytes}")
    assert verified.passed and verified.emulated == RUNS, verified.difference
    # head by head, scores and hidden features are made and used token by token
    assert report.arena_bytes <= ARENA <= report.baseline_bytes // 2
