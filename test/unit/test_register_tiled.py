"""Blocked kernels: random convolutions on every kind of core give numpy's numbers, as near as their profile allows.

`LOWTIDE_TEST_SEED` starts another sequence of layers; a failure prints it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import fused_chains
import hypothesis.strategies as st
import jit
import numpy as np
import pytest
from convolutions import KINDS, Convolution, WholeNet, convolutions
from fused_chains import Chain, graph_of
from hypothesis import HealthCheck, Phase, given, seed, settings
from shifted import Shifted, kernel_of, profiles
from tosa_nets import TosaNet, Window

import lowtide
from lowtide.graph.fusion import Fusion
from lowtide.graph.stages import UnschedulableError
from lowtide.kernels.microkernels import FLOATS, MICROKERNELS, PLAIN
from lowtide.normalise.analysis import calls_in, network_function
from lowtide.plan.memory import schedule_of

SEED = int(os.environ.get("LOWTIDE_TEST_SEED", "0"))
FLOAT_MICROKERNELS = (PLAIN, "dsp")
"""One of each way to multiply floats: without an FPU, and with one."""
SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large)
# Compiling takes longer than reading a layer, so nothing is shrunk.
common = settings(database=None, deadline=None, phases=[Phase.generate], print_blob=True, suppress_health_check=SLOW)


@dataclass
class Caught:
    """How often the output one pixel nearer than its profile says was wrong, of how many such runs."""

    runs: int = 0
    wrong: int = 0
    by_microkernels: dict[str, int] = field(default_factory=dict[str, int])


def _check(layer: Convolution, microkernels: str, caught: Caught) -> None:
    """Right apart from its input and at the profile's distance; counts what one pixel nearer comes to."""
    net, output = layer.net()
    text, wanted, x = net.text([output]), output.array, net.inputs[0].array
    (profile,) = profiles(text, [x.nbytes], wanted.nbytes, microkernels)
    pixel = wanted.shape[3]
    # offset of the output less that of its input: the nearest that is allowed, and one pixel further
    near = {
        "forwards": (-profile.forwards, pixel),
        "backwards": (x.nbytes - wanted.nbytes + profile.backwards, -pixel),
    }
    for direction, (shift, step) in near.items():
        code = Shifted(text, direction, microkernels)
        for place in (x.nbytes + wanted.nbytes, shift):
            found = code.run([x], wanted, 0, place)
            label = f"LOWTIDE_TEST_SEED={SEED} {microkernels} {direction} at {place}: {layer}"
            np.testing.assert_array_equal(found, wanted, label)
        if -wanted.nbytes < shift + step < x.nbytes:
            wrong = not np.array_equal(code.run([x], wanted, 0, shift + step), wanted)
            caught.runs += 1
            caught.wrong += wrong
            caught.by_microkernels[microkernels] = caught.by_microkernels.get(microkernels, 0) + wrong


def _sweep(kind: str, microkernels: str, examples: int, start: int, element: str = "int8") -> Caught:
    caught = Caught()

    @seed(start)
    @settings(common, max_examples=examples)
    @given(convolutions(kind, element=element))
    def layers(layer: Convolution) -> None:
        _check(layer, microkernels, caught)

    layers()
    return caught


@pytest.mark.parametrize("microkernels", MICROKERNELS)
@pytest.mark.parametrize("kind", KINDS)
def test_random_convolutions(kind: str, microkernels: str) -> None:
    _sweep(kind, microkernels, 3, SEED)


@pytest.mark.parametrize("microkernels", FLOAT_MICROKERNELS)
@pytest.mark.parametrize("kind", KINDS)
def test_random_convolutions_of_floats(kind: str, microkernels: str) -> None:
    _sweep(kind, microkernels, 4, SEED, "float32")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("microkernels", "element"),
    [
        *((microkernels, "int8") for microkernels in MICROKERNELS),
        *((microkernels, "float32") for microkernels in FLOAT_MICROKERNELS),
    ],
)
def test_many_random_convolutions(microkernels: str, element: str, capsys: pytest.CaptureFixture[str]) -> None:
    sweeps = [_sweep(kind, microkernels, 150, SEED + 1, element) for kind in KINDS]
    runs, wrong = sum(caught.runs for caught in sweeps), sum(caught.wrong for caught in sweeps)
    with capsys.disabled():
        print(f"\n{microkernels}: {runs} runs one pixel nearer than allowed, {wrong} of them wrong", end="")
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
    assert len(calls_in(network_function(module, "test"))) == 1
    np.testing.assert_array_equal(jit.run(module, [x.array], [y.array])[0], y.array)


@pytest.mark.parametrize("outputs", [1, 5, 16, 37])
@pytest.mark.parametrize("microkernels", FLOAT_MICROKERNELS)
def test_a_dense_layer_with_a_result_of_two_dimensions(microkernels: str, outputs: int) -> None:
    net = WholeNet(np.random.default_rng(1))
    x = net.input((1, 1, 1, 24), "float32")
    made = net.conv(x, net.random((outputs, 1, 1, 24), "float32"), Window((1, 1)))
    y = net.clamp(net.reshape(made, [1, outputs]), -30, 40)
    assert kernel_of(net.text([y])) == "register_tiled"
    module = jit.lowered(net.text([y]), microkernels=microkernels)
    assert len(calls_in(network_function(module, "test"))) == 1
    np.testing.assert_array_equal(jit.run(module, [x.array], [y.array])[0], y.array)


@pytest.mark.parametrize("microkernels", MICROKERNELS)
def test_products_are_fused_where_there_is_an_fpu(microkernels: str) -> None:
    """Elsewhere a fused multiply-add would be a call of its own, slower than both."""
    net, y = Convolution("conv", (3, 4), (4, 8), Window((3, 3)), (0, 0, 0), False, False, "none", 1, "float32").net()
    text = str(jit.lowered(net.text([y]), microkernels=microkernels))
    assert ("math.fma" in text, "arith.mulf" in text) == ((True, False) if microkernels in FLOATS else (False, True))


@pytest.mark.parametrize("kind", ["conv", "one channel"])
def test_weights_of_floats_are_in_the_flash_once(kind: str, tmp_path: Path) -> None:
    """As the FPU takes them, in the place of the model's own."""
    window, channels = Window((5, 5)), (8 if kind == "conv" else 1, 44)
    net, y = Convolution(kind, (3, 4), channels, window, (0, 0, 0), False, False, "none", 1, "float32").net()
    (tmp_path / "net.mlir").write_text(net.text([y]), encoding="utf-8")
    report = lowtide.compile(tmp_path / "net.mlir", target="cortex-m4", out=tmp_path / "out").report
    values = 5 * 5 * channels[0] * channels[1] + channels[1]
    assert 4 * values <= report.weights_bytes <= 4 * values + 64


# -- by rows, in fused loops ------------------------------------------------------------------------------------------


def _chain(layer: Convolution, first: int) -> Chain:
    """A pointwise convolution, the layer, and a pool, on an image of the layer's size."""
    net = layer.empty()
    x = layer.input(net, (*layer.input_shape[:3], first))
    weights = net.random((layer.channels[0], 1, 1, first), layer.element)
    if layer.element == "int8":
        made = net.rescale(net.conv(x, weights, Window((1, 1)), -128), twice=True)
    else:
        made = net.clamp(net.conv(x, weights, Window((1, 1))), -9, 9)
    y = layer.appended(net, made)
    return Chain(net, (net.max_pool(y, Window((1, 1))),))


def _by_rows(layer: Convolution, fusion: Fusion, microkernels: str) -> bool:
    """Whether there is such a loop; then it is right."""
    chain = _chain(layer, 3)
    graph = graph_of(chain, microkernels)
    try:
        schedule_of(graph, fusion)
    except UnschedulableError:
        return False
    label = f"LOWTIDE_TEST_SEED={SEED} {microkernels} {fusion} {layer}"
    fused_chains.check(chain, graph, (fusion,), label, microkernels)
    return True


def _loops() -> Iterator[Fusion]:
    for direction in ("forwards", "backwards"):
        for rows in (1, 2, 3):
            yield Fusion(1, 3, rows, direction=direction)
        yield Fusion(1, 3, columns=1, direction=direction)


def _sweep_rows(microkernels: str, examples: int, start: int, element: str = "int8") -> int:
    made: list[bool] = []

    @seed(start)
    @settings(common, max_examples=examples)
    @given(convolutions(element=element).filter(lambda layer: layer.extents[0] > 1), st.sampled_from(list(_loops())))
    def layers(layer: Convolution, fusion: Fusion) -> None:
        made.append(_by_rows(layer, fusion, microkernels))

    layers()
    return sum(made)


@pytest.mark.parametrize("microkernels", MICROKERNELS)
def test_random_convolutions_by_rows(microkernels: str) -> None:
    assert _sweep_rows(microkernels, 6, SEED)


@pytest.mark.parametrize("microkernels", FLOAT_MICROKERNELS)
def test_random_convolutions_of_floats_by_rows(microkernels: str) -> None:
    assert _sweep_rows(microkernels, 8, SEED, "float32")


@pytest.mark.slow
@pytest.mark.parametrize("microkernels", MICROKERNELS)
def test_many_random_convolutions_by_rows(microkernels: str) -> None:
    assert _sweep_rows(microkernels, 300, SEED + 1) > 100


@pytest.mark.slow
@pytest.mark.parametrize("microkernels", FLOAT_MICROKERNELS)
def test_many_random_convolutions_of_floats_by_rows(microkernels: str) -> None:
    assert _sweep_rows(microkernels, 300, SEED + 1, "float32") > 100
