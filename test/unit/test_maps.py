"""Element-wise layers in runs, pools of several channels: numpy's numbers, as near to an input as the profile allows.

`LOWTIDE_TEST_SEED` starts another sequence of layers; a failure prints it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from convolutions import extreme
from hypothesis import HealthCheck, Phase, given, seed, settings
from shifted import Shifted, kernel_of, profiles
from tosa_nets import TosaNet, Value, Window

from lowtide.kernels.microkernels import MICROKERNELS

SEED = int(os.environ.get("LOWTIDE_TEST_SEED", "0"))
SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much)
common = settings(database=None, deadline=None, phases=[Phase.generate], print_blob=True, suppress_health_check=SLOW)
Draw = Callable[..., Any]


def _input(net: TosaNet, shape: list[int]) -> Value:
    x = net.input(shape, "int8")
    extreme(net.rng, x.array)
    return x


def _number(draw: Draw, low: int, high: int) -> int:
    return draw(st.integers(low, high))


def _shape(draw: Draw) -> list[int]:
    return [1, _number(draw, 1, 6), _number(draw, 1, 6), _number(draw, 1, 11)]


def _add(draw: Draw, net: TosaNet) -> Value:
    """Of two tensors, of a tensor and itself, with a constant or with broadcasting."""
    shape = _shape(draw)
    x = _input(net, shape)
    how = draw(st.sampled_from(("tensor", "tensor", "constant", "broadcast", "itself")))
    dims = [draw(st.sampled_from((1, extent))) for extent in shape]
    match how:
        case "tensor":
            return net.add(x, _input(net, shape))
        case "constant":
            return net.add(x, net.const(net.random(dims, "int8")))
        case "broadcast":
            return net.add(x, _input(net, dims))
        case _:
            return net.add(x, x)


def _narrowed(draw: Draw, net: TosaNet) -> Value:
    """32 bits to a byte, which is no function of bytes."""
    x = net.input(_shape(draw), "int32")
    return net.rescale(x, twice=draw(st.booleans()), per_channel=draw(st.booleans()), zero_point=-5)


def _widened(draw: Draw, net: TosaNet) -> Value:
    """A byte to 32 bits."""
    return net.cast_i32(_input(net, _shape(draw)))


def _clamped(draw: Draw, net: TosaNet) -> Value:
    low = _number(draw, -128, 126)
    return net.clamp(_input(net, _shape(draw)), low, _number(draw, low + 1, 127))


def _table(draw: Draw, net: TosaNet) -> Value:
    return net.table(_input(net, _shape(draw)))


def _sliced(draw: Draw, net: TosaNet) -> Value:
    x = _input(net, _shape(draw))
    start = [_number(draw, 0, extent - 1) for extent in x.array.shape]
    part = net.slice(x, start, [_number(draw, 1, extent - s) for s, extent in zip(start, x.array.shape, strict=True)])
    return net.clamp(part, -100, 90)


def _window(draw: Draw, extents: tuple[int, ...]) -> Window:
    kernels, pads, strides = list[int](), list[tuple[int, int]](), list[int]()
    for extent in extents:
        kernel, stride = _number(draw, 1, min(4, extent)), _number(draw, 1, 2)
        fits = [
            (low, high)
            for low in range(kernel)
            for high in range(kernel)
            if (extent + low + high - kernel) % stride == 0 and extent + low + high >= kernel
        ]
        kernels.append(kernel)
        pads.append(draw(st.sampled_from(fits)) if fits else (0, 0))
        strides.append(stride if fits else 1)
    return Window((kernels[0], kernels[1]), (pads[0], pads[1]), (strides[0], strides[1]))


def _max_pool(draw: Draw, net: TosaNet) -> Value:
    x = _input(net, _shape(draw))
    return net.max_pool(x, _window(draw, x.array.shape[1:3]))


def _avg_pool(draw: Draw, net: TosaNet) -> Value:
    x = _input(net, _shape(draw))
    return net.avg_pool(x, _window(draw, x.array.shape[1:3]))


def _mean(draw: Draw, net: TosaNet) -> Value:
    return net.mean(_input(net, _shape(draw)))


def _extremum(draw: Draw, net: TosaNet) -> Value:
    return net.reduce(_input(net, _shape(draw)), _number(draw, 1, 2), draw(st.sampled_from(("max", "min"))))


LAYERS = {
    "map": (_add, _narrowed, _widened, _clamped, _table, _sliced),
    "pool": (_max_pool, _avg_pool, _mean, _extremum),
}


def _check(net: TosaNet, output: Value, microkernels: str) -> None:
    """Right apart from each input and as near to it as the profile allows, in both directions."""
    text, wanted = net.text([output]), output.array
    arrays = [value.array for value in net.inputs]
    found = profiles(text, [array.nbytes for array in arrays], wanted.nbytes, microkernels)
    for direction in ("forwards", "backwards"):
        code = Shifted(text, direction, microkernels)
        for number, (array, profile) in enumerate(zip(arrays, found, strict=True)):
            near = -profile.forwards
            if direction == "backwards":
                near = array.nbytes - wanted.nbytes + profile.backwards
            aligned = wanted.itemsize == array.itemsize == 1
            for place in (-wanted.nbytes, near) if aligned else (-wanted.nbytes,):
                got = code.run(arrays, wanted, number, place)
                label = f"LOWTIDE_TEST_SEED={SEED} {microkernels} {direction} {number} at {place}\n{text}"
                np.testing.assert_array_equal(got, wanted, label)


def _sweep(kernel: str, microkernels: str, examples: int, start: int) -> int:
    taken: list[bool] = []

    @seed(start)
    @settings(common, max_examples=examples)
    @given(st.data())
    def layers(data: Any) -> None:
        net = TosaNet(np.random.default_rng(_number(data.draw, 0, 1 << 16)))
        output = data.draw(st.sampled_from(LAYERS[kernel]))(data.draw, net)
        if output in net.inputs or output.array.size == net.inputs[0].array.size == 1:
            return
        try:
            taken.append(kernel_of(net.text([output])) == kernel)
        except ValueError:
            return  # more than one layer, or none
        _check(net, output, microkernels)

    layers()
    return sum(taken)


@pytest.mark.parametrize("microkernels", MICROKERNELS)
@pytest.mark.parametrize("kernel", LAYERS)
def test_random_layers(kernel: str, microkernels: str) -> None:
    assert _sweep(kernel, microkernels, 8, SEED)


@pytest.mark.slow
@pytest.mark.parametrize("microkernels", MICROKERNELS)
@pytest.mark.parametrize("kernel", LAYERS)
def test_many_random_layers(kernel: str, microkernels: str) -> None:
    assert _sweep(kernel, microkernels, 150, SEED + 1) > 50


def test_a_sum_in_place_needs_no_distance() -> None:
    net = TosaNet(np.random.default_rng(1))
    y = net.add(_input(net, [1, 3, 4, 5]), _input(net, [1, 3, 4, 5]))
    assert kernel_of(net.text([y])) == "map"
    for profile in profiles(net.text([y]), [60, 60], 60):
        assert (profile.forwards, profile.backwards) == (0, 0)
