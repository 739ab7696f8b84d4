"""Forms of operators that LiteRT Micro runs though files rarely have them: computed weights, batches, other scales."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lowered_nets import Build, assert_like_litert, oracle_fixture, refusal, run
from numpy.typing import NDArray
from oracles import needs_oracle
from tflite_nets import Net

from lowtide.emulate.oracle import Oracle
from lowtide.errors import InputError

Array = NDArray[Any]
oracle = pytest.fixture(oracle_fixture, scope="module")
SCALES: dict[str, tuple[float | None, int]] = {"float32": (None, 0), "int8": (0.1, 3), "int16": (0.003, 0)}
BIAS = {"float32": "float32", "int8": "int32", "int16": "int64"}
STEP = {"stride_h": 1, "stride_w": 1}
POOL = {"stride_h": 2, "stride_w": 2, "filter_height": 2, "filter_width": 2}


def drawn(seed: int, *operands: tuple[tuple[int, ...], str]) -> list[Array]:
    """Random arrays of these shapes and types."""
    random = np.random.default_rng(seed)
    print(f"seed {seed}")
    return [
        random.normal(0, 2, shape).astype(np.float32)
        if dtype == "float32"
        else random.integers(-128, 128, shape).astype(dtype)
        for shape, dtype in operands
    ]


def computed(name: str, dtype: str, *, bias: bool, activation: int = 0) -> tuple[Build, list[Array]]:
    """A convolution or a dense layer whose weights, and bias if it has one, are inputs; and their values."""
    image, weights, made = {
        "CONV_2D": ((1, 5, 4, 4), (6, 3, 2, 2), (1, 5, 4, 6)),
        "DEPTHWISE_CONV_2D": ((1, 5, 4, 2), (1, 3, 2, 4), (1, 5, 4, 4)),
        "FULLY_CONNECTED": ((3, 7), (4, 7), (3, 4)),
    }[name]
    scale, zero = SCALES[dtype]
    weight_type = "float32" if dtype == "float32" else "int8"
    operands = [(image, dtype), (weights, weight_type), ((made[-1],), BIAS[dtype])]
    options = {"fused_activation_function": activation}
    if name != "FULLY_CONNECTED":
        options |= STEP
    if name == "DEPTHWISE_CONV_2D":
        options["depth_multiplier"] = 2

    def build(net: Net) -> tuple[list[int], list[int]]:
        inputs = [net.tensor("x", image, dtype, scale, zero)]
        inputs.append(net.tensor("w", weights, weight_type, scale and 0.02))
        if bias:
            inputs.append(net.tensor("b", (made[-1],), BIAS[dtype], scale and scale * 0.02))
        made_scale = {"int8": 0.4, "int16": 0.002}.get(dtype)
        return inputs, [net.operator(name, inputs, net.tensor("y", made, dtype, made_scale, zero), options)]

    return build, drawn(3, *operands[: 3 if bias else 2])


@needs_oracle
@pytest.mark.parametrize("dtype", SCALES)
@pytest.mark.parametrize("name", ["CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"])
def test_computed_weights(oracle: Oracle, name: str, dtype: str) -> None:
    for bias in (False, True):
        build, arrays = computed(name, dtype, bias=bias, activation=int(bias))
        assert_like_litert(oracle, build, arrays, rounded=dtype == "float32")


Shape = tuple[int, ...]


def matrices(dtype: str, left: Shape, right: Shape, turned: int, flipped: int) -> tuple[Build, list[Array]]:
    """Products of the same matrices by others that are an input, and by the same as a constant; and their values."""
    scale, zero = SCALES[dtype]
    first, second = (*left, *((4, 3) if turned else (3, 4))), (*right, *((5, 4) if flipped else (4, 5)))
    shape = (*np.broadcast_shapes(left, right), 3, 5)
    arrays = drawn(turned, (first, dtype), (second, dtype))

    def build(net: Net) -> tuple[list[int], list[int]]:
        x, y = net.tensor("x", first, dtype, scale, zero), net.tensor("y", second, dtype, scale, zero)
        held = net.constant("h", arrays[1], dtype, scale, zero)
        options = {"adj_x": turned, "adj_y": flipped}
        made = [net.tensor(name, shape, dtype, scale and 1.0, zero) for name in ("p", "q")]
        for operand, output in zip((y, held), made, strict=True):
            net.operator("BATCH_MATMUL", (x, operand), output, options)
        return [x, y], made

    return build, arrays


@needs_oracle
@pytest.mark.parametrize("dtype", ["int8", "float32"])
@pytest.mark.parametrize(
    ("left", "right"), [((2,), (1,)), ((1,), (2,)), ((2, 1), (1, 3)), ((2, 1, 2), (2, 1)), ((), (2,))]
)
def test_matrices_of_other_batches(oracle: Oracle, dtype: str, left: Shape, right: Shape) -> None:
    for turned, flipped in itertools.product((0, 1), (0, 1)):
        build, arrays = matrices(dtype, left, right, turned, flipped)
        assert_like_litert(oracle, build, arrays, rounded=True)


@needs_oracle
@pytest.mark.parametrize("dtype", ["int8", "int16", "float32"])
def test_batches_of_images(oracle: Oracle, dtype: str) -> None:
    scale, zero = SCALES[dtype]
    arrays = drawn(5, ((2, 4, 4, 2), dtype))

    def build(net: Net) -> tuple[list[int], list[int]]:
        weights = np.random.default_rng(1).integers(-127, 128, (3, 3, 3, 2))
        x = net.tensor("x", (2, 4, 4, 2), dtype, scale, zero)
        w = net.constant("w", weights, "float32" if dtype == "float32" else "int8", scale and 0.02)
        conv = net.tensor("conv", (2, 4, 4, 3), dtype, scale and scale * 4, zero)
        net.operator("CONV_2D", (x, w), conv, STEP)
        pool = net.tensor("pool", (2, 2, 2, 3), dtype, scale and scale * 4, zero)
        return [x], [net.operator("MAX_POOL_2D", (conv,), pool, POOL)]

    assert_like_litert(oracle, build, arrays, rounded=dtype == "float32")


@needs_oracle
@pytest.mark.parametrize("activation", [4, 5])
def test_activations_that_bound_nothing(oracle: Oracle, activation: int) -> None:
    def build(net: Net) -> tuple[list[int], list[int]]:
        x, y = (net.tensor(name, (2, 9), "int8", 0.1, 3) for name in "xy")
        total = net.tensor("total", (2, 9), "int8", 0.2, -5)
        return [x, y], [net.operator("ADD", (x, y), total, {"fused_activation_function": activation})]

    assert_like_litert(oracle, build, drawn(activation, ((2, 9), "int8"), ((2, 9), "int8")))


@needs_oracle
@pytest.mark.parametrize("dtype", ["int8", "int16"])
def test_parts_of_other_scales_are_copied(oracle: Oracle, dtype: str) -> None:
    zero = 0 if dtype == "int16" else 3

    def build(net: Net) -> tuple[list[int], list[int]]:
        x, y = (net.tensor(name, (2, 3), dtype, scale, zero) for name, scale in (("x", 0.1), ("y", 0.3)))
        packed = net.operator("PACK", (x, y), net.tensor("p", (2, 2, 3), dtype, 0.2, 0), {"values_count": 2, "axis": 1})
        return [x, y], [packed]

    assert_like_litert(oracle, build, drawn(1, ((2, 3), dtype), ((2, 3), dtype)))


@needs_oracle
def test_pads_with_the_zero_point_of_the_output(oracle: Oracle) -> None:
    def build(net: Net) -> tuple[list[int], list[int]]:
        x = net.tensor("x", (2, 3), "int8", 0.1, 3)
        made = net.tensor("y", (3, 5), "int8", 0.3, -7)
        return [x], [net.operator("PAD", (x, net.constant("pads", [[1, 0], [0, 2]])), made)]

    assert_like_litert(oracle, build, drawn(1, ((2, 3), "int8")))


@needs_oracle
def test_numbers_of_64_bits_broadcast(oracle: Oracle) -> None:
    def build(net: Net) -> tuple[list[int], list[int]]:
        x = net.tensor("x", (3, 1), "int64")
        shape = net.constant("shape", [2, 3, 4])
        return [x], [net.operator("BROADCAST_TO", (x, shape), net.tensor("y", (2, 3, 4), "int64"))]

    assert_like_litert(oracle, build, drawn(1, ((3, 1), "int64")))


@needs_oracle
@pytest.mark.parametrize(("scale", "made"), [(0.003, 0.0033), (2.0**-12, 0.01), (0.9, 0.0007), (4e-6, 0.02)])
def test_reciprocal_roots_of_int16(oracle: Oracle, scale: float, made: float) -> None:
    def build(net: Net) -> tuple[list[int], list[int]]:
        x = net.tensor("x", (4096,), "int16", scale)
        return [x], [net.operator("RSQRT", (x,), net.tensor("y", (4096,), "int16", made))]

    # LiteRT Micro stops below 0
    low, high = np.arange(2048), np.arange(2048, 32768, 15)[:2048]
    assert_like_litert(oracle, build, [np.concatenate([low, high]).astype(np.int16)])


@needs_oracle
@pytest.mark.parametrize("batches", [1, -1])
def test_batches_of_indices_counted_from_either_end(oracle: Oracle, batches: int) -> None:
    def build(net: Net) -> tuple[list[int], list[int]]:
        x = net.tensor("x", (2, 3, 4), "int8", 0.1)
        indices = net.constant("i", [[1, 3], [0, 2]])
        made = net.tensor("y", (2, 3, 2), "int8", 0.1)
        return [x], [net.operator("GATHER", (x, indices), made, {"axis": -1, "batch_dims": batches})]

    assert_like_litert(oracle, build, drawn(1, ((2, 3, 4), "int8")))


def sliced(begin: list[int], end: list[int], made: tuple[int, ...]) -> Build:
    """A STRIDED_SLICE of 4 by 5 whose ends are counted from its begins."""

    def build(net: Net) -> tuple[list[int], list[int]]:
        x = net.tensor("x", (4, 5), "int8", 0.1)
        operands = [net.constant(name, values) for name, values in (("b", begin), ("e", end), ("s", [1, 1]))]
        made_ = net.tensor("y", made, "int8", 0.1)
        return [x], [net.operator("STRIDED_SLICE", (x, *operands), made_, {"offset": True})]

    return build


@needs_oracle
def test_an_offset_that_changes_nothing(oracle: Oracle) -> None:
    assert_like_litert(oracle, sliced([2, 0], [100, 5], (2, 5)), drawn(1, ((4, 5), "int8")))


def weights_with_a_zero_point(net: Net) -> tuple[list[int], list[int]]:
    x, w = net.tensor("x", (1, 2, 2, 1), "int8", 0.1, 3), net.tensor("w", (1, 1, 1, 1), "int8", 0.1, 5)
    return [x, w], [net.operator("CONV_2D", (x, w), net.tensor("y", (1, 2, 2, 1), "int8", 0.1), STEP)]


def weights_of_another_type(net: Net) -> tuple[list[int], list[int]]:
    x, w = net.tensor("x", (1, 2), "int8", 0.1, 3), net.tensor("w", (3, 2), "float32")
    return [x, w], [net.operator("FULLY_CONNECTED", (x, w, -1), net.tensor("y", (1, 3), "int8", 0.1))]


def too_many_batches(net: Net) -> tuple[list[int], list[int]]:
    x, indices = net.tensor("x", (2, 3), "int8", 0.1), net.constant("i", [[0], [1]])
    options = {"axis": 1, "batch_dims": 3}
    return [x], [net.operator("GATHER", (x, indices), net.tensor("y", (2, 1), "int8", 0.1), options)]


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (sliced([1, 1], [2, 3], (2, 3)), "counted from its begins (offset), which LiteRT Micro passes over"),
        (weights_of_another_type, "its weights are FLOAT32, which do not go with INT8"),
        (too_many_batches, "its batch_dims is 3, and its indices have 2 dimensions"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, build: Build, said: str) -> None:
    assert said in refusal(tmp_path, build)


def test_zero_points_of_computed_filters_are_refused() -> None:
    with pytest.raises(InputError, match="its weights have the zero point 5"):
        run(weights_with_a_zero_point, drawn(1, ((1, 2, 2, 1), "int8"), ((1, 1, 1, 1), "int8")))
