"""Small `.tflite` networks of one operator or a few, as exporters write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from tflite_nets import Net

from lowtide.importer.tflite.model import OptionValue

Case = tuple[Net, list[int], list[int]]
"""A network, its inputs and its outputs."""
SCALES: Mapping[str, tuple[float | None, int]] = {"int8": (0.05, -7), "uint8": (0.05, 121), "float32": (None, 0)}
"""Scales of activations, with their zero points."""
LOWEST: Mapping[str, int] = {"int8": -128, "uint8": 0, "float32": -128}
SAME, VALID = 0, 1


def image(net: Net, dtype: str, shape: Sequence[int], name: str = "x", signature: Sequence[int] = ()) -> int:
    """An activation."""
    scale, zero = SCALES[dtype]
    return net.tensor(name, shape, dtype, scale, zero, signature=signature)


def weights(net: Net, dtype: str, shape: Sequence[int], axis: int = 0) -> tuple[int, int]:
    """Random weights, in int8 with a scale for each output channel, and the bias for them."""
    random = np.random.default_rng(len(net.tensors))
    count = shape[axis]
    if dtype == "float32":
        bias = net.constant("bias", random.normal(size=count), dtype)
        return net.constant("weights", random.normal(size=shape), dtype), bias
    bias = net.constant("bias", random.integers(-400, 400, count))
    values = random.integers(LOWEST[dtype], LOWEST[dtype] + 256, shape)
    if dtype == "uint8":
        return net.constant("weights", values, dtype, 0.004, 117), bias
    scales = random.uniform(0.001, 0.008, count).tolist()
    return net.constant("weights", np.maximum(values, -127), dtype, scales, axis=axis), bias


def window(stride: tuple[int, int] = (1, 1), padding: int = SAME, **more: OptionValue) -> dict[str, OptionValue]:
    """Options of a convolution or a pool."""
    return {"stride_h": stride[0], "stride_w": stride[1], "padding": padding, **more}


def flatten(dtype: str) -> Case:
    """Flatten, as TensorFlow's converter writes it with a dynamic batch."""
    net = Net()
    x = image(net, dtype, (1, 4, 4, 3), signature=(-1, 4, 4, 3))
    shape = net.operator("SHAPE", (x,), net.tensor("shape", (4,), np.int32))
    ends = [net.constant(name, [value]) for name, value in (("begin", 0), ("end", 1), ("stride", 1))]
    batch = net.operator(
        "STRIDED_SLICE", (shape, *ends), net.tensor("batch", (), np.int32, ranked=False), {"shrink_axis_mask": 1}
    )
    packed = net.operator(
        "PACK", (batch, net.constant("rest", 48)), net.tensor("packed", (2,), np.int32), {"values_count": 2}
    )
    y = image(net, dtype, (1, 48), "y", signature=(-1, 48))
    return net, [x], [net.operator("RESHAPE", (x, packed), y)]


def remainder(dtype: str, operator: str) -> Case:
    """A window that pads the rows and leaves a column."""
    net = Net()
    x = image(net, dtype, (1, 8, 8, 4))
    y = image(net, dtype, (1, 4, 4, 4), "y")
    if operator == "CONV_2D":
        inputs, options = (x, *weights(net, dtype, (4, 3, 1, 4))), window((2, 2))
    elif operator == "DEPTHWISE_CONV_2D":
        inputs, options = (x, *weights(net, dtype, (1, 3, 1, 4), 3)), window((2, 2), depth_multiplier=1)
    else:
        inputs, options = (x,), window((2, 2), filter_height=3, filter_width=1)
    return net, [x], [net.operator(operator, inputs, y, options)]


def grouped(dtype: str, channels: int, filters: int, groups: int) -> Case:
    """A grouped convolution."""
    net = Net()
    x = image(net, dtype, (1, 7, 7, channels))
    constants = weights(net, dtype, (filters, 3, 3, channels // groups))
    y = image(net, dtype, (1, 7, 7, filters), "y")
    return net, [x], [net.operator("CONV_2D", (x, *constants), y, window(fused_activation_function=1))]


def blocks(
    dtype: str,
    size: tuple[int, int, int],
    block: tuple[int, int],
    pads: Sequence[Sequence[int]],
    crops: Sequence[Sequence[int]],
    kernel: tuple[int, int] | None,
) -> Case:
    """SPACE_TO_BATCH_ND, a convolution if there is a kernel, and BATCH_TO_SPACE_ND."""
    net = Net()
    height, width, channels = size
    high, wide = ((n + sum(pad)) // b for n, pad, b in zip(size[:2], pads, block, strict=True))
    x = image(net, dtype, (1, height, width, channels))
    factors = net.constant("block", block)
    y = image(net, dtype, (block[0] * block[1], high, wide, channels), "blocked")
    net.operator("SPACE_TO_BATCH_ND", (x, factors, net.constant("pads", pads)), y)
    if kernel is not None:
        high, wide = high - kernel[0] + 1, wide - kernel[1] + 1
        constants = weights(net, dtype, (4, *kernel, channels))
        made = image(net, dtype, (block[0] * block[1], high, wide, 4), "convolved")
        y, channels = net.operator("CONV_2D", (y, *constants), made, window(padding=VALID)), 4
    shape = (1, high * block[0] - sum(crops[0]), wide * block[1] - sum(crops[1]), channels)
    result = image(net, dtype, shape, "y")
    return net, [x], [net.operator("BATCH_TO_SPACE_ND", (y, factors, net.constant("crops", crops)), result)]


def prelu(dtype: str, slopes: Sequence[int]) -> Case:
    """PRELU with random slopes of that shape; the output's scale is another than the input's."""
    net, random = Net(), np.random.default_rng(3)
    x = image(net, dtype, (1, 5, 6, 4))
    if dtype == "float32":
        alpha = net.constant("alpha", random.normal(size=slopes), dtype)
        y = net.tensor("y", (1, 5, 6, 4), dtype)
    else:
        values = random.integers(LOWEST[dtype], LOWEST[dtype] + 256, slopes)
        alpha = net.constant("alpha", values, dtype, 0.009, SCALES[dtype][1] + 4)
        y = net.tensor("y", (1, 5, 6, 4), dtype, 0.037, SCALES[dtype][1] + 20)
    return net, [x], [net.operator("PRELU", (x, alpha), y)]


def split_and_pack(dtype: str) -> Case:
    """SPLIT, SPLIT_V, UNPACK and PACK."""
    net = Net()
    x = image(net, dtype, (1, 4, 6, 4))
    halves = [image(net, dtype, (1, 4, 3, 4), f"half{n}") for n in range(2)]
    several(net, "SPLIT", (net.constant("axis", 2), x), halves, {"num_splits": 2})
    parts = [image(net, dtype, (1, 4, 3, count), f"part{count}") for count in (1, 3)]
    several(net, "SPLIT_V", (halves[1], net.constant("sizes", [1, -1]), net.constant("last", -1)), parts)
    rows = [image(net, dtype, (1, 3, 4), f"row{n}") for n in range(4)]
    several(net, "UNPACK", (halves[0],), rows, {"num": 4, "axis": 1})
    packed = net.operator("PACK", rows[::-1], image(net, dtype, (1, 3, 4, 4), "y"), {"values_count": 4, "axis": -2})
    return net, [x], [packed, parts[1], rows[2]]


def several(
    net: Net, name: str, inputs: Sequence[int], outputs: Sequence[int], options: Mapping[str, OptionValue] | None = None
) -> None:
    """An operator with several outputs."""
    net.operator(name, inputs, outputs[0], options)
    net.operators[-1] = replace(net.operators[-1], outputs=tuple(outputs))


def alone(
    name: str,
    dtype: str,
    shape: Sequence[int],
    result: Sequence[int],
    constants: Sequence[npt.ArrayLike] = (),
    options: Mapping[str, OptionValue] | None = None,
) -> Case:
    """One operator on an activation and INT32 constants."""
    net = Net()
    x = image(net, dtype, shape)
    operands = [net.constant(f"constant{number}", values) for number, values in enumerate(constants)]
    return net, [x], [net.operator(name, (x, *operands), image(net, dtype, result, "y"), options)]


def squared_difference(dtype: str) -> Case:
    """SQUARED_DIFFERENCE of an image and a row of channels; three scales."""
    net = Net()
    x = image(net, dtype, (1, 4, 5, 3))
    other = net.tensor("other", (1, 1, 1, 3), dtype, None if dtype == "float32" else 0.031, 0)
    y = net.tensor("y", (1, 4, 5, 3), dtype, None if dtype == "float32" else 0.17, 0)
    return net, [x, other], [net.operator("SQUARED_DIFFERENCE", (x, other), y)]


def outputs_shared(dtype: str) -> Case:
    """A tensor listed as an output twice, and an input listed as one."""
    net = Net()
    x = image(net, dtype, (1, 4, 4, 3))
    y = net.operator("RELU", (x,), image(net, dtype, (1, 4, 4, 3), "y"))
    z = net.operator("ADD", (x, y), image(net, dtype, (1, 4, 4, 3), "z"))
    return net, [x], [z, x, z]
