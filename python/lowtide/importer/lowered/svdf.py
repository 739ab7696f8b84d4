"""SVDF: a filter over time of rank-1 matrices: what the input gives each filter is remembered for some runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from tflite import BuiltinOperator, BuiltinOptions, TensorType

from lowtide.importer.lowered.builder import (
    Call,
    concatenate,
    constant,
    dims,
    element_of,
    elementwise,
    filled,
    generic,
    i32,
    integer,
    number,
    reshape,
    slice_of,
)
from lowtide.importer.lowered.channel_sums import Stored, dense, rescaled_channels, with_bias
from lowtide.importer.lowered.int16_scalars import scale_of_sums
from lowtide.importer.lowered.lowering import Lowering
from lowtide.importer.lowered.scalars import ACTIVATIONS, clamped_float, extended, least_and_greatest
from lowtide.importer.tflite.model import DTYPES, Operator, Shape, Tensor
from lowtide.importer.tflite.operands import Operands, ShapeError
from lowtide.importer.tflite.operators import OpSpec, Option
from lowtide.ir import AffineMap, F32Type, IntegerType, Value, arith

_B, _O, _T = BuiltinOperator, BuiltinOptions, TensorType
_FEATURES, _TIME, _BIAS, _STATE = range(1, 5)


def _shapes(operands: Operands) -> Sequence[Shape]:
    """One number a unit, which is `rank` filters; refuses operands that do not fit each other."""
    batch, depth = operands.shape(0, 2)
    filters, memory = operands.shape(_TIME, 2)
    rank = operands.option("rank")
    if operands.shape(_FEATURES) != (filters, depth) or rank < 1 or filters % rank:
        found = f"its weights are {list(operands.shape(_FEATURES))} and {list(operands.shape(_TIME))}"
        raise ShapeError(f"{found}, its input {[batch, depth]}, its rank {rank}")
    if operands.shape(_STATE) != (batch, filters * memory):
        raise ShapeError(f"its state is {list(operands.shape(_STATE))}, not {[batch, filters * memory]}")
    data, features, time, bias, state = operands.inputs
    assert data is not None and features is not None and time is not None and state is not None
    floats = data.type == TensorType.FLOAT32
    allowed = (TensorType.FLOAT32,) if floats else (TensorType.INT8, TensorType.INT16)
    if features.type != data.type or time.type not in allowed or state.type != time.type:
        types = f"{features.type_name}, {time.type_name} and {state.type_name}"
        raise ShapeError(f"its weights and its state are {types}, which LiteRT Micro does not take together")
    if bias is None and floats:
        return [(batch, filters // rank)]
    if bias is None or bias.type != (data.type if floats else TensorType.INT32) or bias.shape != (filters // rank,):
        raise ShapeError(f"its bias is missing, of another type, or does not have {filters // rank} elements")
    return [(batch, filters // rank)]


def _states(operator: Operator, inputs: Sequence[Tensor | None]) -> tuple[int, ...]:
    """What the filters remember."""
    del operator, inputs
    return (_STATE,)


def _remembered(call: Call, features: Value) -> Value:
    """The state [batch, filters, memory] without its oldest numbers and with the new ones at the end."""
    batch, filters = call.tensor(0).shape[0], call.tensor(_TIME).shape[0]
    memory = call.tensor(_TIME).shape[1]
    newest = reshape(features, (batch, filters, 1))
    if memory == 1:
        return newest
    state = reshape(call.value(_STATE), (batch, filters, memory))
    return concatenate([slice_of(state, (0, 0, 1), (batch, filters, memory - 1)), newest], 2)


def _summed(call: Call, state: Value, offset: int) -> Value:
    """For each unit the products of what its filters remember with their weights: [batch, units]."""
    batch, (filters, memory) = call.tensor(0).shape[0], call.tensor(_TIME).shape
    rank = call.option("rank")
    parts = filters // rank, rank, memory
    kind = F32Type.get() if element_of(state) == F32Type.get() else integer(32)
    n, unit, part, place = dims(4)
    index = AffineMap.get(4, 0, [n, unit, part, place])
    weights = AffineMap.get(4, 0, [unit, part, place])
    operands = [(reshape(state, (batch, *parts)), index), (constant(call.array(_TIME).reshape(parts)), weights)]

    def body(scalars: Sequence[Value]) -> Value:
        x, weight, total = scalars
        if not isinstance(kind, IntegerType):
            return arith.addf(total, arith.mulf(x, weight))
        wide = arith.subi(extended(x), i32(offset)) if offset else extended(x)
        return arith.addi(total, arith.muli(wide, extended(weight)))

    start = filled((batch, filters // rank), number(kind, 0)), AffineMap.get(4, 0, [n, unit])
    iterators = ["parallel"] * 2 + ["reduction"] * 2
    return generic(operands, [start], iterators, body)[0]


def _of_integers(call: Call) -> Sequence[Value]:
    """Activations of int8, states of int8 or int16, each sum rounded twice; LiteRT Micro ignores the activation."""
    (scale, zero), (made, made_zero), (held, held_zero) = call.scale(0), call.scale_made(), call.scale(_STATE)
    f = np.float32
    # LiteRT works out both factors in floats
    first = float(f(f(f(scale) * f(call.scale(_FEATURES)[0])) / f(held)))
    second = float(f(f(f(held) * f(call.scale(_TIME)[0])) / f(made)))
    weights = call.array(_FEATURES)
    shift = -zero * weights.astype(np.int64).sum(axis=1)
    name = DTYPES[call.tensor(_STATE).type]
    kept = Stored(np.iinfo(name).bits, *least_and_greatest(name))
    sums = dense(call.value(0), constant(weights), integer(32))
    features = rescaled_channels(sums, [scale_of_sums(call, first)], shift if zero else None, kept, wide=False)
    if held_zero:
        # added to what is within the type already, so that it may wrap around, as in LiteRT Micro
        kind = element_of(features)
        zero_point = held_zero
        features = elementwise([features], kind, lambda scalars: arith.addi(scalars[0], number(kind, zero_point)))
    state = _remembered(call, features)
    bias = call.array(_BIAS)
    stored = Stored(8, *least_and_greatest("int8"), made_zero)
    total = _summed(call, state, held_zero)
    found = rescaled_channels(total, [scale_of_sums(call, second)], bias if bias.any() else None, stored, wide=False)
    return [found, reshape(state, call.tensor(_STATE).shape)]


def _of_floats(call: Call) -> Sequence[Value]:
    """Floats, with an activation."""
    features = dense(call.value(0), call.value(_FEATURES), F32Type.get())
    state = _remembered(call, features)
    total = with_bias(_summed(call, state, 0), call.array(_BIAS) if call.has(_BIAS) else None)
    low, high = ACTIVATIONS[call.option("fused_activation_function")]
    if low is not None:
        total = elementwise([total], F32Type.get(), lambda scalars: clamped_float(scalars[0], low, high))
    return [total, reshape(state, call.tensor(_STATE).shape)]


_OPTIONS = (
    Option("rank"),
    Option("fused_activation_function", "i8", 0, tuple(ACTIVATIONS)),
    Option("asymmetric_quantize_inputs", "bool"),
)


def _spec(type_: int) -> OpSpec:
    return OpSpec(_O.SVDFOptions, _OPTIONS, (5, 5), (_FEATURES, _TIME, _BIAS), (0,), (type_,), (type_,))


LOWERED: Mapping[int, Sequence[Lowering]] = {
    _B.SVDF: (
        Lowering(_spec(_T.INT8), _shapes, _of_integers, (_T.INT8,), states=_states),
        Lowering(_spec(_T.FLOAT32), _shapes, _of_floats, (_T.FLOAT32,), states=_states),
    ),
}
