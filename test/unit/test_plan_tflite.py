"""`lowtide plan-tflite`: LiteRT Micro's rules, the metadata, and that the model stays what it was."""

from __future__ import annotations

import random
import struct
from dataclasses import replace
from pathlib import Path

import flatbuffers
import numpy as np
import pytest
from oracles import needs_oracle
from tflite import TensorType
from tflite_nets import Net, small_cnn

from lowtide.cli.main import main
from lowtide.emulate.oracle import Oracle
from lowtide.errors import InputError
from lowtide.importer.tflite.flatbuffer import Buffer
from lowtide.importer.tflite.metadata import metadata_of, with_metadata
from lowtide.importer.tflite.micro import MicroTensor, MicroTensors, micro_tensors
from lowtide.importer.tflite.model import Model
from lowtide.importer.tflite.reader import read
from lowtide.importer.tflite.writer import IDENTIFIER, offsets, table, write
from lowtide.plan_tflite import METADATA, greedy_offsets, offline_plan, plan_tflite

SHARED = Path(__file__).parents[3] / "shared"
MODELS = SHARED / "models"

# File, LiteRT Micro's own head section (seen in its allocator's log), the least one.
REAL = [
    ("mlperf-tiny/vww_96_int8", 73_728, 55_296),
    ("mlperf-tiny/kws_ref_model", 16_000, 16_000),
    ("mlperf-tiny/pretrainedResnet_quant", 49_152, 49_152),
    ("tflm/person_detect", 55_296, 55_296),
    ("fdt-paper/ssd", 1_620_000, 1_620_000),
]


def model_file(name: str) -> Path:
    path = MODELS / f"{name}.tflite"
    if not path.exists():
        pytest.skip(f"{path.name} is not in ../shared/models")
    return path


def fork() -> Model:
    """The input feeds two branches that an add joins; one tensor that nothing uses."""
    net = Net()
    x = net.tensor("x", (1, 20), np.int8, 0.5)
    left, right, joined = (net.tensor(name, (1, 20), np.int8, 0.5) for name in ("left", "right", "joined"))
    net.tensor("stray", (1, 3), np.float32)
    net.operator("RELU", (x,), left)
    net.operator("RELU6", (x,), right)
    net.operator("ADD", (left, right), joined)
    return net.model([x], [joined])


def offsets_in(data: bytes) -> list[int]:
    content = metadata_of(data, "m", METADATA)
    assert content is not None
    return list(struct.unpack(f"<{len(content) // 4}i", content))


def test_lifetimes_are_those_of_the_micro_allocator() -> None:
    found = micro_tensors(write(fork()), "m")
    assert found == MicroTensors(
        5,
        (
            MicroTensor(0, 32, 0, 2),
            MicroTensor(1, 32, 1, 3),
            MicroTensor(2, 32, 2, 3),
            MicroTensor(3, 32, 3, 3),
            MicroTensor(4, 16, -1, -1),
        ),
    )


def test_an_output_stays_to_the_end_and_an_input_does_not() -> None:
    net = Net()
    x, early, late = (net.tensor(name, (1, 16), np.int8, 0.5) for name in ("x", "early", "late"))
    last = net.tensor("last", (1, 16), np.int8, 0.5)
    net.operator("RELU", (x,), early)
    net.operator("RELU6", (early,), late)
    net.operator("RELU", (late,), last)
    found = micro_tensors(write(net.model([x], [early, last])), "m")
    assert [(t.first, t.last) for t in found.planned] == [(0, 1), (1, 3), (2, 3), (3, 3)]


def test_constants_variables_and_empty_tensors_are_not_planned() -> None:
    net, x, y = small_cnn()
    empty = net.tensor("empty", (1, 0), np.int8, 0.5)
    model = net.model([x], [y])
    data = bytearray(write(model))
    found = micro_tensors(bytes(data), "m")
    constants = {index for index, tensor in enumerate(model.tensors) if tensor.data is not None}
    assert {t.index for t in found.planned} == set(range(len(model.tensors))) - constants - {empty}
    assert max(offsets_in(with_plan(bytes(data)))[3:]) >= 0


def with_plan(data: bytes) -> bytes:
    return with_metadata(data, "m", METADATA, offline_plan(micro_tensors(data, "m")).to_bytes())


def test_a_variable_is_left_to_the_runtime() -> None:
    model = fork()
    data = bytearray(write(model))
    # the writer knows no variables: `has_rank`, which it writes for every tensor, becomes `is_variable` in the layout
    tensor = Buffer(bytes(data), "m").root().children(2, "subgraph")[0].children(0, "tensor")[1]
    vtable = tensor.position - struct.unpack_from("<i", data, tensor.position)[0]
    has_rank = struct.unpack_from("<H", data, vtable + 4 + 2 * 8)[0]
    struct.pack_into("<H", data, vtable + 4 + 2 * 5, has_rank)
    variables = {t.index for t in micro_tensors(write(model), "m").planned} - {
        t.index for t in micro_tensors(bytes(data), "m").planned
    }
    assert 1 in variables


def test_the_metadata_has_the_documented_format() -> None:
    plan = offline_plan(micro_tensors(write(fork()), "m"))
    assert plan.arena_bytes == plan.bound_bytes == 96
    assert offsets_in(with_plan(write(fork()))) == [1, 0, 5, *plan.offsets]


def test_the_rest_of_the_file_stays_byte_for_byte() -> None:
    original = write(fork())
    planned = with_plan(original)
    assert original in planned
    assert read(planned, "m") == read(original, "m")


def test_data_stays_aligned() -> None:
    net, x, y = small_cnn()
    for spare in range(4):  # files of all lengths
        data = write(net.model([x], [y])) + bytes(spare)
        root = Buffer(with_plan(data), "m").root()
        for buffer in root.children(4, "buffer"):
            if buffer.has(0):
                assert (buffer.place(0, "data") + 4) % 16 == 0


def test_planning_again_changes_nothing() -> None:
    planned = with_plan(write(fork()))
    assert with_plan(planned) == planned


def test_an_existing_plan_is_replaced() -> None:
    original = write(fork())
    stale = with_metadata(original, "m", METADATA, struct.pack("<4i", 1, 0, 1, 0))
    other = with_metadata(stale, "m", "min_runtime_version", b"1.5.0")
    planned = with_plan(other)
    assert offsets_in(planned)[:3] == [1, 0, 5]
    assert metadata_of(planned, "m", "min_runtime_version") == b"1.5.0"
    assert len(Buffer(planned, "m").root().children(6, "entry")) == 2


def test_a_plan_whose_buffer_serves_others_too_leaves_theirs_alone() -> None:
    net, x, y = small_cnn()
    original = write(net.model([x], [y]))
    root = Buffer(original, "m").root()
    count = len(root.children(4, "buffer"))
    data = bytearray(with_metadata(original, "m", METADATA, b"old plan"))
    entry = Buffer(bytes(data), "m").root().children(6, "entry")[0]
    vtable = entry.position - struct.unpack_from("<i", data, entry.position)[0]
    field = entry.position + struct.unpack_from("<H", data, vtable + 4 + 2)[0]
    assert struct.unpack_from("<I", data, field)[0] == count
    struct.pack_into("<I", data, field, 1)  # the entry now names the buffer of the first constant
    planned = with_plan(bytes(data))
    assert read(planned, "m") == read(original, "m")
    assert offsets_in(planned)[2] == len(net.tensors)


def test_the_plan_is_never_above_the_runtimes_own() -> None:
    seed = 20_312
    generator = random.Random(seed)
    print(f"seed {seed}")
    for _ in range(20):
        steps = generator.randrange(1, 8)
        tensors = tuple(
            MicroTensor(index, 16 * generator.randrange(1, 40), first, generator.randrange(first, steps + 1))
            for index, first in enumerate(generator.randrange(0, steps) for _ in range(generator.randrange(1, 9)))
        )
        plan = offline_plan(MicroTensors(len(tensors), tensors))
        assert plan.bound_bytes <= plan.arena_bytes <= plan.greedy_bytes
        assert not overlapping(tensors, plan.offsets)
        assert not overlapping(tensors, greedy_offsets(tensors))


def overlapping(tensors: tuple[MicroTensor, ...], offsets: tuple[int, ...]) -> list[tuple[int, int]]:
    return [
        (a.index, b.index)
        for a in tensors
        for b in tensors
        if a.index < b.index
        and a.first <= b.last
        and b.first <= a.last
        and offsets[a.index] < offsets[b.index] + b.size
        and offsets[b.index] < offsets[a.index] + a.size
    ]


@pytest.mark.parametrize(("name", "greedy", "least"), REAL)
def test_real_models(tmp_path: Path, name: str, greedy: int, least: int) -> None:
    path = model_file(name)
    plan = plan_tflite(path, tmp_path / "planned.tflite")
    assert (plan.greedy_bytes, plan.arena_bytes, plan.bound_bytes) == (greedy, least, least)
    original, planned = path.read_bytes(), (tmp_path / "planned.tflite").read_bytes()
    assert read(planned, "m") == read(original, "m")
    assert len(planned) - len(original) < 8 * len(plan.offsets) + 1024


@pytest.mark.parametrize("name", ["mlperf-tiny/kws_ref_model", "mlperf-tiny/vww_96_int8"])
@needs_oracle
def test_litert_runs_the_planned_file_with_the_same_outputs(tmp_path: Path, name: str) -> None:
    path, golden = model_file(name), SHARED / "golden" / f"{name.split('/')[1]}.npz"
    plan_tflite(path, tmp_path / "planned.tflite")
    row = np.load(golden)["x"][0]
    with Oracle() as oracle:
        before, after = (oracle.run(file.read_bytes(), [(row,)]) for file in (path, tmp_path / "planned.tflite"))
    assert before.engine == after.engine and np.array_equal(before.outputs[0][0], after.outputs[0][0])


@needs_oracle
def test_litert_loads_a_planned_small_model(tmp_path: Path) -> None:
    net, x, y = small_cnn()
    path = net.save(tmp_path, [x], [y])
    plan_tflite(path, path)  # in its place
    row = np.arange(192, dtype=np.int8).reshape(1, 8, 8, 3)
    with Oracle() as oracle:
        before, after = (oracle.run(data, [(row,)]) for data in (write(net.model([x], [y])), path.read_bytes()))
    assert before.engine == after.engine and np.array_equal(before.outputs[0][0], after.outputs[0][0])


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(write(fork()))
    assert main(["plan-tflite", str(path), "-o", str(tmp_path / "planned.tflite")]) == 0
    assert "96 → 96 bytes (proven least)" in capsys.readouterr().out
    assert (tmp_path / "planned.tflite").exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net.tflite", "planned.tflite"]


def refuse(tmp_path: Path, data: bytes, out: str = "planned.tflite") -> InputError:
    path = tmp_path / "net.tflite"
    path.write_bytes(data)
    with pytest.raises(InputError) as caught:
        plan_tflite(path, tmp_path / out)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net.tflite"]
    return caught.value


def test_several_subgraphs_are_refused(tmp_path: Path) -> None:
    builder = flatbuffers.Builder(256)
    graphs = offsets(builder, [table(builder, "SubGraph") for _ in range(2)])
    builder.Finish(table(builder, "Model", Version=3, Subgraphs=graphs), file_identifier=IDENTIFIER)
    assert "2 subgraphs" in refuse(tmp_path, bytes(builder.Output())).message


def test_a_dynamic_batch_is_taken_as_stored() -> None:
    net, x, y = small_cnn()  # its signature has -1, its shape 1
    found = micro_tensors(write(net.model([x], [y])), "m")
    assert found.planned[0] == MicroTensor(x, 192, 0, 1)


def test_other_dynamic_dimensions_are_refused(tmp_path: Path) -> None:
    model = fork()
    tensor = replace(model.tensors[0], signature=(1, -1))
    error = refuse(tmp_path, write(model.with_tensors({0: tensor})))
    assert "dimension 1 is dynamic" in error.message


def test_a_shape_that_is_not_known_is_refused(tmp_path: Path) -> None:
    model = fork()
    error = refuse(tmp_path, write(model.with_tensors({4: replace(model.tensors[4], shape=(1, -3))})))
    assert error.where is not None
    assert "'stray'" in error.where


def test_a_type_without_a_size_is_refused(tmp_path: Path) -> None:
    model = fork()
    strings = vars(TensorType)["STRING"]
    error = refuse(tmp_path, write(model.with_tensors({0: replace(model.tensors[0], type=strings)})))
    assert "STRING" in error.message


def test_a_tensor_beyond_all_offsets_is_refused(tmp_path: Path) -> None:
    model = fork()
    error = refuse(tmp_path, write(model.with_tensors({0: replace(model.tensors[0], shape=(1 << 20, 1 << 12))})))
    assert "4294967296 bytes" in error.message


def test_data_behind_the_flatbuffer_is_refused(tmp_path: Path) -> None:
    net, x, y = small_cnn()
    model = net.model([x], [y])
    data = bytearray(write(model))
    # a buffer table of its own at the end, with offset and size, in the place of the empty buffer
    root = Buffer(bytes(data), "m").root()
    entry = root.place(4, "buffers") + 4
    data += bytes(-len(data) % 8)
    vtable = len(data)
    data += struct.pack("<HHHHH", 10, 24, 0, 8, 16) + bytes(6)
    table = len(data)
    data += struct.pack("<iiQQ", table - vtable, 0, 8, 16)
    struct.pack_into("<I", data, entry, table - entry)
    assert "outside of the flatbuffer" in refuse(tmp_path, bytes(data)).message


def test_a_plan_that_names_no_buffer_is_refused(tmp_path: Path) -> None:
    data = bytearray(with_metadata(write(fork()), "m", METADATA, b"x"))
    entry = Buffer(bytes(data), "m").root().children(6, "entry")[0]
    vtable = entry.position - struct.unpack_from("<i", data, entry.position)[0]
    field = entry.position + struct.unpack_from("<H", data, vtable + 4 + 2)[0]
    struct.pack_into("<I", data, field, 99)
    assert "names buffer 99" in refuse(tmp_path, bytes(data)).message


def test_other_files_and_places_are_refused(tmp_path: Path) -> None:
    assert "not a .tflite file" in refuse(tmp_path, b"no such thing").message
    assert "cannot write" in refuse(tmp_path, write(fork()), "nowhere/planned.tflite").message


def test_mutated_files_are_refused_or_planned(tmp_path: Path) -> None:
    seed = 77
    generator = random.Random(seed)
    print(f"seed {seed}")
    net, x, y = small_cnn()
    original = with_plan(write(net.model([x], [y])))
    for _ in range(300):
        data = bytearray(original)
        for _ in range(generator.randrange(1, 4)):
            data[generator.randrange(len(data))] = generator.randrange(256)
        path = tmp_path / "net.tflite"
        path.write_bytes(bytes(data))
        try:
            plan_tflite(path, tmp_path / "planned.tflite")
        except InputError:
            continue
