"""TOSA that does not say what LiteRT computes is mended: uint8 pools, leaky activations that rise on both sides."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from tflite_nets import Net
from tflite_run import run_model

from lowtide.importer.tflite.writer import write


@pytest.mark.parametrize("zero_point", [0, 128, 255])
@pytest.mark.parametrize(("padding", "taps", "stride"), [(1, 2, 2), (0, 3, 1), (0, 2, 1), (1, 4, 4)])
def test_average_pools_of_uint8_round_ties_up(padding: int, taps: int, stride: int, zero_point: int) -> None:
    net = Net()
    extent = 8
    x = np.random.default_rng(3).integers(0, 256, (1, extent, extent, 3)).astype(np.uint8)
    given = net.tensor("x", x.shape, np.uint8, 0.5, zero_point)
    before = (taps - 1) // 2 if padding == 0 else 0
    size = extent if padding == 0 else (extent - taps) // stride + 1
    made = net.tensor("y", (1, size, size, 3), np.uint8, 0.5, zero_point)
    options = {"stride_w": stride, "stride_h": stride, "filter_width": taps, "filter_height": taps, "padding": padding}
    net.operator("AVERAGE_POOL_2D", (given,), made, options)
    got = run_model(write(net.model([given], [made])), [x])[0]
    for _, row, column, channel in np.ndindex(got.shape):
        rows, columns = (
            slice(max(0, place * stride - before), place * stride - before + taps) for place in (row, column)
        )
        window = x[0, rows, columns, channel].astype(int)
        assert got[0, row, column, channel] == math.floor(Fraction(int(window.sum()), window.size) + Fraction(1, 2))


def test_average_pool_of_two_by_two_bytes() -> None:
    net = Net()
    given = net.tensor("x", (1, 2, 2, 1), np.uint8, 1.0, 0)
    made = net.tensor("y", (1, 1, 1, 1), np.uint8, 1.0, 0)
    options = {"stride_w": 2, "stride_h": 2, "filter_width": 2, "filter_height": 2, "padding": 1}
    net.operator("AVERAGE_POOL_2D", (given,), made, options)
    x = np.array([10, 10, 11, 11], np.uint8).reshape(1, 2, 2, 1)
    assert run_model(write(net.model([given], [made])), [x])[0].item() == 11


def multiplied(value: int, factor: float) -> int:
    """`MultiplyByQuantizedMultiplier` in exact numbers: a doubling high product that rounds ties up, then a shift."""
    mantissa, exponent = math.frexp(factor)
    multiplier = Fraction(math.copysign(math.floor(abs(mantissa) * (1 << 31) + 0.5), mantissa))
    high = math.floor(value * 2 ** max(exponent, 0) * multiplier / (1 << 31) + Fraction(1, 2))
    shifted = Fraction(high, 1 << max(-exponent, 0))
    return int(math.copysign(math.floor(abs(shifted) + Fraction(1, 2)), shifted))


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("alpha", [-0.4, -1.7, -0.5, -0.001, 0.3])
@pytest.mark.parametrize(("scale", "made"), [((0.1, 5), (0.1, -5)), ((0.37, -128), (0.021, 17)), ((0.5, 0), (0.5, 0))])
def test_leaky_relu(dtype: str, alpha: float, scale: tuple[float, int], made: tuple[float, int]) -> None:
    shift = 128 if dtype == "uint8" else 0
    net = Net()
    x = np.arange(256).astype(np.uint8).view(dtype)
    given = net.tensor("x", (256,), dtype, scale[0], scale[1] + shift)
    result = net.tensor("y", (256,), dtype, made[0], made[1] + shift)
    net.operator("LEAKY_RELU", (given,), result, {"alpha": alpha})
    ratio = float(np.float32(scale[0])) / float(np.float32(made[0]))
    factors = (ratio, ratio * float(np.float32(alpha)))
    info = np.iinfo(dtype)
    wanted: list[int] = []
    for value in x.astype(int) - scale[1] - shift:
        number = multiplied(int(value), factors[0] if value >= 0 else factors[1]) + made[1] + shift
        wanted.append(min(max(number, info.min), info.max))
    assert run_model(write(net.model([given], [result])), [x])[0].tolist() == wanted


@pytest.mark.parametrize(("name", "low", "high"), [("RELU", 0, math.inf), ("RELU6", 0, 6), ("RELU_N1_TO_1", -1, 1)])
@pytest.mark.parametrize(("scale", "made"), [((0.01153, -40), (0.02325, 0)), ((0.0107, 99), (0.0221, -128))])
def test_activations_that_change_the_scale(
    name: str, low: float, high: float, scale: tuple[float, int], made: tuple[float, int]
) -> None:
    net = Net()
    x = np.arange(-128, 128).astype(np.int8)
    given = net.tensor("x", (256,), np.int8, *scale)
    result = net.operator(name, (given,), net.tensor("y", (256,), np.int8, *made))
    stored = [float(np.float32(pair[0])) for pair in (scale, made)]
    least, most = (
        min(max(round(end / stored[1]) + made[1], -128), 127) if abs(end) < 9 else 127 for end in (low, high)
    )
    wanted = [min(max(multiplied(int(value) - scale[1], stored[0] / stored[1]) + made[1], least), most) for value in x]
    assert run_model(write(net.model([given], [result])), [x])[0].tolist() == wanted


@pytest.mark.parametrize(
    ("name", "made", "wanted"),
    [("LOGISTIC", (1 / 256, -128), [-1, 0, 0, 0, 1]), ("TANH", (1 / 128, 0), [-1, -1, 0, 1, 1])],
)
def test_tables_of_int8_are_micros_at_ties(name: str, made: tuple[float, int], wanted: list[int]) -> None:
    """LiteRT Micro's numbers, from its interpreter; the true value rounds the ties differently."""
    net = Net()
    x = np.array([-2, -1, 0, 1, 2], np.int8)
    given = net.tensor("x", (5,), np.int8, 1 / 256, 0)
    result = net.operator(name, (given,), net.tensor("y", (5,), np.int8, *made))
    assert run_model(write(net.model([given], [result])), [x])[0].tolist() == wanted


@pytest.mark.parametrize("name", ["ADD", "SUB", "MUL"])
@pytest.mark.parametrize(("activation", "low", "high"), [(1, 0, 1 << 40), (2, -1, 1), (3, 0, 6)])
def test_activations_of_int32(name: str, activation: int, low: int, high: int) -> None:
    net = Net()
    x = np.array([-9, -1, 0, 1, 3, 6, 100], np.int32)
    first, second = (net.tensor(letter, (7,), np.int32) for letter in "ab")
    made = net.tensor("y", (7,), np.int32)
    net.operator(name, (first, second), made, {"fused_activation_function": activation})
    wanted = {"ADD": x + 2, "SUB": x - 2, "MUL": x * 2}[name]
    got = run_model(write(net.model([first, second], [made])), [x, np.full(7, 2, np.int32)])[0]
    assert got.tolist() == np.clip(wanted, low, high).tolist()


def test_dense_layers_of_uint8_round_once() -> None:
    """A sum of 3 at the scale 0.4999998: once rounded 1, twice rounded 2 (1.4999994 is 1.5 in the high word)."""
    scale = float(np.float32(0.4999998))
    net = Net()
    given = net.tensor("x", (1, 1), np.uint8, scale, 0)
    weights = net.constant("w", [[1]], np.uint8, 1.0)
    made = net.tensor("y", (1, 1), np.uint8, 1.0, 0)
    net.operator("FULLY_CONNECTED", (given, weights, -1), made)
    got = run_model(write(net.model([given], [made])), [np.array([[3]], np.uint8)])[0]
    assert got.item() == math.floor(3 * scale + 0.5)
