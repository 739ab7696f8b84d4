"""Operators whose numbers are at the edge of what a file can hold: computed where that has a meaning, or refused."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import state_nets
from hostile_tflite import Remembering
from lowered_nets import made_by, refusal
from tflite import BuiltinOperator, TensorType
from tflite_nets import Net
from tflite_run import run_model

import lowtide
from lowtide.emulate import backend_named, load_artifact
from lowtide.emulate.oracle import ENGINES
from lowtide.importer.tflite.model import Model, Operator, Quantization, Tensor
from lowtide.importer.tflite.writer import write

Ends = tuple[list[int], list[int]]


def test_a_stride_that_leaves_one_element_may_be_any_number() -> None:
    def build(net: Net) -> Ends:
        x = net.tensor("x", (2, 3), "float32")
        begin, end = net.constant("begin", [1, 0]), net.constant("end", [-3, 3])
        strides = net.constant("strides", [-(1 << 31), 1])
        return [x], [net.operator("STRIDED_SLICE", (x, begin, end, strides), net.tensor("y", (1, 3), "float32"))]

    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    (found,) = run_model(made_by(build), [x])
    np.testing.assert_array_equal(found, x[1:])


def test_strides_of_a_transposed_convolution(tmp_path: Path) -> None:
    def build(net: Net) -> Ends:
        x, shape = net.tensor("x", (1, 4, 4, 1), "float32"), net.constant("shape", [1, 8, 8, 2])
        weights = net.constant("weights", np.ones((2, 3, 3, 1)), "float32")
        y = net.tensor("y", (1, 8, 8, 2), "float32")
        strides = {"stride_w": 32767, "stride_h": 32767}
        return [x], [net.operator("TRANSPOSE_CONV", (shape, weights, x), y, strides)]

    assert "its strides of 32767 x 32767 make a tensor of" in refusal(tmp_path, build)


@pytest.mark.parametrize("scale", [float("nan"), float("inf")])
def test_a_scale_that_no_header_can_say(scale: float, tmp_path: Path) -> None:
    def build(net: Net) -> Ends:
        x = net.tensor("x", (2, 3), "int32")
        return [x], [net.operator("NEG", (x,), net.tensor("y", (2, 3), "int32", scale))]

    assert "tensor 'y': it has a scale that is not a number" in refusal(tmp_path, build)


def _bytes(name: str, scales: list[float], made: float) -> Net:
    net = Net()
    inputs = [net.tensor(f"x{number}", (2, 3), "int8", scale) for number, scale in enumerate(scales)]
    net.operator(name, inputs, net.tensor("y", (2, 3), "int8", made))
    return net


def test_quotients_that_no_byte_holds(tmp_path: Path) -> None:
    path = _bytes("DIV", [1e30, 1e-30], 1e-30).save(tmp_path, [0, 1], [2])
    with pytest.raises(lowtide.LowtideError, match=r"operator 0 DIV.*: its quotients are multiplied by inf"):
        lowtide.compile(path, target="cortex-m4", out=tmp_path / "out")


def test_logarithms_without_a_warning(tmp_path: Path) -> None:
    path = _bytes("LOG", [1e-38], 1e38).save(tmp_path, [0], [1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lowtide.compile(path, target="cortex-m4", out=tmp_path / "out")


def _marked(model: Model) -> Model:
    return model.with_tensors({i: replace(model.tensors[i], variable=True) for i in state_nets.states_of(model)})


def _insensitive() -> Model:
    """A cell that multiplies what its input gives the gates by 0."""
    model = _marked(state_nets.lstm(np.random.default_rng(3), "int8", (1, 2, 5), 3))
    x = model.inputs[0]
    return model.with_tensors({x: replace(model.tensors[x], quantization=Quantization((1e-30,), (0,)))})


def _filters_and_dense() -> Model:
    """The loop goes by channels, and its first layer reads all of a state whose buffer has other dimensions."""
    rng = np.random.default_rng(5)
    model = _marked(state_nets.svdf(rng, "int8", depth=32, units=32, rank=1, memory=32))
    y = len(model.tensors) + 1
    weights = Tensor("weights", TensorType.INT8, (2, 32), data=rng.integers(-127, 128, (2, 32), np.int8).tobytes())
    made = Tensor("dense", TensorType.INT8, (1, 2), quantization=Quantization((0.5,), (0,)))
    tensors = (*model.tensors, replace(weights, quantization=Quantization((0.01,), (0,))), made)
    dense = Operator(1, BuiltinOperator.FULLY_CONNECTED, (*model.outputs, y - 1, -1), (y,))
    return replace(model, tensors=tensors, operators=(*model.operators, dense), outputs=(y,))


KEPT = {
    "SVDF of floats": lambda: _marked(
        state_nets.svdf(np.random.default_rng(7), "float32", depth=4, units=3, rank=1, memory=2)
    ),
    "SVDF of int8": lambda: _marked(
        state_nets.svdf(np.random.default_rng(7), "int8", depth=4, units=2, rank=2, memory=3)
    ),
    "a cell without input": _insensitive,
    "filters whose sums a dense layer adds up by channels": _filters_and_dense,
}


@pytest.mark.skipif(not ENGINES["micro"].installed, reason="LiteRT Micro is not installed")
@pytest.mark.parametrize("name", KEPT)
def test_states_as_compiled(name: str, tmp_path: Path) -> None:
    """The filters' memory is a concatenation of three dimensions that a buffer of two holds."""
    data = write(KEPT[name]())
    path = tmp_path / "net.tflite"
    path.write_bytes(data)
    lowtide.compile(path, target="cortex-m4", out=tmp_path / "out")
    session, micro = backend_named("unicorn").open(load_artifact(tmp_path / "out")), ENGINES["micro"].load(data)
    for step in state_nets.steps_for(np.random.default_rng(1), KEPT[name](), 10):
        found, wanted = (np.asarray(made, np.float64) for made in (session.run(step).outputs[0], micro(step)[0]))
        np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_a_network_with_two_subgraphs_is_written_and_read() -> None:
    net = Remembering()
    x = net.tensor("x", (2,), "int8", 0.5)
    net.act("CALL_ONCE", (), init_subgraph_index=1)
    first = Remembering()
    first.act("ASSIGN_VARIABLE", (first.handle("held"), first.constant("c", [1, 2], "int8")))
    before = net.operator("READ_VARIABLE", (net.handle("held"),), net.tensor("y", (2,), "int8", 0.5))
    y = net.operator("MAXIMUM", (x, before), net.tensor("z", (2,), "int8", 0.5))
    (found,) = run_model(write(net.model([x], [y]), first.model([], [])), [np.array([-5, 9], np.int8)])
    np.testing.assert_array_equal(found, [1, 9])
