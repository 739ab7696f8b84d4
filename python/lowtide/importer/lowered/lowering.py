"""What lowtide knows of an operator that it lowers itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lowtide.importer.lowered.builder import Call
from lowtide.importer.tflite.model import Operator, Shape, Tensor
from lowtide.importer.tflite.operands import Operands
from lowtide.importer.tflite.operators import OpSpec
from lowtide.ir import Value

States = Callable[[Operator, Sequence[Tensor | None]], tuple[int, ...]]


def no_states(operator: Operator, inputs: Sequence[Tensor | None]) -> tuple[int, ...]:
    """An operator whose results depend on its operands alone."""
    del operator, inputs
    return ()


@dataclass(frozen=True)
class Lowering:
    """An operator, or those of its forms that lowtide lowers itself.

    Attributes:
        spec: its options and what its operands must be, as for operators that the converter takes. Where it takes
            other forms of the same operator the options are the same.
        shapes: the shapes of its outputs; raises `ShapeError` where the operands don't fit each other.
        emit: makes linalg of a checked operator; one value for each output, then the new value of each state. Raises
            through `Call.refuse` what LiteRT does not compute either.
        types: element types of the operand `data` for which this is the lowering; None for all.
        data: the operand that holds what is computed with; in a few operators the first is an axis or a shape.
        made: element types of the first output for which this is the lowering; None for all.
        states: positions of the operands that keep their value from one run to the next and that the operator changes.
        when: whether it is that of an operator, by its options, operands and outputs; None for all.
    """

    spec: OpSpec
    shapes: Callable[[Operands], Sequence[Shape]]
    emit: Callable[[Call], Sequence[Value]]
    types: tuple[int, ...] | None = None
    data: int = 0
    made: tuple[int, ...] | None = None
    states: States = no_states
    when: Callable[[Operator, Sequence[Tensor | None], Sequence[Tensor]], bool] | None = None

    def takes(self, operator: Operator, inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]) -> bool:
        """Whether it is for an operator with these operands and outputs."""
        if self.when is not None and not self.when(operator, inputs, outputs):
            return False
        data = inputs[self.data] if self.data < len(inputs) else None
        given = self.types is None or (data is not None and data.type in self.types)
        return given and (self.made is None or (bool(outputs) and outputs[0].type in self.made))
