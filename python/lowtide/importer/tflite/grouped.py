"""Grouped convolutions: filters with fewer input channels than the input has each read one group of them.

A group's filters are a convolution of their own on its channels, and its results lie side by side in the output:
slices, convolutions, and a concatenation whose parts are written in their places. Where a group is one channel, it is
a depthwise convolution.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from tflite import BuiltinOperator

from lowtide.importer.tflite.model import Operator, Tensor
from lowtide.importer.tflite.rewrite import Rewrite

_ITEM = {1: np.int8, 4: np.int32}
"""By bytes of an element: what is only moved needs no more than its size."""
_CHANNELS = 3


def groups_of(rewrite: Rewrite, operator: Operator) -> int:
    """Groups of input channels that a convolution's filters read; 1 for one that is not grouped."""
    source, weights = (rewrite.tensors[index] for index in operator.inputs[:2])
    return source.shape[_CHANNELS] // weights.shape[_CHANNELS] if operator.code == BuiltinOperator.CONV_2D else 1


def as_depthwise(rewrite: Rewrite, operator: Operator) -> Operator:
    """A grouped convolution with one input channel a group, as the depthwise convolution that it is."""
    source, weights = (rewrite.tensors[index] for index in operator.inputs[:2])
    filters, height, width, _ = weights.shape
    moved = _elements(weights).transpose(3, 1, 2, 0)
    quantization = weights.quantization and replace(weights.quantization, axis=_CHANNELS)
    turned = replace(weights, shape=(1, height, width, filters), data=moved.tobytes(), quantization=quantization)
    index = rewrite.add(turned, f"depthwise{operator.index}")
    return replace(
        operator,
        code=BuiltinOperator.DEPTHWISE_CONV_2D,
        inputs=(operator.inputs[0], index, *operator.inputs[2:]),
        options={**operator.options, "depth_multiplier": filters // source.shape[_CHANNELS]},
    )


def part_of(rewrite: Rewrite, operator: Operator, group: int, groups: int) -> Operator:
    """The convolution of one group of channels; adds the slice of them and the tensor that it makes."""
    source, output = operator.inputs[0], operator.outputs[0]
    shape, result = rewrite.tensors[source].shape, rewrite.tensors[output].shape
    channels, filters = shape[_CHANNELS] // groups, result[_CHANNELS] // groups
    read = (*shape[:_CHANNELS], channels)
    name = f"group{group}"
    x = rewrite.like(source, operator, f"{name}/input", read)
    rewrite.slice(operator, source, (0, 0, 0, group * channels), read, x, f"{name}/input")
    constants = [
        index
        if index < 0
        else rewrite.add(filters_of(rewrite.tensors[index], group * filters, filters), f"{name}/{operator.index}")
        for index in operator.inputs[1:]
    ]
    made = rewrite.like(output, operator, name, (*result[:_CHANNELS], filters))
    return replace(operator, inputs=(x, *constants), outputs=(made,))


def filters_of(constant: Tensor, first: int, count: int) -> Tensor:
    """Some filters of a layer's weights, or their biases."""
    quantization = constant.quantization
    if quantization is not None and len(quantization.scales) > 1:
        quantization = replace(
            quantization,
            scales=quantization.scales[first : first + count],
            zero_points=quantization.zero_points[first : first + count],
        )
    data = _elements(constant)[first : first + count].tobytes()
    return replace(constant, shape=(count, *constant.shape[1:]), data=data, quantization=quantization)


def _elements(constant: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.signedinteger]]:
    data = constant.data or b""
    return np.frombuffer(data, _ITEM[len(data) // constant.elements]).reshape(constant.shape)
