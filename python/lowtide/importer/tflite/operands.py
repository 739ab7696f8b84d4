"""An operator with its operands, as the rules on shapes look at them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tflite import TensorType

from lowtide.importer.tflite.model import Operator, Shape, Tensor

INTEGERS = {TensorType.INT32: np.int32, TensorType.INT64: np.int64}
"""Types of indices, by number of the schema's `TensorType`."""


class ShapeError(ValueError):
    """The operands do not fit each other; the message says how."""


@dataclass(frozen=True)
class Operands:
    """An operator, its operands (None for one left out), and its outputs' shapes in the file."""

    operator: Operator
    inputs: Sequence[Tensor | None]
    declared: Sequence[Shape]

    def shape(self, position: int = 0, rank: int | None = None) -> Shape:
        tensor = self.inputs[position]
        shape = tensor.shape if tensor else ()
        if rank is not None and len(shape) != rank:
            raise ShapeError(f"its input {position} has {len(shape)} dimensions, not {rank}")
        return shape

    def option(self, name: str) -> int:
        value = self.operator.options.get(name, 0)
        return 0 if isinstance(value, tuple) else int(value)

    def numbers(self, position: int, count: int | None = None) -> list[int]:
        """Values of an integer constant."""
        tensor = self.inputs[position]
        dtype = INTEGERS.get(tensor.type) if tensor else None
        if tensor is None or tensor.data is None or dtype is None or len(tensor.data) % np.dtype(dtype).itemsize:
            raise ShapeError(f"its input {position} is not a constant of INT32 or INT64")
        values = [int(value) for value in np.frombuffer(tensor.data, dtype)]
        if count is not None and len(values) != count:
            raise ShapeError(f"its input {position} has {len(values)} numbers, not {count}")
        return values


def axis_of(axis: int, rank: int) -> int:
    """An axis counted from the front; ShapeError where there is none such."""
    if not -rank <= axis < rank:
        raise ShapeError(f"there is no axis {axis} in {rank} dimensions")
    return axis % rank
