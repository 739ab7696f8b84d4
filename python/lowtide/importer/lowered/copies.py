"""Operators that move elements, in forms that the converter refuses: LiteRT Micro copies bytes whatever their scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tflite import BuiltinOperator, TensorType

from lowtide.importer.lowered.builder import (
    Call,
    concatenate,
    element_of,
    elementwise,
    number,
    pad,
    reshape,
    shape_of,
)
from lowtide.importer.lowered.lowering import Lowering
from lowtide.importer.tflite.model import Operator, Shape, Tensor
from lowtide.importer.tflite.operands import Operands, axis_of
from lowtide.importer.tflite.operators import EIGHT_BIT_TYPES, SUPPORTED
from lowtide.importer.tflite.shapes import output_shapes
from lowtide.ir import Value

_B = BuiltinOperator


def _shapes(operands: Operands) -> Sequence[Shape]:
    return output_shapes(operands.operator, operands.inputs, operands.declared)


def _of_other_scales(operator: Operator, inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]) -> bool:
    """Whether an operand has another scale than the output."""
    count = len(inputs) if operator.code == _B.PACK else 1
    made = outputs[0].quantization if outputs else None
    return any(tensor is not None and tensor.quantization != made for tensor in inputs[:count])


def _pack(call: Call) -> Sequence[Value]:
    """PACK: the operands' bytes one behind the other along a new axis."""
    made = call.outputs[0].shape
    axis = axis_of(call.option("axis"), len(made))
    part = (*made[:axis], 1, *made[axis + 1 :])
    return [concatenate([reshape(call.value(i), part) for i in range(len(call.inputs))], axis)]


def _pad(call: Call) -> Sequence[Value]:
    """PAD: the operand's bytes, and around them the zero point of the output."""
    amounts, value = call.array(1).reshape(-1, 2), call.value(0)
    filler = number(element_of(value), call.scale_made()[1])
    return [pad(value, amounts[:, 0].tolist(), amounts[:, 1].tolist(), filler)]


def _broadcast(call: Call) -> Sequence[Value]:
    """BROADCAST_TO, of 64 bits."""
    value = call.value(0)
    made = call.outputs[0].shape
    return [value] if shape_of(value) == made else [elementwise([value], element_of(value), lambda s: s[0], made)]


_STORED = (TensorType.INT8, TensorType.INT16)
_INT64 = (TensorType.INT64,)
_PAD = replace(SUPPORTED[_B.PAD], copies=False)
LOWERED: Mapping[int, Sequence[Lowering]] = {
    _B.PACK: (Lowering(SUPPORTED[_B.PACK], _shapes, _pack, _STORED, when=_of_other_scales),),
    _B.PAD: (Lowering(_PAD, _shapes, _pad, EIGHT_BIT_TYPES, when=_of_other_scales),),
    _B.BROADCAST_TO: (Lowering(SUPPORTED[_B.BROADCAST_TO], _shapes, _broadcast, _INT64),),
}
