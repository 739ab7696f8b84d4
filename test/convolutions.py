"""Random convolutions for the blocked kernels, small enough that every block and edge occurs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import hypothesis.strategies as st
import numpy as np
from tosa_nets import Array, TosaNet, Value, Window

Draw = Callable[..., Any]
KINDS = ("conv", "pointwise", "depthwise", "multiplied", "one channel", "dense")
EPILOGUES = ("none", "add", "clamp", "table")
ZERO_POINTS = (-128, 127, 0, -5)


@dataclass(frozen=True)
class Convolution:
    """A layer.

    Attributes:
        kind: of `KINDS`; "multiplied" is depthwise with a multiplier, "one channel" that of a single input channel.
        extents: rows and columns of the output.
        channels: of the input and of the output.
        zeros: zero points of input, weights and output.
        twice: the rescale rounds as TFLite does.
        epilogue: of `EPILOGUES`; what is fused behind the rescale.
        seed: of weights and inputs.
        element: "int8" or "float32". Floats are whole numbers, so small that every sum is exact in any order; they have
            neither zero points nor rescales nor tables.
    """

    kind: str
    extents: tuple[int, int]
    channels: tuple[int, int]
    window: Window
    zeros: tuple[int, int, int]
    per_channel: bool
    twice: bool
    epilogue: str
    seed: int
    element: str = "int8"

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        """What gives an output of the extents exactly."""
        window = self.window
        height, width = (
            (self.extents[axis] - 1) * window.stride[axis]
            + (window.kernel[axis] - 1) * window.dilation[axis]
            + 1
            - sum(window.pads[axis])
            for axis in range(2)
        )
        return (1, height, width, self.channels[0])

    def appended(self, net: TosaNet, x: Value) -> Value:
        """The layer behind `x`."""
        zero, weights_zero, out = self.zeros if self.element == "int8" else (0, 0, 0)
        if self.kind in ("depthwise", "multiplied", "one channel"):
            shape = (*self.window.kernel, self.channels[0], self.channels[1] // self.channels[0])
            weights = net.random(shape, self.element)
            wide = net.depthwise(x, weights, self.window, zero, weights_zero)
        else:
            weights = net.random((self.channels[1], *self.window.kernel, self.channels[0]), self.element)
            wide = net.conv(x, weights, self.window, zero, weights_zero)
        if self.element == "float32":
            return self._finished_float(net, wide)
        y = net.rescale(wide, per_channel=self.per_channel, zero_point=out, twice=self.twice)
        return self._finished(net, y)

    def _finished(self, net: TosaNet, y: Value) -> Value:
        match self.epilogue:
            case "add":
                return net.add(y, net.const(net.random((1, 1, 1, y.array.shape[3]), "int8")))
            case "clamp":
                return net.clamp(y, self.zeros[2] if self.zeros[2] < 100 else -100, 110)
            case "table":
                return net.table(y)
            case _:
                return y

    def _finished_float(self, net: TosaNet, y: Value) -> Value:
        match self.epilogue:
            case "add":
                return net.op_add(y, net.const(net.random((1, 1, 1, y.array.shape[3]), "float32")))
            case "clamp":
                return net.clamp(y, -30, 40)
            case _:
                return y

    def empty(self) -> TosaNet:
        """A network for numbers of the layer's kind."""
        return (TosaNet if self.element == "int8" else WholeNet)(np.random.default_rng(self.seed))

    def input(self, net: TosaNet, shape: Sequence[int]) -> Value:
        """An input of random elements, with the extreme bytes among them."""
        x = net.input(shape, self.element)
        if self.element == "int8":
            extreme(net.rng, x.array)
        return x

    def net(self) -> tuple[TosaNet, Value]:
        """The layer alone."""
        net = self.empty()
        return net, self.appended(net, self.input(net, self.input_shape))


class WholeNet(TosaNet):
    """A network whose floats are whole numbers."""

    def random(self, shape: Sequence[int], kind: str) -> Array:
        """See `TosaNet`."""
        if kind == "float32":
            return self.rng.integers(-9, 10, shape).astype(np.float32)
        return super().random(shape, kind)


def extreme(rng: np.random.Generator, array: Array) -> None:
    """Make some bytes the least and the greatest, in place."""
    array[rng.random(array.shape) < 0.2] = -128
    array[rng.random(array.shape) < 0.2] = 127


@st.composite
def convolutions(
    draw: Draw, kind: str | None = None, channels: int | None = None, element: str = "int8"
) -> Convolution:
    """Any that a model can have: strides, pads of any kind, odd widths.

    Args:
        draw: hypothesis's.
        kind: of `KINDS`, any where left out.
        channels: of the input, any where left out.
        element: see `Convolution`.
    """
    picked: str = draw(st.sampled_from(KINDS)) if kind is None else kind
    inputs = draw(st.sampled_from((1, 2, 3, 4, 5, 6, 7, 8, 9, 16))) if channels is None else channels
    outputs = draw(st.sampled_from((1, 2, 3, 4, 5, 6, 7, 8, 9, 16)))
    extents = draw(st.integers(1, 4)), draw(st.integers(1, 9))
    if picked == "depthwise":
        outputs = inputs
    elif picked == "multiplied":
        inputs = draw(st.sampled_from((2, 3, 4, 5, 8))) if channels is None else channels
        outputs = inputs * draw(st.sampled_from((2, 3, 4, 5, 8)))
    elif picked == "one channel":
        inputs = 1
    elif picked == "dense":
        inputs, extents = draw(st.sampled_from((3, 12, 40, 64, 77, 100, 132))), (1, 1)
    small = picked in ("pointwise", "dense")
    axes = [_axis(draw, 1 if small else 6, extents[axis], 3) for axis in range(2)]
    kernel, pads, stride, dilation = zip(*axes, strict=True)
    return Convolution(
        picked,
        extents,
        (inputs, outputs),
        Window(kernel, pads, stride, dilation),
        (draw(st.sampled_from(ZERO_POINTS)), draw(st.sampled_from((0, 0, 0, 3))), draw(st.sampled_from(ZERO_POINTS))),
        draw(st.booleans()),
        draw(st.booleans()),
        draw(st.sampled_from(EPILOGUES)),
        draw(st.integers(0, 1 << 16)),
        element,
    )


def _axis(draw: Draw, most: int, outputs: int, dilate: int) -> tuple[int, tuple[int, int], int, int]:
    """Kernel, pads, stride and dilation for so many outputs of at least one input."""
    kernel = draw(st.sampled_from([k for k in (1, 2, 3, 3, 3, 4, 5, 6) if k <= most]))
    stride, dilation = draw(st.integers(1, 3)), draw(st.integers(1, dilate))
    reach = (outputs - 1) * stride + (kernel - 1) * dilation + 1
    low = draw(st.integers(0, min(kernel - 1, reach - 1)))
    high = draw(st.integers(0, min(kernel - 1, reach - 1 - low)))
    return kernel, (low, high), stride, dilation
