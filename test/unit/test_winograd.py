"""Winograd's tiles: random requantised 3×3 convolutions give numpy's numbers in any direction, whole and by rows.

`LOWTIDE_TEST_SEED` starts another sequence of layers; a failure prints it.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence

import fused_chains
import hypothesis.strategies as st
import numpy as np
import pytest
from convolutions import ZERO_POINTS, Convolution
from fused_chains import Chain, graph_of
from hypothesis import HealthCheck, Phase, given, seed, settings
from shifted import Shifted, profiles
from tosa_nets import Window

from lowtide.graph.fusion import Fusion
from lowtide.graph.stages import UnschedulableError
from lowtide.plan.memory import schedule_of

SEED = int(os.environ.get("LOWTIDE_TEST_SEED", "0"))
SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large)
common = settings(database=None, deadline=None, phases=[Phase.generate], print_blob=True, suppress_health_check=SLOW)
WINOGRAD = "winograd"
CHANNELS = (4, 8, 12)
MANY = (52, 64)
"""So many that constants do not reach all elements, or that there is a loop over channels."""


_PADS = st.tuples(st.integers(0, 1), st.integers(0, 1))


@st.composite
def layers(draw: st.DrawFn, inputs: Sequence[int] = CHANNELS) -> Convolution:
    """Random ones that it takes: pads of 0 or 1 at each side, any number of columns from 2 on."""
    pads = draw(_PADS), draw(_PADS)
    extents = draw(st.integers(1, 5)), draw(st.integers(2, 9))
    channels = draw(st.sampled_from(inputs)), draw(st.sampled_from(CHANNELS))
    zeros = draw(st.sampled_from(ZERO_POINTS)), 0, draw(st.sampled_from(ZERO_POINTS))
    epilogue, number = draw(st.sampled_from(("none", "clamp"))), draw(st.integers(0, 1 << 16))
    return Convolution("conv", extents, channels, Window((3, 3), pads), zeros, True, True, epilogue, number)


def check(layer: Convolution, caught: Counter[str]) -> None:
    """Right in both directions, apart from its input and as near as its profile allows."""
    net, output = layer.net()
    text, wanted, x = net.text([output]), output.array, net.inputs[0].array
    (profile,) = profiles(text, [x.nbytes], wanted.nbytes, "dsp", WINOGRAD)
    near = {"forwards": -profile.forwards, "backwards": x.nbytes - wanted.nbytes + profile.backwards}
    for direction, shift in near.items():
        code = Shifted(text, direction, "dsp", WINOGRAD)
        caught[direction] += code.pieces > 0
        for place in (x.nbytes + wanted.nbytes, shift):
            label = f"LOWTIDE_TEST_SEED={SEED} {direction} at {place}: {layer}"
            np.testing.assert_array_equal(code.run([x], wanted, 0, place), wanted, label)


def sweep(examples: int, start: int, inputs: Sequence[int] = CHANNELS) -> Counter[str]:
    caught: Counter[str] = Counter()

    @seed(start)
    @settings(common, max_examples=examples)
    @given(layers(inputs))
    def run(layer: Convolution) -> None:
        check(layer, caught)

    run()
    return caught


def sweep_rows(examples: int, start: int) -> int:
    """Layers in loops by rows, behind another convolution, so that their input is a ring; how many there were."""
    made: list[bool] = []
    loops = [Fusion(1, 3, rows, direction=way) for way in ("forwards", "backwards") for rows in (1, 2, 3, 4)]

    @seed(start)
    @settings(common, max_examples=examples)
    @given(layers().filter(lambda layer: layer.extents[0] > 1), st.sampled_from(loops))
    def run(layer: Convolution, fusion: Fusion) -> None:
        net = layer.empty()
        x = layer.input(net, (*layer.input_shape[:3], 3))
        weights = net.random((layer.channels[0], 1, 1, 3), "int8")
        behind = net.rescale(net.conv(x, weights, Window((1, 1)), -128), twice=True)
        chain = Chain(net, (net.max_pool(layer.appended(net, behind), Window((1, 1))),))
        kernels = ((WINOGRAD, (2,)),)
        graph = graph_of(chain, "dsp", kernels)
        try:
            schedule_of(graph, fusion)
        except UnschedulableError:
            return
        fused_chains.check(chain, graph, (fusion,), f"LOWTIDE_TEST_SEED={SEED} {fusion} {layer}", "dsp", kernels)
        made.append(True)

    run()
    return len(made)


def test_random_convolutions() -> None:
    caught = sweep(4, SEED)
    assert caught["forwards"] == caught["backwards"] == 4


def test_random_convolutions_by_rows() -> None:
    assert sweep_rows(3, SEED) > 0


@pytest.mark.slow
@pytest.mark.parametrize("inputs", [CHANNELS, MANY])
def test_many_random_convolutions(inputs: Sequence[int]) -> None:
    caught = sweep(60 if inputs == CHANNELS else 8, SEED + 1, inputs)
    assert caught["forwards"] == caught["backwards"] > 0


@pytest.mark.slow
def test_many_random_convolutions_by_rows() -> None:
    assert sweep_rows(60, SEED + 1) > 30
