"""Networks of other kinds: recurrent, of int16, of float16 weights, hybrid, detectors; each against LiteRT.

A sample by default, and all of them when slow, on two cores and with whole layers as well as fused ones. What remembers
runs for 50 steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from oracles import needs_micro
from shared_models import SHARED

import lowtide
from lowtide.plan.plan import Objective

FOLDER = SHARED / "models" / "reach"
STEPS = 50


@dataclass(frozen=True)
class Reached:
    """A model of the folder.

    Attributes:
        name: the file's stem.
        runs: inputs that it is compared on.
        states: how many values it keeps from one run to the next.
        floats: some of its arithmetic is that of floats, which a core without them has not.
    """

    name: str
    runs: int = 3
    states: int = 0
    floats: bool = False

    @property
    def targets(self) -> tuple[str, str]:
        """The cores that it is compiled for."""
        return "cortex-m4", "rv32imafc" if self.floats else "rv32imac"


MODELS = (
    Reached("blazeface_front_int8", 1, floats=True),
    Reached("dtln_noise_suppression", STEPS, states=4),
    Reached("face_detection_front_f16", 1, floats=True),
    Reached("hand_recrop", 1, floats=True),
    Reached("keyword_svdf", STEPS, states=7),
    Reached("kws_hybrid", floats=True),
    Reached("lstm_unrolled", floats=True),
    Reached("micro_wake_word_okay_nabu", STEPS, states=6),
    Reached("mnist_lstm_int8", STEPS, states=2),
    Reached("rnnoise_int8"),
    Reached("seanet_conv_int16"),
    Reached("seanet_leaky_relu_int16"),
    Reached("seanet_transpose_conv_int16"),
    Reached("selfie_segmenter", 1, floats=True),
    Reached("tinyengine_detection", 1, floats=True),
    Reached("utensor_tanh", floats=True),
    Reached("wake_vision_micronets"),
)
SAMPLE = {"mnist_lstm_int8": 3, "keyword_svdf": 6, "seanet_leaky_relu_int16": 2, "utensor_tanh": 2}
OBJECTIVES: tuple[Objective, ...] = ("untiled", "free")


def _right(model: Reached, target: str, objective: Objective, runs: int, out: Path) -> None:
    path = FOLDER / f"{model.name}.tflite"
    if not path.exists():
        pytest.skip(f"{path.name} is not beside the repository (../shared/models/reach)")
    verified = lowtide.verify(path, target=target, objective=objective, count=runs, out=out)
    assert verified.passed, verified.difference
    assert (verified.runs, len(verified.report.states)) == (runs, model.states)
    assert verified.report.arena_bytes <= verified.report.baseline_bytes


@needs_micro
@pytest.mark.parametrize("model", [pytest.param(model, id=model.name) for model in MODELS if model.name in SAMPLE])
def test_sample(model: Reached, tmp_path: Path) -> None:
    _right(model, "cortex-m4", "free", SAMPLE[model.name], tmp_path / "out")


@needs_micro
@pytest.mark.slow
@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize(
    ("model", "target"),
    [pytest.param(model, target, id=f"{model.name}-{target}") for model in MODELS for target in model.targets],
)
def test_all(model: Reached, target: str, objective: Objective, tmp_path: Path) -> None:
    _right(model, target, objective, model.runs, tmp_path / "out")


@pytest.mark.skipif(not FOLDER.is_dir(), reason="needs ../shared/models/reach")
def test_all_are_listed() -> None:
    assert {path.stem for path in FOLDER.glob("*.tflite")} == {model.name for model in MODELS}
