"""What remembers in a `.tflite` file and is used in a way that has no one meaning is refused, with its place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import state_nets
from hostile_tflite import Remembering
from tflite import BuiltinOperator

from lowtide.errors import InputError
from lowtide.importer.tflite import import_tflite
from lowtide.importer.tflite.model import Model, Operator, Tensor
from lowtide.importer.tflite.writer import write

SHAPE = (1, 2, 3)
HIDDEN = 18
HUGE = (1 << 31) - 1


def refused(folder: Path, *subgraphs: Model) -> str:
    path = folder / "net.tflite"
    path.write_bytes(write(*subgraphs))
    with pytest.raises(InputError) as caught:
        import_tflite(path)
    assert caught.value.where is not None and caught.value.where.startswith(str(path))
    return str(caught.value)


class Delay(Remembering):
    """A network with an input, a handle and what is read."""

    def __init__(self) -> None:
        super().__init__()
        self.x = self.value("x")
        self.held = self.handle("held")

    def value(self, name: str, shape: tuple[int, ...] = SHAPE, dtype: str = "int8", scale: float = 0.5) -> int:
        return self.tensor(name, shape, dtype, scale if dtype == "int8" else None)

    def read(self, made: int) -> int:
        return self.operator("READ_VARIABLE", (self.held,), made)

    def assign(self, value: int) -> None:
        self.act("ASSIGN_VARIABLE", (self.held, value))


# -- variables --------------------------------------------------------------------------------------------------------


def _read_as(shape: tuple[int, ...], dtype: str = "int8") -> Callable[[Delay], int]:
    """Assigned the input, and read as another tensor."""

    def build(net: Delay) -> int:
        before = net.read(net.value("before", shape, dtype))
        net.assign(net.x)
        return before

    return build


def _read_again(shape: tuple[int, ...], dtype: str = "int8", scale: float = 0.5) -> Callable[[Delay], int]:
    def build(net: Delay) -> int:
        net.assign(net.x)
        return net.read(net.value("now", shape, dtype, scale))

    return build


def _into(pick: Callable[[Delay], int]) -> Callable[[Delay], int]:
    """Read into a tensor that has a value already."""

    def build(net: Delay) -> int:
        net.read(pick(net))
        net.assign(net.x)
        return net.operator("RELU", (net.x,), net.value("y"))

    return build


def _twice(net: Delay) -> int:
    before = net.read(net.value("before"))
    return net.operator("READ_VARIABLE", (net.handle("other"),), before)


def _assigned(pick: Callable[[Delay], int]) -> Callable[[Delay], int]:
    def build(net: Delay) -> int:
        before = net.read(net.value("before"))
        net.assign(pick(net))
        return before

    return build


def _assigned_before_it_is_made(net: Delay) -> int:
    later = net.value("later")
    net.assign(later)
    net.operator("RELU", (net.x,), later)
    return net.read(net.value("now"))


def _no_output(net: Delay) -> int:
    net.act("VAR_HANDLE", ())
    return net.operator("RELU", (net.x,), net.value("y"))


def _handle_out(net: Delay) -> int:
    net.assign(net.read(net.value("before")))
    return net.held


def _handle_computed_with(net: Delay) -> int:
    net.assign(net.read(net.value("before")))
    return net.operator("RELU", (net.held,), net.value("y"))


VARIABLES: dict[str, tuple[Callable[[Delay], int], str]] = {
    "another shape": (_read_as((1, 4, 3)), "its variable is assigned 'x'"),
    "another type": (_read_as(SHAPE, "float32"), "its variable is assigned 'x'"),
    "read again as another shape": (_read_again((1, 6)), "its variable holds 'x'"),
    "read again as another type": (_read_again(SHAPE, "float32"), "its variable holds 'x'"),
    "read again at another scale": (_read_again(SHAPE, scale=0.25), "with other scales"),
    "a huge one": (_read_as((HUGE,) * 4), "this variable has the shape"),
    "one that memory does not hold": (_read_as((1 << 20, 1 << 16)), "this variable has the shape"),
    "a negative one": (_read_as((-1, 3)), "this variable has the shape"),
    "read into the input": (_into(lambda net: net.x), "its output is a model input"),
    "read into a constant": (_into(lambda net: net.constant("c", np.zeros(SHAPE), "int8", 0.5)), "a constant"),
    "read into nothing": (_into(lambda _: -1), "one of them is missing"),
    "read into what is read": (_twice, "made twice"),
    "assigned what nobody computes": (_assigned(lambda net: net.value("nowhere")), "is not computed before it"),
    "assigned a handle": (_assigned(lambda net: net.handle("other")), "is not computed before it"),
    "assigned before": (_assigned_before_it_is_made, "'later' is not computed before it"),
    "a handle without output": (_no_output, "it has 0 inputs and 0 outputs"),
    "a handle as an output": (_handle_out, "no operator computes this output"),
    "a handle as an operand": (_handle_computed_with, "is not computed before it"),
}


@pytest.mark.parametrize("name", VARIABLES)
def test_variables(name: str, tmp_path: Path) -> None:
    build, message = VARIABLES[name]
    net = Delay()
    output = build(net)
    assert message in refused(tmp_path, net.model([net.x], [output]))


def _late_call() -> Model:
    net = Delay()
    before = net.read(net.value("before"))
    net.assign(net.x)
    net.act("CALL_ONCE", (), init_subgraph_index=1)
    return net.model([net.x], [before])


def _calling(number: int) -> Model:
    net = Delay()
    net.act("CALL_ONCE", (), init_subgraph_index=number)
    before = net.read(net.value("before"))
    net.assign(net.x)
    return net.model([net.x], [before])


def _first(*values: object, dtype: str = "int8", call: int | None = None) -> Model:
    """A subgraph that fills the variable, and may call another."""
    net = Remembering()
    if call is not None:
        net.act("CALL_ONCE", (), init_subgraph_index=call)
    for number, value in enumerate(values):
        net.act("ASSIGN_VARIABLE", (net.handle("held"), net.constant(f"c{number}", np.asarray(value), dtype)))
    return net.model([], [])


CALLS: dict[str, tuple[Model, Model, str]] = {
    "itself": (_calling(0), _first(), "it calls subgraph 0"),
    "none such": (_calling(7), _first(), "it calls subgraph 7, and the model has 2"),
    "one that calls itself": (_calling(1), _first(call=1), "only constants fill variables there"),
    "one that calls the first": (_calling(1), _first(call=0), "only constants fill variables there"),
    "too little": (_calling(1), _first([1, 2]), "its variable is filled with INT8 [2]"),
    "too much": (_calling(1), _first(np.ones((1, 2, 9))), "its variable is filled with INT8 [1, 2, 9]"),
    "another type": (_calling(1), _first(np.ones(SHAPE), dtype="float32"), "its variable is filled with FLOAT32"),
    "late": (_late_call(), _first(np.ones(SHAPE)), "it comes after variables have been read or assigned"),
}


@pytest.mark.parametrize("name", CALLS)
def test_subgraphs_that_fill_variables(name: str, tmp_path: Path) -> None:
    main, first, message = CALLS[name]
    assert message in refused(tmp_path, main, first)


def test_a_subgraph_fills_a_variable(tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(write(_calling(1), _first(np.arange(6).reshape(SHAPE))))
    (state,) = import_tflite(path).states
    assert state.initial == bytes(range(6))


def test_containers_keep_variables_of_one_name_apart(tmp_path: Path) -> None:
    net = Remembering()
    x, outputs = net.tensor("x", SHAPE, "int8", 0.5), list[int]()
    for container in ("one", "two"):
        handle = net.handle("held")
        held = net.operators[-1]
        net.operators[-1] = replace(held, options={**held.options, "container": tuple(container.encode())})
        outputs.append(net.operator("READ_VARIABLE", (handle,), net.tensor(f"{container} before", SHAPE, "int8", 0.5)))
        net.act("ASSIGN_VARIABLE", (handle, x))
    states = import_tflite(net.save(tmp_path, [x], outputs)).states
    assert [state.tensor.name for state in states] == ["one/held", "two/held"]


# -- operands that LSTM and SVDF change -------------------------------------------------------------------------------


def _lstm() -> Model:
    model = state_nets.lstm(np.random.default_rng(3), "int8", (1, 2, 5), 3)
    return model.with_tensors({i: replace(model.tensors[i], variable=True) for i in state_nets.states_of(model)})


def _hidden(model: Model) -> int:
    return model.operators[0].inputs[HIDDEN]


def _state(**fields: Any) -> Callable[[Model], Model]:
    return lambda model: model.with_tensors({_hidden(model): replace(model.tensors[_hidden(model)], **fields)})


def _operator(change: Callable[[Operator, Model], Operator]) -> Callable[[Model], Model]:
    return lambda model: replace(model, operators=(change(model.operators[0], model),))


def _with_input(operator: Operator, position: int, index: int) -> Operator:
    inputs = list(operator.inputs)
    inputs[position] = index
    return replace(operator, inputs=tuple(inputs))


def _beside(model: Model, *, before: bool) -> Model:
    """Another operator makes the state, or reads it."""
    other = replace(model.tensors[_hidden(model)], name="other", variable=False)
    tensors: tuple[Tensor, ...] = (*model.tensors, other)
    index = len(tensors) - 1
    if before:
        made = Operator(0, BuiltinOperator.RELU, (index,), (_hidden(model),))
        inputs = (*model.inputs, index)
        return replace(model, tensors=tensors, operators=(made, *model.operators), inputs=inputs)
    read = Operator(1, BuiltinOperator.RELU, (_hidden(model),), (index,))
    outputs = (*model.outputs, index)
    return replace(model, tensors=tensors, operators=(*model.operators, read), outputs=outputs)


OPERANDS: dict[str, tuple[Callable[[Model], Model], str]] = {
    "ten operands": (
        _operator(lambda op, _: replace(op, inputs=op.inputs[:10])),
        "its input 18, the state, is missing",
    ),
    "no output": (_operator(lambda op, _: replace(op, outputs=())), "it has 24 inputs and 0 outputs"),
    "left out": (_operator(lambda op, _: _with_input(op, HIDDEN, -1)), "its input 18, the state, is missing"),
    "the input": (_operator(lambda op, _: _with_input(op, HIDDEN, op.inputs[0])), "its state 'x' is a model input"),
    "both alike": (_operator(lambda op, _: _with_input(op, HIDDEN + 1, op.inputs[HIDDEN])), "is two of its operands"),
    "no variable": (_state(variable=False), "its state 'hidden' is not marked as variable"),
    "a constant": (_state(data=bytes(3)), "its state 'hidden' is a constant"),
    "a huge one": (_state(shape=(HUGE,) * 8), "bytes, more than"),
    "one that memory does not hold": (_state(shape=(1 << 30, 1 << 8)), "bytes, more than"),
    "a negative one": (_state(shape=(-1, -3)), "has a dimension below 1"),
    "a model input": (lambda m: replace(m, inputs=(*m.inputs, _hidden(m))), "is a model input"),
    "a model output": (lambda m: replace(m, outputs=(*m.outputs, _hidden(m))), "is a model output"),
    "computed": (lambda m: _beside(m, before=True), "is that of another operator, too"),
    "read by another": (lambda m: _beside(m, before=False), "is that of another operator, too"),
}


@pytest.mark.parametrize("name", OPERANDS)
def test_operands_that_change(name: str, tmp_path: Path) -> None:
    change, message = OPERANDS[name]
    assert message in refused(tmp_path, change(_lstm()))
