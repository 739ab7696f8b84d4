"""A CNN for radar gestures, in TOSA text: the papers' one has no public file. Its weights are random, from a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

RANGE_BINS, DOPPLER_BINS, FRAMES = 64, 32, 4
CHANNELS = (16, 32, 32)
"""Of the convolutions, 3×3 each and each followed by a 2×2 pooling."""
GESTURES = 8
SEED = 4
_LOWEST = -128

Array = npt.NDArray[np.int8] | npt.NDArray[np.int32]
_ELEMENTS = {"int8": "i8", "int32": "i32"}


def radar_gestures() -> str:
    """The module: int8, range-Doppler maps of the last frames as channels, 1×64×32×4 → 1×1×1×8; always the same."""
    net = _Net(np.random.default_rng(SEED))
    x, shape = "%maps", (1, RANGE_BINS, DOPPLER_BINS, FRAMES)
    kind = _type(shape, "i8")
    for index, channels in enumerate(CHANNELS):
        x, shape = net.conv(x, shape, channels, 3, zero_points=(_LOWEST if index else 0, _LOWEST))
        x, shape = net.halved(x, shape)
    x, shape = net.averaged(x, shape)
    x, shape = net.conv(x, shape, GESTURES, 1, zero_points=(_LOWEST, 0), gain=3)
    body = "\n  ".join(net.lines)
    result = _type(shape, "i8")
    return f"func.func @main(%maps: {kind}) -> {result} {{\n  {body}\n  return {x} : {result}\n}}\n"


Shape = tuple[int, int, int, int]


@dataclass
class _Net:
    rng: np.random.Generator
    lines: list[str] = field(default_factory=list[str])

    def conv(
        self, x: str, shape: Shape, channels: int, kernel: int, *, zero_points: tuple[int, int], gain: int = 0
    ) -> tuple[str, Shape]:
        """A convolution with bias, stride 1 and as much padding as keeps the size, requantised.

        Args:
            x, shape: the input.
            channels, kernel: of the output; height and width of the window.
            zero_points: of input and output; an output with the zero point -128 has passed a ReLU.
            gain: the output is larger by two to this power.
        """
        weights = self.rng.integers(-127, 128, (channels, kernel, kernel, shape[3])).astype(np.int8)
        bias = self.rng.integers(-1000, 1000, channels).astype(np.int32)
        zeros = self._const(np.array(zero_points[:1], np.int8)), self._const(np.zeros(1, np.int8))
        names = x, self._const(weights), self._const(bias), *zeros
        out = (*shape[:3], channels)
        pad = kernel // 2
        attributes = (
            f"acc_type = i32, dilation = array<i64: 1, 1>, pad = array<i64: {pad}, {pad}, {pad}, {pad}>, "
            "stride = array<i64: 1, 1>"
        )
        kinds = _type(shape, "i8"), _of(weights), _of(bias), "tensor<1xi8>", "tensor<1xi8>"
        wide = self._op("conv2d", names, kinds, _type(out, "i32"), attributes)
        return self._rescaled(wide, out, 7 + np.log2(kernel * kernel * shape[3]) / 2 - gain, zero_points[1]), out

    def halved(self, x: str, shape: Shape) -> tuple[str, Shape]:
        """The largest of 2×2."""
        out = (1, shape[1] // 2, shape[2] // 2, shape[3])
        attributes = "kernel = array<i64: 2, 2>, pad = array<i64: 0, 0, 0, 0>, stride = array<i64: 2, 2>"
        return self._op("max_pool2d", (x,), (_type(shape, "i8"),), _type(out, "i8"), attributes), out

    def averaged(self, x: str, shape: Shape) -> tuple[str, Shape]:
        """The mean of each channel."""
        out = (1, 1, 1, shape[3])
        zeros = self._const(np.zeros(1, np.int8)), self._const(np.zeros(1, np.int8))
        attributes = (
            f"acc_type = i32, kernel = array<i64: {shape[1]}, {shape[2]}>, pad = array<i64: 0, 0, 0, 0>, "
            "stride = array<i64: 1, 1>"
        )
        kinds = _type(shape, "i8"), "tensor<1xi8>", "tensor<1xi8>"
        return self._op("avg_pool2d", (x, *zeros), kinds, _type(out, "i8"), attributes), out

    def _rescaled(self, x: str, shape: Shape, halvings: float, zero_point: int) -> str:
        """Divided by about two to a power: 7 and half the logarithm of the taps has random sums fill it."""
        shift = 30 + round(halvings)
        constants = (
            np.array([1 << 30], np.int32),
            np.array([shift], np.int8),
            np.zeros(1, np.int32),
            np.array([zero_point], np.int8),
        )
        names = x, *(self._const(value) for value in constants)
        kinds = _type(shape, "i32"), *(_of(value) for value in constants)
        attributes = (
            "input_unsigned = false, output_unsigned = false, per_channel = false, rounding_mode = SINGLE_ROUND, "
            "scale32 = true"
        )
        return self._op("rescale", names, kinds, _type(shape, "i8"), attributes)

    def _const(self, value: Array) -> str:
        name = f"%v{len(self.lines)}"
        kind = _of(value)
        self.lines.append(
            f'{name} = "tosa.const"() <{{values = dense<"0x{value.tobytes().hex()}"> : {kind}}}> : () -> {kind}'
        )
        return name

    def _op(self, op: str, names: Sequence[str], kinds: Sequence[str], result: str, attributes: str) -> str:
        name = f"%v{len(self.lines)}"
        self.lines.append(f"{name} = tosa.{op} {', '.join(names)} {{{attributes}}} : ({', '.join(kinds)}) -> {result}")
        return name


def _type(shape: Sequence[int], element: str) -> str:
    return f"tensor<{'x'.join(map(str, shape))}x{element}>"


def _of(value: Array) -> str:
    return _type(value.shape, _ELEMENTS[value.dtype.name])
