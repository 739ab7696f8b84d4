"""LSTM and SVDF give what LiteRT Micro gives in run after run, and other cells and operands are refused by name.

`LOWTIDE_TEST_SEED` draws others.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest
import state_nets as nets
from tflite import ActivationFunctionType, BuiltinOperator

from lowtide.emulate.oracle import ENGINES
from lowtide.errors import InputError
from lowtide.importer.lowered.library import LOWERED, inputs_of, outputs_of
from lowtide.importer.tflite.check import check
from lowtide.importer.tflite.model import Model, Quantization

SEED = int(os.environ.get("LOWTIDE_TEST_SEED", "0"))
STEPS = 50
CLOSE = 1e-5
Build = Callable[[np.random.Generator], Model]
MODELS: Mapping[str, Build] = {
    "LSTM of int8": lambda rng: nets.lstm(rng, "int8", (1, 1, 7), 6),
    "LSTM of int8, a sequence": lambda rng: nets.lstm(rng, "int8", (1, 6, 5), 3, power=-12),
    "LSTM of int8, steps first, clipped": lambda rng: nets.lstm(rng, "int8", (5, 2, 4), 3, time_major=True, clip=0.7),
    "LSTM of int8, a finer cell": lambda rng: nets.lstm(rng, "int8", (2, 1, 5), 3, power=-14, clip=0.0),
    "LSTM of int16": lambda rng: nets.lstm(rng, "int16", (1, 2, 5), 4),
    "LSTM of floats": lambda rng: nets.lstm(rng, "float32", (1, 5, 3), 4, clip=0.9),
    "LSTM of floats, one step": lambda rng: nets.lstm(rng, "float32", (1, 1, 5), 4),
    "SVDF": lambda rng: nets.svdf(rng, "int8", depth=5, units=3, rank=1, memory=4),
    "SVDF of rank 2": lambda rng: nets.svdf(rng, "int8", depth=5, units=3, rank=2, memory=4, batch=2),
    "SVDF without memory": lambda rng: nets.svdf(rng, "int8", depth=3, units=2, rank=1, memory=1),
    "SVDF with a state of int8": lambda rng: nets.svdf(rng, "int8", depth=5, units=3, rank=2, memory=4, state="int8"),
    "SVDF of floats": lambda rng: nets.svdf(rng, "float32", depth=5, units=3, rank=2, memory=4),
}


@pytest.mark.skipif(not ENGINES["micro"].installed, reason="LiteRT Micro is not installed")
@pytest.mark.parametrize("name", MODELS)
def test_gives_what_micro_gives(name: str) -> None:
    rng = np.random.default_rng((SEED, *name.encode()))
    model = MODELS[name](rng)
    steps = nets.steps_for(rng, model, STEPS)
    mine, theirs = nets.as_lowered(model, steps), nets.in_micro(model, steps)
    print(f"seed {SEED}: {name}")
    for step, (got, wanted) in enumerate(zip(mine, theirs, strict=True)):
        if wanted.dtype == np.float32:
            np.testing.assert_allclose(got, wanted, atol=CLOSE, err_msg=f"step {step}")
        else:
            np.testing.assert_array_equal(got, wanted, f"step {step}")
    assert len({output.tobytes() for output in theirs}) > STEPS // 2


def test_states_are_operands_that_change() -> None:
    rng = np.random.default_rng(SEED)
    assert nets.states_of(MODELS["LSTM of int8"](rng)) == [13, 14]
    assert nets.states_of(MODELS["SVDF"](rng)) == [4]


def test_other_operators_have_no_state() -> None:
    model = MODELS["SVDF"](np.random.default_rng(SEED))
    operator = model.operators[0]
    stateful = {BuiltinOperator.SVDF, BuiltinOperator.UNIDIRECTIONAL_SEQUENCE_LSTM}
    for code, lowerings in LOWERED.items():
        for lowering in lowerings:
            assert bool(lowering.states(operator, inputs_of(model, operator))) == (code in stateful)
    assert len(outputs_of(model, operator)) == 1


def _refusal(model: Model) -> str:
    with pytest.raises(InputError) as caught:
        check(nets.with_states(model), "test")
    assert "operator 0" in str(caught.value)
    return str(caught.value)


def _operands(model: Model, changes: Mapping[int, int]) -> Model:
    operator = model.operators[0]
    inputs = tuple(changes.get(position, index) for position, index in enumerate(operator.inputs))
    return replace(model, operators=(replace(operator, inputs=inputs),))


@pytest.mark.parametrize("position", [9, 11, 16, 20])
def test_refuses_cells_that_micro_has_not(position: int) -> None:
    model = MODELS["LSTM of int8"](np.random.default_rng(SEED))
    assert f"it has an operand {position}" in _refusal(_operands(model, {position: 9}))


@pytest.mark.parametrize(
    ("position", "other", "said"),
    [(1, 5, "its input 1 is INT8 [6, 6]"), (6, -1, "its input 6 is missing"), (12, 1, "its input 12 is INT8 [6, 7]")],
)
def test_refuses_operands_of_other_shapes(position: int, other: int, said: str) -> None:
    assert said in _refusal(_operands(MODELS["LSTM of int8"](np.random.default_rng(SEED)), {position: other}))


def test_refuses_another_activation_and_long_sequences() -> None:
    model = MODELS["LSTM of int8"](np.random.default_rng(SEED))
    operator = model.operators[0]
    options = {**operator.options, "fused_activation_function": ActivationFunctionType.RELU}
    assert "its fused_activation_function is 1" in _refusal(
        replace(model, operators=(replace(operator, options=options),))
    )
    longer = nets.lstm(np.random.default_rng(SEED), "int8", (1, 300, 2), 1)
    assert "its sequence has 300 steps" in _refusal(longer)


def test_refuses_a_cell_scale_that_is_no_power_of_two() -> None:
    model = MODELS["LSTM of int8"](np.random.default_rng(SEED))
    cell = nets.states_of(model)[1]
    odd = replace(model.tensors[cell], quantization=Quantization((0.0003,), (0,)))
    with pytest.raises(InputError, match="LiteRT takes powers of two"):
        nets.as_lowered(model.with_tensors({cell: odd}), [])


@pytest.mark.parametrize(
    ("tensor", "shape", "said"),
    [
        (1, (4, 5), "its weights are [4, 5] and [3, 4]"),
        (4, (1, 10), "its state is [1, 10], not [1, 12]"),
        (3, (2,), "its bias is missing, of another type, or does not have 3 elements"),
    ],
)
def test_refuses_filters_that_do_not_fit(tensor: int, shape: tuple[int, ...], said: str) -> None:
    model = MODELS["SVDF"](np.random.default_rng(SEED))
    held = model.tensors[tensor]
    data = None if held.data is None else np.zeros(shape, "int32" if tensor == 3 else "int8").tobytes()
    assert said in _refusal(model.with_tensors({tensor: replace(held, shape=shape, data=data)}))


@pytest.mark.skipif(not ENGINES["micro"].installed, reason="LiteRT Micro is not installed")
def test_an_output_of_another_scale_has_the_bytes_of_the_hidden_state() -> None:
    """Converters give both directions of a bidirectional LSTM one output scale; Micro does not look at it."""
    rng = np.random.default_rng(3)
    model = nets.lstm(rng, "int8", (1, 4, 5), 6)
    made = replace(model.tensors[model.outputs[0]], quantization=Quantization((0.0101,), (7,)))
    model = model.with_tensors({model.outputs[0]: made})
    steps = nets.steps_for(rng, model, 3)
    for mine, theirs in zip(nets.as_lowered(model, steps), nets.in_micro(model, steps), strict=True):
        np.testing.assert_array_equal(mine.reshape(-1), theirs.reshape(-1))
