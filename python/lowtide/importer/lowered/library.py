"""All operators that lowtide lowers itself: code → its lowerings, the first of which that takes the operands is it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain

from lowtide.importer.lowered import (
    arithmetic,
    comparisons,
    computed_weights,
    copies,
    detection,
    indexing,
    int16_conversions,
    int16_elementwise,
    int16_reductions,
    int16_softmax,
    int16_sums,
    joined,
    lstm,
    reductions,
    resize,
    softmax,
    svdf,
    unary,
)
from lowtide.importer.lowered.lowering import Lowering
from lowtide.importer.tflite.model import Model, Operator, Tensor

_INT16 = (int16_sums, int16_elementwise, int16_reductions, int16_conversions, int16_softmax)
_KINDS = (
    computed_weights,
    *_INT16,
    unary,
    comparisons,
    copies,
    arithmetic,
    reductions,
    indexing,
    resize,
    softmax,
    lstm,
    svdf,
    joined,
    detection,
)
_FILES: Sequence[Mapping[int, Sequence[Lowering]]] = tuple(kind.LOWERED for kind in _KINDS)
LOWERED: Mapping[int, tuple[Lowering, ...]] = {
    code: tuple(chain.from_iterable(file.get(code, ()) for file in _FILES)) for file in _FILES for code in file
}
"""By number of the schema's `BuiltinOperator`."""


def lowering_for(operator: Operator, inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]) -> Lowering | None:
    """The lowering of an operator with these operands and outputs; None where the converter is to take it."""
    found = (item for item in LOWERED.get(operator.code, ()) if item.takes(operator, inputs, outputs))
    return next(found, None)


def types_of(code: int) -> tuple[int, ...]:
    """Element types of the first operand with which lowtide lowers an operator; empty where it lowers none."""
    return tuple(chain.from_iterable(lowering.types or () for lowering in LOWERED.get(code, ())))


def is_lowered(model: Model, operator: Operator) -> bool:
    """Whether lowtide lowers this operator of a model itself."""
    return lowering_for(operator, inputs_of(model, operator), outputs_of(model, operator)) is not None


def inputs_of(model: Model, operator: Operator) -> list[Tensor | None]:
    """The tensors of an operator's operands; None for one left out."""
    return [model.tensors[index] if index >= 0 else None for index in operator.inputs]


def outputs_of(model: Model, operator: Operator) -> list[Tensor]:
    """The tensors that an operator makes; none for an output that the file leaves out."""
    return [model.tensors[index] for index in operator.outputs if index >= 0]
