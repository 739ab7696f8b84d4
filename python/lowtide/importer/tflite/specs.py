"""What lowtide knows of operators, whoever lowers them: the converter, lowtide itself, or nobody as they are folded."""

from __future__ import annotations

from collections.abc import Sequence

from lowtide.importer.lowered.library import LOWERED, lowering_for
from lowtide.importer.tflite.model import Operator, Shape, Tensor
from lowtide.importer.tflite.operands import Operands
from lowtide.importer.tflite.operators import CONTROL, FOLDED, RESOURCES, SUPPORTED, OpSpec
from lowtide.importer.tflite.shapes import output_shapes


def options_of(code: int) -> OpSpec | None:
    """The operator's options, as they are stored; None where lowtide knows nothing of it."""
    lowered = LOWERED.get(code)
    known = SUPPORTED.get(code) or RESOURCES.get(code) or CONTROL.get(code)
    return known or (lowered[0].spec if lowered else FOLDED.get(code))


def spec_for(operator: Operator, inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]) -> OpSpec | None:
    """What the options and operands of an operator that is run must be; None where lowtide has no way to run it."""
    lowering = lowering_for(operator, inputs, outputs)
    return SUPPORTED.get(operator.code) if lowering is None else lowering.spec


def states_of(operator: Operator, inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]) -> tuple[int, ...]:
    """Positions of the operands that an operator changes from one run to the next."""
    lowering = lowering_for(operator, inputs, outputs)
    return () if lowering is None else lowering.states(operator, inputs)


def shapes_for(
    operator: Operator, inputs: Sequence[Tensor | None], outputs: Sequence[Tensor], declared: Sequence[Shape]
) -> Sequence[Shape]:
    """The shapes of an operator's outputs, which `declared` has as the file says; errors as for `output_shapes`."""
    lowering = lowering_for(operator, inputs, outputs)
    if lowering is None:
        return output_shapes(operator, inputs, declared)
    return lowering.shapes(Operands(operator, inputs, declared))
