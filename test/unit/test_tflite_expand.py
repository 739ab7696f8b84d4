"""Operators that are written as others at import: which, and when they are left alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rewritten_nets as nets
from tflite_nets import Net

from lowtide.errors import InputError, UsageError
from lowtide.importer.tflite import import_tflite
from lowtide.importer.tflite.expand import expand
from lowtide.importer.tflite.model import Model, Operator


def _expanded(case: nets.Case) -> Model:
    net, inputs, outputs = case
    return expand(net.model(inputs, outputs), "test")


def _names(model: Model) -> list[str]:
    return [operator.name for operator in model.operators]


def _blocks(**changes: object) -> nets.Case:
    arguments = {
        "dtype": "int8",
        "size": (5, 8, 3),
        "block": (2, 2),
        "pads": ((1, 2), (2, 2)),
        "crops": ((0, 0), (0, 0)),
    }
    return nets.blocks(**{**arguments, "kernel": (2, 3), **changes})  # type: ignore[arg-type]


def _constant(model: Model, index: int) -> list[int]:
    return np.frombuffer(model.tensors[index].data or b"", np.int32).tolist()


def test_blocks_around_a_convolution_are_its_dilation() -> None:
    model = _expanded(_blocks())
    pad, convolution = model.operators
    assert _names(model) == ["PAD", "CONV_2D"]
    assert _constant(model, pad.inputs[1]) == [0, 0, 1, 2, 2, 2, 0, 0]
    assert (convolution.options["dilation_h_factor"], convolution.options["dilation_w_factor"]) == (2, 2)


def test_crops_leave_out_padding_and_then_the_image() -> None:
    model = _expanded(_blocks(pads=((1, 2), (2, 2)), crops=((1, 0), (3, 0))))
    cut, pad, _ = model.operators
    assert _names(model) == ["SLICE", "PAD", "CONV_2D"]
    assert (_constant(model, cut.inputs[1]), _constant(model, cut.inputs[2])) == ([0, 0, 1, 0], [1, 5, 7, 3])
    assert _constant(model, pad.inputs[1]) == [0, 0, 0, 2, 0, 2, 0, 0]


def _strided(operator: Operator) -> Operator:
    return replace(operator, options={**operator.options, "stride_h": 2})


def _padded(operator: Operator) -> Operator:
    return replace(operator, options={**operator.options, "padding": nets.SAME})


@pytest.mark.parametrize("change", [_strided, _padded])
def test_other_convolutions_keep_their_blocks(change: Callable[[Operator], Operator]) -> None:
    net, inputs, outputs = _blocks()
    net.operators[1] = change(net.operators[1])
    assert "SPACE_TO_BATCH_ND" in _names(_expanded((net, inputs, outputs)))


def test_blocks_that_others_read_stay() -> None:
    net, inputs, outputs = _blocks()
    blocked = net.operators[0].outputs[0]
    assert "SPACE_TO_BATCH_ND" in _names(_expanded((net, inputs, [*outputs, blocked])))


def test_a_channel_a_group_is_a_depthwise_convolution() -> None:
    model = _expanded(nets.grouped("int8", 4, 8, 4))
    assert _names(model) == ["DEPTHWISE_CONV_2D"]
    weights = model.tensors[model.operators[0].inputs[1]]
    assert weights.shape == (1, 3, 3, 8)
    assert weights.quantization is not None and weights.quantization.axis == 3
    assert model.operators[0].options["depth_multiplier"] == 2


def test_groups_are_convolutions_side_by_side() -> None:
    model = _expanded(nets.grouped("int8", 6, 9, 3))
    assert _names(model) == ["SLICE", "CONV_2D"] * 3 + ["CONCATENATION"]
    last = model.operators[5]
    weights = model.tensors[last.inputs[1]]
    whole = model.tensors[2]
    assert weights.quantization is not None and whole.quantization is not None
    assert (weights.shape, weights.quantization.scales) == ((3, 3, 3, 2), whole.quantization.scales[6:])
    assert bytes(weights.data or b"") == bytes(whole.data or b"")[6 * 18 :]


@pytest.mark.parametrize("operator", ["CONV_2D", "DEPTHWISE_CONV_2D", "MAX_POOL_2D", "AVERAGE_POOL_2D"])
def test_a_remainder_beside_padding_is_cut_off(operator: str) -> None:
    model = _expanded(nets.remainder("int8", operator))
    assert _names(model) == ["SLICE", operator]
    assert _constant(model, model.operators[0].inputs[2]) == [1, 8, 7, 4]


def test_a_remainder_without_padding_is_the_converters() -> None:
    net = Net()
    x, y = nets.image(net, "int8", (1, 8, 8, 4)), nets.image(net, "int8", (1, 4, 4, 4), "y")
    net.operator("CONV_2D", (x, *nets.weights(net, "int8", (4, 1, 1, 4))), y, nets.window((2, 2)))
    assert _names(_expanded((net, [x], [y]))) == ["CONV_2D"]


def test_a_bias_of_several_dimensions_becomes_flat() -> None:
    net, inputs, outputs = nets.grouped("int8", 4, 6, 1)
    bias = net.operators[0].inputs[2]
    net.tensors[bias] = replace(net.tensors[bias], shape=(1, 1, 1, 6))
    model = _expanded((net, inputs, outputs))
    assert model.tensors[model.operators[0].inputs[2]].shape == (6,)


def test_split_and_pack_only_move() -> None:
    made = set(_names(_expanded(nets.split_and_pack("int8"))))
    assert made == {"SLICE", "RESHAPE", "CONCATENATION"}


def test_packing_other_scales_of_uint8_is_refused() -> None:
    net = Net()
    first, second = (net.tensor(name, (1, 4), np.uint8, scale) for name, scale in (("a", 0.5), ("b", 0.25)))
    y = net.operator("PACK", (first, second), net.tensor("y", (2, 1, 4), np.uint8, 0.5), {"values_count": 2})
    with pytest.raises(InputError, match="the scale of its input 'b' is not that of its output"):
        expand(net.model([first, second], [y]), "test")


def _named(folder: Path, *names: str) -> Path:
    """A chain of RELUs with these names."""
    net = Net()
    x = last = net.tensor("x", (1, 4), np.float32)
    for name in names:
        last = net.operator("RELU", (last,), net.tensor(name, (1, 4), np.float32))
    return net.save(folder, [x], [last])


LONG = "block/" + "a" * 60 + "/first/" + "b" * 60


def test_until_takes_names_as_they_are_printed(tmp_path: Path) -> None:
    path = _named(tmp_path, LONG, "conv;bias;relu", "a…b", "last")
    printed = {f"{LONG[:40]}…{LONG[-39:]}": LONG, "block…bbb": LONG, "conv": "conv;bias;relu", "a…b": "a…b"}
    for name, full in printed.items():
        assert [tensor.name for tensor in import_tflite(path, until=[name]).outputs] == [full]


@pytest.mark.parametrize(
    ("until", "message", "remedy"),
    [
        (["b…k"], "--until 'b…k' is short for 2 tensors", "write one in full: 'block1/k', 'block2/k'"),
        (["conv"], "--until 'conv' is short for 2 tensors", "write one in full: 'conv;bias', 'conv;relu'"),
        (["block1/k", "blo…1/k"], "--until names a tensor twice", None),
        (["block1/k…1/k"], "--until 'block1/k…1/k': this tensor is not in the model", None),
    ],
)
def test_a_printed_name_of_several_tensors_is_refused(
    tmp_path: Path, until: list[str], message: str, remedy: str | None
) -> None:
    path = _named(tmp_path, "block1/k", "block2/k", "conv;bias", "conv;relu", "last")
    with pytest.raises(UsageError) as caught:
        import_tflite(path, until=until)
    assert caught.value.message == message
    assert remedy is None or caught.value.remedy == remedy


SHAPES: list[tuple[nets.Case, str]] = [
    (
        nets.blocks("int8", (5, 8, 3), (2, 2), ((0, 0), (0, 0)), ((0, 0), (0, 0)), None),
        "padded to 5, not a multiple of 2",
    ),
    (
        nets.alone("BATCH_TO_SPACE_ND", "int8", (1, 4, 4, 2), (1, 8, 8, 2), ([2, 2], [[0, 0], [0, 0]])),
        "its batch 1 is not",
    ),
    (nets.alone("SPACE_TO_BATCH_ND", "int8", (1, 4, 4, 2), (4, 2, 2, 2), ([0, 2], [[0, 0], [0, 0]])), "do not fit its"),
    (nets.alone("SPACE_TO_BATCH_ND", "int8", (), (), ([2], [[0, 0]])), "do not fit its input []"),
    (nets.alone("SPACE_TO_DEPTH", "int8", (1, 4, 5, 2), (1, 2, 2, 8), (), {"block_size": 2}), "has no blocks of 2"),
    (nets.alone("DEPTH_TO_SPACE", "int8", (1, 4, 4, 6), (1, 8, 8, 1), (), {"block_size": 2}), "its 6 channels are no"),
    (nets.alone("TILE", "int8", (1, 4), (1, 8), ([1, 0],)), "it makes 0 copies"),
    (nets.alone("BROADCAST_TO", "int8", (1, 4), (1, 8), ([1, 8],)), "cannot be broadcast to [1, 8]"),
    (nets.alone("REVERSE_V2", "int8", (1, 4), (1, 4), ([2],)), "there is no axis 2"),
    (nets.alone("RESIZE_NEAREST_NEIGHBOR", "int8", (1, 4, 4, 2), (1, 8, 8, 2), ([8],)), "has 1 numbers, not 2"),
    (nets.alone("UNPACK", "int8", (1, 4), (4,), (), {"num": 2, "axis": 1}), "it makes 2 tensors and has 1 outputs"),
    (nets.alone("SPLIT_V", "int8", (1, 4), (1, 3), ([3], 1), {"num_splits": 1}), "it splits 4 into [3]"),
    (nets.alone("PACK", "int8", (1, 4), (1, 1, 4), (), {"axis": 3}), "there is no axis 3"),
    (nets.prelu("int8", (3,)), "don't go together"),
    (nets.prelu("int8", (2, 5, 6, 4)), "does not fit its input's"),
]


@pytest.mark.parametrize(("case", "message"), SHAPES)
def test_operands_that_do_not_fit_are_refused(case: nets.Case, message: str, tmp_path: Path) -> None:
    net, inputs, outputs = case
    with pytest.raises(InputError) as caught:
        import_tflite(net.save(tmp_path, inputs, outputs))
    assert message in caught.value.message


LIMITS: list[tuple[nets.Case, str]] = [
    (nets.grouped("int8", 2050, 1025, 1025), "it has 1025 groups of channels, more than 1024"),
    (
        nets.alone("RESIZE_NEAREST_NEIGHBOR", "int8", (1, 1, 1, 1), (1, 65537, 1, 1), ([65537, 1],)),
        "its output has 65537 rows or columns, more than 65536",
    ),
]


@pytest.mark.parametrize(("case", "message"), LIMITS)
def test_limits_are_named(case: nets.Case, message: str, tmp_path: Path) -> None:
    net, inputs, outputs = case
    with pytest.raises(InputError) as caught:
        import_tflite(net.save(tmp_path, inputs, outputs))
    assert caught.value.message == message
