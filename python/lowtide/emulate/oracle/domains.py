"""Which values make sense as inputs of a `.tflite` model: read off the operators that take them.

An index stays within what it indexes, and floats that are quantised reach both ends of the quantised range and beyond.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from tflite import BuiltinOperator, TensorType

from lowtide.importer.tflite.model import Model, Operator, Tensor

_B = BuiltinOperator
_MOVES = (_B.RESHAPE, _B.SQUEEZE, _B.EXPAND_DIMS, _B.TRANSPOSE, _B.CAST, _B.SLICE, _B.STRIDED_SLICE)
"""Operators whose results are values of their first operand."""
_CHOICES = (_B.SELECT, _B.SELECT_V2)
"""Operators whose results are values of their second and third operands: where indices below 0 count from the end."""
_LIMITS: dict[int, np.iinfo[np.int8] | np.iinfo[np.uint8] | np.iinfo[np.int16]] = {
    TensorType.INT8: np.iinfo(np.int8),
    TensorType.UINT8: np.iinfo(np.uint8),
    TensorType.INT16: np.iinfo(np.int16),
}


@dataclass(frozen=True)
class Domain:
    """Values of one input.

    Attributes:
        low, high: the least and the greatest sensible value: stored integers, or real numbers of a float input.
        zero: the value that stands for zero.
        step: the scale at which a float input is quantised, None where it isn't. Halves of it are ties.
        index: True for an index: what lies outside would read beyond a table.
    """

    low: float
    high: float
    zero: float = 0.0
    step: float | None = None
    index: bool = False


def domains(model: Model) -> tuple[Domain, ...]:
    """One for each input of the model, in its order."""
    return tuple(_domain(model, index) for index in model.inputs)


def _domain(model: Model, index: int) -> Domain:
    tensor = model.tensors[index]
    values, readers = _readers(model, index)
    extents = [extent for reader in readers for extent in _indexed(model, reader, values)]
    if extents:
        return Domain(0, max(min(extents) - 1, 0), index=True)
    if tensor.type == TensorType.FLOAT32:
        return _quantised(model, readers) or Domain(-1.0, 1.0)
    if tensor.type in _LIMITS:
        limits = _LIMITS[tensor.type]
        zero = tensor.quantization.zero_points[0] if tensor.quantization else 0
        return Domain(limits.min, limits.max, zero)
    # wider integers are counts or indices whose bound the file does not tell
    return Domain(0, 1 if tensor.type == TensorType.BOOL else 127)


def _readers(model: Model, index: int) -> tuple[set[int], list[Operator]]:
    """The tensors that hold the input's own values, and the operators that compute with them."""
    values, readers = {index}, list[Operator]()
    for operator in model.operators:
        if values.isdisjoint(operator.inputs):
            continue
        moves = operator.code in _MOVES and operator.inputs[0] in values
        if moves or (operator.code in _CHOICES and not values.isdisjoint(operator.inputs[1:])):
            values.update(operator.outputs)
        else:
            readers.append(operator)
    return values, readers


def _indexed(model: Model, reader: Operator, values: set[int]) -> list[int]:
    """How many places an operator can index with these values."""
    if reader.code == _B.GATHER and reader.inputs[1] in values:
        table = model.tensors[reader.inputs[0]].shape
        axis = reader.options.get("axis", 0)
        return [table[axis]] if isinstance(axis, int) and -len(table) <= axis < len(table) else []
    if reader.code == _B.EMBEDDING_LOOKUP and reader.inputs[0] in values:
        return list(model.tensors[reader.inputs[1]].shape[:1])
    if reader.code == _B.GATHER_ND and reader.inputs[1] in values:
        depth = model.tensors[reader.inputs[1]].shape[-1]
        return list(model.tensors[reader.inputs[0]].shape[:depth])
    return []


def _quantised(model: Model, readers: list[Operator]) -> Domain | None:
    """The real numbers that a QUANTIZE behind a float input can tell apart."""
    for reader in readers:
        made: Tensor = model.tensors[reader.outputs[0]]
        if reader.code == _B.QUANTIZE and made.quantization and made.type in _LIMITS:
            limits, scale, zero = _LIMITS[made.type], made.quantization.scales[0], made.quantization.zero_points[0]
            return Domain((limits.min - zero) * scale, (limits.max - zero) * scale, step=scale)
    return None
