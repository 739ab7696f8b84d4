"""Which operators of a model the TOSA converter takes, as a model of their own, and which lowtide lowers itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from lowtide.importer.tflite.model import Model, Operator


@dataclass(frozen=True)
class Partition:
    """A model in two parts.

    Attributes:
        model: all of it.
        converted: the operators for the converter. What they read of others' results are inputs, and what others read
            of theirs are outputs. None where there are no such operators.
        lowered: the other operators, in order.
    """

    model: Model
    converted: Model | None
    lowered: tuple[Operator, ...]


def partition(model: Model, is_lowered: Callable[[Model, Operator], bool]) -> Partition:
    """Split a checked model; one without operators that lowtide lowers is for the converter as it is."""
    lowered = tuple(operator for operator in model.operators if is_lowered(model, operator))
    if not lowered:
        return Partition(model, model, ())
    chosen = {id(operator) for operator in lowered}
    rest = tuple(operator for operator in model.operators if id(operator) not in chosen)
    made = {index for operator in rest for index in operator.outputs}
    read = {index for operator in rest for index in operator.inputs if index >= 0} - made
    wanted = {*model.outputs, *(index for operator in lowered for index in operator.inputs)} & made
    inputs = [index for index in read if model.tensors[index].data is None]
    outputs = sorted(wanted)
    if not outputs:
        return Partition(model, None, lowered)
    order = {index: place for place, index in enumerate(model.inputs)}
    inputs.sort(key=lambda index: (order.get(index, len(order)), index))
    return Partition(model, replace(model, operators=rest, inputs=tuple(inputs), outputs=tuple(outputs)), lowered)
