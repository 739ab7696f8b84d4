"""Operators of int16 give what LiteRT Micro gives, and what it does not compute is refused by name.

`LOWTIDE_TEST_SEED` draws others.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from int16_variants import VARIANTS, draw
from random_operators import HOST, Tally, check
from tflite import BuiltinOperator
from tflite_nets import Net
from tflite_run import run_model

from lowtide.emulate.oracle import ENGINES, Oracle
from lowtide.errors import InputError
from lowtide.importer import import_model
from lowtide.importer.lowered.int16_scalars import sigmoid_nodes
from lowtide.importer.tflite.model import Operator, OptionValue
from lowtide.importer.tflite.writer import write
from lowtide.lower import lower
from lowtide.stages import Stages
from lowtide.targets import TARGETS
from lowtide.transform.interpreter import make_transform_context

SEED = int(os.environ.get("LOWTIDE_TEST_SEED", "0"))
MANY = 40
needs_oracle = pytest.mark.skipif(
    not all(engine.installed for engine in ENGINES.values()), reason="LiteRT Micro or LiteRT is not installed"
)


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    with Oracle() as opened:
        yield opened


def _check(oracle: Oracle, name: str, numbers: range, target: str = HOST) -> None:
    tally, wrong = Tally(), list[str]()
    for number in numbers:
        case = draw(SEED, number, [name])
        outcome = check(case, oracle, target)
        tally.add(case, outcome)
        if outcome.kind != "equal":
            wrong.append(f"case {number} {case.name}: {outcome.kind} {outcome.detail}")
    print(f"seed {SEED}: {tally}")
    assert not wrong, "\n".join(wrong)


@needs_oracle
@pytest.mark.parametrize("name", VARIANTS)
def test_gives_what_litert_gives(oracle: Oracle, name: str) -> None:
    _check(oracle, name, range(2))


@needs_oracle
@pytest.mark.slow
@pytest.mark.parametrize("name", VARIANTS)
def test_many_give_what_litert_gives(oracle: Oracle, name: str) -> None:
    _check(oracle, name, range(2, MANY))


@needs_oracle
@pytest.mark.slow
@pytest.mark.parametrize("target", ["cortex-m4", "rv32imafc"])
@pytest.mark.parametrize("name", VARIANTS)
def test_cores_give_what_litert_gives(oracle: Oracle, name: str, target: str) -> None:
    _check(oracle, name, range(MANY, MANY + 1), target)


@needs_oracle
@pytest.mark.parametrize(
    ("name", "shape", "made", "constants", "options"),
    [
        ("SPLIT_V", (2, 4, 6), [(2, 4, 2), (2, 4, 4)], [[2, 4], 2], {"num_splits": 2}),
        ("UNPACK", (2, 4, 6), [(4, 6), (4, 6)], [], {"num": 2}),
        ("TILE", (2, 4, 6), [(2, 8, 6)], [[1, 2, 1]], {}),
        ("BROADCAST_TO", (1, 4, 1), [(2, 4, 6)], [[2, 4, 6]], {}),
        ("REVERSE_V2", (1, 2, 3, 4), [(1, 2, 3, 4)], [[2]], {}),
        ("RESIZE_NEAREST_NEIGHBOR", (1, 2, 3, 4), [(1, 4, 6, 4)], [[4, 6]], {}),
        ("PACK", (2, 4), [(1, 2, 4)], [], {"values_count": 1}),
    ],
)
def test_moves_elements(
    oracle: Oracle,
    name: str,
    shape: Sequence[int],
    made: Sequence[Sequence[int]],
    constants: Sequence[int | Sequence[int]],
    options: Mapping[str, OptionValue],
) -> None:
    net, rng = Net(), np.random.default_rng(SEED)
    x = net.tensor("x", shape, np.int16, 0.01)
    inputs = (x, *(net.constant(f"c{number}", values) for number, values in enumerate(constants)))
    outputs = tuple(net.tensor(f"y{number}", extents, np.int16, 0.01) for number, extents in enumerate(made))
    net.operators.append(Operator(0, getattr(BuiltinOperator, name), inputs, outputs, options))
    model = write(net.model([x], outputs))
    values = rng.integers(-32768, 32768, shape).astype(np.int16)
    for mine, theirs in zip(run_model(model, [values]), oracle.run(model, [[values]]).outputs[0], strict=True):
        np.testing.assert_array_equal(mine.reshape(-1), theirs.reshape(-1))


@needs_oracle
@pytest.mark.parametrize("scales", [(0.01, 0.0), (0.0, 0.0)])
def test_products_take_what_was_always_0(oracle: Oracle, scales: tuple[float, float]) -> None:
    """Converters give constants of zeros, such as the first state of an unrolled LSTM, the scale 0."""
    net, rng = Net(), np.random.default_rng(SEED)
    x, y = (net.tensor(f"x{number}", (1, 16), np.int16, scale) for number, scale in enumerate(scales))
    out = net.tensor("out", (1, 16), np.int16, 0.02)
    net.operator("MUL", (x, y), out)
    _same(oracle, write(net.model([x, y], [out])), [rng.integers(-999, 999, (1, 16)).astype(np.int16) for _ in scales])


@needs_oracle
def test_dense_layers_take_what_was_always_0(oracle: Oracle) -> None:
    net, rng = Net(), np.random.default_rng(SEED)
    x, out = net.tensor("x", (1, 8), np.int16, 0.0), net.tensor("out", (1, 4), np.int16, 3.587e-43)
    net.operator("FULLY_CONNECTED", (x, net.constant("w", rng.integers(-127, 128, (4, 8)), np.int8, 0.01), -1), out)
    _same(oracle, write(net.model([x], [out])), [rng.integers(-999, 999, (1, 8)).astype(np.int16)])


def _same(oracle: Oracle, model: bytes, values: Sequence[npt.NDArray[np.int16]]) -> None:
    (mine,), (theirs,) = run_model(model, values), oracle.run(model, [values]).outputs[0]
    np.testing.assert_array_equal(mine.reshape(-1), theirs.reshape(-1))


def test_sums_need_scales(tmp_path: Path) -> None:
    """LiteRT and LiteRT Micro abort there."""
    net = Net()
    x, y = (net.tensor(name, (1, 4), np.int16, scale) for name, scale in (("x", 0.0), ("y", 0.01)))
    out = net.tensor("out", (1, 4), np.int16, 0.02)
    net.operator("ADD", (x, y), out)
    assert "the scale of 'x' is not above 0" in _refusal(tmp_path, net, [x, y], [out])


def test_sums_stay_in_registers(tmp_path: Path) -> None:
    net = Net()
    x = net.tensor("x", (1, 6, 6, 8), np.int16, 0.01)
    weights = net.constant("weights", np.full((4, 3, 3, 8), 127), np.int8, 0.01)
    bias = net.constant("bias", [1, 1 << 40, -(1 << 40), 0], np.int64, 1.0)
    made = net.tensor("made", (1, 4, 4, 4), np.int16, 0.1)
    net.operator("CONV_2D", (x, weights, bias), made, {"padding": 1, "stride_h": 1, "stride_w": 1})
    path = net.save(tmp_path, [x], [made])
    network = lower(path, TARGETS["host"], objective="untiled", stages=Stages()).network
    # nothing but the input and the output, which may overlap
    assert network.arena_bytes <= 2 * (6 * 6 * 8 + 4 * 4 * 4)


def test_table_of_the_sigmoid() -> None:
    nodes = sigmoid_nodes().view(np.uint16)
    assert (nodes[0], nodes[4], nodes[255], len(nodes)) == (32768, 35493, 65535, 256)
    assert (np.diff(nodes.astype(np.int64)) >= 0).all()


def _refusal(folder: Path, net: Net, inputs: Sequence[int], outputs: Sequence[int]) -> str:
    path = net.save(folder, inputs, outputs)
    with pytest.raises(InputError) as caught:
        import_model(path, make_transform_context())
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "made", "options", "said"),
    [
        ("LOGISTIC", (1 / 256, 0), {}, "LiteRT makes 1/32768 there"),
        ("TANH", (2**-15, 5), {}, "zero point 5"),
        ("SOFTMAX", (1 / 256, 0), {"beta": 1.0}, "LiteRT makes 1/32768 there"),
        ("LEAKY_RELU", (1e-30, 0), {"alpha": 0.1}, "which its output cannot hold"),
        ("HARD_SWISH", (0.1, 0), {}, "its output is INT16"),
    ],
)
def test_refuses(
    tmp_path: Path, name: str, made: tuple[float, int], options: Mapping[str, OptionValue], said: str
) -> None:
    net = Net()
    x = net.tensor("x", (1, 8), np.int16, 0.001)
    y = net.tensor("y", (1, 8), np.int16, *made)
    net.operator(name, (x,), y, options)
    message = _refusal(tmp_path, net, [x], [y])
    assert said in message and f"operator 0 {name}" in message


@pytest.mark.parametrize(
    ("weights", "bias", "said"),
    [
        (np.int16, np.int64, "its weights are not INT8"),
        (np.int8, np.int32, "its bias is INT32"),
        (np.int8, np.int8, "its bias has type INT8"),
    ],
)
def test_refuses_weights_and_biases(tmp_path: Path, weights: type, bias: type, said: str) -> None:
    net = Net()
    x = net.tensor("x", (1, 8), np.int16, 0.01)
    w = net.constant("w", np.ones((3, 8)), weights, 0.01)
    b = net.constant("b", np.ones(3), bias, 0.0001)
    y = net.tensor("y", (1, 3), np.int16, 0.01)
    net.operator("FULLY_CONNECTED", (x, w, b), y)
    assert said in _refusal(tmp_path, net, [x], [y])


def test_refuses_a_transposed_convolution_whose_sizes_do_not_fit(tmp_path: Path) -> None:
    net = Net()
    x = net.tensor("x", (1, 3, 3, 2), np.int16, 0.01)
    w = net.constant("w", np.ones((4, 2, 2, 2)), np.int8, 0.01)
    y = net.tensor("y", (1, 9, 6, 4), np.int16, 0.1)
    shape = net.constant("shape", [1, 9, 6, 4])
    net.operator("TRANSPOSE_CONV", (shape, w, x), y, {"padding": 0, "stride_h": 2, "stride_w": 2})
    assert "do not make 9 by steps of 2" in _refusal(tmp_path, net, [x], [y])


def test_refuses_matrices_that_do_not_fit(tmp_path: Path) -> None:
    net = Net()
    x, w = (net.tensor(name, (2, 3, 4), np.int16, 0.01) for name in "xw")
    y = net.tensor("y", (2, 3, 3), np.int16, 0.1)
    net.operator("BATCH_MATMUL", (x, w), y)
    assert "do not share a dimension" in _refusal(tmp_path, net, [x, w], [y])
