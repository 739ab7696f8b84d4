"""Layers that only move bytes are known as such, and real networks have none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import jit
import numpy as np
import pytest
from layers import layer_bodies
from tosa_nets import TosaNet, Value

from lowtide.graph.copies import Copy, copy_of
from lowtide.lower import normalised
from lowtide.passes import run_passes
from lowtide.stages import Stages

SHARED = Path(__file__).resolve().parents[3] / "shared" / "models"
FRONT = "lowtide-import-tosa,lowtide-normalise,lowtide-outline"
Build = Callable[[TosaNet, Value], Value]


def moves(build: Build) -> list[Copy | None]:
    """Of the layers of a network of one input with 2×3×4 elements."""
    net = TosaNet(np.random.default_rng(0))
    y = build(net, net.input((1, 2, 3, 4), "int8"))
    module = jit.lowered(net.text([y]), FRONT)
    return [copy_of(body) for body in layer_bodies(module).values()]


CASES: list[tuple[Build, list[Copy | None]]] = [
    (lambda n, x: x, [Copy(0, 0, 0, 24)]),
    (lambda n, x: n.reshape(x, (1, 24)), [Copy(0, 0, 0, 24)]),
    (lambda n, x: n.slice(x, (0, 1, 0, 0), (1, 1, 2, 4)), [Copy(0, 12, 0, 8)]),
    (lambda n, x: n.slice(x, (0, 0, 1, 0), (1, 2, 1, 4)), [None]),
    (lambda n, x: n.concat([x, x], 1), [Copy(0, 0, 0, 24), Copy(0, 0, 24, 24)]),
    (lambda n, x: n.concat([x, x], 3), [None, None]),
    (lambda n, x: n.transpose(x, (0, 2, 1, 3)), [None]),
    (lambda n, x: n.clamp(x, -3, 3), [None]),
    (lambda n, x: n.reverse(x, 2), [None]),
    (lambda n, x: n.pad(x, [(0, 0), (1, 0), (0, 0), (0, 0)], 0), [None]),
]


@pytest.mark.parametrize(("build", "expected"), CASES)
def test_moves(build: Build, expected: list[Copy | None]) -> None:
    assert moves(build) == expected


MODELS: dict[str, tuple[str, ...]] = {
    "mlperf-tiny/kws_ref_model": (),
    "mlperf-tiny/pretrainedResnet_quant": (),
    "mlperf-tiny/vww_96_int8": (),
    "tflm/micro_speech_quantized": (),
    "tflm/person_detect": (),
    "fdt-paper/cifar10": (),
    "fdt-paper/ssd": ("Squeeze", "convert_scores"),
    "fdt-paper/posenet_mobilenet_v1_075_353_481": ("float_mid_offsets", "float_heatmaps", "float_short_offsets"),
}


@pytest.mark.parametrize("name", MODELS)
def test_real_networks_move_nothing(name: str) -> None:
    """Reshapes are views, slices are subscripts, concats are written in place."""
    model = SHARED / f"{name}.tflite"
    if not model.is_file():
        pytest.skip("../shared/models is not there")
    module = normalised(model, MODELS[name], Stages(lambda _: None)).module
    run_passes(module, "lowtide-outline")
    bodies = layer_bodies(module)
    assert bodies
    assert not [function for function, body in bodies.items() if copy_of(body) is not None]
