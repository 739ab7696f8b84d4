"""Networks made to be measured: chains of layers whose shapes are spread over what real networks have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tflite import BuiltinOperator, TensorType

from lowtide.importer.tflite.model import Model, Operator, OptionValue, Quantization, Tensor
from lowtide.importer.tflite.writer import write
from lowtide.plan.plan import Objective

_SAME, _VALID = 0, 1
"""Numbers of the TFLite schema's `Padding`."""
_RELU6 = 3
"""A number of the schema's `ActivationFunctionType`."""


@dataclass
class Chain:
    """A network under construction, in which each layer takes what the one before it gives.

    Attributes:
        shape: shape of what the last layer gives: batch (1), rows, columns and channels; behind a dense layer batch and
            features.
    """

    shape: tuple[int, ...]
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(7))
    tensors: list[Tensor] = field(default_factory=list[Tensor])
    operators: list[Operator] = field(default_factory=list[Operator])
    last: int = 0

    def __post_init__(self) -> None:
        self._activation(self.shape, -1)

    def conv(self, outputs: int, kernel: tuple[int, int], stride: int = 1, padding: int = _SAME) -> Chain:
        """A convolution, some of them with an activation."""
        high, wide, inputs, options = self._windows(kernel, stride, padding)
        constants = self._weights((outputs, *kernel, inputs), outputs, 0), self._bias(outputs)
        options["fused_activation_function"] = _RELU6
        return self._layer("CONV_2D", constants, (1, high, wide, outputs), options)

    def depthwise(self, kernel: tuple[int, int], stride: int = 1, padding: int = _SAME, times: int = 1) -> Chain:
        """A depthwise convolution with `times` outputs a channel."""
        high, wide, inputs, options = self._windows(kernel, stride, padding)
        outputs = inputs * times
        constants = self._weights((1, *kernel, outputs), outputs, 3), self._bias(outputs)
        options["depth_multiplier"] = times
        return self._layer("DEPTHWISE_CONV_2D", constants, (1, high, wide, outputs), options)

    def pool(self, how: str, kernel: int | tuple[int, int], stride: int, padding: int = _VALID) -> Chain:
        """An `AVERAGE` or `MAX` pool; its windows are squares, or of so many rows and columns."""
        rows, columns = (kernel, kernel) if isinstance(kernel, int) else kernel
        high, wide, channels, options = self._windows((rows, columns), stride, padding)
        kept = self.tensors[self.last].quantization
        self.shape = (1, high, wide, channels)
        self._tensor(self.shape, TensorType.INT8, kept)
        return self._operator(f"{how}_POOL_2D", (), {**options, "filter_width": columns, "filter_height": rows})

    def add(self) -> Chain:
        """The sum of the last two, which have the same shape."""
        before = self.operators[-1].inputs[0]
        self._activation(self.shape, 4, 0.07)
        return self._operator("ADD", (before,), {})

    def dense(self, outputs: int) -> Chain:
        """A dense layer over all elements."""
        inputs = int(np.prod(self.shape))
        if len(self.shape) > 2:
            target = self._constant(np.array([1, inputs], np.int32), None)
            self._tensor((1, inputs), TensorType.INT8, self.tensors[self.last].quantization)
            self._operator("RESHAPE", (target,), {})
        weights = self._weights((outputs, inputs), 1, 0)
        return self._layer("FULLY_CONNECTED", (weights, self._bias(outputs)), (1, outputs), {})

    def softmax(self) -> Chain:
        """A softmax over the channels."""
        self._activation(self.shape, -128, 1 / 256)
        return self._operator("SOFTMAX", (), {"beta": 1.0})

    def model(self) -> Model:
        """All of it."""
        return Model(tuple(self.tensors), tuple(self.operators), (0,), (self.last,))

    # -- parts ------------------------------------------------------------------------------------------------

    def _windows(
        self, kernel: tuple[int, int], stride: int, padding: int
    ) -> tuple[int, int, int, dict[str, OptionValue]]:
        """Rows and columns of the output, channels of the input, and the options that all such operators have."""
        high, wide = (
            -(-extent // stride) if padding == _SAME else (extent - size) // stride + 1
            for extent, size in zip(self.shape[1:3], kernel, strict=True)
        )
        return high, wide, self.shape[3], {"padding": padding, "stride_w": stride, "stride_h": stride}

    def _layer(
        self, name: str, constants: tuple[int, ...], shape: tuple[int, ...], options: Mapping[str, OptionValue]
    ) -> Chain:
        self._activation(shape, -128 if len(self.operators) % 2 else 5)
        return self._operator(name, constants, options)

    def _operator(self, name: str, more: tuple[int, ...], options: Mapping[str, OptionValue]) -> Chain:
        output = len(self.tensors) - 1
        code = getattr(BuiltinOperator, name)
        self.operators.append(Operator(len(self.operators), code, (self.last, *more), (output,), dict(options)))
        self.last = output
        return self

    def _activation(self, shape: tuple[int, ...], zero: int, scale: float = 0.05) -> None:
        """The tensor that the next operator writes."""
        self.shape = shape
        self._tensor(shape, TensorType.INT8, Quantization((scale,), (zero,), 0))

    def _tensor(
        self, shape: Sequence[int], kind: int, quantization: Quantization | None, data: bytes | None = None
    ) -> int:
        number = len(self.tensors)
        self.tensors.append(Tensor(f"t{number}", kind, tuple(shape), (), data, quantization))
        return number

    def _constant(self, values: npt.NDArray[np.integer], quantization: Quantization | None) -> int:
        kind = TensorType.INT8 if values.dtype == np.int8 else TensorType.INT32
        return self._tensor(values.shape, kind, quantization, values.tobytes())

    def _weights(self, shape: tuple[int, ...], channels: int, axis: int) -> int:
        scales = tuple(float(scale) for scale in self.random.uniform(0.002, 0.02, channels))
        values = self.random.integers(-127, 128, shape).astype(np.int8)
        return self._constant(values, Quantization(scales, (0,) * channels, axis))

    def _bias(self, outputs: int) -> int:
        return self._constant(self.random.integers(-900, 900, outputs).astype(np.int32), None)


def _pointwise() -> Chain:
    net = Chain((1, 12, 12, 8))
    for outputs in (16, 12, 24, 48, 10, 32, 64, 20, 7, 4, 96, 16):
        net.conv(outputs, (1, 1))
    return net.conv(128, (1, 1), 2).conv(40, (1, 1)).dense(33).dense(64).dense(256).dense(10).softmax()


def _windowed() -> Chain:
    net = Chain((1, 20, 16, 3)).conv(8, (3, 3)).conv(12, (3, 3)).conv(16, (3, 3), 2).conv(16, (5, 5))
    net.conv(32, (3, 3), 1, _VALID).conv(24, (3, 3), 2).conv(36, (3, 3)).conv(8, (2, 2), 1, _VALID)
    return net.pool("MAX", 2, 1).pool("AVERAGE", 2, 2, _SAME).dense(12).softmax()


def _deep() -> Chain:
    net = Chain((1, 30, 26, 8)).depthwise((3, 3)).depthwise((3, 3), 2).depthwise((5, 5)).conv(12, (1, 1))
    net.depthwise((3, 3)).depthwise((7, 7)).conv(40, (1, 1)).depthwise((3, 3)).depthwise((5, 5), 2).conv(10, (1, 1))
    return net.depthwise((3, 3)).conv(64, (1, 1)).depthwise((3, 3)).depthwise((7, 7)).pool("AVERAGE", 4, 4).dense(6)


def _narrow() -> Chain:
    net = Chain((1, 32, 24, 1)).conv(6, (5, 5)).conv(10, (3, 3), 2).conv(14, (3, 3)).conv(9, (2, 2), 2)
    return net.depthwise((3, 3)).conv(3, (1, 1)).conv(16, (3, 3), 2, _VALID).pool("MAX", 2, 2).dense(20)


def _image() -> Chain:
    net = Chain((1, 40, 40, 3)).conv(16, (3, 3), 2).depthwise((3, 3)).conv(8, (1, 1)).conv(8, (1, 1)).add()
    return net.conv(48, (1, 1)).depthwise((3, 3), 2).conv(16, (1, 1)).conv(16, (3, 3)).add().pool("AVERAGE", 10, 10)


def _speech() -> Chain:
    return Chain((1, 40, 30, 1)).conv(24, (10, 4), 2).depthwise((3, 3)).conv(32, (1, 1)).pool("AVERAGE", 5, 5).dense(5)


def _multiplied() -> Chain:
    return Chain((1, 30, 20, 1)).depthwise((8, 6), 2, _SAME, 8).depthwise((3, 3), 1, _SAME, 2).dense(4).softmax()


def _spotted() -> Chain:
    return Chain((1, 30, 20, 1)).conv(8, (8, 6), 2).dense(6)


def _stacked() -> Chain:
    net = Chain((1, 18, 18, 16)).conv(16, (3, 3)).conv(8, (3, 3)).conv(32, (1, 1)).conv(20, (3, 3), 2)
    return net.conv(20, (3, 3)).conv(64, (3, 3), 2).conv(64, (3, 3)).conv(64, (1, 1)).pool("AVERAGE", 5, 5)


def _squared() -> Chain:
    net = Chain((1, 14, 14, 8)).conv(16, (3, 3)).conv(16, (3, 3)).conv(24, (3, 3), 1, _VALID).conv(32, (3, 3))
    net.conv(32, (3, 3)).conv(12, (3, 3), 2).conv(64, (3, 3)).conv(40, (3, 3)).conv(52, (3, 3), 1, _VALID)
    return net.pool("AVERAGE", 2, 2).dense(10)


_MAKERS = (_pointwise, _windowed, _deep, _narrow, _image, _speech, _multiplied, _spotted, _stacked)
_FOR_PRIMITIVES = (*_MAKERS, _squared)
NETWORKS = {maker.__name__.removeprefix("_"): maker for maker in _FOR_PRIMITIVES}
"""The functions that make the networks, by name."""

_FUSED: tuple[tuple[str, Objective], ...] = (
    *((name, "free") for name in ("image", "speech", "deep", "spotted", "windowed")),
    *((name, "ram") for name in ("image", "narrow", "speech", "stacked")),
)
CASES: tuple[tuple[str, Objective], ...] = (
    *((maker.__name__.removeprefix("_"), "untiled") for maker in _MAKERS),
    *_FUSED,
)
"""What is measured: which network, and how it is planned."""
PAID = (
    *((name, "prepacked_i16") for name in ("pointwise", "windowed", "image", "stacked", "squared")),
    *((name, "winograd") for name in ("windowed", "image", "stacked", "squared")),
)
"""What is measured beside, of cores that have such primitives: a network, and what is picked wherever it can be."""


def save(name: str, folder: Path) -> Path:
    """Write one of `NETWORKS` as a `.tflite` file into a folder."""
    path = folder / f"{name}.tflite"
    path.write_bytes(write(NETWORKS[name]().model()))
    return path
