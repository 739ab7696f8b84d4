"""What is known of a network at import: arithmetic on shapes, and the shapes that a dynamic batch gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import rewritten_nets as nets
from tflite_nets import Net

from lowtide.errors import InputError
from lowtide.importer.tflite import import_tflite
from lowtide.importer.tflite.fold import fold
from lowtide.importer.tflite.fold_rules import DTYPES
from lowtide.importer.tflite.model import Model, OptionValue


def _values(model: Model, index: int) -> list[object]:
    tensor = model.tensors[index]
    assert tensor.data is not None
    return np.frombuffer(tensor.data, DTYPES[tensor.type]).reshape(tensor.shape).tolist()


def _names(model: Model) -> list[str]:
    return [operator.name for operator in model.operators]


def test_flatten_with_a_dynamic_batch_is_one_reshape() -> None:
    net, inputs, outputs = nets.flatten("int8")
    model = fold(net.model(inputs, outputs))
    assert _names(model) == ["RESHAPE"]
    assert _values(model, model.operators[0].inputs[1]) == [1, 48]
    assert model.tensors[outputs[0]].signature == ()


Case = tuple[str, Sequence[npt.ArrayLike], Mapping[str, OptionValue], object]
FOLDED: list[Case] = [
    ("ADD", ([1, 2], [10]), {}, [11, 12]),
    ("SUB", ([1, 2], [10, 20]), {}, [-9, -18]),
    ("MUL", ([3, -2], [[2], [5]]), {}, [[6, -4], [15, -10]]),
    ("DIV", ([7, -7, 7, -7], [2, 2, -2, -2]), {}, [3, -3, -3, 3]),
    ("FLOOR_DIV", ([7, -7, 7, -7], [2, 2, -2, -2]), {}, [3, -4, -4, 3]),
    ("FLOOR_MOD", ([7, -7, 7, -7], [3, 3, -3, -3]), {}, [1, 2, -2, -1]),
    ("NEG", ([4, -5],), {}, [-4, 5]),
    ("ABS", ([4, -5],), {}, [4, 5]),
    ("MINIMUM", ([4, -5], [0, 0]), {}, [0, -5]),
    ("MAXIMUM", ([4, -5], [0, 0]), {}, [4, 0]),
    ("REDUCE_PROD", ([[2, 3], [4, 5]], [1]), {}, [6, 20]),
    ("REDUCE_PROD", ([[2, 3], [4, 5]], [-1, 0]), {"keep_dims": True}, [[120]]),
    ("SUM", ([[2, 3], [4, 5]], 0), {}, [6, 8]),
    ("REDUCE_MAX", ([2, 9, 4], [0]), {}, 9),
    ("REDUCE_MIN", ([2, 9, 4], [0]), {}, 2),
    ("PACK", ([1, 2], [3, 4]), {"values_count": 2, "axis": 1}, [[1, 3], [2, 4]]),
    ("CONCATENATION", ([1, 2], [3]), {"axis": 0}, [1, 2, 3]),
    ("GATHER", ([5, 6, 7], [2, 0]), {"axis": 0}, [7, 5]),
    ("SLICE", ([5, 6, 7], [1], [-1]), {}, [6, 7]),
    ("STRIDED_SLICE", ([5, 6, 7], [-1], [0], [1]), {"shrink_axis_mask": 1}, 7),
    ("FILL", ([2, 2], 7), {}, [[7, 7], [7, 7]]),
    ("RANGE", (7, 1, -3), {}, [7, 4]),
    ("TILE", ([1, 2], [2]), {}, [1, 2, 1, 2]),
    ("BROADCAST_TO", ([1, 2], [2, 2]), {}, [[1, 2], [1, 2]]),
    ("BROADCAST_ARGS", ([3, 1, 2], [4, 1]), {}, [3, 4, 2]),
    ("RESHAPE", ([1, 2, 3, 4], [2, 2]), {}, [[1, 2], [3, 4]]),
    ("TRANSPOSE", ([[1, 2], [3, 4]], [1, 0]), {}, [[1, 3], [2, 4]]),
    ("RANK", ([[1, 2], [3, 4]],), {}, 2),
    ("SHAPE", ([[1, 2], [3, 4]],), {}, [2, 2]),
    ("ZEROS_LIKE", ([4, 5],), {}, [0, 0]),
    ("CAST", ([4, -5],), {}, [4, -5]),
    ("SELECT_V2", (np.array([True, False]), [1, 2], [3, 4]), {}, [1, 4]),
]


def _constant_net(
    name: str, operands: Sequence[npt.ArrayLike], options: Mapping[str, OptionValue], like: object
) -> Net:
    """An operator on constants, integers in 32 bits."""
    net = Net()
    inputs: list[int] = []
    for number, operand in enumerate(operands):
        array = np.asarray(operand)
        inputs.append(net.constant(f"c{number}", array, np.bool_ if array.dtype == np.bool_ else np.int32))
    net.operator(name, inputs, net.tensor("y", np.shape(np.asarray(like)), np.int32), options)
    return net


@pytest.mark.parametrize(("name", "operands", "options", "expected"), FOLDED)
def test_an_operator_on_constants_is_a_constant(
    name: str, operands: Sequence[npt.ArrayLike], options: Mapping[str, OptionValue], expected: object
) -> None:
    net = _constant_net(name, operands, options, expected)
    model = fold(net.model([], [len(net.tensors) - 1]))
    assert _names(model) == []
    assert _values(model, len(net.tensors) - 1) == expected


def test_comparisons_make_booleans() -> None:
    net = Net()
    first, second = net.constant("a", [1, 2, 3]), net.constant("b", [2])
    for name in ("EQUAL", "NOT_EQUAL", "LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL"):
        net.operator(name, (first, second), net.tensor(name, (3,), np.bool_))
    model = fold(net.model([], [2]))
    made = [_values(model, index) for index in range(2, 8)]
    assert made[:3] == [[False, True, False], [True, False, True], [True, False, False]]
    assert made[3:] == [[True, True, False], [False, False, True], [False, True, True]]


STAYS: list[Case] = [
    ("DIV", ([7], [0]), {}, [0]),
    ("FLOOR_MOD", ([7], [0]), {}, [0]),
    ("RANGE", (0, 5, 0), {}, [0]),
    ("FILL", ([1 << 15, 1 << 15], 7), {}, [[0]]),
    ("FILL", ([-1], 7), {}, [0]),
    ("TILE", ([1, 2], [1 << 30]), {}, [0]),
    ("TILE", ([1, 2], [1, 1]), {}, [0]),
    ("BROADCAST_TO", ([1, 2], [3]), {}, [0]),
    ("ADD", ([1, 2], [1, 2, 3]), {}, [0]),
    ("ADD", ([1, 2], [1, 2]), {"fused_activation_function": 1}, [0, 0]),
    ("NEG", (np.array([True]),), {}, [0]),
    ("GATHER", ([5, 6, 7], [3]), {"axis": 0}, [0]),
    ("SLICE", ([5, 6, 7], [2], [2]), {}, [0]),
    ("SUM", ([5, 6, 7], [3]), {}, 0),
    ("UNPACK", ([5, 6, 7],), {"num": 3}, 0),
]


@pytest.mark.parametrize(("name", "operands", "options", "like"), STAYS)
def test_what_does_not_fit_stays_for_the_check(
    name: str, operands: Sequence[npt.ArrayLike], options: Mapping[str, OptionValue], like: object
) -> None:
    net = _constant_net(name, operands, options, like)
    assert _names(fold(net.model([], [len(net.tensors) - 1]))) == [name]


def test_arithmetic_on_scaled_integers_is_not_folded() -> None:
    net = Net()
    constants = [net.constant(name, [1, 2], np.int8, 0.5) for name in "ab"]
    net.operator("ADD", constants, net.tensor("y", (2,), np.int8, 0.25))
    assert _names(fold(net.model([], [2]))) == ["ADD"]


def test_an_initial_state_is_filled_in() -> None:
    net = Net()
    zero = net.constant("zero", 0.0, np.float32)
    net.operator("FILL", (net.constant("shape", [1, 3]), zero), net.tensor("state", (1, 3), np.float32))
    assert _values(fold(net.model([], [2])), 2) == [[0.0, 0.0, 0.0]]


def test_shapes_follow_from_the_batch() -> None:
    net = Net()
    x = net.tensor("x", (1, 3, 4), np.float32, signature=(-1, 3, 4))
    turned = net.tensor("turned", (3, 1, 4), np.float32, signature=(3, -1, 4))
    net.operator("TRANSPOSE", (x, net.constant("order", [1, 0, 2])), turned)
    flat = net.tensor("flat", (1, 1), np.float32, signature=(-1, -1))
    net.operator("RESHAPE", (turned, net.constant("shape", [-1, 12])), flat)
    model = fold(net.model([x], [flat]))
    shapes = [(model.tensors[index].shape, model.tensors[index].signature) for index in (x, turned, flat)]
    assert shapes == [((1, 3, 4), ()), ((3, 1, 4), ()), ((1, 12), ())]


def test_two_dimensions_that_follow_from_nothing_are_refused(tmp_path: Path) -> None:
    net = Net()
    x = net.tensor("x", (1, 3, 4), np.float32, signature=(-1, 3, 4))
    y = net.tensor("y", (1, 12), np.float32, signature=(-1, -1))
    net.operator("RESHAPE", (x,), y)
    with pytest.raises(InputError, match="dimension 1 is dynamic"):
        import_tflite(net.save(tmp_path, [x], [y]))


def test_what_only_runs_on_constants_is_refused_on_others(tmp_path: Path) -> None:
    net = Net()
    x = net.tensor("x", (1, 4), np.int32)
    y = net.operator("RANGE", (x, net.constant("three", 3), net.constant("one", 1)), net.tensor("y", (3,), np.int32))
    with pytest.raises(InputError, match="only where its result is known when the model is compiled"):
        import_tflite(net.save(tmp_path, [x], [y]))


def test_an_output_may_be_a_constant(tmp_path: Path) -> None:
    net = Net()
    x = net.tensor("x", (1, 4), np.float32)
    y = net.operator("RELU", (x,), net.tensor("y", (1, 4), np.float32))
    size = net.operator("SHAPE", (x,), net.tensor("size", (2,), np.int32))
    imported = import_tflite(net.save(tmp_path, [x], [size, y]))
    assert [tensor.name for tensor in imported.outputs] == ["size", "y"]


def test_a_scalar_of_a_file_without_ranks() -> None:
    net = Net()
    x = net.tensor("x", (), np.float32, ranked=False)
    assert fold(net.model([x], [x])).tensors[x].ranked
