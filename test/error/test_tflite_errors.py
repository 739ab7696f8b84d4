"""Every refusal of the `.tflite` importer, and damaged, random and mutated files: one clear error, nothing else."""

from __future__ import annotations

import random
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import flatbuffers
import numpy as np
import numpy.typing as npt
import pytest
import tflite
from tflite import BuiltinOperator, TensorType
from tflite_nets import Net, small_cnn

from lowtide.errors import InputError, LowtideError, UsageError
from lowtide.importer.tflite import converter, import_tflite
from lowtide.importer.tflite.check import check
from lowtide.importer.tflite.flatbuffer import Buffer, Table
from lowtide.importer.tflite.model import Model, Operator, OptionValue, Quantization
from lowtide.importer.tflite.reader import oddity
from lowtide.importer.tflite.writer import table, write
from lowtide.ir import Context, parse_module
from lowtide.lower import inspect_model

MODELS = Path(__file__).parents[3] / "shared" / "models"
MUTATIONS = 300
SLOWEST_SECONDS = 10.0
CONV = {"stride_w": 1, "stride_h": 1}


def cnn() -> Model:
    net, image, softmax = small_cnn()
    return net.model([image], [softmax])


def small_files() -> dict[str, bytes]:
    files = {"small_cnn": write(cnn())}
    real = MODELS / "tflm" / "hello_world_int8.tflite"
    if real.exists():
        files["hello_world_int8"] = real.read_bytes()
    return files


FILES = small_files()


def refuse(tmp_path: Path, data: bytes, *, until: tuple[str, ...] = ()) -> LowtideError:
    path = tmp_path / "model.tflite"
    path.write_bytes(data)
    with pytest.raises(LowtideError) as caught:
        import_tflite(path, until=until)
    assert caught.value.stage == "importer"
    assert caught.value.where is not None
    assert caught.value.where.startswith(str(path))
    return caught.value


def refuse_net(tmp_path: Path, net: Net, inputs: list[int], outputs: list[int]) -> LowtideError:
    return refuse(tmp_path, write(net.model(inputs, outputs)))


def import_or_refuse(path: Path) -> None:
    """An import may succeed, and then its module is sound, or fail by a LowtideError; in a short time either way."""
    start = time.monotonic()
    try:
        imported = import_tflite(path)
    except LowtideError as error:
        assert error.stage == "importer"
        assert "\n" not in error.message
    else:
        parse_module(imported.bytecode, Context(), str(path), stage="importer")
    assert time.monotonic() - start < SLOWEST_SECONDS


# ---- the file


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read the file: No such file"):
        import_tflite(tmp_path / "none.tflite")


def test_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="this is not a file"):
        import_tflite(tmp_path)


@pytest.mark.parametrize("data", [b"", b"TFL3", b"not a model at all", b"\x1c\0\0\0TFL4" + bytes(64)])
def test_not_a_tflite_file(tmp_path: Path, data: bytes) -> None:
    assert "not a .tflite file" in refuse(tmp_path, data).message


@pytest.mark.parametrize("name", FILES)
def test_truncated(tmp_path: Path, name: str) -> None:
    data = FILES[name]
    path = tmp_path / "model.tflite"
    for length in {*range(0, 64), *range(64, len(data), max(1, len(data) // 100)), len(data) - 1}:
        path.write_bytes(data[:length])
        import_or_refuse(path)


def test_random_bytes(tmp_path: Path) -> None:
    seed = 11
    print(f"seed {seed}")
    source = random.Random(seed)
    path = tmp_path / "model.tflite"
    for size in [source.randrange(8, 4096) for _ in range(100)]:
        path.write_bytes(source.randbytes(4) + b"TFL3" + source.randbytes(size))
        import_or_refuse(path)


@pytest.mark.parametrize("name", FILES)
def test_mutated(tmp_path: Path, name: str) -> None:
    seed = 5
    print(f"seed {seed}")
    source = random.Random(seed)
    path = tmp_path / "model.tflite"
    for _ in range(MUTATIONS):
        data = bytearray(FILES[name])
        for _ in range(source.choice([1, 1, 2, 4])):
            place = source.randrange(len(data))
            data[place] = data[place] ^ 1 << source.randrange(8) if source.random() < 0.5 else source.randrange(256)
        path.write_bytes(data)
        import_or_refuse(path)


def test_huge_vectors_cost_nothing(tmp_path: Path) -> None:
    # The vector of subgraphs claims billions.
    root = struct.unpack_from("<I", FILES["small_cnn"])[0]
    for count in (1 << 31, 0xFFFFFFFF):
        data = bytearray(FILES["small_cnn"])
        vtable = root - struct.unpack_from("<i", data, root)[0]
        field = root + struct.unpack_from("<H", data, vtable + 8)[0]
        struct.pack_into("<I", data, field + struct.unpack_from("<I", data, field)[0], count)
        start = time.monotonic()
        assert "damaged" in refuse(tmp_path, bytes(data)).message
        assert time.monotonic() - start < 1


def test_schema_version(tmp_path: Path) -> None:
    data = bytearray(FILES["small_cnn"])
    root = struct.unpack_from("<I", data)[0]
    vtable = root - struct.unpack_from("<i", data, root)[0]
    struct.pack_into("<I", data, root + struct.unpack_from("<H", data, vtable + 4)[0], 2)
    assert "schema version 2 is not 3" in refuse(tmp_path, bytes(data)).message


def test_number_of_subgraphs(tmp_path: Path) -> None:
    data = bytearray(FILES["small_cnn"])
    root = struct.unpack_from("<I", data)[0]
    vtable = root - struct.unpack_from("<i", data, root)[0]
    field = root + struct.unpack_from("<H", data, vtable + 8)[0]
    struct.pack_into("<I", data, field + struct.unpack_from("<I", data, field)[0], 0)
    assert "the model has no subgraph" in refuse(tmp_path, bytes(data)).message


def test_file_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lowtide.importer.tflite._MAX_FILE", 100)
    assert "the file is larger than 100 bytes" in refuse(tmp_path, FILES["small_cnn"]).message


# ---- the graph


GRAPHS: list[tuple[Callable[[Model], Model], str]] = [
    (lambda m: replace(m, outputs=()), "its list of outputs is empty"),
    (lambda m: replace(m, inputs=(0, 0)), "its list of inputs names a tensor twice"),
    (lambda m: replace(m, outputs=(99,)), "the model's outputs name tensor 99"),
    (lambda m: replace(m, inputs=(-1,)), "its list of inputs is empty or has gaps"),
    (lambda m: replace(m, operators=m.operators[:-1]), "no operator computes this output"),
    (lambda m: replace(m, inputs=(1,)), "a model input is a constant"),
    (lambda m: replace(m, inputs=(4,)), "is not computed before it"),
    (lambda m: replace(m, operators=m.operators[::-1]), "is not computed before it"),
    (lambda m: replace(m, operators=(*m.operators, m.operators[-1])), "made twice"),
]


@pytest.mark.parametrize(("change", "message"), GRAPHS)
def test_broken_graph(tmp_path: Path, change: Callable[[Model], Model], message: str) -> None:
    assert message in refuse(tmp_path, write(change(cnn()))).message


TensorChange = tuple[str, Mapping[str, object], str]
TENSORS: list[TensorChange] = [
    ("image", {"type": TensorType.UINT16}, "its type is UINT16"),
    ("image", {"type": 77}, "its type is type 77"),
    ("image", {"shape": (1, 8, 0, 3), "signature": ()}, "has a dimension below 1"),
    ("image", {"shape": (1, 1 << 20, 1 << 20, 3), "signature": ()}, "more than"),
    ("image", {"signature": (-1, -1, 8, 3)}, "dimension 1 is dynamic"),
    ("image", {"signature": (8, 3)}, "the shape signature of tensor 0 has 2 dimensions, its shape 4"),
    ("image", {"shape": (1,) * 9}, "has 9 dimensions"),
    ("image", {"shape": (), "signature": (), "ranked": False}, "its input 0 has 0 dimensions, not 4"),
    ("image", {"quantization": None}, "has no scale"),
    ("image", {"quantization": Quantization((0.0,), (0,))}, "is not above 0"),
    ("image", {"quantization": Quantization((float("inf"),), (0,))}, "a scale that is not a number"),
    ("image", {"quantization": Quantization((1.0,), (128,))}, "a zero point outside -128…127"),
    ("image", {"quantization": Quantization((1.0, 1.0), (0,))}, "2 scales and 1 zero points"),
    ("image", {"quantization": Quantization((1.0, 1.0), (0, 0))}, "is not a constant and has 2 scales"),
    ("bias", {"data": b"1234"}, "takes 16 bytes, and 4 are stored"),
    ("bias", {"shape": (2,), "data": bytes(8)}, "its bias has 2 elements, not 4"),
    ("bias", {"type": TensorType.FLOAT32}, "its bias has type FLOAT32"),
    ("filters", {"data": None}, "is not computed before it"),
    ("filters", {"shape": (4, 27)}, "its weights have 2 dimensions, not 4"),
    ("filters", {"quantization": Quantization((1.0,) * 3, (0,) * 3)}, "do not fit axis 0"),
    ("filters", {"quantization": Quantization((1.0,) * 3, (0,) * 3, 3)}, "have scales along axis 3, not 0"),
    ("filters", {"type": TensorType.UINT8, "quantization": Quantization((1.0,), (0,))}, "have different types"),
    ("conv", {"shape": (1, 4, 4, 5), "signature": ()}, "declared as [1, 4, 4, 5], and its operands make [1, 4, 4, 4]"),
    ("flat", {"shape": (1, 15)}, "it makes 15 elements of 16"),
    ("flat", {"quantization": Quantization((0.5,), (0,))}, "operator 3 FULLY_CONNECTED computes with the latter"),
]


@pytest.mark.parametrize(("name", "change", "message"), TENSORS, ids=[message for _, _, message in TENSORS])
def test_tensors(tmp_path: Path, name: str, change: Mapping[str, object], message: str) -> None:
    model = cnn()
    index = [tensor.name for tensor in model.tensors].index(name)
    changed = replace(model.tensors[index], **change)  # pyright: ignore[reportArgumentType]
    error = refuse(tmp_path, write(model.with_tensors({index: changed})))
    assert message in error.message


def odd_tensor(field: str) -> Table:
    """A tensor's table with one field set; the quantisation is one of a custom kind."""
    builder = flatbuffers.Builder(64)
    if field == "IsVariable":
        value = 1
    elif field == "Sparsity":
        value = table(builder, "SparsityParameters")
    else:
        value = table(builder, "QuantizationParameters", DetailsType=tflite.QuantizationDetails.CustomQuantization)
    builder.Finish(table(builder, "Tensor", **{field: value}))
    return Buffer(bytes(builder.Output()), "test").root()


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        ("Sparsity", "is stored sparse"),
        ("Quantization", "has a custom quantisation"),
    ],
)
def test_odd_tensors(field: str, reason: str) -> None:
    found = oddity(odd_tensor(field))
    assert found is not None
    assert reason in found
    model = cnn()
    odd = model.with_tensors({0: replace(model.tensors[0], signature=(), oddity=found)})
    with pytest.raises(InputError, match=reason):
        check(odd, "test")


def test_a_variable_that_no_operator_changes() -> None:
    model = cnn()
    odd = model.with_tensors({0: replace(model.tensors[0], signature=(), variable=True)})
    with pytest.raises(InputError, match="keeps its value from one run to the next, and no operator that does so"):
        check(odd, "test")


OPERATORS: list[tuple[int, Mapping[str, OptionValue], str]] = [
    (0, {"stride_w": 0}, "its stride_w is 0"),
    (0, {"dilation_h_factor": -1}, "its dilation_h_factor is -1"),
    (0, {"padding": 2}, "its padding is 2"),
    (0, {"fused_activation_function": 6}, "its fused_activation_function is 6"),
    (0, {"padding": 1, "dilation_h_factor": 5}, "its kernel reaches over 11"),
    (1, {"filter_height": 0}, "its filter_height is 0"),
    (3, {"weights_format": 1}, "its weights_format is 1"),
    (3, {"keep_num_dims": True}, ""),
    (4, {"beta": float("nan")}, "its beta is nan"),
]


@pytest.mark.parametrize(("index", "options", "message"), OPERATORS)
def test_options(tmp_path: Path, index: int, options: Mapping[str, OptionValue], message: str) -> None:
    model = cnn()
    operator = model.operators[index]
    changed = replace(operator, options={**operator.options, **options})
    operators = (*model.operators[:index], changed, *model.operators[index + 1 :])
    data = write(replace(model, operators=operators))
    if not message:
        path = tmp_path / "model.tflite"
        path.write_bytes(data)
        import_tflite(path)
        return
    error = refuse(tmp_path, data)
    assert message in error.message
    assert error.where is not None
    assert f"operator {index} {operator.name} → '" in error.where


# ---- operators


def one(
    name: str,
    inputs: list[tuple[tuple[int, ...], npt.DTypeLike] | list[object]],
    output: tuple[tuple[int, ...], npt.DTypeLike],
    options: Mapping[str, OptionValue] | None = None,
) -> tuple[Net, list[int], list[int]]:
    """A model of one operator; an input is a shape and a type, or a list: an INT32 constant."""
    net = Net()
    operands: list[int] = []
    given: list[int] = []
    for position, source in enumerate(inputs):
        if isinstance(source, list):
            operands.append(net.constant(f"c{position}", np.array(source)))
        else:
            operands.append(net.tensor(f"x{position}", source[0], source[1], 0.5))
            given.append(operands[-1])
    result = net.tensor("y", output[0], output[1], 0.5)
    net.operator(name, operands, result, options)
    return net, given, [result]


F = np.float32
MISFITS: list[tuple[str, list[tuple[tuple[int, ...], npt.DTypeLike] | list[object]], tuple[int, ...], str]] = [
    ("ADD", [((1, 3), F), ((1, 4), F)], (1, 4), "don't go together"),
    ("ADD", [((1, 3), F)], (1, 3), "it has 1 inputs and 1 outputs"),
    ("CONCATENATION", [((1, 3), F), ((2, 4), F)], (1, 7), "its inputs differ"),
    ("MEAN", [((1, 3), F), [2]], (1,), "there is no axis 2 in 2 dimensions"),
    ("MEAN", [((1, 3), F), ((1,), np.int32)], (1,), "is not a constant"),
    ("PAD", [((1, 3), F), [[0, 0], [-1, 0]]], (1, 2), "pads by a negative amount"),
    ("PAD", [((1, 3), F), [1]], (1, 4), "has 1 numbers, not 4"),
    ("TRANSPOSE", [((1, 3), F), [0, 0]], (1, 3), "is not an order of 2 axes"),
    ("SLICE", [((1, 3), F), [0, 2], [1, 2]], (1, 2), "it takes 2 from 2 of 3"),
    ("STRIDED_SLICE", [((1, 3), F), [0, 2], [1, 1], [1, 1]], (1, 1), "takes nothing along axis 1"),
    ("STRIDED_SLICE", [((1, 3), F), [0, 2], [1, 1], [1, 0]], (1, 1), "its stride is 0"),
    ("GATHER", [((3, 1), F), [3]], (1, 1), "an index outside 0…2"),
    ("GATHER", [((3, 1), F), ((1,), F)], (1, 1), "its indices are not INT32 or INT64"),
    ("MAX_POOL_2D", [((1, 3), F)], (1, 3), "its stride_w is 0"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "inputs", "shape", "message"), MISFITS)
def test_operands_that_do_not_fit(
    tmp_path: Path,
    name: str,
    inputs: list[tuple[tuple[int, ...], npt.DTypeLike] | list[object]],
    shape: tuple[int, ...],
    message: str,
) -> None:
    net, given, results = one(name, inputs, (shape, F))
    assert message in refuse_net(tmp_path, net, given, results).message


@pytest.mark.parametrize(
    ("name", "source", "target", "message"),
    [
        ("CAST", np.int64, np.float32, "cannot cast INT64 to FLOAT32"),
        ("CAST", np.float32, np.int64, "cannot cast FLOAT32 to INT64"),
        ("DEQUANTIZE", np.int8, np.bool_, "its output is BOOL"),
        ("QUANTIZE", np.int64, np.int8, "its input is INT64"),
        ("RELU", np.float32, np.int8, "have different types"),
        ("SOFTMAX", np.int32, np.int32, "its output is INT32"),
    ],
)
def test_types_that_do_not_fit(
    tmp_path: Path, name: str, source: npt.DTypeLike, target: npt.DTypeLike, message: str
) -> None:
    net, given, results = one(name, [((1, 4), source)], ((1, 4), target))
    assert message in refuse_net(tmp_path, net, given, results).message


def test_channels_that_do_not_fit(tmp_path: Path) -> None:
    for name, filters, message in (
        ("CONV_2D", (5, 1, 1, 3), "its input has 4 channels, and its 5 filters have 3"),
        ("DEPTHWISE_CONV_2D", (1, 1, 1, 6), "its input has 4 channels, its weights [1, 1, 1, 6]"),
    ):
        net = Net()
        source = net.tensor("x", (1, 2, 2, 4), F)
        result = net.tensor("y", (1, 2, 2, filters[0] if name == "CONV_2D" else filters[3]), F)
        net.operator(name, (source, net.constant("w", np.ones(filters), F)), result, CONV)
        assert message in refuse_net(tmp_path, net, [source], [result]).message


def test_weights_that_cannot_be_negated(tmp_path: Path) -> None:
    net = Net()
    source = net.tensor("x", (1, 1), np.int8, 0.5)
    result = net.tensor("y", (1, 1), np.int8, 0.5)
    net.operator("FULLY_CONNECTED", (source, net.constant("w", [[-128]], np.int8, -0.5)), result)
    assert "its values cannot be negated" in refuse_net(tmp_path, net, [source], [result]).message


def test_int8_concatenation_with_different_scales(tmp_path: Path) -> None:
    net = Net()
    sources = [net.tensor(name, (1, 2), np.int8, scale) for name, scale in (("a", 0.5), ("b", 0.25))]
    result = net.operator("CONCATENATION", sources, net.tensor("y", (1, 4), np.int8, 0.5), {"axis": 1})
    assert "which LiteRT allows for uint8 only" in refuse_net(tmp_path, net, sources, [result]).message


def test_concatenation_of_different_types(tmp_path: Path) -> None:
    net, given, results = one("CONCATENATION", [((1, 2), F), ((1, 2), np.int32)], ((1, 4), F), {"axis": 1})
    assert "has another type than its output" in refuse_net(tmp_path, net, given, results).message


# ---- custom and unknown operators, --until


def with_custom(code: str, custom: str) -> bytes:
    net = Net()
    source = net.tensor("x", (1, 4), F)
    relu = net.operator("RELU", (source,), net.tensor("before", (1, 4), F))
    tanh = net.operator("TANH", (source,), net.tensor("also", (1, 4), F))
    result = net.operator(code, (relu, tanh), net.tensor("after", (), F, ranked=False), custom=custom)
    return write(net.model([source], [result]))


def test_custom_operator_is_named_with_the_remedy(tmp_path: Path) -> None:
    error = refuse(tmp_path, with_custom("CUSTOM", "Decode"))
    assert isinstance(error, InputError)
    assert error.message == "this is a custom operator"
    assert error.where is not None
    assert error.where.endswith("operator 2 CUSTOM Decode → 'after'")
    assert error.remedy == "compile the network up to it: --until 'before' --until 'also'"


def test_unsupported_operator_is_named(tmp_path: Path) -> None:
    error = refuse(tmp_path, with_custom("SKIP_GRAM", ""))
    assert error.message == "this is not an operator lowtide supports"
    assert error.where is not None
    assert error.where.endswith("operator 2 SKIP_GRAM → 'after'")


def test_unknown_operator_code_is_named(tmp_path: Path) -> None:
    model = cnn()
    operators = (*model.operators[:-1], replace(model.operators[-1], code=12345))
    error = refuse(tmp_path, write(replace(model, operators=operators)))
    assert error.where is not None
    assert "operator code 12345" in error.where


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("fdt-paper/posenet_mobilenet_v1_075_353_481", ["PosenetDecoderOp", "--until 'float_heatmaps'"]),
    ],
)
def test_custom_operators_of_real_models(name: str, names: list[str]) -> None:
    path = MODELS / f"{name}.tflite"
    if not path.exists():
        pytest.skip("the real models are not beside the repository")
    with pytest.raises(InputError) as caught:
        import_tflite(path)
    assert all(part in str(caught.value) for part in names)


@pytest.mark.parametrize(
    ("until", "message", "remedy"),
    [
        (("sofmax",), "this tensor is not in the model", "close names are 'softmax'"),
        (("?",), "this tensor is not in the model", "the last ones are 'conv', 'pool', 'flat', 'dense', 'softmax'"),
        (("bias",), "this tensor is not computed by an operator", "name"),
        (("image",), "this tensor is not computed by an operator", "name"),
        (("conv", "conv"), "names a tensor twice", None),
    ],
)
def test_until_with_a_wrong_name(tmp_path: Path, until: tuple[str, ...], message: str, remedy: str | None) -> None:
    error = refuse(tmp_path, FILES["small_cnn"], until=until)
    assert isinstance(error, UsageError)
    assert message in error.message
    assert remedy is None or remedy in (error.remedy or "")


# ---- the converter: models that the checks would have stopped


def unchecked(name: str, options: Mapping[str, OptionValue], filters: tuple[int, ...] | None = None) -> Model:
    net = Net()
    source = net.tensor("x", (1, 4, 4, 4), F)
    operands = [source, net.constant("i", [1]) if filters is None else net.constant("w", np.ones(filters), F)]
    net.operator(name, operands, net.tensor("y", (1, 4, 4, 1 if filters is None else 4), F), options)
    return net.model([source], [2])


def test_a_crash_of_the_converter_is_an_input_error() -> None:
    model = unchecked("DEPTHWISE_CONV_2D", {**CONV, "depth_multiplier": 0}, (1, 1, 1, 4))
    with pytest.raises(InputError, match=r"the TOSA converter crashed on this model \(SIGFPE\)"):
        converter.convert(model, "test")


def test_an_operator_that_the_converter_leaves_is_an_input_error() -> None:
    with pytest.raises(InputError, match=r"cannot convert this tfl\.gather") as caught:
        converter.convert(unchecked("GATHER", {"axis": -1}), "test")
    assert caught.value.where == "test, operator 0 GATHER → 'y'"


def test_the_converters_reason_is_kept(tmp_path: Path) -> None:
    net = Net()
    source = net.tensor("x", (1, 4, 4, 2), np.int8, 0.5)
    result = net.tensor("y", (1, 4, 4, 2), np.int8, 0.25)
    window = {"stride_w": 1, "stride_h": 1, "filter_width": 1, "filter_height": 1}
    net.operator("AVERAGE_POOL_2D", (source,), result, window)
    error = refuse_net(tmp_path, net, [source], [result])
    assert "the TOSA converter refuses this model: 'tfl.average_pool_2d'" in error.message
    assert error.where is not None
    assert error.where.endswith("operator 0 AVERAGE_POOL_2D → 'y'")


def test_a_converter_that_hangs_is_an_input_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(converter, "_TIMEOUT_SECONDS", 0.001)
    with pytest.raises(InputError, match="did not finish"):
        converter.convert(cnn(), "test")


def test_every_operator_code_is_refused_or_supported(tmp_path: Path) -> None:
    codes = [value for name, value in vars(BuiltinOperator).items() if not name.startswith("_")]
    path = tmp_path / "model.tflite"
    for code in codes:
        net = Net()
        source = net.tensor("x", (1, 4), F)
        net.operator("RELU", (source,), net.tensor("y", (1, 4), F))
        model = net.model([source], [1])
        path.write_bytes(write(replace(model, operators=(replace(model.operators[0], code=code),))))
        import_or_refuse(path)


@pytest.mark.parametrize(("dtype", "scale", "zero_point"), [(np.int8, 0.01, -128), (np.uint8, 1 / 256, 5)])
def test_softmax_to_another_scale(tmp_path: Path, dtype: type, scale: float, zero_point: int) -> None:
    net = Net()
    x = net.tensor("x", (1, 4), dtype, 0.5, 3)
    net.operator("SOFTMAX", (x,), net.tensor("y", (1, 4), dtype, scale, zero_point), {"beta": 1.0})
    with pytest.raises(InputError, match="lowtide takes 1/256 and"):
        import_tflite(net.save(tmp_path, [x], [x + 1]))


def test_inspect_says_all_that_stands_in_the_way(tmp_path: Path) -> None:
    """Each with its place, and how much could be compiled without it; compiling stops at the first."""
    net = Net()
    x = net.tensor("x", (1, 4), np.float32)
    known = net.operator("RELU", (x,), net.tensor("known", (1, 4), np.float32))
    net.operators.append(
        Operator(1, BuiltinOperator.CUSTOM, (known,), (net.tensor("odd", (1, 4), np.float32),), {}, "A")
    )
    net.operators.append(
        Operator(2, BuiltinOperator.CUSTOM, (known,), (net.tensor("out", (1, 4), np.float32),), {}, "B")
    )
    path = net.save(tmp_path, [x], [known, known + 1, known + 2])
    with pytest.raises(InputError) as error:
        inspect_model(path)
    said = str(error.value)
    assert "2 things stand in the way" in said and "without them 1 of its 3 operators" in said
    assert "operator 1 CUSTOM A → 'odd': this is a custom operator" in said
    assert "operator 2 CUSTOM B → 'out': this is a custom operator" in said and "--until 'known'" in said
    with pytest.raises(InputError, match="operator 1 CUSTOM A"):
        import_tflite(path)
