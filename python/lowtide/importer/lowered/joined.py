"""Parts of the innermost dimension side by side, row by row, as one layer.

Elsewhere a concatenation is no layer: its parts are computed in their places in the whole. A loop that goes on behind
it needs it as a layer that makes a row of the whole of rows of its parts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tflite import BuiltinOperator, BuiltinOptions

from lowtide.importer.lowered.builder import Call, element_of, elementwise, i32, loop_index, number, pad, shape_of
from lowtide.importer.lowered.lowering import Lowering
from lowtide.importer.tflite.model import OptionValue, Shape
from lowtide.importer.tflite.operands import Operands
from lowtide.importer.tflite.operators import ALL_TYPES, OpSpec, Option
from lowtide.ir import IntegerType, Value, arith

BY_ROWS: Mapping[str, OptionValue] = {"by_rows": True}
"""What a CONCATENATION of the innermost dimension says that is to be a layer."""


def _joined(call: Call) -> Sequence[Value]:
    """Each part with pads in the place of the others; of these one is not a pad."""
    parts = [call.value(position) for position in range(len(call.inputs))]
    element, axis = element_of(parts[0]), len(shape_of(parts[0])) - 1
    whole, begin, padded, ends = call.outputs[0].shape, 0, list[Value](), list[int]()
    for part in parts:
        end = begin + shape_of(part)[axis]
        low, high = ([0] * axis + [amount] for amount in (begin, whole[axis] - end))
        padded.append(pad(part, low, high, number(element, 0)))
        ends.append(end)
        begin = end

    def chosen(scalars: Sequence[Value]) -> Value:
        found = scalars[0]
        for scalar, end in zip(scalars[1:], ends, strict=False):
            if isinstance(element, IntegerType):
                found = arith.ori(found, scalar)
            else:
                # the zeros of floats have signs
                behind = arith.cmpi(arith.CmpIPredicate.sge, loop_index(axis), i32(end))
                found = arith.select(behind, scalar, found)
        return found

    return [elementwise(padded, element, chosen, whole)]


def _shape(operands: Operands) -> Sequence[Shape]:
    shapes = [operands.shape(position) for position in range(len(operands.inputs))]
    return [(*shapes[0][:-1], sum(shape[-1] for shape in shapes))]


LOWERED: Mapping[int, Sequence[Lowering]] = {
    BuiltinOperator.CONCATENATION: (
        Lowering(
            OpSpec(BuiltinOptions.ConcatenationOptions, (Option("axis"),), (1, 1 << 10), output_types=ALL_TYPES),
            _shape,
            _joined,
            when=lambda operator, _, __: bool(operator.options.get("by_rows", False)),
        ),
    ),
}
"""Code → lowerings."""
