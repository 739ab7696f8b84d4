"""Attention by several heads, as the same for each head and a concatenation.

An exporter computes all heads at once: it turns [tokens, heads · width] round to [heads, tokens, width] and multiplies
batches of matrices. The scores of all heads then exist at once, and the rows of what is computed are heads, not tokens.
Head by head each layer goes through the tokens, so that all of them from the queries to what is behind the attention
can run token by token. It is the same arithmetic on the same numbers: a head of a dense layer is one with some of its
filters, that of an elementwise operator the operator on a head.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from tflite import BuiltinOperator

from lowtide.importer.lowered.joined import BY_ROWS
from lowtide.importer.tflite.cut import needed
from lowtide.importer.tflite.grouped import filters_of
from lowtide.importer.tflite.model import Model, Operator, Shape
from lowtide.importer.tflite.operands import Operands
from lowtide.importer.tflite.rewrite import Rewrite
from lowtide.importer.tflite.shapes import axis_order

_B = BuiltinOperator
_MOST_HEADS = 32
"""Each is a few layers."""


def heads_apart(model: Model, where: str) -> Model:
    """The checked model with the attentions that it has computed head by head."""
    heads = _Heads(model, where)
    for operator in model.operators:
        if not heads.joined(operator):
            heads.rewrite.operators.append(operator)
    return needed(heads.rewrite.done()) if heads.parts else model


@dataclass(frozen=True)
class _Part:
    """A range of a tensor: `size` subscripts of the dimension `axis`, from `first` on."""

    tensor: int
    axis: int
    first: int
    size: int


@dataclass
class _Heads:
    model: Model
    where: str
    parts: dict[_Part, int] = field(default_factory=dict[_Part, int])

    def __post_init__(self) -> None:
        self.rewrite = Rewrite(self.model, self.where)
        self._producers = self.model.producers()

    def joined(self, operator: Operator) -> bool:
        """Emit heads and their concatenation where the operator joins heads side by side; whether it does."""
        found = self._joins(operator)
        if found is None:
            return False
        source, axis = found
        shape = self._shape(operator.outputs[0])
        width = shape[-1] // self._shape(source)[axis]
        parts: list[int] = []
        for head in range(self._shape(source)[axis]):
            part = self.part(_Part(source, axis, head, 1))
            made = self.rewrite.like(operator.outputs[0], operator, f"head{head}", (*shape[:-1], width))
            parts.append(self.rewrite.reshape(operator, part, made, f"head{head}"))
        self.rewrite.emit(operator, _B.CONCATENATION, parts, operator.outputs[0], {"axis": len(shape) - 1, **BY_ROWS})
        return True

    def _joins(self, operator: Operator) -> tuple[int, int] | None:
        """The product whose heads a RESHAPE puts side by side, [.., heads, .., width], and their dimension."""
        if operator.code != _B.RESHAPE:
            return None
        turned, shape = operator.inputs[0], self._shape(operator.outputs[0])
        turn = self._inner(turned)
        if turn is None or turn.code != _B.TRANSPOSE or len(self._shape(turned)) < 3:
            return None
        product = self._inner(turn.inputs[0])
        if product is None or product.code != _B.BATCH_MATMUL:
            return None
        if any(self.model.tensors[index].data is not None for index in product.inputs[:2]):
            return None
        order = self._order(turn)
        heads, width = self._shape(turned)[-2:]
        fits = bool(shape) and shape[-1] == heads * width and 2 <= heads <= _MOST_HEADS
        # of the product's dimensions the last two are of each matrix
        turns = order[-2] < len(order) - 2 and order[-1] == len(order) - 1
        return (turn.inputs[0], order[-2]) if fits and turns else None

    def part(self, wanted: _Part) -> int:
        """The tensor that is this part of another one, computed as such where that is the same."""
        if wanted not in self.parts:
            self.parts[wanted] = self._part(wanted)
        return self.parts[wanted]

    def _part(self, wanted: _Part) -> int:
        operator = self._inner(wanted.tensor)
        rule = None if operator is None else _RULES.get(operator.code)
        made = None if operator is None or rule is None else rule(self, operator, wanted)
        return self._slice(wanted) if made is None else made

    def _slice(self, wanted: _Part) -> int:
        shape = self.cut(wanted)
        begin = [wanted.first if axis == wanted.axis else 0 for axis in range(len(shape))]
        name, served = f"part{wanted.first}", self._producers.get(wanted.tensor) or self.model.operators[0]
        made = self.rewrite.like(wanted.tensor, served, name, shape)
        return self.rewrite.slice(served, wanted.tensor, begin, shape, made, name)

    def emit(self, operator: Operator, wanted: _Part, inputs: tuple[int, ...], code: int | None = None) -> int:
        """Add an operator like the given one that makes the part of its output."""
        made = self.rewrite.like(wanted.tensor, operator, f"part{wanted.first}", self.cut(wanted))
        self.rewrite.operators.append(
            replace(operator, code=operator.code if code is None else code, inputs=inputs, outputs=(made,))
        )
        return made

    def cut(self, wanted: _Part) -> Shape:
        """Shape of a part."""
        shape = self._shape(wanted.tensor)
        return (*shape[: wanted.axis], wanted.size, *shape[wanted.axis + 1 :])

    def _inner(self, tensor: int) -> Operator | None:
        """What makes a tensor that one operator alone reads: as others read it, it has to be computed whole."""
        if tensor in self.model.outputs or len(self.model.consumers(tensor)) != 1:
            return None
        return self._producers.get(tensor)

    def _shape(self, tensor: int) -> Shape:
        return self.rewrite.tensors[tensor].shape

    def _order(self, operator: Operator) -> tuple[int, ...]:
        return tuple(axis_order(Operands(operator, [self.model.tensors[index] for index in operator.inputs], ())))

    def transposed(self, operator: Operator, wanted: _Part) -> int | None:
        """TRANSPOSE: of a part; a reshape where only dimensions of extent 1 change their places."""
        order, source = self._order(operator), operator.inputs[0]
        part = self.part(replace(wanted, tensor=source, axis=order[wanted.axis]))
        shape = self._shape(part)
        moved = [axis for axis in order if shape[axis] > 1]
        if moved != sorted(moved):
            return self.emit(operator, wanted, (part, *operator.inputs[1:]))
        made = self.rewrite.like(wanted.tensor, operator, f"part{wanted.first}", self.cut(wanted))
        return self.rewrite.reshape(operator, part, made, f"part{wanted.first}")

    def reshaped(self, operator: Operator, wanted: _Part) -> int | None:
        """RESHAPE: of a part, where a dimension of the source is this one with some behind it."""
        source, target = self._shape(operator.inputs[0]), self._shape(wanted.tensor)
        before, behind = math.prod(target[: wanted.axis]), math.prod(target[wanted.axis + 1 :])
        for axis in range(len(source)):
            inner = math.prod(source[axis + 1 :])
            if math.prod(source[:axis]) == before and source[axis] > 1 and behind % inner == 0:
                times = behind // inner
                part = self.part(_Part(operator.inputs[0], axis, wanted.first * times, wanted.size * times))
                made = self.rewrite.like(wanted.tensor, operator, f"part{wanted.first}", self.cut(wanted))
                return self.rewrite.reshape(operator, part, made, f"part{wanted.first}")
        return None

    def dense(self, operator: Operator, wanted: _Part) -> int | None:
        """FULLY_CONNECTED: with some of its filters."""
        constants = [index for index in operator.inputs[1:] if index >= 0]
        last = len(self._shape(wanted.tensor)) - 1
        if wanted.axis != last or any(self.model.tensors[index].data is None for index in constants):
            return None
        if any(self.model.tensors[index].shape[0] != self._shape(wanted.tensor)[-1] for index in constants):
            return None
        some = {
            index: self.rewrite.add(
                filters_of(self.model.tensors[index], wanted.first, wanted.size), f"part{wanted.first}/{operator.index}"
            )
            for index in constants
        }
        return self.emit(operator, wanted, tuple(some.get(index, index) for index in operator.inputs))

    def elementwise(self, operator: Operator, wanted: _Part) -> int | None:
        """The same operator on parts of its operands, but for those that are repeated along that dimension."""
        return self.emit(operator, wanted, tuple(self._operand(index, wanted) for index in operator.inputs))

    def _operand(self, index: int, wanted: _Part) -> int:
        shape = self._shape(index)
        axis = wanted.axis - (len(self._shape(wanted.tensor)) - len(shape))
        if axis < 0 or shape[axis] == 1:
            return index
        tensor = self.model.tensors[index]
        if tensor.data is None:
            return self.part(replace(wanted, tensor=index, axis=axis))
        data = np.frombuffer(tensor.data, np.uint8).reshape(*shape, -1)
        data = data.take(range(wanted.first, wanted.first + wanted.size), axis)
        return self.rewrite.add(replace(tensor, shape=data.shape[:-1], data=data.tobytes()), f"part{wanted.first}")

    def softmax(self, operator: Operator, wanted: _Part) -> int | None:
        """SOFTMAX: of a part that has all of the innermost dimension."""
        last = len(self._shape(wanted.tensor)) - 1
        return None if wanted.axis == last else self.elementwise(operator, wanted)

    def product(self, operator: Operator, wanted: _Part) -> int | None:
        """BATCH_MATMUL: of some of the matrices."""
        if wanted.axis >= len(self._shape(wanted.tensor)) - 2:
            return None
        # what is taken whole comes first: what the rows of the product are made of then comes directly before it
        right = self._operand(operator.inputs[1], wanted)
        return self.emit(operator, wanted, (self._operand(operator.inputs[0], wanted), right))


_RULES: Mapping[int, Callable[[_Heads, Operator, _Part], int | None]] = {
    _B.TRANSPOSE: _Heads.transposed,
    _B.RESHAPE: _Heads.reshaped,
    _B.FULLY_CONNECTED: _Heads.dense,
    _B.SOFTMAX: _Heads.softmax,
    _B.BATCH_MATMUL: _Heads.product,
    **dict.fromkeys((_B.ADD, _B.SUB, _B.MUL, _B.DIV, _B.MAXIMUM, _B.MINIMUM, _B.QUANTIZE), _Heads.elementwise),
}
"""By number of the schema's `BuiltinOperator`: what makes a part of the operator's output, or None."""
