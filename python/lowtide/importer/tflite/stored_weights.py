"""Weights that a file stores smaller than they are computed with: four bits of int4, and int8 of float networks.

Networks of floats with weights of int8 ("dynamic range") are computed in floats, with the weights as they are meant:
scale · (stored − zero point). LiteRT quantises the activations of each run instead, which costs it digits; what lowtide
computes is nearer to the network before its weights were quantised.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from tflite import BuiltinOperator, TensorType

from lowtide.importer.tflite.model import Model, Operator, Tensor
from lowtide.importer.tflite.operators import BIASED

_HYBRID = (*BIASED, BuiltinOperator.TRANSPOSE_CONV, BuiltinOperator.BATCH_MATMUL, BuiltinOperator.GATHER)


def plain_weights(model: Model) -> Model:
    """The model with int4 constants in bytes, and float operators' int8 constants as floats."""
    tensors = [_unpacked(tensor) for tensor in model.tensors]
    floats: dict[int, int] = {}
    operators: list[Operator] = []
    for operator in model.operators:
        if operator.code in _HYBRID and _makes_floats(operator, tensors):
            inputs = tuple(_as_float(index, tensors, floats) for index in operator.inputs)
            operators.append(replace(operator, inputs=inputs))
        else:
            operators.append(operator)
    return replace(model, tensors=tuple(tensors), operators=tuple(operators))


def _makes_floats(operator: Operator, tensors: list[Tensor]) -> bool:
    """Whether an operator computes in floats."""
    return bool(operator.outputs) and tensors[operator.outputs[0]].type == TensorType.FLOAT32


def _unpacked(tensor: Tensor) -> Tensor:
    """An int4 constant, two numbers a byte with the first in the low half, as int8."""
    packed = tensor.data
    if tensor.type != TensorType.INT4 or packed is None or len(packed) != (tensor.elements + 1) // 2:
        return tensor
    halves = np.frombuffer(packed, np.uint8)
    # shifted up and down again, so that the sign comes along
    low, high = (halves << 4).view(np.int8) >> 4, halves.view(np.int8) >> 4
    numbers = np.stack([low, high], axis=1).reshape(-1)[: tensor.elements]
    return replace(tensor, type=TensorType.INT8, data=numbers.tobytes())


def _as_float(index: int, tensors: list[Tensor], floats: dict[int, int]) -> int:
    """The float constant for a quantised one, made once; the index itself of any other tensor."""
    if index < 0:
        return index
    tensor = tensors[index]
    quantization = tensor.quantization
    sizes = len(tensor.data or b"") == tensor.elements
    if tensor.type != TensorType.INT8 or tensor.data is None or quantization is None or not sizes:
        return index
    if index not in floats:
        scales, zeros = np.array(quantization.scales, np.float32), np.array(quantization.zero_points, np.float32)
        shape = [1] * len(tensor.shape)
        if len(scales) > 1:
            if not 0 <= quantization.axis < len(shape) or tensor.shape[quantization.axis] != len(scales):
                return index
            shape[quantization.axis] = len(scales)
        stored = np.frombuffer(tensor.data, np.int8).reshape(tensor.shape).astype(np.float32)
        values = (stored - zeros.reshape(shape)) * scales.reshape(shape)
        name = f"{tensor.name}/floats"
        made = Tensor(name, TensorType.FLOAT32, tensor.shape, data=values.astype(np.float32).tobytes())
        tensors.append(made)
        floats[index] = len(tensors) - 1
    return floats[index]
