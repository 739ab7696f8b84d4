"""Operators with a state, run step by step as lowtide lowers them, the state going round outside, and by LiteRT Micro.

A network whose operator changes operands that keep their value is a function from inputs and states to outputs and
new states.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import jit
import numpy as np
from jit import Array
from operator_nets import NUMPY_TYPES
from tflite import TensorType
from tflite_nets import Net

from lowtide.emulate.oracle import ENGINES
from lowtide.importer.lowered.library import inputs_of, is_lowered, lowering_for, outputs_of
from lowtide.importer.stitch import empty_module, stitch
from lowtide.importer.tflite import writer
from lowtide.importer.tflite.check import check
from lowtide.importer.tflite.model import Model
from lowtide.importer.tflite.partition import partition
from lowtide.transform.interpreter import make_transform_context


def states_of(model: Model) -> list[int]:
    """The tensors that the model's one operator keeps."""
    operator = model.operators[0]
    inputs = inputs_of(model, operator)
    lowering = lowering_for(operator, inputs, outputs_of(model, operator))
    assert lowering is not None
    return [operator.inputs[position] for position in lowering.states(operator, inputs)]


def in_micro(model: Model, steps: Sequence[Sequence[Array]]) -> list[Array]:
    """The output of each step, by LiteRT Micro, which keeps the states between them."""
    run = ENGINES["micro"].load(_written(model))
    return [run(step)[0] for step in steps]


def _written(model: Model) -> bytes:
    """The file, in which states are variables."""
    variables, number = set(states_of(model)), iter(range(len(model.tensors)))
    table = writer.table

    def marked(builder: Any, kind: str, **fields: float) -> int:
        if kind == "Tensor" and next(number) in variables:
            fields["IsVariable"] = True
        return table(builder, kind, **fields)

    with patch.object(writer, "table", marked):
        return writer.write(model)


def with_states(model: Model) -> Model:
    """The model as a function from inputs and states to outputs and new states."""
    states = states_of(model)
    tensors = [*model.tensors, *(replace(model.tensors[index], name=f"new {index}") for index in states)]
    made = (*model.outputs, *range(len(model.tensors), len(tensors)))
    operator = replace(model.operators[0], outputs=made)
    return Model(tuple(tensors), (operator,), (*model.inputs, *states), made)


def as_lowered(model: Model, steps: Sequence[Sequence[Array]]) -> list[Array]:
    """The output of each step, by lowtide on this machine; the states begin at their zero points."""
    states, whole = states_of(model), with_states(model)
    check(whole, "test")
    module = empty_module(make_transform_context())
    stitch(module, partition(whole, is_lowered), "test")
    made = [whole.tensors[index] for index in whole.outputs]
    likes = [np.zeros(tensor.shape, NUMPY_TYPES[tensor.type]) for tensor in made]
    run = jit.repeated(jit.lowered(str(module)), likes)
    kept = [
        np.full(like.shape, _start(model, index), like.dtype) for index, like in zip(states, likes[1:], strict=True)
    ]
    outputs: list[Array] = []
    for step in steps:
        output, *kept = (np.array(array) for array in run([*step, *kept]))
        outputs.append(output)
    return outputs


def _start(model: Model, index: int) -> int:
    """What a state holds before the first run: 0 as a real number of int8, and all bytes 0 else."""
    tensor = model.tensors[index]
    return tensor.quantization.zero_points[0] if tensor.quantization and tensor.type == TensorType.INT8 else 0


# -- nets -------------------------------------------------------------------------------------------------------------

_BIASES: Mapping[str, str] = {"float32": "float32", "int8": "int32", "int16": "int64"}


def _weights(net: Net, rng: np.random.Generator, name: str, shape: Sequence[int], *, floats: bool) -> int:
    if floats:
        return net.constant(name, rng.normal(0, 0.4, shape), np.float32)
    return net.constant(name, rng.integers(-127, 128, shape), np.int8, float(np.float32(rng.uniform(0.002, 0.02))))


def lstm(
    rng: np.random.Generator,
    dtype: str,
    shape: Sequence[int],
    depth: int,
    *,
    time_major: bool = False,
    clip: float = 10.0,
    power: int = -11,
) -> Model:
    """A cell on a sequence [batch, steps, features], or with the steps first."""
    net, floats = Net(), dtype == "float32"
    zero = (lambda: int(rng.integers(-128, 128))) if dtype == "int8" else lambda: 0
    scale = None if floats else {"int8": 0.02, "int16": 1e-4}[dtype]
    hidden_scale = None if floats else {"int8": 0.00787, "int16": 2.0**-15}[dtype]
    x = net.tensor("x", shape, dtype, scale, zero())
    incoming = [_weights(net, rng, f"w{gate}", (depth, shape[2]), floats=floats) for gate in range(4)]
    recurrent = [_weights(net, rng, f"r{gate}", (depth, depth), floats=floats) for gate in range(4)]
    biases: list[int] = []
    for gate in range(4):
        values = rng.normal(0, 0.5, depth) if floats else rng.integers(-3000, 3000, depth)
        biases.append(net.constant(f"b{gate}", values, _BIASES[dtype], None if floats else 1.0))
    batch = shape[1] if time_major else shape[0]
    hidden_zero = zero()
    hidden = net.tensor("hidden", (batch, depth), dtype, hidden_scale, hidden_zero)
    cell = net.tensor("cell", (batch, depth), "float32" if floats else "int16", None if floats else 2.0**power)
    y = net.tensor("y", (*shape[:2], depth), dtype, hidden_scale, hidden_zero)
    inputs = [x, *incoming, *recurrent, -1, -1, -1, *biases, -1, -1, hidden, cell, -1, -1, -1, -1]
    options = {"fused_activation_function": 4, "cell_clip": clip, "time_major": time_major}
    net.operator("UNIDIRECTIONAL_SEQUENCE_LSTM", inputs, y, options)
    return net.model([x], [y])


def svdf(
    rng: np.random.Generator,
    dtype: str,
    *,
    depth: int,
    units: int,
    rank: int,
    memory: int,
    state: str = "int16",
    activation: int = 1,
    batch: int = 1,
) -> Model:
    """Filters over what the input gives them in the last `memory` runs."""
    net, floats, filters = Net(), dtype == "float32", units * rank
    if floats:
        x = net.tensor("x", (batch, depth), dtype)
        features = net.constant("features", rng.normal(0, 0.4, (filters, depth)), dtype)
        time = net.constant("time", rng.normal(0, 0.4, (filters, memory)), dtype)
        bias = net.constant("bias", rng.normal(0, 0.4, units), dtype)
        held = net.tensor("state", (batch, filters * memory), dtype)
        y = net.tensor("y", (batch, units), dtype)
    else:
        scales = [float(np.float32(rng.uniform(0.005, 0.02))) for _ in range(2)]
        x = net.tensor("x", (batch, depth), dtype, 0.05, int(rng.integers(-128, 128)))
        features = net.constant("features", rng.integers(-127, 128, (filters, depth)), np.int8, scales[0])
        time = net.constant("time", rng.integers(-127, 128, (filters, memory)), state, scales[1])
        held_scale = float(np.float32(0.0005 if state == "int16" else 0.1))
        product = float(np.float32(held_scale) * np.float32(scales[1]))
        bias = net.constant("bias", rng.integers(-2000, 2000, units), np.int32, product)
        zero = int(rng.integers(-20, 20)) if state == "int8" else 0
        held = net.tensor("state", (batch, filters * memory), state, held_scale, zero)
        y = net.tensor("y", (batch, units), dtype, 0.1, int(rng.integers(-128, 128)))
    options = {"rank": rank, "fused_activation_function": activation}
    net.operator("SVDF", (x, features, time, bias, held), y, options)
    return net.model([x], [y])


def steps_for(rng: np.random.Generator, model: Model, count: int) -> list[list[Array]]:
    """Random inputs, one list a step."""
    tensor = model.tensors[model.inputs[0]]
    dtype = np.dtype(NUMPY_TYPES[tensor.type])
    if dtype == np.float32:
        return [[rng.normal(0, 1, tensor.shape).astype(dtype)] for _ in range(count)]
    info = np.iinfo(dtype)
    return [[rng.integers(info.min, info.max + 1, tensor.shape).astype(dtype)] for _ in range(count)]
