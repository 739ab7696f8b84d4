"""UNIDIRECTIONAL_SEQUENCE_LSTM: a cell with four gates that runs over a sequence, as LiteRT Micro has it.

A step is four layers, alike in all steps: what the input gives all gates, what the hidden state gives them, the new
cell state, and the new hidden state. Gates and the cell state have 16 bits where the activations have 8 or 16; the two
halves of a gate are rounded each before they are added up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from tflite import ActivationFunctionType, BuiltinOperator, BuiltinOptions, TensorType

from lowtide.importer.lowered.builder import (
    Array,
    Call,
    concatenate,
    constant,
    dims,
    element_of,
    empty,
    f32,
    generic,
    i32,
    integer,
    reshape,
    shape_of,
    slice_of,
)
from lowtide.importer.lowered.channel_sums import Stored, dense, fits_32_bits, rescaled_channels, with_bias
from lowtide.importer.lowered.int16_scalars import (
    GREATEST,
    LEAST,
    logistic,
    rescaled_by,
    scale_of_sums,
    sigmoid_table,
    tanh,
)
from lowtide.importer.lowered.lowering import Lowering
from lowtide.importer.lowered.scalars import clamped, clamped_float, extended, least_and_greatest, truncated
from lowtide.importer.tflite.model import Operator, Shape, Tensor
from lowtide.importer.tflite.operands import Operands, ShapeError
from lowtide.importer.tflite.operators import OpSpec, Option
from lowtide.ir import AffineExpr, AffineMap, F32Type, Value, arith, math as math_ops

_B, _O, _T = BuiltinOperator, BuiltinOptions, TensorType
_FROM_INPUT, _FROM_HIDDEN, _BIASES = (1, 2, 3, 4), (5, 6, 7, 8), (12, 13, 14, 15)
_HIDDEN, _CELL = 18, 19
_OPERANDS = 24
_LEFT_OUT = (9, 10, 11, 16, 17, *range(20, _OPERANDS))
_IN, _FORGET, _NEW, _OUT = range(4)
"""The gates in the order of their operands."""
_GATES = 4
_MOST_STEPS = 256
_GATE_SCALE, _ACTIVATED_SCALE = 2.0**-12, 2.0**-15
_NAMES = {_T.FLOAT32: "float32", _T.INT8: "int8", _T.INT16: "int16"}
_WEIGHTS = {_T.FLOAT32: _T.FLOAT32, _T.INT8: _T.INT8, _T.INT16: _T.INT8}
_BIAS = {_T.FLOAT32: _T.FLOAT32, _T.INT8: _T.INT32, _T.INT16: _T.INT64}
_CELLS = {_T.FLOAT32: _T.FLOAT32, _T.INT8: _T.INT16, _T.INT16: _T.INT16}
_Scalars = Sequence[Value]


# -- what it takes ----------------------------------------------------------------------------------------------------


def _shapes(operands: Operands) -> Sequence[Shape]:
    """The input with the state's depth; refuses what LiteRT Micro has no cell for, and operands that do not fit."""
    extra = [position for position in _LEFT_OUT if operands.inputs[position] is not None]
    if extra:
        raise ShapeError(
            f"it has an operand {extra[0]}; cells with peepholes, projection or layer normalisation are not in Micro"
        )
    shape = operands.shape(0, 3)
    data = operands.inputs[0]
    assert data is not None
    batch, steps = (shape[1], shape[0]) if operands.option("time_major") else shape[:2]
    if steps > _MOST_STEPS:
        raise ShapeError(f"its sequence has {steps} steps, and lowtide takes {_MOST_STEPS}: each is layers of its own")
    depth = operands.shape(_FORGET + 1, 2)[0]
    for positions, inner in ((_FROM_INPUT, shape[2]), (_FROM_HIDDEN, depth)):
        for position in positions:
            _expect(operands, position, _WEIGHTS[data.type], (depth, inner))
    for position in _BIASES:
        _expect(operands, position, _BIAS[data.type], (depth,))
    for position, type_ in ((_HIDDEN, data.type), (_CELL, _CELLS[data.type])):
        state = operands.inputs[position]
        if state is None or state.type != type_ or state.elements != batch * depth:
            raise ShapeError(f"its input {position} is not a state of {batch} · {depth} numbers of {_NAMES[type_]}")
    return [(*shape[:2], depth)]


def _expect(operands: Operands, position: int, type_: int, shape: Shape) -> None:
    tensor = operands.inputs[position]
    if tensor is None or tensor.type != type_ or tensor.shape != shape:
        found = "missing" if tensor is None else f"{tensor.type_name} {list(tensor.shape)}"
        raise ShapeError(f"its input {position} is {found}, and is to have the shape {list(shape)}")
    quantization = None if position in _BIASES else tensor.quantization
    if quantization is not None and (len(quantization.scales) != 1 or any(quantization.zero_points)):
        raise ShapeError(f"its input {position} has several scales, or a zero point other than 0")


def _states(operator: Operator, inputs: Sequence[Tensor | None]) -> tuple[int, ...]:
    """The hidden state and that of the cell."""
    del operator, inputs
    return _HIDDEN, _CELL


# -- a step -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Cell:
    """What differs between cells of floats and of integers.

    Attributes:
        from_input, from_hidden: gates [batch, 4 · depth] of what comes in and of the hidden state.
        sum: of two halves of a gate.
        sigmoid: of a gate.
        squashed: the hyperbolic tangent of a gate.
        cell: from the activated gates that forget, that let in and that is new, and from the cell state, the new one.
        hidden: from the activated gate that lets out and the new cell state.
    """

    from_input: Callable[[Value], Value]
    from_hidden: Callable[[Value], Value]
    sum: Callable[[Value, Value], Value]
    sigmoid: Callable[[Value], Value]
    squashed: Callable[[Value], Value]
    cell: Callable[[Value, Value, Value, Value], Value]
    hidden: Callable[[Value, Value], Value]


def _run(call: Call, cell: _Cell) -> Sequence[Value]:
    """All steps; the sequence of hidden states, the last one, and the last state of the cell."""
    shape, made = call.tensor(0).shape, call.outputs[0].shape
    axis = 0 if call.option("time_major") else 1
    batch, depth = shape[1 - axis], made[2]
    hidden = reshape(call.value(_HIDDEN), (batch, depth))
    state = reshape(call.value(_CELL), (batch, depth))
    sequence: list[Value] = []
    for step in range(shape[axis]):
        begin, size = [0, 0, 0], list(shape)
        begin[axis], size[axis] = step, 1
        data = call.value(0)
        data = data if shape[axis] == 1 else slice_of(data, begin, tuple(size))
        halves = cell.from_input(reshape(data, (batch, shape[2]))), cell.from_hidden(hidden)
        state = _new_state(cell, halves, state)
        hidden = _new_hidden(cell, halves, state, hidden)
        placed = list(made)
        placed[axis] = 1
        sequence.append(reshape(hidden, tuple(placed)))
    ends = (reshape(end, call.tensor(position).shape) for end, position in ((hidden, _HIDDEN), (state, _CELL)))
    return [concatenate(sequence, axis), *ends]


def _gates(halves: tuple[Value, Value], gates: Sequence[int]) -> list[tuple[Value, AffineMap]]:
    """For each gate its two halves, as operands of a loop over batch and depth."""
    row, place = dims(2)
    batch, width = shape_of(halves[0])
    apart = [reshape(half, (batch, _GATES, width // _GATES)) for half in halves]
    maps = [AffineMap.get(2, 0, [row, AffineExpr.get_constant(gate), place]) for gate in gates]
    return [(half, index) for index in maps for half in apart]


def _new_state(cell: _Cell, halves: tuple[Value, Value], state: Value) -> Value:
    batch, depth = shape_of(state)
    same = AffineMap.get_identity(2)
    operands = [*_gates(halves, (_FORGET, _IN, _NEW)), (state, same)]

    def body(scalars: _Scalars) -> Value:
        forgets, lets_in, new = (cell.sum(scalars[2 * at], scalars[2 * at + 1]) for at in range(3))
        return cell.cell(cell.sigmoid(forgets), cell.sigmoid(lets_in), cell.squashed(new), scalars[6])

    out = empty((batch, depth), element_of(state)), same
    return generic(operands, [out], ["parallel"] * 2, body)[0]


def _new_hidden(cell: _Cell, halves: tuple[Value, Value], state: Value, hidden: Value) -> Value:
    batch, depth = shape_of(state)
    same = AffineMap.get_identity(2)
    operands = [*_gates(halves, (_OUT,)), (state, same)]

    def body(scalars: _Scalars) -> Value:
        return cell.hidden(cell.sigmoid(cell.sum(scalars[0], scalars[1])), scalars[2])

    out = empty((batch, depth), element_of(hidden)), same
    return generic(operands, [out], ["parallel"] * 2, body)[0]


# -- cells ------------------------------------------------------------------------------------------------------------


def _stacked(call: Call, positions: Sequence[int]) -> Array:
    return np.concatenate([call.array(position) for position in positions])


def _of_floats(call: Call) -> Sequence[Value]:
    """Floats: sigmoids and hyperbolic tangents of floats."""
    weights, recurrent = (constant(_stacked(call, positions)) for positions in (_FROM_INPUT, _FROM_HIDDEN))
    bias, clip = _stacked(call, _BIASES), call.number("cell_clip")

    def sigmoid(x: Value) -> Value:
        return arith.divf(f32(1), arith.addf(f32(1), math_ops.exp(arith.negf(x))))

    def new_state(forgets: Value, lets_in: Value, new: Value, state: Value) -> Value:
        found = arith.addf(arith.mulf(forgets, state), arith.mulf(lets_in, new))
        return clamped_float(found, -clip, clip) if clip > 0 else found

    kind = F32Type.get()
    cell = _Cell(
        from_input=lambda data: with_bias(dense(data, weights, kind), bias),
        from_hidden=lambda hidden: dense(hidden, recurrent, kind),
        sum=arith.addf,
        sigmoid=sigmoid,
        squashed=math_ops.tanh,
        cell=new_state,
        hidden=lambda lets_out, state: arith.mulf(math_ops.tanh(state), lets_out),
    )
    return _run(call, cell)


def _of_integers(call: Call) -> Sequence[Value]:
    """Activations of int8 or int16: sigmoids and hyperbolic tangents by a table, all states clamped to their types."""
    cell_scale, cell_zero = call.scale(_CELL)
    hidden_scale, hidden_zero = call.scale(_HIDDEN)
    power = math.frexp(cell_scale)[1] - 1
    if not math.isclose(cell_scale, 2.0**power, rel_tol=1e-6) or cell_zero:
        call.refuse(f"its cell state has the scale {cell_scale:.6g}, and LiteRT takes powers of two, with the zero 0")
    if call.scale_made() != (hidden_scale, hidden_zero):
        call.refuse("its output and its hidden state have different scales")
    low, high = least_and_greatest(_NAMES[call.tensor(_HIDDEN).type])
    bits = 8 if call.tensor(_HIDDEN).type == TensorType.INT8 else 16
    clip = _clip(call, cell_scale)
    table = sigmoid_table()

    def added(x: Value, y: Value) -> Value:
        return clamped(arith.addi(extended(x), extended(y)), LEAST, GREATEST)

    def product(x: Value, y: Value, real: float) -> Value:
        return rescaled_by(arith.muli(extended(x), extended(y)), real)

    def new_state(forgets: Value, lets_in: Value, new: Value, state: Value) -> Value:
        kept = clamped(product(forgets, state, _ACTIVATED_SCALE * cell_scale / cell_scale), LEAST, GREATEST)
        let_in = clamped(product(lets_in, new, _ACTIVATED_SCALE * _ACTIVATED_SCALE / cell_scale), LEAST, GREATEST)
        found = clamped(arith.addi(kept, let_in), LEAST, GREATEST)
        return truncated(clamped(found, -clip, clip) if clip else found, 16)

    def new_hidden(lets_out: Value, state: Value) -> Value:
        squashed = tanh(_in_steps_of_table(extended(state), power), table)
        found = product(squashed, lets_out, _ACTIVATED_SCALE * _ACTIVATED_SCALE / hidden_scale)
        return truncated(clamped(arith.addi(found, i32(hidden_zero)), low, high), bits)

    cell = _Cell(
        from_input=_gates_of(call, 0, _FROM_INPUT, _BIASES),
        from_hidden=_gates_of(call, _HIDDEN, _FROM_HIDDEN, ()),
        sum=added,
        sigmoid=lambda gate: logistic(arith.muli(gate, i32(3)), table),
        squashed=lambda gate: tanh(arith.muli(gate, i32(3)), table),
        cell=new_state,
        hidden=new_hidden,
    )
    return _run(call, cell)


def _clip(call: Call, scale: float) -> int:
    """The greatest stored number of the cell state; 0 where it is not limited."""
    limit = float(np.float32(call.number("cell_clip")))
    return int(min(max(limit / scale, LEAST), GREATEST)) if limit > 0 else 0


def _in_steps_of_table(state: Value, power: int) -> Value:
    """A cell state in steps of 2^power, in those of the table of the hyperbolic tangent."""
    shift = 12 + power
    if shift >= 0:
        return arith.muli(state, i32(3 << shift))
    half = i32(1 << (-shift - 1))
    return arith.shrsi(arith.addi(arith.muli(state, i32(3)), half), i32(-shift))


def _gates_of(call: Call, data: int, weights: Sequence[int], biases: Sequence[int]) -> Callable[[Value], Value]:
    """The four gates' products with a row of data, in steps of 2^−12."""
    scale, zero_point = call.scale(data)
    stacked = _stacked(call, weights)
    # LiteRT multiplies the two scales in floats
    products = [float(np.float32(scale) * np.float32(call.scale(position)[0])) for position in weights]
    reals = np.repeat([product / _GATE_SCALE for product in products], len(stacked) // _GATES)
    scales = [scale_of_sums(call, float(real)) for real in reals]
    wide = call.tensor(data).type == TensorType.INT16
    bias = _stacked(call, biases) if biases else np.zeros(len(stacked), np.int64)
    bias = bias.astype(np.int64) - zero_point * stacked.astype(np.int64).sum(axis=1)
    kind = integer(64 if wide and not fits_32_bits(stacked, 0) else 32)
    held = constant(stacked)
    given = bias if bias.any() else None

    def gates(rows: Value) -> Value:
        return rescaled_channels(dense(rows, held, kind), scales, given, Stored(16, LEAST, GREATEST), wide=wide)

    return gates


_SPEC_OPTIONS = (
    Option("fused_activation_function", "i8", 0, (ActivationFunctionType.TANH,)),
    Option("cell_clip", "f32"),
    Option("proj_clip", "f32"),
    Option("time_major", "bool"),
    Option("asymmetric_quantize_inputs", "bool"),
    Option("diagonal_recurrent_tensors", "bool", 0, (0,)),
)


def _lowering(type_: int, emit: Callable[[Call], Sequence[Value]]) -> Lowering:
    spec = OpSpec(
        _O.UnidirectionalSequenceLSTMOptions,
        _SPEC_OPTIONS,
        (_OPERANDS, _OPERANDS),
        (*_FROM_INPUT, *_FROM_HIDDEN, *_BIASES),
        (0, _HIDDEN),
        (type_,),
        (type_,),
        optional=_LEFT_OUT,
    )
    return Lowering(spec, _shapes, emit, (type_,), states=_states)


LOWERED: Mapping[int, Sequence[Lowering]] = {
    _B.UNIDIRECTIONAL_SEQUENCE_LSTM: (
        _lowering(_T.INT8, _of_integers),
        _lowering(_T.INT16, _of_integers),
        _lowering(_T.FLOAT32, _of_floats),
    ),
}
