"""Predicted instructions of whole inferences against those counted: within a tenth."""

from __future__ import annotations

from pathlib import Path

import pytest
from command import DIGITS
from shared_models import SHARED

from lowtide.bench._predictions import predict
from lowtide.bench.cost import DEFAULT_TARGETS, MODELS
from lowtide.bench.speed import model_files
from lowtide.targets import target_named

MOST = 0.1


@pytest.mark.parametrize("target", DEFAULT_TARGETS)
def test_digits(target: str) -> None:
    _check(DIGITS, target)


@pytest.mark.parametrize(
    ("name", "target"),
    [
        pytest.param(name, target, marks=() if (name, target) == (MODELS[0], "cortex-m4") else pytest.mark.slow)
        for name in MODELS
        for target in DEFAULT_TARGETS
    ],
)
def test_real_models(name: str, target: str) -> None:
    if not SHARED.is_dir():
        pytest.skip("../shared/models is absent")
    (model,) = model_files([SHARED / "models"], (name,))
    _check(model, target)


def _check(model: Path, target: str) -> None:
    found = predict(model, target_named(target), "free")
    assert found.measured_on == target
    assert found.error is not None and abs(found.error) < MOST


def test_cycles_of_a_core_with_a_timing_model() -> None:
    found = predict(DIGITS, target_named("cortex-m4"), "free")
    assert found.cycles_error is not None and abs(found.cycles_error) < 0.15
    assert found.predicted.cycles > found.predicted.instructions
    assert predict(DIGITS, target_named("rv32imafc"), "free").cycles_error is None
