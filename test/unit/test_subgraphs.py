"""CALL, IF and WHILE whose course is known when a model is compiled, against LiteRT where it has them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lowered_nets import oracle_fixture
from numpy.typing import NDArray
from oracles import needs_oracle
from tflite import BuiltinOperator
from tflite_nets import Net
from tflite_run import run_model

from lowtide.emulate.oracle import Oracle
from lowtide.errors import InputError
from lowtide.importer.tflite import import_tflite
from lowtide.importer.tflite.model import Model, Operator
from lowtide.importer.tflite.writer import write

Array = NDArray[Any]
oracle = pytest.fixture(oracle_fixture, scope="module")
X = np.array([1.0, -2.0, 3.0], np.float32)


def control(net: Net, name: str, inputs: Sequence[int], outputs: Sequence[int], **options: int) -> None:
    """Adds an operator that runs subgraphs."""
    code = getattr(BuiltinOperator, name)
    net.operators.append(Operator(len(net.operators), code, tuple(inputs), tuple(outputs), options))


def computes(name: str, value: float) -> Model:
    """A subgraph of one operator: x and a constant."""
    net = Net()
    x, y = net.tensor("x", (3,), "float32"), net.tensor("y", (3,), "float32")
    net.operator(name, (x, net.constant("c", [value], "float32")), y)
    return net.model([x], [y])


def below(limit: int) -> Model:
    """Whether a counter is below a limit."""
    net = Net()
    i, x = net.tensor("i", (), "int32"), net.tensor("x", (3,), "float32")
    less = net.operator("LESS", (i, net.constant("limit", limit)), net.tensor("less", (), "bool"))
    return net.model([i, x], [less])


def turn(step: int = 1) -> Model:
    """The counter goes up, and x is doubled and less by one."""
    net = Net()
    i, x = net.tensor("i", (), "int32"), net.tensor("x", (3,), "float32")
    up = net.operator("ADD", (i, net.constant("one", step)), net.tensor("up", (), "int32"))
    twice = net.operator("ADD", (x, x), net.tensor("twice", (3,), "float32"))
    less = net.operator("SUB", (twice, net.constant("c", [1.0], "float32")), net.tensor("less", (3,), "float32"))
    return net.model([i, x], [up, less])


def loop(limit: int, *, known: bool = True, step: int = 1) -> bytes:
    """A WHILE from 0 or from an input, between two other operators."""
    net = Net()
    x = net.tensor("x", (3,), "float32")
    start = net.constant("start", 0) if known else net.tensor("start", (), "int32")
    before = net.operator("NEG", (x,), net.tensor("before", (3,), "float32"))
    count, last = net.tensor("count", (), "int32"), net.tensor("last", (3,), "float32")
    control(net, "WHILE", (start, before), (count, last), cond_subgraph_index=1, body_subgraph_index=2)
    y = net.operator("ABS", (last,), net.tensor("y", (3,), "float32"))
    return write(net.model([x] if known else [x, start], [y, last]), below(limit), turn(step))


@needs_oracle
@pytest.mark.parametrize("limit", [0, 1, 5])
def test_a_loop_that_counts_to_a_constant(oracle: Oracle, limit: int) -> None:
    model = loop(limit)
    for mine, theirs in zip(run_model(model, [X]), oracle.run(model, [[X]]).outputs[0], strict=True):
        np.testing.assert_array_equal(mine, theirs)


def branch(condition: bool | None) -> bytes:
    """An IF between another operator and the output; its condition is an input where it is None."""
    net = Net()
    x = net.tensor("x", (3,), "float32")
    test = net.tensor("test", (1,), "bool") if condition is None else net.constant("test", [condition], "bool")
    y = net.tensor("y", (3,), "float32")
    control(net, "IF", (test, x), (y,), then_subgraph_index=1, else_subgraph_index=2)
    return write(net.model([x] if condition is not None else [test, x], [y]), computes("ADD", 3), computes("MUL", 4))


@needs_oracle
@pytest.mark.parametrize("condition", [True, False])
def test_a_branch_that_is_known(oracle: Oracle, condition: bool) -> None:
    model = branch(condition)
    np.testing.assert_array_equal(run_model(model, [X])[0], oracle.run(model, [[X]]).outputs[0][0])


@needs_oracle
@pytest.mark.parametrize("condition", [True, False])
def test_both_branches_where_it_is_not(oracle: Oracle, condition: bool) -> None:
    model, inputs = branch(None), [np.array([condition]), X]
    np.testing.assert_array_equal(run_model(model, inputs)[0], oracle.run(model, [inputs]).outputs[0][0])


def calls(*, itself: bool = False) -> bytes:
    """The same subgraph called twice, which calls another or itself."""
    inner = Net()
    x, y, z = (inner.tensor(name, (3,), "float32") for name in ("x", "y", "z"))
    inner.operator("SUB", (x, inner.constant("c", [1.0], "float32")), y)
    control(inner, "CALL", (y,), (z,), subgraph=1 if itself else 2)
    net = Net()
    x_, a, b = (net.tensor(name, (3,), "float32") for name in ("x", "a", "b"))
    control(net, "CALL", (x_,), (a,), subgraph=1)
    control(net, "CALL", (a,), (b,), subgraph=1)
    return write(net.model([x_], [a, b]), inner.model([x], [z]), computes("MUL", 4))


def test_subgraphs_that_are_called(tmp_path: Path) -> None:
    first, second = run_model(calls(), [X])
    assert first.tolist() == ((X - 1) * 4).tolist() and second.tolist() == ((first - 1) * 4).tolist()
    path = tmp_path / "net.tflite"
    path.write_bytes(calls())
    assert [tensor.name for tensor in import_tflite(path).outputs] == ["a", "b"]


def missing() -> bytes:
    """A CALL of a subgraph that is not there."""
    net = Net()
    x, y = net.tensor("x", (3,), "float32"), net.tensor("y", (3,), "float32")
    control(net, "CALL", (x,), (y,), subgraph=4)
    return write(net.model([x], [y]), computes("ADD", 1))


def of_another_shape() -> bytes:
    """An IF whose branches make other shapes."""
    net, other = Net(), Net()
    x, test, y = net.tensor("x", (3,), "float32"), net.tensor("test", (1,), "bool"), net.tensor("y", (3,), "float32")
    control(net, "IF", (test, x), (y,), then_subgraph_index=1, else_subgraph_index=2)
    a, b = other.tensor("a", (3,), "float32"), other.tensor("b", (3, 1), "float32")
    other.operator("RESHAPE", (a, other.constant("s", [3, 1])), b)
    return write(net.model([test, x], [y]), computes("ADD", 1), other.model([a], [b]))


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (loop(3, known=False), "how often it runs is not known when the model is compiled"),
        (loop(3, step=0), "its subgraphs make more than 4,096 operators"),
        (calls(itself=True), "subgraph 1 runs itself"),
        (missing(), "it runs subgraph 4, and the model has 2"),
        (of_another_shape(), "its branches make FLOAT32 [3] and FLOAT32 [3, 1]"),
    ],
)
def test_what_cannot_be_laid_out_is_refused(tmp_path: Path, model: bytes, said: str) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(model)
    with pytest.raises(InputError) as caught:
        import_tflite(path)
    assert said in str(caught.value) and "operator " in str(caught.value)
