"""The reference engines, the inputs that are drawn for them, and what is said where they fail."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from command import DIGITS, DIGITS_GOLDEN, lowtide, refused
from oracles import needs_micro, needs_oracle
from state_nets import lstm
from tflite_nets import Net

from lowtide.emulate.oracle import ENGINES, Oracle
from lowtide.emulate.oracle.decisive import decisive_engine
from lowtide.emulate.oracle.domains import Domain, domains
from lowtide.emulate.oracle.draw import draw
from lowtide.emulate.oracle.engines import Engine
from lowtide.emulate.oracle.question import question
from lowtide.errors import OracleError, UsageError
from lowtide.importer.tflite.writer import write
from lowtide.network import IoTensor


def relu6(scale: float) -> Net:
    """RELU6 from scale 0.5 to this one."""
    net = Net()
    x, y = net.tensor("x", (1, 8), scale=0.5), net.tensor("y", (1, 8), scale=scale)
    net.operator("RELU6", (x,), y)
    return net


@needs_micro
def test_litert_micro_is_asked_first_and_agrees_with_stored_outputs() -> None:
    golden = np.load(DIGITS_GOLDEN)
    with Oracle() as oracle:
        answer = oracle.run(DIGITS.read_bytes(), [(x,) for x in golden["x"][:3]])
    assert answer.title == "LiteRT Micro" and not answer.refusals
    assert all(
        np.array_equal(y[0].ravel(), wanted.ravel()) for y, wanted in zip(answer.outputs, golden["y"], strict=False)
    )


@needs_oracle
def test_an_engine_that_dies_is_reported_and_the_next_question_is_answered() -> None:
    """3,000 classes overflow the integer softmax: both engines abort."""
    net = Net()
    x, y = net.tensor("x", (1, 3000), scale=0.1), net.tensor("y", (1, 3000), scale=1 / 256, zero_point=-128)
    net.operator("SOFTMAX", (x,), y, {"beta": 1.0})
    with Oracle() as oracle:
        with pytest.raises(OracleError, match=r"crashed \(SIGABRT\)"):
            oracle.run(write(net.model([x], [y])), [(np.zeros((1, 3000), np.int8),)], "soft.tflite")
        assert oracle.run(DIGITS.read_bytes(), [(np.load(DIGITS_GOLDEN)["x"][0],)]).outputs


@needs_oracle
def test_verify_says_that_there_is_nothing_to_compare_with(tmp_path: Path) -> None:
    net = Net()
    x, y = net.tensor("x", (1, 3000), scale=0.1), net.tensor("y", (1, 3000), scale=1 / 256, zero_point=-128)
    net.operator("SOFTMAX", (x,), y, {"beta": 1.0})
    path = net.save(tmp_path, [x], [y])
    said = refused(4, "verify", path, "--target", "host", "-n", "6")
    assert "no reference engine takes the model" in said and "SIGABRT" in said and "--golden" in said


def test_without_any_engine_verify_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(_: Engine) -> bool:
        return False

    monkeypatch.setattr(Engine, "installed", property(absent))
    assert not any(engine.installed for engine in ENGINES.values())
    said = refused(4, "verify", DIGITS, "--target", "cortex-m4", "-n", "1")
    assert "neither LiteRT Micro nor LiteRT's reference kernels is installed" in said and "lowtide[verify]" in said


@needs_oracle
def test_a_killed_child_is_replaced() -> None:
    row = np.load(DIGITS_GOLDEN)["x"][0]
    with Oracle() as oracle:
        before = oracle.run(DIGITS.read_bytes(), [(row,)])
        for child in oracle._children.values():  # pyright: ignore[reportPrivateUsage]
            assert child._process is not None  # pyright: ignore[reportPrivateUsage]
            os.kill(child._process.pid, signal.SIGKILL)  # pyright: ignore[reportPrivateUsage]
            child._process.wait()  # pyright: ignore[reportPrivateUsage]
        after = oracle.run(DIGITS.read_bytes(), [(row,)])
    assert before.outputs[0][0].tobytes() == after.outputs[0][0].tobytes()


@needs_oracle
def test_verify_compares_a_part_of_a_model_too() -> None:
    outcome = lowtide("verify", DIGITS, "--target", "host", "-n", "2", "--until", "digits_1/pool_1/MaxPool2d")
    assert outcome.code == 0 and "equal" in outcome.out, outcome


@needs_micro
def test_where_micro_deviates_litert_is_asked_first(tmp_path: Path) -> None:
    for scale, engine in ((0.5, None), (0.05, "litert")):
        net = relu6(scale)
        assert decisive_engine(net.model([0], [1])) == engine
    path = net.save(tmp_path, [0], [1])
    outcome = lowtide("verify", path, "--target", "cortex-m4", "-n", "8")
    assert outcome.code == 0 and "LiteRT Micro deviates from the definition here" in " ".join(outcome.out.split())


@needs_micro
def test_micro_decides_where_litert_rounds_a_dense_layer_the_other_way(tmp_path: Path) -> None:
    """Comparing with LiteRT alone called a right network wrong."""
    random = np.random.default_rng(3)
    net = Net()
    x, y = net.tensor("x", (1, 3), scale=0.1), net.tensor("y", (1, 300), scale=0.3)
    weights = net.constant("weights", random.integers(-127, 128, (300, 3)), np.int8, 0.02)
    bias = net.constant("bias", random.integers(-3000, 3000, 300))
    net.operator("FULLY_CONNECTED", (x, weights, bias), y)
    runs = [(random.integers(-128, 128, (1, 3)).astype(np.int8),) for _ in range(20)]
    with Oracle(["micro"]) as micro, Oracle(["litert"]) as litert:
        file = write(net.model([x], [y]))
        ours, others = (np.stack([o[0] for o in oracle.run(file, runs).outputs]) for oracle in (micro, litert))
    assert np.count_nonzero(ours != others) > 0 and np.all(np.abs(ours.astype(int) - others.astype(int)) <= 1)
    outcome = lowtide("verify", net.save(tmp_path, [x], [y]), "--target", "cortex-m4", "-n", "20")
    assert outcome.code == 0 and "equal" in outcome.out, outcome


@needs_oracle
def test_litert_decides_on_dense_layers_beside_what_micro_lacks(tmp_path: Path) -> None:
    """LiteRT alone runs a network with GELU, and rounds FULLY_CONNECTED once: two roundings were called different."""
    random = np.random.default_rng(3)
    net = Net()
    x, y = net.tensor("x", (1, 3), scale=0.1), net.tensor("y", (1, 300), scale=0.3)
    weights = net.constant("weights", random.integers(-127, 128, (300, 3)), np.int8, 0.02)
    net.operator("FULLY_CONNECTED", (x, weights, net.constant("bias", random.integers(-3000, 3000, 300))), y)
    made = net.operator("GELU", (y,), net.tensor("made", (1, 300), scale=0.2, zero_point=-100))
    path = net.save(tmp_path, [x], [y, made])
    outcome = lowtide("verify", path, "--target", "cortex-m4", "-n", "20")
    assert outcome.code == 0 and "LiteRT's reference kernels" in " ".join(outcome.out.split()), outcome


@needs_oracle
def test_tiles_of_a_new_version_are_judged(tmp_path: Path) -> None:
    """LiteRT's list of reference kernels ends at version 2, whose kernel takes bytes, too."""
    net = Net()
    x, y = net.tensor("x", (1, 2, 3), scale=0.1), net.tensor("y", (1, 4, 3), scale=0.1)
    net.operator("TILE", (x, net.constant("repeats", [1, 2, 1])), y)
    net.operators[0] = replace(net.operators[0], version=3)
    outcome = lowtide("verify", net.save(tmp_path, [x], [y]), "--target", "host", "-n", "2")
    assert outcome.code == 0 and "equal" in outcome.out, outcome


def test_indices_stay_within_what_they_index() -> None:
    net = Net()
    ids, cast = net.tensor("ids", (1, 4), np.float32), net.tensor("cast", (1, 4), np.int32)
    table, y = net.constant("table", np.zeros((7, 2)), np.float32), net.tensor("y", (1, 4, 2), np.float32)
    net.operator("CAST", (ids,), cast)
    net.operator("GATHER", (table, cast), y, {"axis": 0})
    (domain,) = domains(net.model([ids], [y]))
    assert domain == Domain(0, 6, index=True)
    drawn = [draw([IoTensor("ids", (1, 4), "float32")], [domain], run, 3)[0] for run in range(20)]
    assert {float(x) for array in drawn for x in array.flat} == {0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0}


def test_floats_that_are_quantised_reach_beyond_the_range_and_hit_ties() -> None:
    net = Net()
    x, y = net.tensor("x", (1, 64), np.float32), net.tensor("y", (1, 64), scale=0.25, zero_point=28)
    net.operator("QUANTIZE", (x,), y)
    (domain,) = domains(net.model([x], [y]))
    assert (domain.low, domain.high, domain.step) == (-39.0, 24.75, 0.25)
    tensor = IoTensor("x", (1, 64), "float32")
    uniform, _, ties, *_ = (draw([tensor], [domain], run, 0)[0] for run in range(6))
    assert uniform.min() < domain.low and uniform.max() > domain.high
    assert np.all(ties.astype(np.float64) / 0.25 % 1 == 0.5)


def test_drawn_inputs_repeat_and_fill_the_range() -> None:
    tensor = IoTensor("x", (1, 4000), "int8", 0.5, 3)
    domain = Domain(-128, 127, 3)
    one, two, other = (draw([tensor], [domain], 0, seed)[0] for seed in (7, 7, 8))
    assert one.tobytes() == two.tobytes() != other.tobytes() and (one.min(), one.max()) == (-128, 127)
    assert set(np.unique(draw([tensor], [domain], 1, 0)[0])) == {-128, 3, 127}
    with pytest.raises(UsageError, match="the seed is -1"):
        draw([tensor], [domain], 0, -1)


@needs_micro
def test_litert_micro_is_given_a_network_with_its_shapes_computed(tmp_path: Path) -> None:
    """Micro has no REDUCE_PROD: LiteRT was asked, which rounds FULLY_CONNECTED once, and right was called wrong."""
    random = np.random.default_rng(5)
    net = Net()
    x, y = net.tensor("x", (1, 4, 3), scale=0.1), net.tensor("y", (4, 300), scale=0.3)
    shape, flat = net.tensor("shape", (3,), np.int32), net.tensor("flat", (4, 3), scale=0.1)
    rows, row = net.tensor("rows", (), np.int32), net.constant("row", np.array(3))
    net.operator("SHAPE", (x,), shape, {"out_type": 2})
    leading = net.tensor("leading", (2,), np.int32)
    net.operator("GATHER", (shape, net.constant("first", np.array([0, 1]))), leading, {"axis": 0})
    net.operator("REDUCE_PROD", (leading, net.constant("axis", np.array([0]))), rows, {"keep_dims": False})
    wanted = net.tensor("wanted", (2,), np.int32)
    net.operator("PACK", (rows, row), wanted, {"axis": 0, "values_count": 2})
    net.operator("RESHAPE", (x, wanted), flat)
    weights = net.constant("weights", random.integers(-127, 128, (300, 3)), np.int8, 0.02)
    net.operator("FULLY_CONNECTED", (flat, weights, net.constant("bias", random.integers(-3000, 3000, 300))), y)
    outcome = lowtide("verify", net.save(tmp_path, [x], [y]), "--target", "host", "-n", "8")
    said = " ".join(outcome.out.split())
    assert outcome.code == 0 and "LiteRT Micro, with shapes computed beforehand" in said, outcome


@needs_micro
def test_shapes_that_a_batch_of_one_does_not_give_are_not_asked_about(tmp_path: Path) -> None:
    """The converter writes 1 for the batch that SPACE_TO_BATCH_ND makes, and LiteRT Micro computes one of its four."""
    net = Net()
    x = net.tensor("x", (1, 4, 4, 2), np.float32, signature=(-1, 4, 4, 2))
    parts = net.tensor("parts", (1, 2, 2, 2), np.float32, signature=(-1, 2, 2, 2))
    y = net.tensor("y", (1, 4, 4, 2), np.float32, signature=(-1, 4, 4, 2))
    block, none = net.constant("block", np.array([2, 2])), net.constant("none", np.zeros((2, 2)))
    net.operator("SPACE_TO_BATCH_ND", (x, block, none), parts)
    net.operator("BATCH_TO_SPACE_ND", (parts, block, none), y)
    asked = question(write(net.model([x], [y])), (), {}, "net")
    assert asked.static is None and asked.model.tensors[parts].shape == (4, 2, 2, 2)
    outcome = lowtide("verify", net.save(tmp_path, [x], [y]), "--target", "host", "-n", "3")
    assert outcome.code == 0 and "equal" in outcome.out, outcome


def test_dynamic_range_networks_with_computed_shapes_are_asked_about_with_shapes(tmp_path: Path) -> None:
    """`verify` refused what `compile` takes: the shapes were not computed where the weights are dequantised."""
    net = Net()
    x = net.tensor("x", (1, 2, 3), np.float32, signature=(-1, 2, 3))
    shape, wanted = net.tensor("shape", (3,), np.int32), net.tensor("wanted", (2,), np.int32)
    flat = net.tensor("flat", (1, 1), np.float32, signature=(-1, -1))
    y = net.tensor("y", (1, 4), np.float32, signature=(-1, 4))
    net.operator("SHAPE", (x,), shape, {"out_type": 2})
    net.operator("GATHER", (shape, net.constant("two", np.array([1, 2]))), wanted, {"axis": 0})
    net.operator("RESHAPE", (x, wanted), flat)
    net.operator("FULLY_CONNECTED", (flat, net.constant("weights", np.ones((4, 3)), np.int8, 0.5), -1), y)
    asked = question(write(net.model([x], [y])), (), {}, "net")
    assert asked.model.tensors[flat].shape == (2, 3)


def test_a_file_that_remembers_is_asked_about_as_it_is() -> None:
    """The shapes of an LSTM's states were sought among its outputs: a traceback."""
    file = write(lstm(np.random.default_rng(0), "int8", (1, 3, 4), 5))
    asked = question(file, (), {}, "net")
    assert asked.file == file and asked.static is None
    assert question(file, ("y",), {}, "net").model.tensors[asked.model.outputs[0]].shape == (1, 3, 5)


def test_indices_may_count_from_the_end() -> None:
    """Keras 3 adds the table's size to indices below 0 and chooses: what is drawn must stay within the table."""
    net = Net()
    ids, other = net.tensor("ids", (1, 4), np.int32), net.tensor("other", (1, 4), np.int32)
    below = net.tensor("below", (1, 4), np.bool_)
    chosen, y = net.tensor("chosen", (1, 4), np.int32), net.tensor("y", (1, 4, 2), np.float32)
    net.operator("LESS", (ids, net.constant("zero", np.array(0))), below)
    net.operator("ADD", (ids, net.constant("size", np.array(7))), other)
    net.operator("SELECT_V2", (below, other, ids), chosen)
    net.operator("GATHER", (net.constant("table", np.zeros((7, 2)), np.float32), chosen), y, {"axis": 0})
    (domain,) = domains(net.model([ids], [y]))
    assert domain == Domain(0, 6, index=True)


@needs_micro
def test_what_is_moved_from_outside_may_have_another_scale_behind(tmp_path: Path) -> None:
    """The second direction of a bidirectional LSTM is reversed into the scale of both: it was refused."""
    net = Net()
    x, y = net.tensor("x", (1, 3, 4), scale=0.1, zero_point=3), net.tensor("y", (1, 3, 4), scale=0.23, zero_point=-9)
    made = net.tensor("made", (1, 3, 4), scale=0.3)
    net.operator("REVERSE_V2", (x, net.constant("axis", [1])), y)
    net.operator("ADD", (y, y), made)
    outcome = lowtide("verify", net.save(tmp_path, [x], [made]), "--target", "host", "-n", "3")
    assert outcome.code == 0 and "LiteRT Micro" in outcome.out, outcome
