"""Import of `.tflite`: reading and writing the format, cutting, repairs, the TOSA that comes of it."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from tflite.utils import BUILTIN_OPCODE2NAME
from tflite_nets import Net, small_cnn

from lowtide.dtypes import DType
from lowtide.errors import InputError
from lowtide.importer.tflite import Imported, import_tflite
from lowtide.importer.tflite.model import Model, Operator, OptionValue
from lowtide.importer.tflite.operators import FOLDED, SUPPORTED, Option
from lowtide.importer.tflite.reader import read
from lowtide.importer.tflite.repair import repair
from lowtide.importer.tflite.specs import options_of
from lowtide.importer.tflite.writer import write
from lowtide.ir import Context, Module, parse_module
from lowtide.network import IoTensor

MODELS = Path(__file__).parents[3] / "shared" / "models"
MLIR_TYPES: dict[DType, str] = {"int8": "i8", "uint8": "ui8", "float32": "f32", "int32": "i32"}

# File, --until, inputs, outputs, number of operators that the outputs need.
Signature = tuple[tuple[int, ...], DType, float | None, int | None]
REAL: list[tuple[str, tuple[str, ...], Signature, list[Signature], int]] = [
    ("mlperf-tiny/ad01_fp32", (), ((1, 640), "float32", None, None), [((1, 640), "float32", None, None)], 10),
    ("mlperf-tiny/ad01_int8", (), ((1, 640), "int8", 0.3910152, 89), [((1, 640), "int8", 0.3644985, 96)], 10),
    ("mlperf-tiny/kws_ref_model", (), ((1, 49, 10, 1), "int8", 0.5847029, 83), [((1, 12), "int8", 1 / 256, -128)], 13),
    (
        "mlperf-tiny/pretrainedResnet",
        (),
        ((1, 32, 32, 3), "float32", None, None),
        [((1, 10), "float32", None, None)],
        16,
    ),
    (
        "mlperf-tiny/pretrainedResnet_quant",
        (),
        ((1, 32, 32, 3), "int8", 1.0, -128),
        [((1, 10), "int8", 1 / 256, -128)],
        16,
    ),
    ("mlperf-tiny/vww_96_float", (), ((1, 96, 96, 3), "float32", None, None), [((1, 2), "float32", None, None)], 31),
    ("mlperf-tiny/vww_96_int8", (), ((1, 96, 96, 3), "int8", 1 / 255, -128), [((1, 2), "int8", 1 / 256, -128)], 31),
    ("tflm/hello_world_float", (), ((1, 1), "float32", None, None), [((1, 1), "float32", None, None)], 3),
    ("tflm/hello_world_int8", (), ((1, 1), "int8", 0.02448012, -128), [((1, 1), "int8", 0.00829096, 5)], 3),
    ("tflm/micro_speech_quantized", (), ((1, 1960), "int8", 0.1017157, -128), [((1, 4), "int8", 1 / 256, -128)], 4),
    ("tflm/person_detect", (), ((1, 96, 96, 1), "int8", 0.00784314, -1), [((1, 2), "int8", 1 / 256, -128)], 31),
    ("fdt-paper/text_class", (), ((1, 256), "float32", None, None), [((1, 2), "float32", None, None)], 6),
    ("fdt-paper/magic_wand", (), ((1, 128, 3, 1), "float32", None, None), [((1, 4), "float32", None, None)], 7),
    ("fdt-paper/cifar10", (), ((1, 32, 32, 3), "float32", None, None), [((1, 10), "float32", None, None)], 8),
    (
        "fdt-paper/ssd",
        ("concat", "concat_1"),
        ((1, 300, 300, 3), "uint8", 1 / 128, 128),
        [((1, 1917, 1, 4), "uint8", 0.0790279, 191), ((1, 1917, 91), "uint8", 0.0497368, 223)],
        61,
    ),
    (
        "fdt-paper/posenet_mobilenet_v1_075_353_481",
        ("float_heatmaps", "float_mid_offsets"),
        ((1, 353, 481, 3), "uint8", 1 / 128, 128),
        [((1, 23, 31, 17), "uint8", 0.0894177, 180), ((1, 23, 31, 64), "uint8", 1.4816304, 118)],
        35,
    ),
    ("mcunet/mcunet-10fps_vww", (), ((1, 64, 64, 3), "int8", 0.00784314, -1), [((1, 2), "int8", 0.0981924, 0)], 94),
    ("mcunet/mcunet-5fps_vww", (), ((1, 80, 80, 3), "int8", 0.00784314, -1), [((1, 2), "int8", 0.1138678, -1)], 101),
    (
        # The reshape's output scale is not its input's, and 14 layers have negative weight scales.
        "mcunet/mcunet-320kb-1mb_imagenet",
        (),
        ((1, 176, 176, 3), "int8", 0.0078740, 0),
        [((1, 1000), "int8", 0.2017880, -44)],
        122,
    ),
    (
        "mcunet/mbv2-w0.35-r144_imagenet",
        (),
        ((1, 144, 144, 3), "int8", 0.00784314, -1),
        [((1, 1000), "int8", 0.1641048, -44)],
        117,
    ),
    (
        "mcunet/tf2_mobilenet_v2_1.0_224_ptq",
        (),
        ((1, 224, 224, 3), "uint8", 0.00784314, 127),
        [((1, 1001), "uint8", 1 / 256, 0)],
        68,
    ),
]


def parse(imported: Imported) -> Module:
    return parse_module(imported.bytecode, Context(), "test", stage="importer")


def operations(module: Module) -> list[str]:
    function = module.body.operations[0]
    names = [operation.operation.name for operation in function.regions[0].blocks[0].operations]
    return [name for name in names if name not in ("tosa.const", "tosa.const_shape", "func.return")]


def mlir_signature(imported: Imported) -> str:
    def types(tensors: Sequence[IoTensor]) -> str:
        return ", ".join(f"tensor<{''.join(f'{size}x' for size in t.shape)}{MLIR_TYPES[t.dtype]}>" for t in tensors)

    outputs = types(imported.outputs)
    return f"({types(imported.inputs)}) -> " + (f"({outputs})" if len(imported.outputs) > 1 else outputs)


def check_tensor(tensor: IoTensor, expected: Signature) -> None:
    shape, dtype, scale, zero_point = expected
    assert (tensor.shape, tensor.dtype, tensor.zero_point) == (shape, dtype, zero_point)
    assert tensor.scale == (None if scale is None else pytest.approx(scale, rel=1e-4))


@pytest.mark.parametrize(("name", "until", "source", "results", "count"), REAL, ids=[case[0] for case in REAL])
def test_real_models(
    name: str, until: tuple[str, ...], source: Signature, results: list[Signature], count: int
) -> None:
    path = MODELS / f"{name}.tflite"
    if not path.exists():
        pytest.skip("the real models are not beside the repository")
    imported = import_tflite(path, until=until)
    (only,) = imported.inputs
    check_tensor(only, source)
    assert len(imported.outputs) == len(results)
    for tensor, expected in zip(imported.outputs, results, strict=True):
        check_tensor(tensor, expected)
    assert len(imported.operators) == count
    module = parse(imported)
    assert str(module.body.operations[0].attributes["function_type"]) == mlir_signature(imported)
    assert all(operation.startswith("tosa.") for operation in operations(module))


def test_signature_operators_and_batch(tmp_path: Path) -> None:
    net, image, softmax = small_cnn()
    imported = import_tflite(net.save(tmp_path, [image], [softmax]))
    assert imported.inputs == (IoTensor("image", (1, 8, 8, 3), "int8", 0.5, -1),)
    assert imported.outputs == (IoTensor("softmax", (1, 3), "int8", 1 / 256, -128),)
    names = [operator.name for operator in imported.operators]
    assert names == ["CONV_2D", "MAX_POOL_2D", "RESHAPE", "FULLY_CONNECTED", "SOFTMAX"]
    assert [operator.index for operator in imported.operators] == [0, 1, 2, 3, 4]
    assert [operator.outputs for operator in imported.operators][:2] == [("conv",), ("pool",)]


def test_the_same_bytes_from_any_folder(tmp_path: Path) -> None:
    net, image, softmax = small_cnn()
    path = net.save(tmp_path, [image], [softmax])
    (tmp_path / "other").mkdir()
    copy = Path(shutil.copy(path, tmp_path / "other" / "renamed.tflite"))
    first, second = import_tflite(path), import_tflite(copy)
    assert first == second
    assert str(tmp_path).encode() not in first.bytecode


def test_locations_carry_tensor_names(tmp_path: Path) -> None:
    net, image, softmax = small_cnn()
    module = parse(import_tflite(net.save(tmp_path, [image], [softmax])))
    text = module.operation.get_asm(enable_debug_info=True)
    assert all(f'loc("{name}"' in text for name in ("conv", "pool", "dense", "softmax"))


def _stored(option: Option, place: int) -> OptionValue:
    """A value that is neither the option's default nor the one of its neighbours."""
    if option.kind in ("i32 vector", "text"):
        return (place + 3, place + 5)
    return 1 - option.default if option.kind == "bool" else place + 2


@pytest.mark.parametrize("code", [*SUPPORTED, *FOLDED], ids=lambda code: BUILTIN_OPCODE2NAME[code])
def test_every_option_has_the_schema_s_slot(code: int) -> None:
    """They are written by the names of the schema and read by their slots."""
    spec = options_of(code)
    assert spec is not None
    options = {option.name: _stored(option, place) for place, option in enumerate(spec.options)}
    net = Net()
    x, y = net.tensor("x", (1, 4)), net.tensor("y", (1, 4))
    net.operators.append(Operator(0, code, (x,), (y,), options))
    (operator,) = read(write(net.model([x], [y])), "test").operators
    assert operator.options == options


def test_writing_and_reading_again_gives_the_model() -> None:
    net, image, softmax = small_cnn()
    model = net.model([image], [softmax])
    again = read(write(model), "test")
    assert again.inputs == model.inputs
    assert again.outputs == model.outputs
    for before, after in zip(model.tensors, again.tensors, strict=True):
        assert (before.name, before.type, before.shape, before.signature) == (
            after.name,
            after.type,
            after.shape,
            after.signature,
        )
        assert bytes(before.data or b"") == bytes(after.data or b"")
        assert (before.quantization is None) == (after.quantization is None)
        if before.quantization and after.quantization:
            assert after.quantization.scales == pytest.approx(before.quantization.scales)
            assert after.quantization.zero_points == before.quantization.zero_points
    for before, after in zip(model.operators, again.operators, strict=True):
        assert (before.code, before.inputs, before.outputs) == (after.code, after.inputs, after.outputs)
        assert before.options.items() <= after.options.items()


def test_equal_and_odd_tensor_names_are_told_apart(tmp_path: Path) -> None:
    net = Net()
    source = net.tensor("x", (1, 4), np.float32)
    middle = net.operator("RELU", (source,), net.tensor("x", (1, 4), np.float32))
    result = net.operator("TANH", (middle,), net.tensor("a\n\x1b[31m", (1, 4), np.float32))
    unnamed = net.operator("RELU6", (result,), net.tensor("", (1, 4), np.float32))
    imported = import_tflite(net.save(tmp_path, [source], [unnamed]))
    assert [operator.outputs for operator in imported.operators] == [("x#1",), (r"a\n\x1b[31m",), ("tensor_3",)]


def test_until_cuts_operators_and_inputs(tmp_path: Path) -> None:
    net = Net()
    left = net.tensor("left", (1, 4), np.float32)
    right = net.tensor("right", (1, 4), np.float32)
    relu = net.operator("RELU", (left,), net.tensor("relu", (1, 4), np.float32))
    tanh = net.operator("TANH", (relu,), net.tensor("tanh", (1, 4), np.float32))
    total = net.operator("ADD", (tanh, right), net.tensor("sum", (1, 4), np.float32))
    path = net.save(tmp_path, [left, right], [total])
    assert [t.name for t in import_tflite(path).inputs] == ["left", "right"]
    imported = import_tflite(path, until=["tanh", "relu"])
    assert [t.name for t in imported.inputs] == ["left"]
    assert [t.name for t in imported.outputs] == ["tanh", "relu"]
    assert [operator.name for operator in imported.operators] == ["RELU", "TANH"]


def test_operators_that_no_output_needs_are_dropped(tmp_path: Path) -> None:
    net = Net()
    source = net.tensor("x", (1, 4), np.float32)
    net.operator("CUSTOM", (source,), net.tensor("unused", (1, 4), np.float32), custom="Unknown")
    result = net.operator("RELU", (source,), net.tensor("y", (1, 4), np.float32))
    imported = import_tflite(net.save(tmp_path, [source], [result]))
    assert [operator.index for operator in imported.operators] == [1]


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_signedness_is_the_models_own(tmp_path: Path, dtype: DType) -> None:
    net = Net()
    source = net.tensor("x", (1, 4), dtype, 0.5, 3)
    result = net.operator("RELU", (source,), net.tensor("y", (1, 4), dtype, 0.5, 3))
    imported = import_tflite(net.save(tmp_path, [source], [result]))
    assert imported.inputs[0].dtype == imported.outputs[0].dtype == dtype
    assert str(parse(imported).body.operations[0].attributes["function_type"]) == mlir_signature(imported)


def repaired(net: Net, inputs: Sequence[int], outputs: Sequence[int]) -> Model:
    return repair(net.model(inputs, outputs), "test")[0]


def names(operators: Sequence[Operator]) -> list[str]:
    return [operator.name for operator in operators]


def test_a_reshape_that_changes_the_scale_keeps_the_files_own_output(tmp_path: Path) -> None:
    net = Net()
    source = net.tensor("x", (1, 4), np.int8, 0.5, 0)
    result = net.tensor("y", (4, 1), np.int8, 0.25, -44)
    net.operator("RESHAPE", (source, net.constant("shape", [4, 1])), result)
    imported = import_tflite(net.save(tmp_path, [source], [result]))
    assert imported.outputs == (IoTensor("y", (4, 1), "int8", 0.25, -44),)
    assert operations(parse(imported)) == ["tosa.reshape"]


@pytest.mark.parametrize("name", ["RESHAPE", "SQUEEZE", "EXPAND_DIMS"])
def test_operators_on_the_shape_alone_become_one_reshape(name: str) -> None:
    net = Net()
    source = net.tensor("x", (1, 1, 4), np.float32)
    result = net.tensor("y", (1, 4), np.float32)
    net.operator(name, (source, net.constant("axis", 1)), result)
    (operator,) = (model := repaired(net, [source], [result])).operators
    assert operator.name == "RESHAPE"
    assert np.array_equal(np.frombuffer(model.tensors[operator.inputs[1]].data or b"", np.int32), [1, 4])


def test_negative_weight_scales_become_positive_with_the_same_products() -> None:
    net = Net()
    source = net.tensor("x", (1, 2, 2, 1), np.int8, 0.5, 0)
    weights = net.constant("w", [[[[5]]], [[[7]]]], np.int8, [-0.25, 0.5])
    bias = net.constant("b", [11, -13])
    result = net.tensor("y", (1, 2, 2, 2), np.int8, 0.5, 0)
    net.operator("CONV_2D", (source, weights, bias), result, {"stride_w": 1, "stride_h": 1})
    model = repaired(net, [source], [result])
    (operator,) = model.operators
    new_weights, new_bias = (model.tensors[index] for index in operator.inputs[1:])
    assert new_weights.quantization is not None
    assert new_weights.quantization.scales == (0.25, 0.5)
    assert np.frombuffer(new_weights.data or b"", np.int8).tolist() == [-5, 7]
    assert np.frombuffer(new_bias.data or b"", np.int32).tolist() == [-11, -13]


def test_uint8_concatenation_rescales_inputs_of_another_scale() -> None:
    net = Net()
    same = net.tensor("same", (1, 2), np.uint8, 0.5, 100)
    other = net.tensor("other", (1, 3), np.uint8, 0.25, 7)
    result = net.tensor("y", (1, 5), np.uint8, 0.5, 100)
    net.operator("CONCATENATION", (same, other), result, {"axis": 1})
    model = repaired(net, [same, other], [result])
    add, concatenation = model.operators
    assert names(model.operators) == ["ADD", "CONCATENATION"]
    assert bytes(model.tensors[add.inputs[1]].data or b"") == bytes([7])
    assert model.tensors[add.outputs[0]].quantization == model.tensors[result].quantization
    assert concatenation.inputs == (same, *add.outputs)


def test_the_activation_of_a_pooling_becomes_an_operator(tmp_path: Path) -> None:
    net = Net()
    source = net.tensor("x", (1, 4, 4, 2), np.float32)
    result = net.tensor("y", (1, 2, 2, 2), np.float32)
    window = {"stride_w": 2, "stride_h": 2, "filter_width": 2, "filter_height": 2}
    net.operator("MAX_POOL_2D", (source,), result, {**window, "fused_activation_function": 3})
    imported = import_tflite(net.save(tmp_path, [source], [result]))
    assert operations(parse(imported)) == ["tosa.max_pool2d", "tosa.clamp"]
    assert [operator.name for operator in imported.operators] == ["MAX_POOL_2D"]


def test_gather_with_a_negative_axis(tmp_path: Path) -> None:
    net = Net()
    source = net.tensor("x", (1, 2, 4), np.float32)
    result = net.tensor("y", (1, 2, 2), np.float32)
    net.operator("GATHER", (source, net.constant("indices", [3, 0])), result, {"axis": -1})
    assert "tosa.gather" in operations(parse(import_tflite(net.save(tmp_path, [source], [result]))))


def test_strided_slice_with_masks_and_negative_indices() -> None:
    net = Net()
    source = net.tensor("x", (4, 6, 8), np.float32)
    operands = [
        net.constant(name, values) for name, values in (("b", [-1, 1, 0]), ("e", [0, 100, -2]), ("s", [1, 2, 1]))
    ]
    result = net.tensor("y", (3, 6), np.float32)
    net.operator("STRIDED_SLICE", (source, *operands), result, {"shrink_axis_mask": 1, "begin_mask": 4})
    model = repaired(net, [source], [result])
    (operator,) = model.operators
    begin, end, stride = (np.frombuffer(model.tensors[i].data or b"", np.int32).tolist() for i in operator.inputs[1:])
    assert (begin, end, stride) == ([3, 1, 0], [4, 6, 6], [1, 2, 1])
    assert operator.options == {"shrink_axis_mask": 1}


def test_padv2_with_its_value_in_a_list(tmp_path: Path) -> None:
    net = Net()
    source = net.tensor("x", (1, 4), np.float32)
    result = net.tensor("y", (1, 6), np.float32)
    paddings, value = net.constant("paddings", [[0, 0], [1, 1]]), net.constant("value", [3.0], np.float32)
    net.operator("PADV2", (source, paddings, value), result)
    assert operations(parse(import_tflite(net.save(tmp_path, [source], [result])))) == ["tosa.pad"]


def test_the_first_subgraph_is_what_runs(tmp_path: Path) -> None:
    net, image, softmax = small_cnn()
    file = write(net.model([image], [softmax]))
    # Offsets point forwards alone, so that the list of two subgraphs goes before a copy of all that it points at.
    root = struct.unpack_from("<I", file)[0]
    vtable = root - struct.unpack_from("<i", file, root)[0]
    field = root + struct.unpack_from("<H", file, vtable + 8)[0]
    only = field + struct.unpack_from("<I", file, field)[0] + 4
    graph = only + struct.unpack_from("<I", file, only)[0]
    start = len(file) + -len(file) % 16
    copy = start + 16
    listed = struct.pack("<IIII", 2, copy + graph - (start + 4), copy + graph - (start + 8), 0)
    several = bytearray(file.ljust(start, b"\0") + listed + file)
    struct.pack_into("<I", several, field, start - field)
    path = tmp_path / "net.tflite"
    path.write_bytes(several)
    assert import_tflite(path).bytecode == import_tflite(net.save(tmp_path, [image], [softmax])).bytecode
    with pytest.raises(InputError, match="the model has 2 subgraphs, and this takes one"):
        read(bytes(several), "test", alone=True)
