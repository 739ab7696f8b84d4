"""Primitives that take flash, or a workspace, for speed: which layers get which; and weights of 16 bits are right."""

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

from lowtide.alloc import solve
from lowtide.cost.data import cost_model
from lowtide.graph.fusion import Fusion
from lowtide.graph.graph import Graph
from lowtide.ir import StringAttr, parse_module
from lowtide.kernels.library import KERNELS, PREPACKED
from lowtide.kernels.microkernels import MICROKERNELS, note_microkernels
from lowtide.lower import graph_of, normalised
from lowtide.normalise.form import KERNEL, network_layers
from lowtide.passes import run_passes
from lowtide.plan.memory import problem_of
from lowtide.plan.plan import Plan
from lowtide.plan.primitives import Chooser, Option, Picks, choose
from lowtide.script.emit import script_for
from lowtide.stages import Stages
from lowtide.targets import TARGETS
from lowtide.transform.interpreter import apply_script, make_transform_context

SEED = int(os.environ.get("LOWTIDE_TEST_SEED", "0"))
FRONT = "lowtide-import-tosa,lowtide-normalise,lowtide-outline"
WINOGRAD = "winograd"
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
    return _read(net.text([x]), folder, microkernels)


def _read(text: str, folder: Path, microkernels: str) -> Graph:
    path = folder / "net.mlir"
    path.write_text(text, encoding="utf-8")
    module = normalised(path, (), Stages()).module
    note_microkernels(module, microkernels)
    return graph_of(module, (), layer_counts="all")


def _chosen(graph: Graph, plan: Plan, core: str, spare: int) -> tuple[tuple[str, tuple[int, ...]], ...]:
    return Chooser(cost_model(TARGETS[core]), spare, 8).choose(graph, plan, 0).kernels


@pytest.mark.parametrize(("spare", "chosen"), [(23, ()), (24, (4,)), (100, (1,)), (120, (1, 4)), (264, (1, 2, 4))])
def test_layers_take_what_there_is(spare: int, chosen: tuple[int, ...], tmp_path: Path) -> None:
    graph = _graph(tmp_path, "dsp")
    assert _chosen(graph, Plan("free"), "cortex-m4", spare) == (((PREPACKED, chosen),) if chosen else ())
    prices = [[(own.kernel, own.flash_bytes) for own in layer.primitives] for layer in graph.layers]
    assert prices == [[(PREPACKED, 96)], [(PREPACKED, 144)], [], [(PREPACKED, 24)]]


def test_what_goes_by_pixels_takes_none(tmp_path: Path) -> None:
    plan = Plan("ram", fusions=(Fusion(1, 2, columns=1),))
    assert _chosen(_graph(tmp_path, "dsp"), plan, "cortex-m4", 1 << 20) == ((PREPACKED, (4,)),)


def test_cores_that_gain_nothing_take_none(tmp_path: Path) -> None:
    assert _chosen(_graph(tmp_path, "risc"), Plan("free"), "rv32imac", 1 << 20) == ()


def test_flash_that_makes_wait_is_not_read_twice(tmp_path: Path) -> None:
    """Weights of 16 bits are twice the bytes for each block: with wait states enough nothing is gained by them."""
    graph, model = _graph(tmp_path, "dsp"), cost_model(TARGETS["cortex-m4"])
    chosen = [Chooser(model, 1 << 20, 8, waits=waits).choose(graph, Plan("free"), 0) for waits in (0.0, 100.0)]
    assert chosen[0].picks and not chosen[1].picks
    assert chosen[1].time > chosen[0].time


def test_a_workspace_is_paid_for_only_where_there_is_room(tmp_path: Path) -> None:
    net = TosaNet(np.random.default_rng(SEED))
    x = net.input((1, 12, 12, 16), "int8")
    for _ in range(3):
        weights = net.random((16, 3, 3, 16), "int8")
        x = net.rescale(net.conv(x, weights, Window((3, 3), ((1, 1), (1, 1))), -128), twice=True)
    graph = _read(net.text([x]), tmp_path, "dsp")
    chooser = Chooser(cost_model(TARGETS["cortex-m4"]), 1 << 20, 8)
    small, large = (chooser.choose(graph, Plan("free"), most) for most in (0, 1 << 20))
    assert WINOGRAD not in small.picks.values()
    assert small.arena_bytes == solve(problem_of(graph, 8)).arena_bytes
    assert set(large.picks.values()) == {WINOGRAD} and large.time < small.time and small.gap == large.gap == 0
    # a byte less, and a layer goes another way
    less = chooser.choose(graph, Plan("free"), large.arena_bytes - 1)
    assert less.arena_bytes < large.arena_bytes and large.time < less.time <= small.time


def test_the_choice_is_the_best_there_is() -> None:
    rng = np.random.default_rng(SEED)
    for _ in range(40):
        options = [
            Option(layer, name, *(int(rng.integers(1, 60)) for _ in range(2)), takes_memory=bool(rng.integers(2)))
            for layer in range(1, 6)
            for name in ("a", "b")
        ]
        weights = {(one.layer, one.kernel): int(rng.integers(1, 20)) for one in options if one.takes_memory}
        room, spare = int(rng.integers(0, 50)), int(rng.integers(0, 150))

        def fits(picks: Picks, weights: dict[tuple[int, str], int] = weights, room: int = room) -> bool:
            return sum(weights.get(pick, 0) for pick in picks.items()) <= room

        picks, unproven = choose(options, spare, fits)
        found = [one for one in options if picks.get(one.layer) == one.kernel]
        best = 0
        for parts in itertools.product(*((None, *(o for o in options if o.layer == n)) for n in range(1, 6))):
            taken = [one for one in parts if one is not None]
            if sum(one.flash_bytes for one in taken) <= spare and fits({one.layer: one.kernel for one in taken}):
                best = max(best, sum(one.gain for one in taken))
        label = f"LOWTIDE_TEST_SEED={SEED} {options} {weights} {room} {spare}"
        assert sum(one.flash_bytes for one in found) <= spare and fits(picks), label
        assert sum(one.gain for one in found) == best and unproven == 0, label


def test_the_script_says_it_before_the_loops(tmp_path: Path) -> None:
    _graph(tmp_path, "dsp")
    plan = Plan("free", fusions=(Fusion(1, 2),), kernels=((PREPACKED, (1, 4)),))
    module = normalised(tmp_path / "net.mlir", (), Stages()).module
    apply_script(module, script_for(plan))
    picked = [KERNEL in layer.attributes for layer in network_layers(module, "test")]
    assert picked == [True, False, False, True]
