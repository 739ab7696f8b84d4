"""Comparisons, logic, and choices by it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
from tflite import BuiltinOperator, BuiltinOptions, TensorType

from lowtide.importer.lowered.arguments import alike, broadcast, broadcast_shape, unit_range
from lowtide.importer.lowered.builder import Call, element_type, elementwise, i32, integer, number, reshape
from lowtide.importer.lowered.lowering import Lowering
from lowtide.importer.lowered.scalars import extended, fixed_point, least_and_greatest, rescaled
from lowtide.importer.tflite.fixed_point import multiplied
from lowtide.importer.tflite.model import DTYPES, Shape
from lowtide.importer.tflite.operands import Operands, ShapeError
from lowtide.importer.tflite.operators import ALL_TYPES, EIGHT_BIT_TYPES, OpSpec
from lowtide.ir import F32Type, Value, arith

_B, _O = BuiltinOperator, BuiltinOptions
_BOOL = (TensorType.BOOL,)
_WHOLE = (TensorType.INT32, TensorType.INT64)
_LEFT_SHIFT = 8
"""Bits by which bytes are shifted before they are scaled to be compared."""
_I, _F = arith.CmpIPredicate, arith.CmpFPredicate
_PREDICATES = {
    _B.EQUAL: (_I.eq, _F.OEQ, _O.EqualOptions),
    _B.NOT_EQUAL: (_I.ne, _F.UNE, _O.NotEqualOptions),
    _B.LESS: (_I.slt, _F.OLT, _O.LessOptions),
    _B.LESS_EQUAL: (_I.sle, _F.OLE, _O.LessEqualOptions),
    _B.GREATER: (_I.sgt, _F.OGT, _O.GreaterOptions),
    _B.GREATER_EQUAL: (_I.sge, _F.OGE, _O.GreaterEqualOptions),
}


def _compare(call: Call) -> Sequence[Value]:
    """Numbers that have no scale, as they are."""
    whole, real, _ = _PREDICATES[call.operator.code]

    def body(scalars: Sequence[Value]) -> Value:
        if isinstance(scalars[0].type, F32Type):
            return arith.cmpf(real, *scalars)
        return arith.cmpi(whole, *scalars)

    return [elementwise([call.value(0), call.value(1)], integer(1), body)]


def _compare_bytes(call: Call) -> Sequence[Value]:
    """Bytes, each scaled to a fixed point with eight bits of fraction.

    LiteRT rounds both there, so that different numbers of small scales may be equal.
    """
    whole = _PREDICATES[call.operator.code][0]
    signed = call.tensor(0).type == TensorType.INT8
    scales = [call.scale(position) for position in (0, 1)]
    plain = scales[0] == scales[1] and _keeps_apart(DTYPES[call.tensor(0).type], *scales[0])

    def scaled(x: Value, scale: float, zero_point: int) -> Value:
        wide = extended(x, signed=signed)
        if plain:
            return wide
        return rescaled(arith.shli(arith.subi(wide, i32(zero_point)), i32(_LEFT_SHIFT)), *fixed_point(scale))

    def body(scalars: Sequence[Value]) -> Value:
        return arith.cmpi(whole, *(scaled(x, *scale) for x, scale in zip(scalars, scales, strict=True)))

    return [elementwise([call.value(0), call.value(1)], integer(1), body)]


def _keeps_apart(dtype: str, scale: float, zero_point: int) -> bool:
    """Whether different bytes are different, and in the same order, after LiteRT has scaled them."""
    low, high = least_and_greatest(dtype)
    values = [multiplied((x - zero_point) << _LEFT_SHIFT, *fixed_point(scale)) for x in range(low, high + 1)]
    return bool(np.all(np.diff(values) > 0))


def _broadcast_scaled(operands: Operands) -> Sequence[Shape]:
    unit_range(operands, (0, 1))
    return broadcast(operands)


def _comparison(code: int) -> Sequence[Lowering]:
    options = _PREDICATES[code][2]
    types = (TensorType.FLOAT32, *_WHOLE, *(_BOOL if code in (_B.EQUAL, _B.NOT_EQUAL) else ()))
    plain = OpSpec(options, inputs=(2, 2), output_types=_BOOL, input_types=types)
    scaled = OpSpec(options, inputs=(2, 2), output_types=_BOOL, input_types=EIGHT_BIT_TYPES)
    return (
        Lowering(plain, broadcast, _compare, types),
        Lowering(scaled, _broadcast_scaled, _compare_bytes, EIGHT_BIT_TYPES),
    )


def _logical(call: Call, function: Callable[..., Value]) -> Sequence[Value]:
    values = [call.value(position) for position in range(len(call.inputs))]
    return [elementwise(values, integer(1), lambda scalars: function(*scalars))]


def _opposite(x: Value) -> Value:
    return arith.xori(x, number(x.type, 1))


def _logic(options: int, count: int, function: Callable[..., Value]) -> Sequence[Lowering]:
    spec = OpSpec(options, inputs=(count, count), output_types=_BOOL, input_types=_BOOL)
    return (Lowering(spec, broadcast, partial(_logical, function=function), _BOOL),)


def _select(call: Call) -> Sequence[Value]:
    """The second operand's element where the first one's is true, else the third's: bytes as they are."""
    made = call.outputs[0]
    condition, *values = (call.value(position) for position in range(3))
    if call.operator.code == _B.SELECT and len(call.tensor(0).shape) == 1 < len(made.shape):
        # one truth for each index of the first axis
        condition = reshape(condition, (*call.tensor(0).shape, *[1] * (len(made.shape) - 1)))
    chosen = elementwise([condition, *values], element_type(made.type), lambda s: arith.select(*s), made.shape)
    return [chosen]


def _select_shape(operands: Operands) -> Sequence[Shape]:
    alike(operands, (1, 2))
    condition, first, second = (operands.shape(position) for position in range(3))
    if operands.operator.code == _B.SELECT_V2:
        return [broadcast_shape([condition, first, second])]
    row = len(condition) == 1 and len(first) > 0 and condition[0] == first[0]
    if first != second or not (condition in (first, ()) or row):
        shapes = f"{list(condition)}, {list(first)} and {list(second)}"
        raise ShapeError(f"its inputs' shapes {shapes} don't go together")
    return [first]


def _selection(options: int) -> Sequence[Lowering]:
    spec = OpSpec(options, (), (3, 3), (), (1, 2), ALL_TYPES, _BOOL, copies=True)
    return (Lowering(spec, _select_shape, _select, _BOOL),)


LOWERED: Mapping[int, Sequence[Lowering]] = {
    **{code: _comparison(code) for code in _PREDICATES},
    _B.LOGICAL_AND: _logic(_O.LogicalAndOptions, 2, arith.andi),
    _B.LOGICAL_OR: _logic(_O.LogicalOrOptions, 2, arith.ori),
    _B.LOGICAL_NOT: _logic(_O.LogicalNotOptions, 1, _opposite),
    _B.SELECT: _selection(_O.SelectOptions),
    _B.SELECT_V2: _selection(_O.SelectV2Options),
}
