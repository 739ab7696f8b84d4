"""Rewrites what the converter refuses although LiteRT computes it, without a change of what is computed."""

from __future__ import annotations

from dataclasses import replace

from tflite import BuiltinOperator, TensorType

from lowtide.errors import InputError
from lowtide.importer.tflite.model import Model, Operator, Tensor
from lowtide.importer.tflite.operators import SUPPORTED

EIGHT_BIT = (TensorType.INT8, TensorType.UINT8)


def unbatch(model: Model, where: str) -> Model:
    """Makes a dynamic batch 1 and drops the shape signatures.

    Raises:
        InputError: a dimension other than the first is dynamic.
    """
    changed: dict[int, Tensor] = {}
    for index, tensor in enumerate(model.tensors):
        if not tensor.signature:
            continue
        shape = list(tensor.shape)
        for dimension, size in enumerate(tensor.signature):
            if size >= 0 or tensor.data is not None:
                continue
            if dimension > 0:
                raise InputError(
                    "importer",
                    f"dimension {dimension} is dynamic; lowtide takes static shapes (a dynamic batch becomes 1)",
                    where=f"{where}, tensor {tensor}",
                    remedy="export the model with static shapes",
                )
            shape[0] = 1
        changed[index] = replace(tensor, shape=tuple(shape), signature=())
    return model.with_tensors(changed)


def repair(model: Model, where: str) -> Model:
    """All repairs, for a checked model. The signature (`import_tflite`'s IoTensors) is that from before."""
    return _requantise_concatenations(_align_copies(_unscale(model), where), where)


def _unscale(model: Model) -> Model:
    """Drops the scales of all but 8-bit tensors.

    A bias is stored at its operator's own scale, input times weights; LiteRT Micro looks at no other. What files say of
    it is at times impossible (a scale of 0, an axis that the tensor has not).
    """
    bare = {i: replace(t, quantization=None) for i, t in enumerate(model.tensors) if t.type not in EIGHT_BIT}
    return model.with_tensors(bare)


def _align_copies(model: Model, where: str) -> Model:
    """Gives the output of an operator that only moves bytes the scale of its input.

    LiteRT Micro does not look at either. The converter wants them equal. What comes after must not be an operator that
    computes with the output's own scale: that one would then compute with another.
    """
    for operator in model.operators:
        if not SUPPORTED[operator.code].copies:
            continue
        source, made = model.tensors[operator.inputs[0]], model.tensors[operator.outputs[0]]
        if source.quantization == made.quantization:
            continue
        reader = _scale_reader(model, operator.outputs[0])
        if reader is not None:
            raise InputError(
                "importer",
                f"its input and its output have different scales, and operator {reader.index} {reader.name} "
                "computes with the latter",
                where=f"{where}, {model.place(operator)}",
                remedy="export the model again; exporters give both the same scale",
            )
        model = model.with_tensors({operator.outputs[0]: replace(made, quantization=source.quantization)})
    return model


def _scale_reader(model: Model, tensor: int) -> Operator | None:
    """The first operator that computes with a tensor's scale, perhaps after others that move its bytes."""
    for operator in model.consumers(tensor):
        if not SUPPORTED[operator.code].copies:
            return operator
        reader = _scale_reader(model, operator.outputs[0]) if operator.inputs[0] == tensor else None
        if reader is not None:
            return reader
    return None


def _requantise_concatenations(model: Model, where: str) -> Model:
    """Inserts QUANTIZE before the uint8 concatenations whose inputs have other scales than their output.

    LiteRT's uint8 kernel (`ConcatenationWithScaling`) rescales such inputs in float32; QUANTIZE does it with the fixed-point
    multiplier of all other operators, which can differ by one unit where the float result lies near a half. Its
    int8 kernels don't rescale (LiteRT refuses, LiteRT Micro copies the bytes as they are), so int8 is refused here.
    """
    operators: list[Operator] = []
    tensors = list(model.tensors)
    for operator in model.operators:
        if operator.code != BuiltinOperator.CONCATENATION:
            operators.append(operator)
            continue
        target = tensors[operator.outputs[0]]
        inputs: list[int] = []
        for index in operator.inputs:
            source = tensors[index]
            if source.quantization == target.quantization:
                inputs.append(index)
                continue
            if source.type != TensorType.UINT8 or target.type != TensorType.UINT8:
                raise InputError(
                    "importer",
                    f"the scale of its input {source} is not that of its output, which LiteRT allows for uint8 only",
                    where=f"{where}, {model.place(operator)}",
                    remedy="export the model again; exporters give both the same scale",
                )
            operators.append(_quantize(operator, index, len(tensors)))
            inputs.append(len(tensors))
            name = f"{target.name}/input{len(inputs) - 1}"
            tensors.append(replace(source, name=name, quantization=target.quantization, data=None))
        operators.append(replace(operator, inputs=tuple(inputs)))
    return replace(model, tensors=tuple(tensors), operators=tuple(operators))


def _quantize(served: Operator, source: int, target: int) -> Operator:
    return Operator(served.index, BuiltinOperator.QUANTIZE, (source,), (target,))
