"""Blocks of channels as one piece of assembly: random requantised convolutions give numpy's numbers in any direction.

`LOWTIDE_TEST_SEED` starts another sequence of layers; a failure prints it.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace

import fused_chains
import hypothesis.strategies as st
import jit
import numpy as np
import pytest
from convolutions import Convolution, convolutions
from fused_chains import Chain, graph_of
from hypothesis import HealthCheck, Phase, given, seed, settings
from rescaled import rescaled
from shifted import Shifted, pieces, profiles
from tosa_nets import TosaNet, Window

from lowtide.graph.fusion import Fusion
from lowtide.graph.stages import UnschedulableError
from lowtide.plan.memory import schedule_of

SEED = int(os.environ.get("LOWTIDE_TEST_SEED", "0"))
SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large)
common = settings(database=None, deadline=None, phases=[Phase.generate], print_blob=True, suppress_health_check=SLOW)
KERNELS = ("conv", "pointwise", "depthwise", "dense")


def requantised(layer: Convolution, channels: int) -> Convolution:
    """The layer with what the pieces are for: one zero point of weights, a rescale by channel, perhaps a clamp."""
    inputs = layer.channels[0] if layer.kind != "depthwise" else channels
    epilogue = layer.epilogue if layer.epilogue in ("none", "clamp") else "none"
    zeros = (layer.zeros[0], 0, layer.zeros[2])
    sizes = (inputs, channels)
    return replace(layer, channels=sizes, zeros=zeros, per_channel=True, twice=True, epilogue=epilogue)


def layers(kind: str) -> st.SearchStrategy[Convolution]:
    """Random ones, with enough channels for several blocks."""
    return st.builds(requantised, convolutions(kind), st.sampled_from((4, 8, 9, 12)))


def check(layer: Convolution, caught: Counter[str]) -> None:
    """Right in both directions, apart from its input and as near as its profile allows."""
    net, output = layer.net()
    text, wanted, x = net.text([output]), output.array, net.inputs[0].array
    caught["pieces"] += pieces(jit.lowered(text, microkernels="dsp")) > 0
    caught["layers"] += 1
    (profile,) = profiles(text, [x.nbytes], wanted.nbytes, "dsp")
    near = {"forwards": -profile.forwards, "backwards": x.nbytes - wanted.nbytes + profile.backwards}
    for direction, shift in near.items():
        code = Shifted(text, direction, "dsp")
        for place in (x.nbytes + wanted.nbytes, shift):
            label = f"LOWTIDE_TEST_SEED={SEED} {direction} at {place}: {layer}"
            np.testing.assert_array_equal(code.run([x], wanted, 0, place), wanted, label)


def sweep(kind: str, examples: int, start: int) -> Counter[str]:
    caught: Counter[str] = Counter()

    @seed(start)
    @settings(common, max_examples=examples)
    @given(layers(kind))
    def run(layer: Convolution) -> None:
        check(layer, caught)

    run()
    return caught


def sweep_rows(kind: str, examples: int, start: int) -> int:
    """Layers in loops by rows, behind another convolution, so that their input is a ring; how many there were."""
    made: list[bool] = []
    loops = [Fusion(1, 3, rows, direction=way) for way in ("forwards", "backwards") for rows in (1, 2, 3)]

    @seed(start)
    @settings(common, max_examples=examples)
    @given(layers(kind).filter(lambda layer: layer.extents[0] > 1), st.sampled_from(loops))
    def run(layer: Convolution, fusion: Fusion) -> None:
        net = layer.empty()
        x = layer.input(net, (*layer.input_shape[:3], 3))
        weights = net.random((layer.channels[0], 1, 1, 3), "int8")
        behind = net.rescale(net.conv(x, weights, Window((1, 1)), -128), twice=True)
        chain = Chain(net, (net.max_pool(layer.appended(net, behind), Window((1, 1))),))
        graph = graph_of(chain, "dsp")
        try:
            schedule_of(graph, fusion)
        except UnschedulableError:
            return
        fused_chains.check(chain, graph, (fusion,), f"LOWTIDE_TEST_SEED={SEED} {fusion} {layer}", "dsp")
        made.append(True)

    run()
    return len(made)


@pytest.mark.parametrize("kind", KERNELS)
def test_random_blocks_of_channels(kind: str) -> None:
    caught = sweep(kind, 5, SEED)
    assert caught["pieces"] > 0


@pytest.mark.parametrize("kind", ["conv", "depthwise"])
def test_random_blocks_of_channels_by_rows(kind: str) -> None:
    assert sweep_rows(kind, 6, SEED) > 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", KERNELS)
def test_many_random_blocks_of_channels(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    caught = sweep(kind, 150, SEED + 1)
    with capsys.disabled():
        print(f"\n{kind}: {caught}")
    assert caught["pieces"] > caught["layers"] // 2


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["conv", "depthwise"])
def test_many_random_blocks_of_channels_by_rows(kind: str) -> None:
    assert sweep_rows(kind, 150, SEED + 1) > 50


@pytest.mark.parametrize("rows", [2, 4, 5, 8, 9, 12])
@pytest.mark.parametrize(("kind", "channels"), [("conv", (4, 4)), ("conv", (4, 5)), ("depthwise", (8, 8))])
def test_windows_of_many_rows(rows: int, kind: str, channels: tuple[int, int]) -> None:
    """More rows than there are registers for their addresses: then another code takes the block."""
    window = Window((rows, 3), ((1, 1), (1, 1)))
    layer = Convolution(kind, (4, 5), channels, window, (-128, 0, 3), True, True, "none", 1)
    check(layer, Counter())


def dead_channels(bias: int, multiplier: int, shift: int) -> tuple[TosaNet, str, jit.Array]:
    """A pointwise convolution of eight channels, of which one has no weights, such a bias and such a rescale."""
    net = TosaNet(np.random.default_rng(SEED))
    x = net.input((1, 3, 4, 8), "int8")
    weights = net.random((8, 1, 1, 8), "int8")
    weights[5] = 0
    start = net.random((8,), "int32")
    start[5] = bias
    wide = net.conv(x, weights, Window((1, 1)), -128, bias=start)
    multipliers, shifts = np.full(8, 1 << 30, np.int32), np.full(8, 40, np.int8)
    multipliers[5], shifts[5] = multiplier, shift
    y = rescaled(net, wide, multipliers, shifts, -7)
    return net, net.text([y]), y.array


@pytest.mark.parametrize(
    ("bias", "multiplier", "shift"),
    [(2_000_000_000, 1_500_000_000, 57), (-2_000_000_000, 1_500_000_000, 57), (-1_900_000_000, 2_000_000_000, 62)],
)
def test_a_channel_without_weights_is_its_number(bias: int, multiplier: int, shift: int) -> None:
    net, text, wanted = dead_channels(bias, multiplier, shift)
    module = jit.lowered(text, microkernels="dsp")
    assert pieces(module) > 0
    (got,) = jit.run(module, [net.inputs[0].array], [wanted])
    np.testing.assert_array_equal(got, wanted)
