"""Reductions and operators that pick elements, which lowtide lowers itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from indexing_variants import INDEXING
from lowered_nets import Build, assert_like_litert, assert_random_like_litert, made_by, oracle_fixture, refusal, run
from lowered_variants import REDUCTIONS
from numpy.typing import NDArray
from oracles import needs_oracle
from tflite_nets import Net

from lowtide.emulate.oracle import Oracle
from lowtide.errors import InputError
from lowtide.importer import import_model
from lowtide.ir import make_context

Array = NDArray[Any]
oracle = pytest.fixture(oracle_fixture, scope="module")
Operand = tuple[Sequence[int], str] | NDArray[Any]


def one(
    name: str,
    operands: Sequence[Operand],
    made: tuple[Sequence[int], str],
    options: Mapping[str, int] | None = None,
    scales: Sequence[tuple[float, int]] = ((0.1, 0), (0.1, 0)),
) -> Build:
    """An operator on inputs (shape and type) and constants; bytes have the first scale, and the second in the output.

    A network of constants alone would be computed at import, so the first operand is always an input.
    """

    def build(net: Net) -> tuple[list[int], list[int]]:
        given: list[int] = []
        inputs: list[int] = []
        for position, operand in enumerate(operands):
            if isinstance(operand, np.ndarray):
                scale = scales[0] if operand.dtype == np.int8 else (None, 0)
                inputs.append(net.constant(f"c{position}", operand, operand.dtype, *scale))
                continue
            shape, dtype = operand
            scale = scales[0] if dtype in ("int8", "uint8") else (None, 0)
            inputs.append(net.tensor(f"x{position}", shape, dtype, *scale))
            given.append(inputs[-1])
        scale = scales[1] if made[1] in ("int8", "uint8") else (None, 0)
        return given, [net.operator(name, inputs, net.tensor("y", made[0], made[1], *scale), dict(options or {}))]

    return build


def axis(*values: int) -> Array:
    return np.array(values[0] if len(values) == 1 else values, np.int32)


@needs_oracle
def test_random_reductions(oracle: Oracle) -> None:
    assert_random_like_litert(oracle, tuple(REDUCTIONS), 32, seed=11)


@needs_oracle
def test_random_indexing(oracle: Oracle) -> None:
    assert_random_like_litert(oracle, tuple(INDEXING), 32, seed=12)


def test_the_first_of_equal_numbers_is_found_and_nan_only_in_front() -> None:
    x = np.array([[1, 3, 3], [-0.0, 0.0, -1], [np.nan, 9, 1], [2, np.nan, 5], [-np.inf, -np.inf, -np.inf]], np.float32)
    for name, wanted in (("ARG_MAX", [1, 0, 0, 2, 0]), ("ARG_MIN", [0, 2, 0, 0, 0])):
        build = one(name, [((5, 3), "float32"), axis(-1)], ((5,), "int32"), {"output_type": 2})
        assert run(build, [x])[0].tolist() == wanted


@needs_oracle
@pytest.mark.parametrize("name", ["MEAN", "SUM"])
def test_axes_named_twice_count_once(oracle: Oracle, name: str) -> None:
    x = np.random.default_rng(3).integers(-128, 128, (1, 4, 5, 3)).astype(np.int8)
    build = one(name, [(x.shape, "int8"), axis(1, -3, 1)], ((1, 5, 3), "int8"), scales=((0.1, 3), (0.17, -5)))
    assert_like_litert(oracle, build, [x])


@needs_oracle
def test_norms_of_long_and_of_empty_vectors(oracle: Oracle) -> None:
    rng = np.random.default_rng(4)
    rows = [np.full(40, 5), np.full(40, 6), rng.integers(-128, 128, 40), np.eye(1, 40, 7)[0] * 3, [127, *[5] * 39]]
    x = np.array(rows).astype(np.int8)
    scales = ((0.1, 5), (1 / 128, 0))
    assert_like_litert(oracle, one("L2_NORMALIZATION", [(x.shape, "int8")], (x.shape, "int8"), scales=scales), [x])


def test_a_part_that_would_not_fit_is_moved_inside() -> None:
    x, part = np.arange(12, dtype=np.int32).reshape(3, 4), np.full((2, 2), -1, np.int32)
    build = one("DYNAMIC_UPDATE_SLICE", [((3, 4), "int32"), ((2, 2), "int32"), ((2,), "int32")], ((3, 4), "int32"))
    for starts, place in (([0, 0], (0, 0)), ([9, -7], (1, 0)), ([1, 3], (1, 2))):
        wanted = x.copy()
        wanted[place[0] : place[0] + 2, place[1] : place[1] + 2] = -1
        assert np.array_equal(run(build, [x, part, np.array(starts, np.int32)])[0], wanted)


@needs_oracle
def test_rows_of_a_table_of_bytes_as_floats(oracle: Oracle) -> None:
    table = np.arange(-12, 12).astype(np.int8).reshape(4, 6)
    build = one("EMBEDDING_LOOKUP", [((3,), "int32"), table], ((3, 6), "float32"))
    assert_like_litert(oracle, build, [np.array([3, 0, 2], np.int32)], rounded=True)


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (one("ARG_MAX", [((2, 3), "int8"), axis(2)], ((2,), "int32"), {"output_type": 2}), "no axis 2 in 2 dimensions"),
        (one("ARG_MAX", [((2, 3), "int64"), axis(1)], ((2,), "int32"), {"output_type": 2}), "its input is INT64"),
        (one("SUM", [((2, 3), "int8"), axis(5)], ((2,), "int8")), "no axis 5 in 2 dimensions"),
        (one("CUMSUM", [((2, 3), "float32"), axis(-3)], ((2, 3), "float32")), "no axis -3"),
        (one("L2_NORMALIZATION", [((2,), "float32")], ((2,), "float32"), {"fused_activation_function": 1}), "is 1"),
        (one("MIRROR_PAD", [((4,), "int8"), axis(4, 0).reshape(1, 2)], ((8,), "int8"), {"mode": 0}), "by 4"),
        (one("GATHER_ND", [((4,), "int8"), np.array([[0, 0]], np.int32)], ((1,), "int8")), "more axes"),
        (one("GATHER_ND", [((4,), "int8"), np.array([[4]], np.int32)], ((1,), "int8")), "outside 0…3"),
        (
            one("GATHER", [((4, 2), "int8"), ((3, 2), "int32")], ((4, 2), "int8"), {"axis": 1, "batch_dims": 1}),
            "are not batches",
        ),
        (
            one("ONE_HOT", [((4,), "int32"), axis(0), *[np.ones(1, np.float32)] * 2], ((4, 1), "float32")),
            "its depth is 0",
        ),
        (one("EMBEDDING_LOOKUP", [((1,), "int32"), ((4,), "float32")], ((1,), "float32")), "two dimensions or more"),
        (
            one("DYNAMIC_UPDATE_SLICE", [((4,), "int8"), ((5,), "int8"), ((1,), "int32")], ((4,), "int8")),
            "does not fit [4]",
        ),
        (one("TRANSPOSE", [((2, 3), "int8"), axis(0, -2)], ((2, 3), "int8")), "not an order"),
        (one("STRIDED_SLICE", [((4,), "int8"), *[np.array([0], np.int32)] * 3], ((4,), "int8")), "its stride is 0"),
        (
            one("STRIDED_SLICE", [((4,), "int8"), axis(0, 0), axis(1, 1), axis(1, 1)], ((4,), "int8")),
            "more axes than the 1",
        ),
        (
            one(
                "STRIDED_SLICE",
                [((4,), "int8"), axis(0, 0), axis(1, 1), axis(1, 1)],
                ((1,), "int8"),
                {"ellipsis_mask": 2},
            ),
            "its ellipsis covers no axis",
        ),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, build: Build, said: str) -> None:
    assert said in refusal(tmp_path, build)


@pytest.mark.parametrize(
    ("table", "made", "scale", "said"),
    [
        (np.ones((2, 3), np.int8), "float32", (0.1, 4), "a zero point other than 0"),
        (np.ones((2, 3), np.float32), "int8", (0.1, 0), "it makes INT8 of a table of FLOAT32"),
    ],
)
def test_tables_that_litert_does_not_look_up_are_refused(
    tmp_path: Path, table: Array, made: str, scale: tuple[float, int], said: str
) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(made_by(one("EMBEDDING_LOOKUP", [((1,), "int32"), table], ((1, 3), made), scales=(scale, scale))))
    with pytest.raises(InputError, match="operator 0 EMBEDDING_LOOKUP") as caught:
        import_model(path, make_context())
    assert said in str(caught.value)
