"""Blocked kernels: random convolutions on every kind of core give numpy's numbers, as near as their profile allows.

`LOWTIDE_TEST_SEED` starts another sequence of layers; a failure prints it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field

import fused_chains
import hypothesis.strategies as st
import jit
import numpy as np
import pytest
from convolutions import KINDS, Convolution, convolutions, extreme
from fused_chains import Chain, graph_of
from hypothesis import HealthCheck, Phase, given, seed, settings
from shifted import Shifted, profiles
from tosa_nets import TosaNet, Window

from lowtide.graph.row_schedule import UnschedulableError
from lowtide.kernels.library import LANES
from lowtide.normalise.form import network_calls
from lowtide.plan.memory import schedule_of
from lowtide.plan.plan import Fusion

SEED = int(os.environ.get("LOWTIDE_TEST_SEED", "0"))
SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large)
# Compiling takes longer than reading a layer, so nothing is shrunk.
common = settings(database=None, deadline=None, phases=[Phase.generate], print_blob=True, suppress_health_check=SLOW)


@dataclass
class Caught:
    """How often the output one pixel nearer than its profile says was wrong, of how many such runs."""

    runs: int = 0
    wrong: int = 0
    by_lanes: dict[str, int] = field(default_factory=dict[str, int])


def _check(layer: Convolution, lanes: str, caught: Caught) -> None:
    """Right apart from its input and at the profile's distance; counts what one pixel nearer comes to."""
    net, output = layer.net()
    text, wanted, x = net.text([output]), output.array, net.inputs[0].array
    (profile,) = profiles(text, [x.nbytes], wanted.nbytes, lanes)
    pixel = wanted.shape[3]
    # offset of the output less that of its input: the nearest that is allowed, and one pixel further
    near = {
        "forwards": (-profile.forwards, pixel),
        "backwards": (x.nbytes - wanted.nbytes + profile.backwards, -pixel),
    }
    for direction, (shift, step) in near.items():
        code = Shifted(text, direction, lanes)
        for place in (x.nbytes + wanted.nbytes, shift):
            found = code.run([x], wanted, 0, place)
            label = f"LOWTIDE_TEST_SEED={SEED} {lanes} {direction} at {place}: {layer}"
            np.testing.assert_array_equal(found, wanted, label)
        if -wanted.nbytes < shift + step < x.nbytes:
            wrong = not np.array_equal(code.run([x], wanted, 0, shift + step), wanted)
            caught.runs += 1
            caught.wrong += wrong
            caught.by_lanes[lanes] = caught.by_lanes.get(lanes, 0) + wrong


def _sweep(kind: str, lanes: str, examples: int, start: int) -> Caught:
    caught = Caught()

    @seed(start)
    @settings(common, max_examples=examples)
    @given(convolutions(kind))
    def layers(layer: Convolution) -> None:
        _check(layer, lanes, caught)

    layers()
    return caught


@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("kind", KINDS)
def test_random_convolutions(kind: str, lanes: str) -> None:
    _sweep(kind, lanes, 3, SEED)


@pytest.mark.slow
@pytest.mark.parametrize("lanes", LANES)
def test_many_random_convolutions(lanes: str, capsys: pytest.CaptureFixture[str]) -> None:
    sweeps = [_sweep(kind, lanes, 150, SEED + 1) for kind in KINDS]
    runs, wrong = sum(caught.runs for caught in sweeps), sum(caught.wrong for caught in sweeps)
    with capsys.disabled():
        print(f"\n{lanes}: {runs} runs one pixel nearer than allowed, {wrong} of them wrong", end="")
    assert wrong


@pytest.mark.parametrize("kernel", [(1, 1), (2, 1), (3, 1)])
def test_one_pixel_nearer_is_wrong_where_a_block_is_the_largest(kernel: tuple[int, int]) -> None:
    """Two blocks of four pixels a row: at either end of the output a block's input is read until its end is stored."""
    caught = Caught()
    layer = Convolution("conv", (3, 8), (4, 16), Window(kernel), (0, 0, 0), False, True, "none", 1)
    _check(layer, "risc", caught)
    assert caught.wrong == caught.runs == 2


def test_a_depthwise_layer_of_channels_that_are_pads() -> None:
    """It reads less of a pixel than it has channels, which is for the general kernel."""
    net = TosaNet(np.random.default_rng(1))
    x = net.input((1, 4, 6, 3), "int8")
    wide = net.pad(x, [(0, 0), (1, 1), (0, 0), (0, 2)], -5)
    window = Window((3, 3), ((0, 0), (1, 1)))
    y = net.rescale(net.depthwise(wide, net.random((3, 3, 5, 1), "int8"), window, -5))
    module = jit.lowered(net.text([y]))
    assert len(network_calls(module, "test")) == 1
    np.testing.assert_array_equal(jit.run(module, [x.array], [y.array])[0], y.array)


# -- by rows, in fused loops ------------------------------------------------------------------------------------------


def _chain(layer: Convolution, first: int) -> Chain:
    """A pointwise convolution, the layer, and a pool, on an image of the layer's size."""
    net = TosaNet(np.random.default_rng(layer.seed))
    x = net.input((*layer.input_shape[:3], first), "int8")
    extreme(net.rng, x.array)
    weights = net.random((layer.channels[0], 1, 1, first), "int8")
    y = layer.appended(net, net.rescale(net.conv(x, weights, Window((1, 1)), -128), twice=True))
    return Chain(net, (net.max_pool(y, Window((1, 1))),))


def _by_rows(layer: Convolution, fusion: Fusion, lanes: str) -> bool:
    """Whether there is such a loop; then it is right."""
    chain = _chain(layer, 3)
    graph = graph_of(chain, lanes)
    try:
        schedule_of(graph, fusion)
    except UnschedulableError:
        return False
    label = f"LOWTIDE_TEST_SEED={SEED} {lanes} {fusion} {layer}"
    fused_chains.check(chain, graph, (fusion,), label, lanes)
    return True


def _loops() -> Iterator[Fusion]:
    for direction in ("forwards", "backwards"):
        for rows in (1, 2, 3):
            yield Fusion(1, 3, rows, direction=direction)


def _sweep_rows(lanes: str, examples: int, start: int) -> int:
    made: list[bool] = []

    @seed(start)
    @settings(common, max_examples=examples)
    @given(convolutions().filter(lambda layer: layer.extents[0] > 1), st.sampled_from(list(_loops())))
    def layers(layer: Convolution, fusion: Fusion) -> None:
        made.append(_by_rows(layer, fusion, lanes))

    layers()
    return sum(made)


@pytest.mark.parametrize("lanes", LANES)
def test_random_convolutions_by_rows(lanes: str) -> None:
    assert _sweep_rows(lanes, 6, SEED)


@pytest.mark.slow
@pytest.mark.parametrize("lanes", LANES)
def test_many_random_convolutions_by_rows(lanes: str) -> None:
    assert _sweep_rows(lanes, 300, SEED + 1) > 100
