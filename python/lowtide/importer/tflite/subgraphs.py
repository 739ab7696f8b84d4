"""Control flow that is known when a model is compiled: subgraphs in the place of the operators that run them.

CALL runs one subgraph. IF runs one of two where its condition is known; else both are computed, and their results are
chosen from. WHILE is unrolled: its condition must be known before each turn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import NoReturn

import numpy as np
from tflite import BuiltinOperator, TensorType

from lowtide.errors import InputError
from lowtide.importer.tflite.fold import Fold
from lowtide.importer.tflite.model import Model, Operator, Tensor
from lowtide.importer.tflite.operators import CONTROL, RESOURCES

_MOST_OPERATORS = 1 << 12
"""Operators that subgraphs may become, those of conditions included."""
_UNTIL = "compile the network up to what it reads: --until TENSOR"


def inlined(model: Model, others: Callable[[], Sequence[Model]], where: str) -> Model:
    """The model without CALL, IF and WHILE.

    Args:
        model: the first subgraph.
        others: gives those behind it.
        where: the file's name, for messages.

    Raises:
        InputError: what is run is not known when the model is compiled, runs itself, is too much, or does not fit.
    """
    if not any(operator.code in CONTROL for operator in model.operators):
        return model
    work = _Inliner(model, others(), where)
    for operator in model.operators:
        work.add(operator, ())
    outputs = tuple(work.same.get(index, index) for index in model.outputs)
    return replace(model, tensors=tuple(work.tensors), operators=tuple(work.operators), outputs=outputs)


@dataclass
class _Inliner:
    """The model while it grows.

    Attributes:
        tensors: those of the first subgraph, then copies of others'.
        operators: those done.
        same: results of control flow → what makes them.
        known: the tensors with what is known of them.
        spent: operators that subgraphs have become.
        silent: the operators of a condition are looked at, not kept.
    """

    model: Model
    others: Sequence[Model]
    where: str
    tensors: list[Tensor] = field(default_factory=list[Tensor])
    operators: list[Operator] = field(default_factory=list[Operator])
    same: dict[int, int] = field(default_factory=dict[int, int])
    spent: int = 0
    silent: bool = False

    def __post_init__(self) -> None:
        self.tensors = list(self.model.tensors)
        self.known = Fold(self.model)
        self.names = {tensor.name for tensor in self.tensors}

    def add(self, operator: Operator, running: tuple[int, ...]) -> None:
        """One more operator; `running` are the subgraphs that it is in, from the outermost."""
        operator = replace(operator, inputs=tuple(self.same.get(index, index) for index in operator.inputs))
        if operator.code not in CONTROL:
            self.known.done(operator)
            if not self.silent:
                self.operators.append(operator)
            return
        if min(*operator.inputs, *operator.outputs, 0) < 0:
            self._refuse(operator, "one of its inputs or outputs is missing")
        match operator.code:
            case BuiltinOperator.CALL:
                made = self._run(operator, "subgraph", operator.inputs, running)
            case BuiltinOperator.IF:
                made = self._branch(operator, running)
            case _:
                made = self._loop(operator, running)
        if len(made) != len(operator.outputs):
            self._refuse(operator, f"it has {len(operator.outputs)} outputs, and its subgraph {len(made)}")
        for output, index in zip(operator.outputs, made, strict=True):
            self._call_it(output, index)

    def _call_it(self, output: int, made: int) -> None:
        """Lets a result of control flow be a tensor, which gets its name if it has none in the first subgraph."""
        self.same[output] = made
        if made >= len(self.model.tensors):
            name = self.tensors[output].name
            self._rename(output, self._unique(f"{name}/result"))
            self._rename(made, name)

    def _rename(self, index: int, name: str) -> None:
        self.tensors[index] = replace(self.tensors[index], name=name)

    def _branch(self, operator: Operator, running: tuple[int, ...]) -> Sequence[int]:
        """What IF makes: one branch where the condition is known, else both and a choice."""
        if not operator.inputs:
            self._refuse(operator, "it has no condition")
        condition, *rest = operator.inputs
        truth = self._truth(operator, condition)
        if truth is not None:
            return self._run(operator, "then_subgraph_index" if truth else "else_subgraph_index", rest, running)
        branches = [self._run(operator, f"{name}_subgraph_index", rest, running) for name in ("then", "else")]
        if len(branches[0]) != len(branches[1]):
            self._refuse(operator, "its branches have different numbers of outputs")
        return [self._choice(operator, condition, *pair) for pair in zip(*branches, strict=True)]

    def _choice(self, operator: Operator, condition: int, first: int, second: int) -> int:
        one, other = self.known.tensors[first], self.known.tensors[second]
        if (one.type, one.shape, one.quantization) != (other.type, other.shape, other.quantization):
            shapes = f"{one.type_name} {list(one.shape)} and {other.type_name} {list(other.shape)}"
            self._refuse(operator, f"its condition is not known, and its branches make {shapes}, or other scales")
        made = self._copy(replace(one, data=None))
        self.add(Operator(operator.index, BuiltinOperator.SELECT_V2, (condition, first, second), (made,)), ())
        return made

    def _loop(self, operator: Operator, running: tuple[int, ...]) -> Sequence[int]:
        """What WHILE makes: the results of its last turn."""
        values: Sequence[int] = operator.inputs
        while True:
            silent, self.silent = self.silent, True
            found = self._run(operator, "cond_subgraph_index", values, running)
            self.silent = silent
            truth = self._truth(operator, found[0]) if len(found) == 1 else None
            if truth is None:
                self._refuse(operator, "how often it runs is not known when the model is compiled", _UNTIL)
            if not truth:
                return values
            values = self._run(operator, "body_subgraph_index", values, running)

    def _truth(self, operator: Operator, index: int) -> bool | None:
        """A condition's value; None where it is not known."""
        tensor = self.known.tensors[index]
        if tensor.type != TensorType.BOOL or tensor.elements != 1:
            self._refuse(operator, f"its condition {tensor} is no single BOOL")
        return None if tensor.data is None else bool(np.frombuffer(tensor.data, np.bool_)[0])

    def _run(self, operator: Operator, option: str, values: Sequence[int], running: tuple[int, ...]) -> list[int]:
        """The operators of a subgraph, run on these tensors; its outputs."""
        number = operator.options.get(option, 0)
        if not isinstance(number, int) or not 1 <= number <= len(self.others):
            self._refuse(operator, f"it runs subgraph {number}, and the model has {len(self.others) + 1}")
        if number in running:
            self._refuse(operator, f"subgraph {number} runs itself", _UNTIL)
        part = self.others[number - 1]
        if len(part.inputs) != len(values):
            self._refuse(operator, f"subgraph {number} has {len(part.inputs)} inputs, and it gives {len(values)}")
        # a turn without operators counts, too
        self.spent += len(part.operators) + 1
        if self.spent > _MOST_OPERATORS:
            message = f"its subgraphs make more than {_MOST_OPERATORS:,} operators"
            self._refuse(operator, message, _UNTIL)
        places = dict(zip(part.inputs, values, strict=True))
        used = {*part.outputs, *(index for inner in part.operators for index in (*inner.inputs, *inner.outputs))}
        for index in sorted(used - places.keys() - {-1}):
            places[index] = self._copy(part.tensors[index])
        places[-1] = -1
        for inner in part.operators:
            if operator.code == BuiltinOperator.IF and inner.code in RESOURCES:
                self._refuse(operator, f"subgraph {number} has {inner.name}, on variables", _UNTIL)
            inputs, outputs = ([places[index] for index in side] for side in (inner.inputs, inner.outputs))
            moved = replace(inner, index=operator.index, inputs=tuple(inputs), outputs=tuple(outputs))
            self.add(moved, (*running, number))
        return [self.same.get(places[index], places[index]) for index in part.outputs]

    def _copy(self, tensor: Tensor) -> int:
        """Adds a tensor under a name of its own; its index."""
        copied = replace(tensor, name=self._unique(tensor.name))
        self.tensors.append(copied)
        self.known.tensors.append(replace(copied, ranked=True))
        return len(self.tensors) - 1

    def _unique(self, name: str) -> str:
        found, count = name, 0
        while found in self.names:
            count += 1
            found = f"{name}#{count}"
        self.names.add(found)
        return found

    def _refuse(self, operator: Operator, message: str, remedy: str | None = None) -> NoReturn:
        made = f" → {self.tensors[operator.outputs[0]]}" if operator.outputs and operator.outputs[0] >= 0 else ""
        raise InputError(
            "importer", message, where=f"{self.where}, operator {operator.index} {operator.name}{made}", remedy=remedy
        )
