"""UNIDIRECTIONAL_SEQUENCE_LSTM: a cell with four gates that runs over a sequence, as LiteRT Micro has it.

A step has layers for what the input gives the gates, for what the hidden state gives them, for the new cell state and
for the new hidden state, alike in all steps. Gates and the cell state have 16 bits where the activations have 8 or 16;
the two halves of a gate are rounded each before they are added up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

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
    stored_int16,
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
_MOST_STEPS = 256
_FEW_STEPS = 4
"""Steps up to which gates are computed one after the other."""
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


_Group = tuple[int, ...]
_Rows = Callable[[Value], Value]


@dataclass(frozen=True)
class _Cell:
    """What differs between cells of floats and of integers.

    Attributes:
        from_input, from_hidden: make of some gates what gives them, [batch, gates · depth], what comes in and the
            hidden state.
        sum: of two halves of a gate.
        sigmoid: of a gate.
        squashed: the hyperbolic tangent of a gate.
        kept: from the activated gate that forgets and the cell state, what stays of it.
        joined: from that and from the activated gates that let in and that are new, the new cell state.
        hidden: from the activated gate that lets out and the new cell state.
    """

    from_input: Callable[[_Group], _Rows]
    from_hidden: Callable[[_Group], _Rows]
    sum: Callable[[Value, Value], Value]
    sigmoid: Callable[[Value], Value]
    squashed: Callable[[Value], Value]
    kept: Callable[[Value, Value], Value]
    joined: Callable[[Value, Value, Value], Value]
    hidden: Callable[[Value, Value], Value]


_TOGETHER: Sequence[_Group] = ((_IN, _FORGET, _NEW, _OUT),)
_APART: Sequence[_Group] = ((_FORGET,), (_IN,), (_NEW,), (_OUT,))


def _run(call: Call, cell: _Cell) -> Sequence[Value]:
    """All steps; the sequence of hidden states, the last one, and the last state of the cell.

    A few steps take the least memory gate by gate. Of more, each is code of its own where it reads its part of the
    sequence, so that the gates go together.
    """
    shape, made = call.tensor(0).shape, call.outputs[0].shape
    axis = 0 if call.option("time_major") else 1
    batch, depth = shape[1 - axis], made[2]
    hidden = reshape(call.value(_HIDDEN), (batch, depth))
    state = reshape(call.value(_CELL), (batch, depth))
    groups = _TOGETHER if shape[axis] > _FEW_STEPS else _APART
    makers = {group: (cell.from_input(group), cell.from_hidden(group)) for group in groups}
    sequence: list[Value] = []
    for number in range(shape[axis]):
        begin, size = [0, 0, 0], list(shape)
        begin[axis], size[axis] = number, 1
        data = call.value(0)
        data = data if shape[axis] == 1 else slice_of(data, begin, tuple(size))
        step = _Step(cell, makers, reshape(data, (batch, shape[2])), hidden)
        state = step.new_state(state) if groups is _TOGETHER else step.new_state_by_gates(state)
        hidden = step.new_hidden(state)
        placed = list(made)
        placed[axis] = 1
        sequence.append(reshape(hidden, tuple(placed)))
    ends = (reshape(end, call.tensor(position).shape) for end, position in ((hidden, _HIDDEN), (state, _CELL)))
    return [concatenate(sequence, axis), *ends]


@dataclass(frozen=True)
class _Step:
    """One step: the cell, what makes halves of gates, what comes in and the hidden state, both [batch, …]."""

    cell: _Cell
    makers: Mapping[_Group, tuple[_Rows, _Rows]]
    data: Value
    hidden: Value
    made: dict[_Group, list[Value]] = field(default_factory=dict[_Group, list[Value]])

    def new_state(self, state: Value) -> Value:
        """The new cell state, in one layer."""
        cell = self.cell

        def body(scalars: _Scalars) -> Value:
            forgets, lets_in, new = (cell.sum(scalars[2 * at], scalars[2 * at + 1]) for at in range(3))
            kept = cell.kept(cell.sigmoid(forgets), scalars[6])
            return cell.joined(kept, cell.sigmoid(lets_in), cell.squashed(new))

        return _mapped([*self._gate(_FORGET), *self._gate(_IN), *self._gate(_NEW), _whole(state)], state, body)

    def new_state_by_gates(self, state: Value) -> Value:
        """The new cell state, in a layer a gate, so that no two gates need be there at once."""
        cell = self.cell
        kept = _mapped(
            [*self._gate(_FORGET), _whole(state)], state, lambda s: cell.kept(cell.sigmoid(cell.sum(s[0], s[1])), s[2])
        )
        lets_in = _mapped(self._gate(_IN), state, lambda s: cell.sigmoid(cell.sum(s[0], s[1])))
        return _mapped(
            [*self._gate(_NEW), _whole(lets_in), _whole(kept)],
            state,
            lambda s: cell.joined(s[3], s[2], cell.squashed(cell.sum(s[0], s[1]))),
        )

    def new_hidden(self, state: Value) -> Value:
        """The new hidden state."""
        cell = self.cell
        return _mapped(
            [*self._gate(_OUT), _whole(state)],
            self.hidden,
            lambda s: cell.hidden(cell.sigmoid(cell.sum(s[0], s[1])), s[2]),
        )

    def _gate(self, gate: int) -> list[tuple[Value, AffineMap]]:
        """Its two halves, as operands of a loop over batch and depth."""
        group = next(group for group in self.makers if gate in group)
        if group not in self.made:
            halves = zip(self.makers[group], (self.data, self.hidden), strict=True)
            self.made[group] = [make(rows) for make, rows in halves]
        row, place = dims(2)
        index = AffineMap.get(2, 0, [row, AffineExpr.get_constant(group.index(gate)), place])
        batch, width = shape_of(self.made[group][0])
        apart = batch, len(group), width // len(group)
        return [(reshape(half, apart), index) for half in self.made[group]]


def _whole(value: Value) -> tuple[Value, AffineMap]:
    return value, AffineMap.get_identity(2)


def _mapped(operands: Sequence[tuple[Value, AffineMap]], like: Value, body: Callable[[_Scalars], Value]) -> Value:
    """A tensor [batch, depth] like another one, element by element."""
    out = _whole(empty(shape_of(like), element_of(like)))
    return generic(operands, [out], ["parallel"] * 2, body)[0]


# -- cells ------------------------------------------------------------------------------------------------------------


def _stacked(call: Call, positions: Sequence[int], group: _Group) -> Array:
    """What the gates of a group have of these operands, one behind the other."""
    return np.concatenate([call.array(positions[gate]) for gate in group])


def _of_floats(call: Call) -> Sequence[Value]:
    """Floats: sigmoids and hyperbolic tangents of floats."""
    clip, kind = call.number("cell_clip"), F32Type.get()

    def from_input(group: _Group) -> _Rows:
        weights, bias = constant(_stacked(call, _FROM_INPUT, group)), _stacked(call, _BIASES, group)
        return lambda data: with_bias(dense(data, weights, kind), bias)

    def from_hidden(group: _Group) -> _Rows:
        weights = constant(_stacked(call, _FROM_HIDDEN, group))
        return lambda hidden: dense(hidden, weights, kind)

    def sigmoid(x: Value) -> Value:
        return arith.divf(f32(1), arith.addf(f32(1), math_ops.exp(arith.negf(x))))

    def joined(kept: Value, lets_in: Value, new: Value) -> Value:
        found = arith.addf(kept, arith.mulf(lets_in, new))
        return clamped_float(found, -clip, clip) if clip > 0 else found

    cell = _Cell(
        from_input=from_input,
        from_hidden=from_hidden,
        sum=arith.addf,
        sigmoid=sigmoid,
        squashed=math_ops.tanh,
        kept=arith.mulf,
        joined=joined,
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
    # the output has the bytes of the hidden state: LiteRT Micro looks at no scale of its own
    low, high = least_and_greatest(_NAMES[call.tensor(_HIDDEN).type])
    bits = 8 if call.tensor(_HIDDEN).type == TensorType.INT8 else 16
    clip = _clip(call, cell_scale)
    table = sigmoid_table()

    def added(x: Value, y: Value) -> Value:
        return clamped(arith.addi(extended(x), extended(y)), LEAST, GREATEST)

    def product(x: Value, y: Value, real: float) -> Value:
        return rescaled_by(arith.muli(extended(x), extended(y)), real)

    def kept(forgets: Value, state: Value) -> Value:
        return stored_int16(product(forgets, state, _ACTIVATED_SCALE * cell_scale / cell_scale))

    def joined(kept: Value, lets_in: Value, new: Value) -> Value:
        let_in = clamped(product(lets_in, new, _ACTIVATED_SCALE * _ACTIVATED_SCALE / cell_scale), LEAST, GREATEST)
        found = clamped(arith.addi(extended(kept), let_in), LEAST, GREATEST)
        return truncated(clamped(found, -clip, clip) if clip else found, 16)

    def new_hidden(lets_out: Value, state: Value) -> Value:
        squashed = tanh(_in_steps_of_table(extended(state), power), table)
        found = product(squashed, lets_out, _ACTIVATED_SCALE * _ACTIVATED_SCALE / hidden_scale)
        return truncated(clamped(arith.addi(found, i32(hidden_zero)), low, high), bits)

    cell = _Cell(
        from_input=lambda group: _gates_of(call, 0, _FROM_INPUT, group, _BIASES),
        from_hidden=lambda group: _gates_of(call, _HIDDEN, _FROM_HIDDEN, group),
        sum=added,
        sigmoid=lambda gate: logistic(arith.muli(gate, i32(3)), table),
        squashed=lambda gate: tanh(arith.muli(gate, i32(3)), table),
        kept=kept,
        joined=joined,
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


def _gates_of(call: Call, data: int, weights: Sequence[int], group: _Group, biases: Sequence[int] = ()) -> _Rows:
    """What a row of data gives some gates, in steps of 2^−12."""
    scale, zero_point = call.scale(data)
    stacked = _stacked(call, weights, group)
    # LiteRT multiplies the two scales in floats
    products = [float(np.float32(scale) * np.float32(call.scale(weights[gate])[0])) for gate in group]
    reals = np.repeat([product / _GATE_SCALE for product in products], len(stacked) // len(group))
    scales = [scale_of_sums(call, float(real)) for real in reals]
    wide = call.tensor(data).type == TensorType.INT16
    bias = _stacked(call, biases, group) if biases else np.zeros(len(stacked), np.int64)
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
