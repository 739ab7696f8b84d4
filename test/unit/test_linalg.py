"""linalg of other front ends than the TOSA importer: named operations, indices, slices, concats, against numpy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jit
import numpy as np
import pytest

Array = np.ndarray[Any, Any]
RNG = np.random.default_rng(7)
A = RNG.standard_normal((4, 6)).astype(np.float32)
B = RNG.standard_normal((6, 4)).astype(np.float32)
V = RNG.standard_normal(6).astype(np.float32)
IMAGE = RNG.standard_normal((1, 2, 6, 5)).astype(np.float32)
FILTER = RNG.standard_normal((3, 2, 3, 2)).astype(np.float32)
BYTES = RNG.integers(-128, 128, (4, 6)).astype(np.int8)
TYPES = {"float32": "f32", "int8": "i8", "int32": "i32", "bool": "i1"}


def type_of(array: Array) -> str:
    return f"tensor<{''.join(f'{n}x' for n in array.shape)}{TYPES[array.dtype.name]}>"


def check(body: str, inputs: dict[str, Array], outputs: dict[str, Array], before: str = "") -> None:
    """Compile `body`, which computes the outputs from the inputs by these names, and compare."""
    arguments = ", ".join(f"%{name}: {type_of(array)}" for name, array in inputs.items())
    names, types = ", ".join(f"%{name}" for name in outputs), ", ".join(map(type_of, outputs.values()))
    text = f"{before}\nfunc.func @main({arguments}) -> ({types}) {{\n{body}\nreturn {names} : {types}\n}}"
    wanted = list(outputs.values())
    found = jit.run(jit.lowered(text, jit.PASSES), list(inputs.values()), wanted)
    for actual, reference in zip(found, wanted, strict=True):
        np.testing.assert_allclose(actual, reference, rtol=1e-5, atol=1e-5)


def empty(name: str, array: Array) -> str:
    return f"%{name} = tensor.empty() : {type_of(array)}\n"


def filled(name: str, array: Array, value: str = "0.0") -> str:
    kind = TYPES[array.dtype.name]
    return (
        f"%{name}_e = tensor.empty() : {type_of(array)}\n%{name}_c = arith.constant {value} : {kind}\n"
        f"%{name} = linalg.fill ins(%{name}_c : {kind}) outs(%{name}_e : {type_of(array)}) -> {type_of(array)}\n"
    )


UNARY: dict[str, Callable[[Array], Array]] = {
    "exp": np.exp,
    "abs": np.abs,
    "ceil": np.ceil,
    "floor": np.floor,
    "negf": np.negative,
    "tanh": np.tanh,
    "square": np.square,
    "reciprocal": np.reciprocal,
}
BINARY: dict[str, Callable[[Array, Array], Array]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "max": np.maximum,
    "min": np.minimum,
}


@pytest.mark.parametrize("name", UNARY)
def test_unary(name: str) -> None:
    body = empty("e", A) + f"%y = linalg.{name} ins(%a : {type_of(A)}) outs(%e : {type_of(A)}) -> {type_of(A)}"
    check(body, {"a": A}, {"y": UNARY[name](A)})


@pytest.mark.parametrize("name", BINARY)
def test_binary(name: str) -> None:
    t = type_of(A)
    body = empty("e", A) + f"%y = linalg.{name} ins(%a, %b : {t}, {t}) outs(%e : {t}) -> {t}"
    check(body, {"a": A, "b": A[::-1]}, {"y": BINARY[name](A, A[::-1])})


def test_matmul_on_top_of_a_tensor() -> None:
    y = A @ B
    body = f"%y = linalg.matmul ins(%a, %b : {type_of(A)}, {type_of(B)}) outs(%c : {type_of(y)}) -> {type_of(y)}"
    check(body, {"a": A, "b": B, "c": y}, {"y": y + y})


def test_matmul_transposed() -> None:
    y = A @ A.T
    maps = ", ".join(f"affine_map<(i, j, k) -> ({m})>" for m in ("i, k", "j, k", "i, j"))
    body = filled("f", y) + (
        f"%y = linalg.matmul indexing_maps = [{maps}] ins(%a, %a : {type_of(A)}, {type_of(A)})"
        f" outs(%f : {type_of(y)}) -> {type_of(y)}"
    )
    check(body, {"a": A}, {"y": y})


def test_matvec() -> None:
    y = A @ V
    body = filled("f", y) + (
        f"%y = linalg.matvec ins(%a, %v : {type_of(A)}, {type_of(V)}) outs(%f : {type_of(y)}) -> {type_of(y)}"
    )
    check(body, {"a": A, "v": V}, {"y": y})


def test_convolution_in_nchw() -> None:
    padded = np.pad(IMAGE, ((0, 0), (0, 0), (1, 1), (0, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 2), (2, 3))[:, :, ::2]
    y = np.einsum("nchwij,ocij->nohw", windows, FILTER).astype(np.float32)
    body = filled("f", y) + (
        "%z = arith.constant 0.0 : f32\n"
        f"%p = tensor.pad %x low[0, 0, 1, 0] high[0, 0, 1, 1] {{ ^bb0(%i: index, %j: index, %k: index, %l: index):"
        f" tensor.yield %z : f32 }} : {type_of(IMAGE)} to {type_of(padded)}\n"
        "%y = linalg.conv_2d_nchw_fchw {strides = dense<[2, 1]> : tensor<2xi64>, dilations = dense<1> : tensor<2xi64>}"
        f" ins(%p, %w : {type_of(padded)}, {type_of(FILTER)}) outs(%f : {type_of(y)}) -> {type_of(y)}"
    )
    check(body, {"x": IMAGE, "w": FILTER}, {"y": y})


def test_reduce_and_broadcast() -> None:
    top = A.max(axis=1)
    y = A - top[:, None]
    lowest = filled("f", top, "0xFF800000")
    body = lowest + (
        f"%m = linalg.reduce ins(%a : {type_of(A)}) outs(%f : {type_of(top)}) dimensions = [1]"
        " (%i: f32, %o: f32) { %r = arith.maximumf %i, %o : f32 linalg.yield %r : f32 }\n"
        + empty("e", A)
        + f"%w = linalg.broadcast ins(%m : {type_of(top)}) outs(%e : {type_of(A)}) dimensions = [1]\n"
        f"%y = linalg.sub ins(%a, %w : {type_of(A)}, {type_of(A)}) outs(%e : {type_of(A)}) -> {type_of(A)}"
    )
    check(body, {"a": A}, {"y": y})


def test_reduce_over_the_outer_dimension() -> None:
    y = A.sum(axis=0)
    body = filled("f", y) + (
        f"%y = linalg.reduce {{ arith.addf }} ins(%a : {type_of(A)}) outs(%f : {type_of(y)}) dimensions = [0]"
    )
    check(body, {"a": A}, {"y": y})


def test_map_transpose_and_select() -> None:
    t, mask = type_of(A), A > 0
    body = (
        empty("e", A) + empty("g", A.T) + f"%m = linalg.map ins(%a, %b : {t}, {t}) outs(%e : {t})"
        " (%i: f32, %j: f32, %o: f32) { %r = arith.mulf %i, %j : f32 linalg.yield %r : f32 }\n"
        f"%s = linalg.select ins(%c, %a, %m : {type_of(mask)}, {t}, {t}) outs(%e : {t}) -> {t}\n"
        f"%y = linalg.transpose ins(%s : {t}) outs(%g : {type_of(A.T)}) permutation = [1, 0]"
    )
    check(body, {"a": A, "b": A + 1, "c": mask}, {"y": np.where(mask, A, A * (A + 1)).T})


def test_indices_and_bools() -> None:
    """A mask of the upper triangle, made from loop indices."""
    y = np.triu(np.ones(A.shape, bool))
    body = empty("e", y) + (
        "%y = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>],"
        ' iterator_types = ["parallel", "parallel"]}'
        f" outs(%e : {type_of(y)}) {{ ^bb0(%o: i1): %i = linalg.index 0 : index %j = linalg.index 1 : index"
        f" %r = arith.cmpi ule, %i, %j : index linalg.yield %r : i1 }} -> {type_of(y)}"
    )
    check(body, {"a": A}, {"y": y})


def test_gather_along_rows_with_clamped_indices() -> None:
    """An index beyond the table reads its last row, whatever the model says."""
    indices = np.array([2, 0, 99, -5], np.int32)
    y = A[np.clip(indices, 0, 3)]
    body = empty("e", y) + (
        "%y = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i)>, affine_map<(i, j) -> (i, j)>],"
        f' iterator_types = ["parallel", "parallel"]}} ins(%k : {type_of(indices)}) outs(%e : {type_of(y)}) {{'
        " ^bb0(%n: i32, %o: f32): %r = arith.index_cast %n : i32 to index %c = linalg.index 1 : index"
        f" %v = tensor.extract %a[%r, %c] : {type_of(A)} linalg.yield %v : f32 }} -> {type_of(y)}"
    )
    check(body, {"a": A, "k": indices}, {"y": y})


def test_table_of_one_value() -> None:
    y = np.full(BYTES.shape, 7, np.int8)
    maps = "affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>"
    body = empty("e", y) + (
        "%t = arith.constant dense<7> : tensor<256xi8>\n%h = arith.constant 128 : index\n"
        f'%y = linalg.generic {{indexing_maps = [{maps}], iterator_types = ["parallel", "parallel"]}}'
        f" ins(%a : {type_of(y)}) outs(%e : {type_of(y)}) {{ ^bb0(%i: i8, %o: i8):"
        " %n = arith.index_cast %i : i8 to index"
        " %k = arith.addi %n, %h : index %v = tensor.extract %t[%k] : tensor<256xi8> linalg.yield %v : i8 }"
        f" -> {type_of(y)}"
    )
    check(body, {"a": BYTES}, {"y": y})


def test_slices_with_strides_and_without_a_dimension() -> None:
    row, part = A[2], A[1:4:2, 0:6:3]
    body = (
        f"%r = tensor.extract_slice %a[2, 0] [1, 6] [1, 1] : {type_of(A)} to {type_of(row)}\n"
        f"%p = tensor.extract_slice %a[1, 0] [2, 2] [2, 3] : {type_of(A)} to {type_of(part)}\n"
    )
    check(body, {"a": A}, {"r": row, "p": part})


def test_inserts_with_strides_and_a_new_dimension() -> None:
    y = np.full((4, 6), 3, np.float32)
    y[1] = V
    y[0:4:3, 1:6:4] = A[:2, :2]
    part = A[:2, :2]
    body = filled("f", y, "3.0") + (
        f"%s = tensor.insert_slice %v into %f[1, 0] [1, 6] [1, 1] : {type_of(V)} into {type_of(y)}\n"
        f"%y = tensor.insert_slice %p into %s[0, 1] [2, 2] [3, 4] : {type_of(part)} into {type_of(y)}"
    )
    check(body, {"v": V, "p": part}, {"y": y})


def test_inserts_into_one_tensor_apart() -> None:
    """Both results start from the same tensor, which is read again afterwards."""
    left, right = A.copy(), A.copy()
    left[0], right[3] = V, V
    body = (
        f"%l = tensor.insert_slice %v into %a[0, 0] [1, 6] [1, 1] : {type_of(V)} into {type_of(A)}\n"
        f"%r = tensor.insert_slice %v into %a[3, 0] [1, 6] [1, 1] : {type_of(V)} into {type_of(A)}\n"
        + empty("e", A)
        + f"%s = linalg.add ins(%a, %l : {type_of(A)}, {type_of(A)}) outs(%e : {type_of(A)}) -> {type_of(A)}"
    )
    check(body, {"a": A, "v": V}, {"l": left, "r": right, "s": A + left})


def test_insert_of_a_part_of_the_destination() -> None:
    y = A.copy()
    y[0] = A[3]
    body = (
        f"%s = tensor.extract_slice %a[3, 0] [1, 6] [1, 1] : {type_of(A)} to {type_of(A[3:4])}\n"
        f"%y = tensor.insert_slice %s into %a[0, 0] [1, 6] [1, 1] : {type_of(A[3:4])} into {type_of(A)}"
    )
    check(body, {"a": A}, {"y": y})


def test_reshape_that_needs_division() -> None:
    y = np.exp(A.reshape(3, 8))
    body = (
        f"%f = tensor.collapse_shape %a [[0, 1]] : {type_of(A)} into tensor<24xf32>\n"
        f"%g = tensor.expand_shape %f [[0, 1]] output_shape [3, 8] : tensor<24xf32> into {type_of(y)}\n"
        + empty("e", y)
        + f"%y = linalg.exp ins(%g : {type_of(y)}) outs(%e : {type_of(y)}) -> {type_of(y)}"
    )
    check(body, {"a": A}, {"y": y})


def test_outer_sum_needs_every_iteration() -> None:
    """A reduction nested in a reduction: the sum over j of exp(sum over k of a[i, k]) · b[j]."""
    y = np.exp(A.sum(axis=1) / 8) * V.sum()
    row = type_of(y)
    body = filled("f", y) + (
        f"%s = linalg.reduce {{ arith.addf }} ins(%a : {type_of(A)}) outs(%f : {row}) dimensions = [1]\n"
        "%y = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i)>, affine_map<(i, j) -> (j)>,"
        ' affine_map<(i, j) -> (i)>], iterator_types = ["parallel", "reduction"]}'
        f" ins(%s, %v : {row}, {type_of(V)}) outs(%f : {row}) {{ ^bb0(%i: f32, %j: f32, %o: f32):"
        " %c = arith.constant 0.125 : f32 %q = arith.mulf %i, %c : f32 %x = math.exp %q : f32"
        f" %m = arith.mulf %x, %j : f32 %r = arith.addf %o, %m : f32 linalg.yield %r : f32 }} -> {row}"
    )
    check(body, {"a": A, "v": V}, {"y": y})
