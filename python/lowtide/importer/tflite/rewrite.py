"""A model while operators of it are replaced by others that compute the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NoReturn

import numpy as np
from tflite import BuiltinOperator, TensorType

from lowtide.errors import InputError
from lowtide.importer.tflite.model import Model, Operator, OptionValue, Shape, Tensor
from lowtide.importer.tflite.notes import Conversion


class Rewrite:
    """The new model while it grows: `tensors` keep their indices and get more, `operators` are those done.

    `conversions` gathers what `Notes` will say of the new model.

    Args:
        model: what is rewritten; it stays as it is.
        where: the file's name, for messages.
    """

    def __init__(self, model: Model, where: str) -> None:
        self.model = model
        self.tensors = list(model.tensors)
        self.operators: list[Operator] = []
        self.conversions: dict[str, Conversion] = {}
        self._where = where

    def done(self) -> Model:
        """The model with what was added."""
        return replace(self.model, tensors=tuple(self.tensors), operators=tuple(self.operators))

    def add(self, tensor: Tensor, suffix: str) -> int:
        """Adds a tensor named after the given one, its name unlike all others'; its index."""
        self.tensors.append(replace(tensor, name=f"{tensor.name}/{suffix}"))
        return len(self.tensors) - 1

    def like(self, source: int, served: Operator, suffix: str, shape: Shape) -> int:
        """Adds a computed tensor with the element type and the scale of another, named after an operator's output."""
        name = self.tensors[served.outputs[0]].name
        return self.add(replace(self.tensors[source], name=name, shape=shape, data=None), suffix)

    def integers(self, served: Operator, suffix: str, values: Sequence[int], shape: Shape | None = None) -> int:
        """Adds an INT32 constant for an operator; its index. It is a list where no shape is given."""
        data = np.array(values, np.int32).tobytes()
        name = self.tensors[served.outputs[0]].name
        return self.add(Tensor(name, TensorType.INT32, (len(values),) if shape is None else shape, data=data), suffix)

    def emit(
        self,
        served: Operator,
        code: int,
        inputs: Sequence[int],
        output: int,
        options: Mapping[str, OptionValue] | None = None,
    ) -> int:
        """Adds an operator that serves another; its output."""
        self.operators.append(Operator(served.index, code, tuple(inputs), (output,), dict(options or {})))
        return output

    def slice(self, served: Operator, source: int, begin: Sequence[int], shape: Shape, output: int, name: str) -> int:
        """Adds a SLICE of `source` from `begin` on with the given shape; its output."""
        operands = (
            source,
            self.integers(served, f"{name}/begin", begin),
            self.integers(served, f"{name}/size", shape),
        )
        return self.emit(served, BuiltinOperator.SLICE, operands, output)

    def reshape(self, served: Operator, source: int, output: int, name: str) -> int:
        """Adds a RESHAPE of `source` to the shape of `output`; its output."""
        shape = self.integers(served, f"{name}/shape", self.tensors[output].shape)
        return self.emit(served, BuiltinOperator.RESHAPE, (source, shape), output)

    def refuse(self, operator: Operator, message: str, remedy: str | None = None) -> NoReturn:
        """Raises the InputError that names an operator of the model."""
        raise InputError("importer", message, where=f"{self._where}, {self.model.place(operator)}", remedy=remedy)
