"""Rules on operands that several kinds of operators share: shapes that broadcast, types that are alike."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lowtide.importer.tflite.model import Shape
from lowtide.importer.tflite.operands import Operands, ShapeError


def broadcast(operands: Operands) -> Sequence[Shape]:
    """The shape to which all operands are broadcast; they have one type."""
    alike(operands, range(len(operands.inputs)))
    return [broadcast_shape([operands.shape(position) for position in range(len(operands.inputs))])]


def broadcast_shape(shapes: Sequence[Shape]) -> Shape:
    """The shape to which all these are broadcast."""
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        listed = " and ".join(str(list(shape)) for shape in shapes)
        raise ShapeError(f"its inputs' shapes {listed} don't go together") from None


def alike(operands: Operands, positions: Sequence[int]) -> None:
    """Raises ShapeError where these operands, all given, have several types."""
    tensors = [operands.inputs[position] for position in positions]
    names = sorted({tensor.type_name for tensor in tensors if tensor is not None})
    if len(names) > 1:
        raise ShapeError(f"its inputs have different types, {' and '.join(names)}")


def unit_range(operands: Operands, positions: Sequence[int]) -> None:
    """Raises ShapeError where a scale is not below 1: LiteRT stops there, as it has no such factors."""
    for position in positions:
        tensor = operands.inputs[position]
        if tensor is not None and tensor.quantization is not None and tensor.quantization.scales[0] >= 1:
            raise ShapeError(f"the scale of {tensor} is {tensor.quantization.scales[0]:g}, and must be below 1")
