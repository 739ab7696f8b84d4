"""What a model remembers from one run to the next: as inputs that the run before has made, and outputs for the next.

A file has it as resources (VAR_HANDLE, READ_VARIABLE, ASSIGN_VARIABLE), which a subgraph that runs once may fill, or as
operands of LSTM and SVDF that are marked as variable.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import NoReturn

import numpy as np
from tflite import BuiltinOperator, TensorType

from lowtide.errors import InputError
from lowtide.importer.lowered.library import inputs_of, lowering_for, outputs_of
from lowtide.importer.tflite.cut import needed
from lowtide.importer.tflite.model import Model, Operator, State, Tensor
from lowtide.importer.tflite.operators import RESOURCES
from lowtide.limits import check_tensor

_SIGNED_BYTES = (TensorType.INT8,)
_MOST_ELEMENTS = 1 << 24
"""The largest variable that is taken, in elements: what it holds at first lies in the network's code."""


def remember(model: Model, others: Callable[[], Sequence[Model]], where: str) -> Model:
    """The model with its states as the last inputs and outputs, and without operators on resources.

    Args:
        model: the first subgraph.
        others: gives those behind it.
        where: the file's name, for messages.

    Raises:
        InputError: a variable is used in a way that is unclear, or filled with what is no constant.
    """
    return _of_operands(_Resources(model, where).resolved(others), where)


def without_unused(model: Model) -> Model:
    """The model without the states that its outputs do not depend on, however many runs one looks ahead."""
    count = len(model.states)
    before, after = model.inputs[len(model.inputs) - count :], model.outputs[len(model.outputs) - count :]
    kept: list[int] = []
    while True:
        outputs = (*model.own_outputs, *(after[k] for k in kept))
        cut = needed(replace(model, outputs=outputs))
        read = {*outputs, *(index for operator in cut.operators for index in operator.inputs)}
        found = [k for k in range(count) if before[k] in read]
        if found == kept:
            inputs = (*model.own_inputs, *(before[k] for k in kept))
            return replace(cut, inputs=inputs, states=tuple(model.states[k] for k in kept))
        kept = found


@dataclass
class _Resource:
    """A variable while the operators are gone through: the tensor that was read first, and what it holds by then."""

    name: str
    read: int | None = None
    holds: int | None = None
    assigned: bool = False


@dataclass
class _Resources:
    """The operators of a model gone through in order.

    Attributes:
        found: variables by name.
        handles: the variable of each handle's tensor.
        same: what is read after something else was read or assigned → that.
        ready: tensors that have a value by then.
    """

    model: Model
    where: str
    found: dict[str, _Resource] = field(default_factory=dict[str, _Resource])
    handles: dict[int, str] = field(default_factory=dict[int, str])
    same: dict[int, int] = field(default_factory=dict[int, int])
    ready: set[int] = field(default_factory=set[int])

    def resolved(self, others: Callable[[], Sequence[Model]]) -> Model:
        model = self.model
        if not any(operator.code in RESOURCES for operator in model.operators):
            return model
        first: dict[str, Tensor] = {}
        kept: list[Operator] = []
        self.ready = {index for index, tensor in enumerate(model.tensors) if tensor.data is not None}
        self.ready.update(model.inputs)
        for stored in model.operators:
            operator = replace(stored, inputs=tuple(self.same.get(index, index) for index in stored.inputs))
            if operator.code == BuiltinOperator.CALL_ONCE:
                if any(resource.holds is not None for resource in self.found.values()):
                    self._refuse(operator, "it comes after variables have been read or assigned")
                first |= self._first(operator, others())
            elif operator.code in RESOURCES:
                self._apply(operator)
            else:
                kept.append(operator)
                self.ready.update(operator.outputs)
        outputs = tuple(self.same.get(index, index) for index in model.outputs)
        model = replace(model, operators=tuple(kept), outputs=outputs)
        tensors: dict[int, Tensor] = {}
        for resource in self.found.values():
            if resource.read is None or resource.holds is None:
                continue
            tensor = model.tensors[resource.read]
            data = self._initial(tensor, first.get(resource.name))
            if resource.assigned:
                model = _with_state(model, resource.name, resource.read, resource.holds, data)
            else:
                # nobody changes it: a constant
                tensors[resource.read] = replace(tensor, data=data)
        return model.with_tensors(tensors)

    def _apply(self, operator: Operator) -> None:
        if operator.code == BuiltinOperator.VAR_HANDLE:
            name = _name(operator)
            if len(operator.outputs) != 1 or operator.outputs[0] < 0:
                self._refuse_operands(operator)
            self.handles[operator.outputs[0]] = name
            self.found.setdefault(name, _Resource(name))
            return
        resource = self._resource(operator)
        if operator.code == BuiltinOperator.ASSIGN_VARIABLE:
            if operator.inputs[1] not in self.ready:
                self._refuse(operator, f"its input {self.model.tensors[operator.inputs[1]]} is not computed before it")
            resource.holds, resource.assigned = operator.inputs[1], True
            return
        made = operator.outputs[0]
        if made in self.ready:
            self._refuse(operator, "its output is a model input, a constant or made twice")
        self.ready.add(made)
        if resource.holds is None:
            resource.read = resource.holds = made
            return
        held, read = self.model.tensors[resource.holds], self.model.tensors[made]
        if (held.type, held.shape, held.quantization) != (read.type, read.shape, read.quantization):
            found = f"{held.type_name} {list(held.shape)}, and is read as {read.type_name} {list(read.shape)}"
            scales = "" if held.quantization == read.quantization else " with other scales"
            self._refuse(operator, f"its variable holds {held}, {found}{scales}")
        self.same[made] = resource.holds

    def _resource(self, operator: Operator) -> _Resource:
        name = self.handles.get(operator.inputs[0]) if operator.inputs else None
        if name is None:
            self._refuse(operator, "its variable has no VAR_HANDLE before it")
        least = 2 if operator.code == BuiltinOperator.ASSIGN_VARIABLE else 1
        if len(operator.inputs) != least or len(operator.outputs) != 2 - least:
            self._refuse_operands(operator)
        if min(*operator.inputs, *operator.outputs, 0) < 0:
            self._refuse_operands(operator)
        return self.found[name]

    def _initial(self, tensor: Tensor, filled: Tensor | None) -> bytes:
        """What a variable that is read as this tensor holds before the first run."""
        data = _nothing(tensor, self.where)
        if filled is None:
            return data
        if filled.data is None or filled.type != tensor.type or len(filled.data) != len(data):
            message = f"its variable is filled with {filled.type_name} {list(filled.shape)}"
            read = f"read as {tensor.type_name} {list(tensor.shape)}"
            raise InputError("importer", f"{message}, and {read}", where=f"{self.where}, tensor {tensor}")
        return bytes(filled.data)

    def _first(self, operator: Operator, others: Sequence[Model]) -> dict[str, Tensor]:
        """What the subgraph that runs once fills variables with."""
        number = operator.options.get("init_subgraph_index", 0)
        if not isinstance(number, int) or not 1 <= number <= len(others):
            self._refuse(operator, f"it calls subgraph {number}, and the model has {len(others) + 1}")
        if operator.inputs or operator.outputs:
            self._refuse_operands(operator)
        model, filled = others[number - 1], dict[str, Tensor]()
        names: dict[int, str] = {}
        for inner in model.operators:
            if inner.code == BuiltinOperator.VAR_HANDLE and inner.outputs:
                names[inner.outputs[0]] = _name(inner)
                continue
            value = inner.inputs[1] if inner.code == BuiltinOperator.ASSIGN_VARIABLE and len(inner.inputs) == 2 else -1
            constant = model.tensors[value] if value >= 0 else None
            if constant is None or constant.data is None or inner.inputs[0] not in names:
                self._refuse(operator, f"subgraph {number}, {model.place(inner)}: only constants fill variables there")
            filled[names[inner.inputs[0]]] = constant
        return filled

    def _refuse_operands(self, operator: Operator) -> NoReturn:
        count = f"{len(operator.inputs)} inputs and {len(operator.outputs)} outputs"
        self._refuse(operator, f"it has {count}, or one of them is missing")

    def _refuse(self, operator: Operator, message: str) -> NoReturn:
        raise InputError("importer", message, where=f"{self.where}, {self.model.place(operator)}")


def _name(operator: Operator) -> str:
    """A variable's name, behind that of its container where it is in one."""
    parts = [operator.options.get(option, ()) for option in ("container", "shared_name")]
    return "/".join(bytes(part).decode("utf-8", "replace") for part in parts if isinstance(part, tuple) and part)


def _nothing(tensor: Tensor, where: str) -> bytes:
    """What LiteRT Micro fills a variable with: zero, of signed bytes the zero point."""
    if min(tensor.shape, default=1) < 1 or tensor.elements > _MOST_ELEMENTS:
        message = (
            f"this variable has the shape {list(tensor.shape)}, and lowtide takes 1 to {_MOST_ELEMENTS:,} elements"
        )
        raise InputError("importer", message, where=f"{where}, tensor {tensor}")
    size = tensor.elements * np.dtype(_numpy(tensor)).itemsize
    check_tensor(size, tensor.name)
    fills = tensor.type in _SIGNED_BYTES and tensor.quantization is not None
    zero = tensor.quantization.zero_points[0] if fills and tensor.quantization is not None else 0
    return bytes([zero & 0xFF]) * size


def _numpy(tensor: Tensor) -> str:
    name = tensor.type_name.lower()
    return name if name in ("int8", "uint8", "int16", "int32", "int64", "float32") else "int8"


def _with_state(model: Model, name: str, before: int, after: int, initial: bytes | None) -> Model:
    return replace(
        model,
        inputs=(*model.inputs, before),
        outputs=(*model.outputs, after),
        states=(*model.states, State(name, initial)),
    )


def _of_operands(model: Model, where: str) -> Model:
    """Operands that LSTM and SVDF change become states; the operator gets outputs for their new values."""
    tensors, operators = list(model.tensors), list[Operator]()
    pairs: list[tuple[str, int, int]] = []
    for operator in model.operators:
        inputs = inputs_of(model, operator)
        lowering = lowering_for(operator, inputs, outputs_of(model, operator))
        made: list[int] = []
        for position in () if lowering is None else lowering.states(operator, inputs):
            objection = _objection(model, operator, position)
            if objection is not None:
                raise InputError("importer", objection, where=f"{where}, {model.place(operator)}")
            index = operator.inputs[position]
            tensor = replace(model.tensors[index], variable=False)
            tensors[index] = tensor
            tensors.append(replace(tensor, name=f"{tensor.name}/next"))
            made.append(len(tensors) - 1)
            pairs.append((tensor.name, index, made[-1]))
        operators.append(replace(operator, outputs=(*operator.outputs, *made)))
    model = replace(model, tensors=tuple(tensors), operators=tuple(operators))
    for name, before, after in pairs:
        model = _with_state(model, name, before, after, None)
    return model


def _objection(model: Model, operator: Operator, position: int) -> str | None:
    """Why an operand cannot be what an operator remembers; None where it can."""
    index = operator.inputs[position] if position < len(operator.inputs) else -1
    if index < 0:
        return f"its input {position}, the state, is missing"
    tensor = model.tensors[index]
    others = (other for other in model.operators if other is not operator)
    other = next((other for other in others if index in (*other.inputs, *other.outputs)), None)
    objections = {
        "is a constant": tensor.data is not None,
        "is a model input": index in model.inputs,
        "is a model output": index in model.outputs,
        "is not marked as variable": not tensor.variable,
        "is two of its operands": operator.inputs.count(index) > 1,
        f"is that of another operator, too: {model.place(other) if other else ''}": other is not None,
    }
    found = next((text for text, holds in objections.items() if holds), None)
    if found is not None:
        return f"its state {tensor} {found}"
    if len(operator.outputs) == 1 and operator.outputs[0] >= 0:
        return None
    return f"it has {len(operator.inputs)} inputs and {len(operator.outputs)} outputs"


def initial_states(model: Model, where: str) -> list[bytes]:
    """What a checked model remembers before its first run, state by state.

    Raises:
        InputError: a variable takes values of another type or shape than those that are read of it.
    """
    found: list[bytes] = []
    count = len(model.states)
    befores, afters = model.inputs[len(model.inputs) - count :], model.outputs[len(model.outputs) - count :]
    for state, before, after in zip(model.states, befores, afters, strict=True):
        old, new = model.tensors[before], model.tensors[after]
        place, read = f"{where}, variable '{state.name}'", f"{old.type_name} {list(old.shape)}"
        if (old.type, old.shape) != (new.type, new.shape):
            message = f"it is read as {read}, and is assigned {new}, which is {new.type_name} {list(new.shape)}"
            raise InputError("importer", message, where=place)
        nothing = _nothing(old, where)
        initial = nothing if state.initial is None else state.initial
        if len(initial) != len(nothing):
            message = f"it is read as {read}, {len(nothing)} bytes, and is filled with {len(initial)}"
            raise InputError("importer", message, where=place)
        found.append(initial)
    return found
