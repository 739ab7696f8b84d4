"""Flash for speed: which layers take it, and that their weights of 16 bits give the same numbers."""

from __future__ import annotations

import itertools
import os
import re
from pathlib import Path

import jit
import numpy as np
import pytest
from convolutions import KINDS, Convolution, convolutions
from hypothesis import HealthCheck, Phase, given, seed, settings
from layers import layer_bodies
from tosa_nets import TosaNet, Window

from lowtide.cost.data import cost_model
from lowtide.graph.fusion import Fusion
from lowtide.graph.graph import Graph
from lowtide.ir import StringAttr, parse_module
from lowtide.kernels.library import KERNELS, PREPACKED
from lowtide.kernels.microkernels import MICROKERNELS, note_microkernels
from lowtide.lower import graph_of, normalised
from lowtide.normalise.form import KERNEL, network_layers
from lowtide.passes import run_passes
from lowtide.plan.flash import most_gain, prepacked_layers
from lowtide.plan.plan import Plan
from lowtide.script.emit import script_for
from lowtide.stages import Stages
from lowtide.targets import TARGETS
from lowtide.transform.interpreter import apply_script, make_transform_context

SEED = int(os.environ.get("LOWTIDE_TEST_SEED", "0"))
FRONT = "lowtide-import-tosa,lowtide-normalise,lowtide-outline"
BACK = "lowtide-allocate{alignment=8},lowtide-kernels"
SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large)
common = settings(database=None, deadline=None, phases=[Phase.generate], print_blob=True, suppress_health_check=SLOW)


def _is_prepacked(layer: Convolution, microkernels: str) -> bool | None:
    """Whether the layer's weights are, None where the kernel is none for it; its numbers are right."""
    net, output = layer.net()
    module = parse_module(net.text([output]), make_transform_context())
    note_microkernels(module, microkernels)
    run_passes(module, FRONT)
    if not all(map(KERNELS[PREPACKED].accepts, layer_bodies(module).values())):
        return None
    for call in network_layers(module, "test"):
        call.attributes[KERNEL] = StringAttr.get(PREPACKED, module.context)
    run_passes(module, BACK)
    prepacked = re.search(r"memref<\d+xi16>", str(module)) is not None
    found = jit.run(module, [net.inputs[0].array], [output.array])
    np.testing.assert_array_equal(found[0], output.array, f"LOWTIDE_TEST_SEED={SEED} {microkernels} {layer}")
    return prepacked


@pytest.mark.parametrize("microkernels", MICROKERNELS)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("depthwise", "multiplied")])
def test_random_convolutions(kind: str, microkernels: str) -> None:
    made: list[bool] = []

    @seed(SEED)
    @settings(common, max_examples=8)
    @given(convolutions(kind))
    def layers(layer: Convolution) -> None:
        found = _is_prepacked(layer, microkernels)
        if found is not None:
            made.append(found)

    layers()
    assert made and all(prepacked == MICROKERNELS[microkernels].widens for prepacked in made)


def _graph(folder: Path, microkernels: str) -> Graph:
    """Convolutions with 96, 144 and 24 weights, and one in which each channel has its own input."""
    net = TosaNet(np.random.default_rng(2))
    x = net.input((1, 6, 6, 8), "int8")
    x = net.rescale(net.conv(x, net.random((12, 1, 1, 8), "int8"), Window((1, 1))))
    x = net.rescale(net.conv(x, net.random((12, 1, 1, 12), "int8"), Window((1, 1))))
    x = net.rescale(net.depthwise(x, net.random((3, 3, 12, 1), "int8"), Window((3, 3), ((1, 1), (1, 1)))))
    x = net.rescale(net.conv(x, net.random((2, 1, 1, 12), "int8"), Window((1, 1))))
    path = folder / "net.mlir"
    path.write_text(net.text([x]), encoding="utf-8")
    module = normalised(path, (), Stages()).module
    note_microkernels(module, microkernels)
    return graph_of(module, (), layer_counts="all")


@pytest.mark.parametrize(("spare", "chosen"), [(23, ()), (24, (4,)), (100, (1,)), (120, (1, 4)), (264, (1, 2, 4))])
def test_layers_take_what_there_is(spare: int, chosen: tuple[int, ...], tmp_path: Path) -> None:
    graph, model = _graph(tmp_path, "dsp"), cost_model(TARGETS["cortex-m4"])
    assert prepacked_layers(graph, Plan("free"), model, spare) == chosen
    assert [0 if layer.layer_counts is None else layer.layer_counts.prepacked_bytes for layer in graph.layers] == [
        96,
        144,
        0,
        24,
    ]


def test_what_goes_by_pixels_takes_none(tmp_path: Path) -> None:
    graph, model = _graph(tmp_path, "dsp"), cost_model(TARGETS["cortex-m4"])
    plan = Plan("ram", fusions=(Fusion(1, 2, columns=1),))
    assert prepacked_layers(graph, plan, model, 1 << 20) == (4,)


def test_cores_that_gain_nothing_take_none(tmp_path: Path) -> None:
    model = cost_model(TARGETS["rv32imac"])
    assert prepacked_layers(_graph(tmp_path, "risc"), Plan("free"), model, 1 << 20) == ()


def test_the_choice_is_the_best_there_is() -> None:
    rng = np.random.default_rng(SEED)
    for _ in range(20):
        items = {n: (int(rng.integers(1, 100)), int(rng.integers(1, 50))) for n in range(1, 9)}
        spare = int(rng.integers(0, 200))
        picked = most_gain(items, spare)
        sets = (subset for size in range(9) for subset in itertools.combinations(items, size))
        fitting = [subset for subset in sets if sum(items[n][1] for n in subset) <= spare]
        best = max(sum(items[n][0] for n in subset) for subset in fitting)
        assert picked in fitting and sum(items[n][0] for n in picked) == best, f"LOWTIDE_TEST_SEED={SEED} {items}"


def test_the_script_says_it_before_the_loops(tmp_path: Path) -> None:
    _graph(tmp_path, "dsp")
    plan = Plan("free", fusions=(Fusion(1, 2),), kernels=((PREPACKED, (1, 4)),))
    module = normalised(tmp_path / "net.mlir", (), Stages()).module
    apply_script(module, script_for(plan))
    picked = [KERNEL in layer.attributes for layer in network_layers(module, "test")]
    assert picked == [True, False, False, True]
