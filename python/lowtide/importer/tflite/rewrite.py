"""A `.tflite` model while operators of it are rewritten."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NoReturn

import numpy as np
from tflite import TensorType

from lowtide.errors import InputError
from lowtide.importer.tflite.model import Model, Operator, Tensor
from lowtide.importer.tflite.notes import Conversion


class Rewrite:
    """The new model while it grows.

    Attributes:
        model: what is rewritten.
        tensors: those of the model, at their indices, and more.
        operators: those done.
        conversions: see `Notes`.
    """

    def __init__(self, model: Model, where: str) -> None:
        self.model = model
        self.tensors = list(model.tensors)
        self.operators: list[Operator] = []
        self.conversions: dict[str, Conversion] = {}
        self._where = where

    def add(self, tensor: Tensor, suffix: str) -> int:
        """Adds a tensor named after the given one; its index."""
        self.tensors.append(replace(tensor, name=f"{tensor.name}/{suffix}"))
        return len(self.tensors) - 1

    def integers(self, served: Operator, suffix: str, values: Sequence[int]) -> int:
        """Adds a constant list of numbers for an operator; its index."""
        data = np.array(values, np.int32).tobytes()
        name = self.tensors[served.outputs[0]].name
        return self.add(Tensor(name, TensorType.INT32, (len(values),), data=data), suffix)

    def emit(self, served: Operator, code: int, inputs: tuple[int, ...], output: int) -> int:
        """Adds an operator without options that serves another; its output."""
        self.operators.append(Operator(served.index, code, inputs, (output,)))
        return output

    def refuse(self, operator: Operator, message: str, remedy: str | None = None) -> NoReturn:
        raise InputError("importer", message, where=f"{self._where}, {self.model.place(operator)}", remedy=remedy)
