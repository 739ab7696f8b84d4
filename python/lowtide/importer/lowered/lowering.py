"""What lowtide knows of an operator that it lowers itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lowtide.importer.lowered.builder import Call
from lowtide.importer.tflite.model import Operator, Shape, Tensor
from lowtide.importer.tflite.operands import Operands
from lowtide.importer.tflite.operators import OpSpec
from lowtide.ir import Value


def no_states(operator: Operator, inputs: Sequence[Tensor | None]) -> tuple[int, ...]:
    """Of an operator that remembers nothing."""
    del operator, inputs
    return ()


@dataclass(frozen=True)
class Lowering:
    """An operator, or those of its forms that lowtide lowers itself.

    Attributes:
        spec: its options and what its operands must be, as for operators that the converter takes. Where it takes
            other forms of the same operator the options are the same.
        shapes: the shapes of its outputs; raises `ShapeError` where the operands don't fit each other.
        emit: makes linalg of a checked operator; one value for each output. Raises through `Call.refuse` what LiteRT
            does not compute either.
        states: positions of the operands that it changes from one run to the next; `emit` gives their new values behind
            the outputs.
        types: element types of the first operand for which this is the lowering; None for all.
        when: whether it is that of an operator, by its options and outputs; None for all.
    """

    spec: OpSpec
    shapes: Callable[[Operands], Sequence[Shape]]
    emit: Callable[[Call], Sequence[Value]]
    types: tuple[int, ...] | None = None
    states: Callable[[Operator, Sequence[Tensor | None]], tuple[int, ...]] = no_states
    when: Callable[[Operator, Sequence[Tensor]], bool] | None = None

    def takes(self, operator: Operator, inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]) -> bool:
        """Whether it is for an operator with these operands."""
        if self.when is not None and not self.when(operator, outputs):
            return False
        return self.types is None or (bool(inputs) and inputs[0] is not None and inputs[0].type in self.types)
