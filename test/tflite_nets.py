"""Small `.tflite` models made in memory, for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tflite import BuiltinOperator, TensorType

from lowtide.importer.tflite.model import Model, Operator, OptionValue, Quantization, Tensor
from lowtide.importer.tflite.writer import write

TYPES: dict[np.dtype[Any], int] = {
    np.dtype(np.float32): TensorType.FLOAT32,
    np.dtype(np.int8): TensorType.INT8,
    np.dtype(np.uint8): TensorType.UINT8,
    np.dtype(np.int32): TensorType.INT32,
    np.dtype(np.int64): TensorType.INT64,
    np.dtype(np.bool_): TensorType.BOOL,
    np.dtype(np.int16): TensorType.INT16,
}


class Net:
    """Collects tensors and operators; every method that adds a tensor gives its index."""

    def __init__(self) -> None:
        self.tensors: list[Tensor] = []
        self.operators: list[Operator] = []

    def tensor(
        self,
        name: str,
        shape: Sequence[int],
        dtype: npt.DTypeLike = np.int8,
        scale: float | Sequence[float] | None = None,
        zero_point: int = 0,
        *,
        axis: int = 0,
        data: bytes | None = None,
        signature: Sequence[int] = (),
        ranked: bool = True,
    ) -> int:
        scales: tuple[float, ...] = ()
        if scale is not None:
            scales = (scale,) if isinstance(scale, int | float) else tuple(scale)
        quantization = Quantization(scales, (zero_point,) * len(scales), axis) if scales else None
        self.tensors.append(
            Tensor(name, TYPES[np.dtype(dtype)], tuple(shape), tuple(signature), data, quantization, ranked)
        )
        return len(self.tensors) - 1

    def constant(
        self,
        name: str,
        values: npt.ArrayLike,
        dtype: npt.DTypeLike = np.int32,
        scale: float | Sequence[float] | None = None,
        zero_point: int = 0,
        *,
        axis: int = 0,
    ) -> int:
        array = np.asarray(values, dtype)
        return self.tensor(name, array.shape, dtype, scale, zero_point, axis=axis, data=array.tobytes())

    def operator(
        self,
        name: str,
        inputs: Sequence[int],
        output: int,
        options: Mapping[str, OptionValue] | None = None,
        custom: str = "",
    ) -> int:
        code = getattr(BuiltinOperator, name)
        self.operators.append(
            Operator(len(self.operators), code, tuple(inputs), (output,), dict(options or {}), custom)
        )
        return output

    def model(self, inputs: Sequence[int], outputs: Sequence[int]) -> Model:
        return Model(tuple(self.tensors), tuple(self.operators), tuple(inputs), tuple(outputs))

    def save(self, folder: Path, inputs: Sequence[int], outputs: Sequence[int]) -> Path:
        path = folder / "net.tflite"
        path.write_bytes(write(self.model(inputs, outputs)))
        return path


def small_cnn() -> tuple[Net, int, int]:
    """int8 convolution, 8×8×3 → 4×4×4, then pooling, reshape, dense layer and softmax; the input and the output."""
    random = np.random.default_rng(2)
    net = Net()
    image = net.tensor("image", (1, 8, 8, 3), np.int8, 0.5, -1, signature=(-1, 8, 8, 3))
    filters = net.constant("filters", random.integers(-127, 128, (4, 3, 3, 3)), np.int8, [0.01, 0.02, 0.03, 0.04])
    bias = net.constant("bias", random.integers(-500, 500, 4))
    conv = net.tensor("conv", (1, 4, 4, 4), np.int8, 0.25, -128, signature=(-1, 4, 4, 4))
    net.operator(
        "CONV_2D", (image, filters, bias), conv, {"stride_w": 2, "stride_h": 2, "fused_activation_function": 1}
    )
    pool = net.tensor("pool", (1, 2, 2, 4), np.int8, 0.25, -128)
    window = {"stride_w": 2, "stride_h": 2, "filter_width": 2, "filter_height": 2}
    net.operator("MAX_POOL_2D", (conv,), pool, window)
    flat = net.tensor("flat", (1, 16), np.int8, 0.25, -128)
    net.operator("RESHAPE", (pool, net.constant("shape", [-1, 16])), flat)
    weights = net.constant("weights", random.integers(-127, 128, (3, 16)), np.int8, 0.01)
    dense = net.tensor("dense", (1, 3), np.int8, 0.5, 3)
    net.operator("FULLY_CONNECTED", (flat, weights, -1), dense)
    softmax = net.tensor("softmax", (1, 3), np.int8, 1 / 256, -128)
    net.operator("SOFTMAX", (dense,), softmax, {"beta": 1.0})
    return net, image, softmax
