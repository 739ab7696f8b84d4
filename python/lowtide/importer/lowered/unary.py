"""Functions of one number: by a table for bytes, in floats as LiteRT computes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from tflite import BuiltinOperator, BuiltinOptions, TensorType

from lowtide.importer.lowered.builder import Call, element_type, elementwise
from lowtide.importer.lowered.lowering import Lowering
from lowtide.importer.tflite.model import Shape
from lowtide.importer.tflite.operands import Operands
from lowtide.importer.tflite.operators import OpSpec
from lowtide.ir import Value, arith, math

_B, _O = BuiltinOperator, BuiltinOptions
_FLOATS = (TensorType.FLOAT32,)


def same_shape(operands: Operands) -> Sequence[Shape]:
    """The shape of the first operand."""
    return [operands.shape()]


def _float(call: Call, function: Callable[[Value], Value]) -> Sequence[Value]:
    made = element_type(call.outputs[0].type)
    return [elementwise([call.value(0)], made, lambda scalars: function(scalars[0]))]


def _of_floats(function: Callable[[Value], Value], options_type: int = 0) -> Lowering:
    spec = OpSpec(options_type, same_type=(0,), output_types=_FLOATS, input_types=_FLOATS)
    return Lowering(spec, same_shape, partial(_float, function=function), _FLOATS)


LOWERED: Mapping[int, Sequence[Lowering]] = {
    _B.SQUARE: (_of_floats(lambda x: arith.mulf(x, x), _O.SquareOptions),),
    _B.EXP: (_of_floats(math.exp, _O.ExpOptions),),
}
