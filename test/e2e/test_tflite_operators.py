"""Operators that are rewritten at import, on the emulated cores: bit for bit what LiteRT Micro gives."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import rewritten_nets as nets
from oracles import needs_micro, needs_oracle

from lowtide.artifact import compile_model
from lowtide.emulate.oracle import Oracle
from lowtide.importer.tflite import import_tflite
from lowtide.network import IoTensor
from lowtide.verification import run_artifact

CORES = ("cortex-m4", "rv32imac")
RUNS = 3
FLOAT_TOLERANCE = 1e-6
"""Largest difference of a float, as a fraction of the range: sums are in another order."""
IMAGE = (1, 4, 6, 3)
Array = npt.NDArray[Any]

MICRO: dict[str, nets.Case] = {
    **{f"flatten {dtype}": nets.flatten(dtype) for dtype in ("int8", "uint8", "float32")},
    **{
        f"{operator} {dtype}": nets.remainder(dtype, operator)
        for operator in ("CONV_2D", "DEPTHWISE_CONV_2D", "MAX_POOL_2D", "AVERAGE_POOL_2D")
        for dtype in ("int8", *(("float32",) if operator == "CONV_2D" else ()))
    },
    "two groups": nets.grouped("int8", 4, 6, 2),
    "two groups float32": nets.grouped("float32", 4, 6, 2),
    "four groups": nets.grouped("int8", 32, 8, 4),
    "a channel a group": nets.grouped("int8", 4, 8, 4),
    **{f"prelu {dtype}": nets.prelu(dtype, (1, 1, 4)) for dtype in ("int8", "float32")},
    "prelu, a slope an element": nets.prelu("int8", (1, 5, 6, 4)),
    "split and pack": nets.split_and_pack("int8"),
    "split and pack float32": nets.split_and_pack("float32"),
    "outputs shared": nets.outputs_shared("int8"),
    "nearest": nets.alone("RESIZE_NEAREST_NEIGHBOR", "int8", IMAGE, (1, 8, 18, 3), ([8, 18],)),
    "nearest, unevenly": nets.alone("RESIZE_NEAREST_NEIGHBOR", "int8", IMAGE, (1, 7, 4, 3), ([7, 4],)),
    "nearest, corners aligned": nets.alone(
        "RESIZE_NEAREST_NEIGHBOR", "int8", IMAGE, (1, 7, 9, 3), ([7, 9],), {"align_corners": True}
    ),
    "nearest, centres aligned": nets.alone(
        "RESIZE_NEAREST_NEIGHBOR", "int8", IMAGE, (1, 7, 9, 3), ([7, 9],), {"half_pixel_centers": True}
    ),
    "depth to space": nets.alone("DEPTH_TO_SPACE", "int8", (1, 3, 2, 8), (1, 6, 4, 2), (), {"block_size": 2}),
    "space to depth": nets.alone("SPACE_TO_DEPTH", "int8", (1, 4, 6, 2), (1, 2, 3, 8), (), {"block_size": 2}),
    "reverse": nets.alone("REVERSE_V2", "int8", IMAGE, IMAGE, ([2],)),
    "broadcast": nets.alone("BROADCAST_TO", "int8", (1, 1, 6, 3), IMAGE, (IMAGE,)),
    "maximum of rows and columns": nets.alone("REDUCE_MAX", "int8", IMAGE, (1, 3), ([1, 2],)),
    "minimum of columns": nets.alone("REDUCE_MIN", "int8", IMAGE, (1, 4, 1, 3), ([2],), {"keep_dims": True}),
    "sum of columns": nets.alone("SUM", "float32", IMAGE, (1, 4, 3), ([2],)),
    "negated": nets.alone("NEG", "float32", IMAGE, IMAGE),
    "squared difference": nets.squared_difference("int8"),
    "squared difference float32": nets.squared_difference("float32"),
}
# LiteRT Micro has these in int8 and float alone, or pads with something else than the zero point.
LITERT: dict[str, nets.Case] = {
    "tiles": nets.alone("TILE", "float32", (1, 2, 3, 2), (1, 4, 3, 6), ([1, 2, 1, 3],)),
    "minimum uint8": nets.alone("REDUCE_MIN", "uint8", IMAGE, (1, 6, 3), ([1],)),
    "two groups uint8": nets.grouped("uint8", 4, 6, 2),
    "prelu uint8": nets.prelu("uint8", (1, 1, 4)),
    "dilated": nets.blocks("int8", (5, 8, 3), (2, 2), ((1, 2), (2, 2)), ((0, 0), (0, 0)), (2, 3)),
    "dilated, cropped": nets.blocks("int8", (5, 8, 3), (2, 3), ((2, 3), (2, 2)), ((1, 0), (2, 1)), (2, 2)),
    "dilated, cropped beyond the padding": nets.blocks(
        "int8", (7, 8, 3), (2, 2), ((1, 0), (2, 2)), ((3, 0), (0, 1)), (2, 2)
    ),
    "dilated uint8": nets.blocks("uint8", (5, 8, 3), (2, 2), ((1, 2), (2, 2)), ((0, 0), (0, 0)), (2, 3)),
    "blocks alone": nets.blocks("int8", (5, 8, 3), (2, 3), ((1, 2), (0, 1)), ((1, 1), (2, 0)), None),
    "blocks alone uint8": nets.blocks("uint8", (5, 8, 3), (2, 3), ((1, 2), (0, 1)), ((1, 1), (2, 0)), None),
}


def _drawn(tensor: IoTensor, seed: int) -> Array:
    """Random elements, the extremes among them: all of the least, or half of each, first."""
    random = np.random.default_rng(seed)
    if tensor.dtype == "float32":
        return random.normal(0, 3, tensor.shape).astype(np.float32)
    limits = np.iinfo(tensor.dtype)
    if seed < 2:
        return random.choice([limits.min, limits.max][: seed + 1], tensor.shape).astype(tensor.dtype)
    return random.integers(limits.min, limits.max + 1, tensor.shape).astype(tensor.dtype)


def _check(case: nets.Case, folder: Path, engine: str) -> None:
    """Compiles for every core that has what the network computes with, and compares runs, one of them witnessed."""
    net, inputs, outputs = case
    model = net.save(folder, inputs, outputs)
    tensors = import_tflite(model).inputs
    runs = [[_drawn(tensor, seed) for tensor in tensors] for seed in range(RUNS)]
    with Oracle([engine]) as oracle:
        expected = oracle.run(model.read_bytes(), runs).outputs
    for core in CORES:
        compiled = compile_model(model, target=core, out=folder / core)
        if compiled.report.external_symbols:  # a float network on a core without FPU: the object alone does not run
            continue
        for number, (run, right) in enumerate(zip(runs, expected, strict=True)):
            result = run_artifact(compiled.directory, run, witness=number == RUNS - 1)
            _compare(result.outputs, right)


def _compare(outputs: Sequence[Array], expected: Sequence[Array]) -> None:
    for made, right in zip(outputs, expected, strict=True):
        within = FLOAT_TOLERANCE * np.abs(right).max() if made.dtype == np.float32 else 0
        np.testing.assert_allclose(made, right.reshape(made.shape), rtol=0, atol=within)


@needs_micro
@pytest.mark.parametrize("name", MICRO)
def test_like_litert_micro(name: str, tmp_path: Path) -> None:
    _check(MICRO[name], tmp_path, "micro")


@needs_oracle
@pytest.mark.parametrize("name", LITERT)
def test_like_litert(name: str, tmp_path: Path) -> None:
    _check(LITERT[name], tmp_path, "litert")


def test_a_shared_output_has_one_place_and_an_input_keeps_its_bytes(tmp_path: Path) -> None:
    net, inputs, outputs = nets.outputs_shared("int8")
    report = compile_model(net.save(tmp_path, inputs, outputs), target="cortex-m4", out=tmp_path / "out").report
    first, kept, second = report.outputs
    assert first.offset == second.offset
    assert kept.tensor == report.inputs[0].tensor
    header = (tmp_path / "out" / "net.h").read_text()
    assert all(f"net_OUTPUT{number}_OFFSET {slot.offset}\n" in header for number, slot in enumerate(report.outputs))


def test_what_is_left_over_is_not_copied(tmp_path: Path) -> None:
    net, inputs, outputs = nets.remainder("int8", "CONV_2D")
    report = compile_model(net.save(tmp_path, inputs, outputs), target="cortex-m4", out=tmp_path / "out").report
    assert len(report.layers) == 1
    assert report.arena_bytes <= 8 * 8 * 4 + 4 * 4 * 4


def test_groups_take_no_more_room_than_one_convolution(tmp_path: Path) -> None:
    net, inputs, outputs = nets.grouped("int8", 16, 16, 2)
    compiled = compile_model(net.save(tmp_path, inputs, outputs), target="cortex-m4", out=tmp_path / "out")
    assert compiled.report.arena_bytes <= 2 * 7 * 7 * 16
    instructions = run_artifact(compiled.directory).instructions
    assert instructions is not None and instructions < 3 * compiled.report.macs
