"""Transposed convolutions and bilinear resizing against LiteRT Micro, and MediaPipe's custom operator against numpy."""

from __future__ import annotations

import os
import random
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from tflite import BuiltinOperator, TensorType
from tflite_nets import Net

import lowtide
from lowtide.errors import InputError
from lowtide.importer.tflite import import_tflite
from lowtide.importer.tflite.customs import translate
from lowtide.importer.tflite.model import Model, Operator, Quantization, Tensor
from lowtide.importer.tflite.stored_weights import plain_weights

SEED = int(os.environ.get("LOWTIDE_TEST_SEED", random.SystemRandom().randrange(1 << 31)))
CASES = 6
Floats = npt.NDArray[np.float32]


def _exact(path: Path, folder: Path, label: str) -> None:
    found = lowtide.verify(path, target="host", count=4, out=folder / "out", objective="untiled")
    assert found.passed, f"LOWTIDE_TEST_SEED={SEED} {label}: {found.difference}"


def _transposed(folder: Path, choose: random.Random) -> tuple[Path, str]:
    """A random transposed convolution of bytes or floats, with a scale for each filter, with a bias or without."""
    net, is_float = Net(), choose.random() < 0.3
    kind = np.float32 if is_float else np.int8
    size, depth, filters = [choose.randint(1, 5) for _ in range(2)], choose.randint(1, 4), choose.randint(1, 3)
    taps, strides = [choose.randint(1, 5) for _ in range(2)], [choose.randint(1, 3) for _ in range(2)]
    padding = choose.randint(0, 1)
    made = [n * s if padding == 0 else (n - 1) * s + k for n, k, s in zip(size, taps, strides, strict=True)]
    generator = np.random.default_rng(choose.randrange(1 << 31))
    scales = None if is_float else [choose.uniform(0.01, 0.1) for _ in range(filters)]
    shape = (filters, *taps, depth)
    weights = generator.normal(size=shape) if is_float else generator.integers(-127, 128, shape)
    x = net.tensor("x", (1, *size, depth), kind, None if is_float else 0.5, 0 if is_float else 7)
    inputs = [net.constant("shape", [1, *made, filters]), net.constant("w", weights, kind, scales), x]
    if choose.random() < 0.7:
        bias = generator.normal(size=filters) if is_float else generator.integers(-999, 999, filters)
        # the file's own scale of a bias is not looked at
        inputs.append(net.constant("b", bias, np.float32 if is_float else np.int32))
    y = net.tensor("y", (1, *made, filters), kind, None if is_float else 0.9, 0 if is_float else -3)
    options = {"padding": padding, "stride_h": strides[0], "stride_w": strides[1]}
    net.operator("TRANSPOSE_CONV", inputs, y, options)
    return net.save(folder, [x], [y]), f"{size} {taps} {strides} {padding} {kind.__name__} {len(inputs)}"


@pytest.mark.parametrize("case", range(CASES))
def test_transposed_convolutions(case: int, tmp_path: Path) -> None:
    _exact(*_at(tmp_path, _transposed(tmp_path, random.Random(SEED + case))))


def _at(folder: Path, made: tuple[Path, str]) -> tuple[Path, Path, str]:
    return made[0], folder, made[1]


def _resized(folder: Path, choose: random.Random) -> tuple[Path, str]:
    net, is_float = Net(), choose.random() < 0.3
    kind = np.float32 if is_float else np.int8
    size, made = [choose.randint(1, 6) for _ in range(2)], [choose.randint(1, 13) for _ in range(2)]
    scale = None if is_float else 0.5
    x = net.tensor("x", (1, *size, 3), kind, scale)
    y = net.tensor("y", (1, *made, 3), kind, scale)
    corners = choose.random() < 0.5
    options = {"align_corners": corners, "half_pixel_centers": not corners and choose.random() < 0.7}
    net.operator("RESIZE_BILINEAR", (x, net.constant("size", made)), y, options)
    return net.save(folder, [x], [y]), f"{size} {made} {options} {kind.__name__}"


@pytest.mark.parametrize("case", range(CASES))
def test_bilinear_resizing(case: int, tmp_path: Path) -> None:
    _exact(*_at(tmp_path, _resized(tmp_path, random.Random(SEED + 1000 + case))))


def _custom(image: tuple[int, ...], weights: Floats, bias: Floats, padding: int, strides: tuple[int, int]) -> Model:
    sizes = [
        stride * (size - 1) + taps - (max(0, taps - (size - 1) % stride - 1) if padding == 1 else 0)
        for size, taps, stride in zip(image[1:3], weights.shape[1:3], strides, strict=True)
    ]
    tensors = (
        Tensor("x", TensorType.FLOAT32, image),
        Tensor("w", TensorType.FLOAT32, weights.shape, data=weights.tobytes()),
        Tensor("b", TensorType.FLOAT32, bias.shape, data=bias.tobytes()),
        Tensor("y", TensorType.FLOAT32, (1, *sizes, weights.shape[0])),
    )
    raw = tuple(struct.pack("<3i", padding, strides[1], strides[0]))
    name = "Convolution2DTransposeBias"
    operator = Operator(0, BuiltinOperator.CUSTOM, (0, 1, 2), (3,), {"custom_options": raw}, name)
    return Model(tensors, (operator,), (0,), (3,))


def _scattered(x: Floats, weights: Floats, bias: Floats, shape: tuple[int, ...], strides: tuple[int, int]) -> Floats:
    """MediaPipe's definition: each element of the input adds the filter, times itself, to a place of the output."""
    _, height, width, _ = x.shape
    filters, taps_y, taps_x, _ = weights.shape
    pads = [
        (stride * (size - 1) + taps - made) // 2
        for size, taps, made, stride in zip((height, width), (taps_y, taps_x), shape[1:3], strides, strict=True)
    ]
    y = np.broadcast_to(bias, (*shape[1:3], filters)).astype(np.float64).copy()
    for row in range(height):
        for column in range(width):
            for ky in range(taps_y):
                for kx in range(taps_x):
                    at = row * strides[0] + ky - pads[0], column * strides[1] + kx - pads[1]
                    if 0 <= at[0] < shape[1] and 0 <= at[1] < shape[2]:
                        y[at] += weights[:, ky, kx] @ x[0, row, column]
    return y[np.newaxis].astype(np.float32)


@pytest.mark.parametrize(
    ("padding", "taps", "strides"), [(1, (2, 2), (2, 2)), (1, (4, 3), (2, 3)), (2, (3, 2), (2, 1))]
)
def test_the_custom_operator_of_mediapipe(
    padding: int, taps: tuple[int, int], strides: tuple[int, int], tmp_path: Path
) -> None:
    generator = np.random.default_rng(3)
    weights = generator.normal(size=(2, *taps, 3)).astype(np.float32)
    bias, x = generator.normal(size=2).astype(np.float32), generator.normal(size=(1, 4, 5, 3)).astype(np.float32)
    model = translate(_custom(x.shape, weights, bias, padding, strides))
    net = Net()
    net.tensors, net.operators = list(model.tensors), list(model.operators)
    lowtide.compile(net.save(tmp_path, [0], [3]), target="host", out=tmp_path / "out")
    (found,) = lowtide.run(tmp_path / "out", [x], backend="host").outputs
    wanted = _scattered(x, weights, bias, model.tensors[3].shape, strides)
    assert np.abs(found.astype(np.float32) - wanted).max() < 1e-5


def test_a_custom_operator_in_another_form_is_left_to_be_refused() -> None:
    weights = np.zeros((2, 2, 2, 3), np.float32)
    model = _custom((1, 4, 5, 3), weights, np.zeros(2, np.float32), 0, (2, 2))
    assert translate(model).operators == model.operators


def test_weights_of_four_bits_and_of_a_dynamic_range() -> None:
    numbers = np.array([[-8, 7, -1], [0, 3, 5]], np.int8)
    flat = (numbers.reshape(-1).view(np.uint8) & 15).reshape(-1, 2)
    packed = (flat[:, 0] | flat[:, 1] << 4).astype(np.uint8).tobytes()
    scales = Quantization((0.5, 2.0), (0, 1), 0)
    tensors = (
        Tensor("x", TensorType.FLOAT32, (1, 3)),
        Tensor("w", TensorType.INT4, (2, 3), data=packed, quantization=scales),
        Tensor("y", TensorType.FLOAT32, (1, 2)),
    )
    dense = Operator(0, BuiltinOperator.FULLY_CONNECTED, (0, 1, -1), (2,))
    model = plain_weights(Model(tensors, (dense,), (0,), (2,)))
    assert model.tensors[1].data == numbers.tobytes() and model.tensors[1].type == TensorType.INT8
    made = model.tensors[model.operators[0].inputs[1]]
    wanted = (numbers - np.array([[0], [1]])) * np.array([[0.5], [2.0]])
    np.testing.assert_array_equal(np.frombuffer(made.data or b"", np.float32).reshape(2, 3), wanted)


REFUSED = {
    "the shape is not the filters'": ([1, 4, 4, 3], "it is to make [1, 4, 4, 3]"),
    "another batch": ([2, 4, 4, 2], "it is to make [2, 4, 4, 2]"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, tmp_path: Path) -> None:
    made, message = REFUSED[name]
    net = Net()
    x = net.tensor("x", (1, 2, 2, 3), np.float32)
    y = net.tensor("y", made, np.float32)
    inputs = (net.constant("shape", made), net.constant("w", np.zeros((2, 2, 2, 3)), np.float32), x)
    net.operator("TRANSPOSE_CONV", inputs, y, {"padding": 0, "stride_h": 2, "stride_w": 2})
    with pytest.raises(InputError) as error:
        import_tflite(net.save(tmp_path, [x], [y]))
    assert message in str(error.value)
