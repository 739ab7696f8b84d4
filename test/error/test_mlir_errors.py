"""Networks in `.mlir` text that lowtide refuses, each by name; and odd ones that it takes, with numbers."""

from __future__ import annotations

from pathlib import Path

import jit
import numpy as np
import pytest

from lowtide.errors import InputError, UsageError
from lowtide.lower import Lowered, lower
from lowtide.stages import Stages
from lowtide.targets import TARGETS

F = "tensor<4xf32>"
ABS = f"%r = tosa.abs %a : ({F}) -> {F}"
RESOURCES = """
{-# dialect_resources: { builtin: {
  ones: "0x040000000000803F0000803F0000803F0000803F", "b c": "0x0400000001FE0380", short: "0x0400000001"
} } #-}
"""


def network(*lines: str, takes: str = f"%a: {F}", gives: str = F, returns: str = "%r", before: str = "") -> str:
    body = "\n  ".join(lines)
    return f"{before}\nfunc.func @main({takes}) -> ({gives}) {{\n  {body}\n  return {returns} : {gives}\n}}\n"


def generic(maps: str, kinds: str, body: str, gives: str = F, init: str = "%e") -> str:
    return (
        f"%e = tensor.empty() : {gives}\n"
        f"%r = linalg.generic {{indexing_maps = [{maps}], iterator_types = [{kinds}]}} ins(%a : {F})"
        f" outs({init} : {gives}) {{ ^bb0(%i: f32, %o: f32): {body} }} -> {gives}"
    )


SAME = "affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>"
YIELD = "linalg.yield %i : f32"

REFUSED: dict[str, tuple[str, str]] = {
    "broken": ("func.func @main( -> ", "broken.mlir:1:17: error: expected non-function type"),
    "empty": ("", "empty.mlir: the module has 0 public functions with a body"),
    "two functions": (
        network(ABS) + network(ABS).replace("@main", "@other"),
        "the module has 2 public functions with a body, one is wanted\n  remedy: mark helpers private",
    ),
    "only a private function": (network(ABS).replace("@main", "private @main"), "has 0 public functions"),
    "a helper without a body": (
        network(f"%r = call @a(%a) : ({F}) -> {F}", before=f"func.func private @a({F}) -> {F}"),
        "the call of @a can't be inlined",
    ),
    "recursion": (
        network(f"%r = call @a(%a) : ({F}) -> {F}")
        + network(f"%r = call @a(%a) : ({F}) -> {F}").replace("@main", "private @a"),
        "the call of @a can't be inlined",
    ),
    "a nested module": ("module { module @x {} " + network(ABS) + "}", "holds 'builtin.module' beside the network"),
    "an unknown dialect": (network(f'%r = "foo.bar"(%a) : ({F}) -> {F}'), "unregistered dialect"),
    "no result": (f"func.func @main(%a: {F}) {{ return }}", "the network returns nothing"),
    "nothing written": (network(f"%r = tensor.empty() : {F}"), "returns a tensor that nobody wrote"),
    "f64 input": (
        network(ABS.replace("f32", "f64"), takes="%a: tensor<4xf64>", gives="tensor<4xf64>"),
        "elements of type 'f64' (main_arg0) are not supported",
    ),
    "f64 inside": (
        network(
            "%x = tensor.empty() : tensor<4xf64>",
            "%y = linalg.generic {indexing_maps = [" + SAME + '], iterator_types = ["parallel"]}'
            f" ins(%a : {F}) outs(%x : tensor<4xf64>) {{ ^bb0(%i: f32, %o: f64):"
            " %w = arith.extf %i : f32 to f64 linalg.yield %w : f64 } -> tensor<4xf64>",
            f"%e = tensor.empty() : {F}",
            "%r = linalg.generic {indexing_maps = [" + SAME + '], iterator_types = ["parallel"]}'
            f" ins(%y : tensor<4xf64>) outs(%e : {F}) {{ ^bb0(%i: f64, %o: f32):"
            f" %w = arith.truncf %i : f64 to f32 linalg.yield %w : f32 }} -> {F}",
        ),
        "elements of type 'f64' are not supported",
    ),
    "a custom operator": (
        network(
            f'%r = tosa.custom %a {{operator_name = "x", domain_name = "y", implementation_attrs = ""}} : ({F}) -> {F}'
        ),
        "failed to legalize operation 'tosa.custom'",
    ),
    "a loop": (
        network(
            "%c0 = arith.constant 0 : index",
            "%c1 = arith.constant 1 : index",
            "%c4 = arith.constant 4 : index",
            f"%r = scf.for %i = %c0 to %c4 step %c1 iter_args(%x = %a) -> {F} {{",
            f"  %y = tosa.exp %x : ({F}) -> {F}",
            f"  scf.yield %y : {F}",
            "}",
        ),
        "at 'scf.for' (scf.for): no kernel takes 'scf.for'\n  remedy: cut the network before it",
    ),
    "blocks": (
        network(
            "%c = arith.constant 0 : index",
            "%k = tensor.extract %p[%c] : tensor<1xi1>",
            f"cf.cond_br %k, ^bb1, ^bb2(%a : {F})",
            "^bb1:",
            f"%e = tosa.exp %a : ({F}) -> {F}",
            f"cf.br ^bb2(%e : {F})",
            f"^bb2(%x: {F}):",
            ABS.replace("%a", "%x"),
            takes=f"%a: {F}, %p: tensor<1xi1>",
        ),
        "at @main: the network's function has control flow",
    ),
    "unranked": (network(ABS.replace("4x", "*x"), takes="%a: tensor<*xf32>", gives="tensor<*xf32>"), "not a ranked"),
    "dynamic in linalg": (
        network(takes="%r: tensor<?xf32>", gives="tensor<?xf32>"),
        "'tensor<?xf32>' of main_arg0 has a dimension that is not known\n  remedy: fix every dimension",
    ),
    "dynamic behind the batch": (
        network(ABS.replace("4x", "1x?x"), takes="%a: tensor<1x?xf32>", gives="tensor<1x?xf32>"),
        "has a dimension that is not known",
    ),
    "buffers": (network(takes="%r: memref<4xf32>", gives="memref<4xf32>"), "'memref<4xf32>' of main_arg0 is not a"),
    "a scalar": (network(ABS, takes=f"%a: {F}, %s: f32"), "'f32' of main_arg1 is not a ranked tensor"),
    "no elements": (network(takes="%r: tensor<0xf32>", gives="tensor<0xf32>"), "'tensor<0xf32>' has no elements"),
    "sparse": (
        network(
            takes="%r: tensor<4xf32, #s>",
            gives="tensor<4xf32, #s>",
            before="#s = #sparse_tensor.encoding<{map = (d0) -> (d0 : compressed)}>",
        ),
        "is not a dense tensor",
    ),
    "unsigned 32": (network(takes="%r: tensor<4xui32>", gives="tensor<4xui32>"), "elements of type 'ui32'"),
    "two results at once": (
        network(
            "%r = tosa.argmax %a {axis = 1 : i32} : (tensor<4x3xf32>) -> tensor<4xi32>",
            takes="%a: tensor<4x3xf32>",
            gives="tensor<4xi32>",
        ),
        "no kernel gives 2 results at once",
    ),
    "a linalg op that is not structured": (
        network(
            "%e = tensor.empty() : tensor<2x2xf32>",
            "%r = linalg.softmax dimension(1) ins(%a : tensor<2x2xf32>) outs(%e : tensor<2x2xf32>) -> tensor<2x2xf32>",
            takes="%a: tensor<2x2xf32>",
            gives="tensor<2x2xf32>",
        ),
        "no kernel takes 'linalg.softmax'",
    ),
    "an accumulator that nobody filled": (
        network(
            "%e = tensor.empty() : tensor<2x2xf32>",
            "%r = linalg.matmul ins(%a, %a : tensor<2x2xf32>, tensor<2x2xf32>) outs(%e : tensor<2x2xf32>)"
            " -> tensor<2x2xf32>",
            takes="%a: tensor<2x2xf32>",
            gives="tensor<2x2xf32>",
        ),
        "(linalg.matmul): reads a tensor that nobody wrote\n  remedy: fill it first",
    ),
    "a subscript that is not linear": (
        network(
            generic("affine_map<(d0) -> (d0 mod 4)>, affine_map<(d0) -> (d0)>", '"parallel"', YIELD, "tensor<8xf32>"),
            gives="tensor<8xf32>",
        ),
        "a subscript is not linear in the loops",
    ),
    "elements written twice": (
        network(
            "%z = tosa.const_shape {values = dense<[2, 2]> : tensor<2xindex>} : () -> !tosa.shape<2>",
            f"%b = tosa.reshape %a, %z : ({F}, !tosa.shape<2>) -> tensor<2x2xf32>",
            "%e = tensor.empty() : tensor<3xf32>",
            "%r = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>,"
            ' affine_map<(d0, d1) -> (d0 + d1)>], iterator_types = ["parallel", "parallel"]}'
            f" ins(%b : tensor<2x2xf32>) outs(%e : tensor<3xf32>) {{ ^bb0(%i: f32, %o: f32): {YIELD} }}"
            " -> tensor<3xf32>",
            gives="tensor<3xf32>",
        ),
        "the loops that are parallel are not the dimensions of the result",
    ),
    "control flow in scalar code": (
        network(
            generic(
                SAME,
                '"parallel"',
                "%z = arith.constant 0.0 : f32 %c = arith.cmpf olt, %i, %z : f32"
                " %x = scf.if %c -> f32 { %n = math.exp %i : f32 scf.yield %n : f32 } else { scf.yield %i : f32 }"
                " linalg.yield %x : f32",
            )
        ),
        "no kernel takes scalar code with 'scf.if'",
    ),
    "a slice at a place that depends on data": (
        network(
            "%c = arith.constant 0 : index",
            "%n = tensor.extract %p[%c] : tensor<1xi32>",
            "%k = arith.index_cast %n : i32 to index",
            f"%r = tensor.extract_slice %a[%k] [2] [1] : {F} to tensor<2xf32>",
            takes=f"%a: {F}, %p: tensor<1xi32>",
            gives="tensor<2xf32>",
        ),
        "no kernel takes 'tensor.extract'",
    ),
    "padding that is computed": (
        network(
            f"%r = tensor.pad %a low[1] high[1] {{ ^bb0(%i: index): %n = arith.index_cast %i : index to i32"
            f" %f = arith.sitofp %n : i32 to f32 tensor.yield %f : f32 }} : {F} to tensor<6xf32>",
            gives="tensor<6xf32>",
        ),
        "the value of the padding is not constant",
    ),
    "a resource that was left out": (
        network(f"%c = arith.constant dense_resource<__elided__> : {F}", f"%r = tosa.add %a, %c : ({F}, {F}) -> {F}"),
        "at arith.constant, resource __elided__: the constant's elements are not in the file",
    ),
    "a resource of another size": (
        network(f"%c = arith.constant dense_resource<short> : {F}", f"%r = tosa.add %a, %c : ({F}, {F}) -> {F}")
        + RESOURCES,
        f"resource short: 1 bytes, but '{F}' has 16",
    ),
    "a resource of bits": (
        network("%r = arith.constant dense_resource<short> : tensor<1xi1>", gives="tensor<1xi1>") + RESOURCES,
        "'tensor<1xi1>' can't be read from a resource",
    ),
}


def lowered(tmp_path: Path, text: str, name: str = "net") -> Lowered:
    path = tmp_path / f"{name.replace(' ', '_')}.mlir"
    path.write_text(text, encoding="utf-8")
    return lower(path, TARGETS["host"], stages=Stages())


@pytest.mark.parametrize("name", REFUSED)
def test_refused(tmp_path: Path, name: str) -> None:
    text, message = REFUSED[name]
    with pytest.raises(InputError) as caught:
        lowered(tmp_path, text, name)
    assert message in str(caught.value)


def test_not_text(tmp_path: Path) -> None:
    path = tmp_path / "net.mlir"
    path.write_bytes(b"func\xff")
    with pytest.raises(InputError, match="neither MLIR text"):
        lower(path, TARGETS["host"], stages=Stages())


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        lower(tmp_path / "net.mlir", TARGETS["host"], stages=Stages())


def test_other_suffix(tmp_path: Path) -> None:
    path = tmp_path / "net.pb"
    path.write_bytes(b"")
    with pytest.raises(InputError, match=r"'\.pb' is not a model format"):
        lower(path, TARGETS["host"], stages=Stages())


def test_until(tmp_path: Path) -> None:
    path = tmp_path / "net.mlir"
    path.write_text(network(ABS), encoding="utf-8")
    with pytest.raises(UsageError, match="--until takes names of tensors"):
        lower(path, TARGETS["host"], until=["x"], stages=Stages())


X = np.array([-1, 2, -3, 4], np.float32)
C = np.array([5, 6, 7, 8], np.float32)
CONSTANT = f"%r = arith.constant dense<[5.0, 6.0, 7.0, 8.0]> : {F}"
SQUARE = f"%q = tensor.expand_shape %a [[0, 1]] output_shape [2, 2] : {F} into tensor<2x2xf32>"

TAKEN: dict[str, tuple[str, list[np.ndarray]]] = {
    "input returned": (network(returns="%a"), [X]),
    "input returned in two shapes": (
        network(SQUARE, gives=f"{F}, tensor<2x2xf32>", returns="%a, %q"),
        [X, X.reshape(2, 2)],
    ),
    "constant returned": (network(CONSTANT), [C]),
    "splat returned": (network(f"%r = arith.constant dense<5.0> : {F}"), [np.full(4, 5, np.float32)]),
    "one value twice": (network(ABS, gives=f"{F}, {F}", returns="%r, %r"), [abs(X), abs(X)]),
    "value and what follows": (
        network(ABS, f"%s = tosa.add %r, %r : ({F}, {F}) -> {F}", gives=f"{F}, {F}", returns="%r, %s"),
        [abs(X), 2 * abs(X)],
    ),
    "pad returned through a reshape": (
        network(
            "%z = arith.constant 9.0 : f32",
            f"%p = tensor.pad %a low[1] high[1] {{ ^bb0(%i: index): tensor.yield %z : f32 }} : {F} to tensor<6xf32>",
            "%r = tensor.expand_shape %p [[0, 1]] output_shape [2, 3] : tensor<6xf32> into tensor<2x3xf32>",
            gives="tensor<2x3xf32>",
        ),
        [np.pad(X, 1, constant_values=9).reshape(2, 3)],
    ),
    "resource": (
        network(f"%c = arith.constant dense_resource<ones> : {F}", f"%r = tosa.add %a, %c : ({F}, {F}) -> {F}")
        + RESOURCES,
        [X + 1],
    ),
    "name of a layer": (network(ABS).replace("@main", "@map_0"), [abs(X)]),
    "foreign attributes": (
        network(ABS, takes=f"%a: {F} {{llvm.noalias}}")
        .replace("func.func @main", "func.func public @main")
        .replace(f"({F}) {{", f"({F}) attributes {{llvm.emit_c_interface}} {{", 1),
        [abs(X)],
    ),
    "a helper": (network(f"%r = call @a(%a) : ({F}) -> {F}") + network(ABS).replace("@main", "private @a"), [abs(X)]),
    "a block too many": (
        network(f"cf.br ^bb1(%a : {F})", f"^bb1(%x: {F}):", ABS.replace("%a", "%x")),
        [abs(X)],
    ),
}


@pytest.mark.parametrize("name", TAKEN)
def test_taken(tmp_path: Path, name: str) -> None:
    text, wanted = TAKEN[name]
    found = jit.run_network(lowered(tmp_path, text).network, [X])
    for actual, reference in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(actual, reference)


def test_no_inputs(tmp_path: Path) -> None:
    found = jit.run_network(lowered(tmp_path, network(CONSTANT, takes="")).network, [])
    np.testing.assert_array_equal(found[0], C)


def test_input_kept_while_it_is_returned(tmp_path: Path) -> None:
    path = tmp_path / "net.mlir"
    path.write_text(network(returns="%a"), encoding="utf-8")
    network_ = lower(path, TARGETS["host"], keep_input=True, stages=Stages()).network
    assert network_.inputs[0].offset != network_.outputs[0].offset


def test_dynamic_batch_becomes_one(tmp_path: Path) -> None:
    text = network(ABS.replace("4x", "?x4x"), takes="%a: tensor<?x4xf32>", gives="tensor<?x4xf32>")
    result = lowered(tmp_path, text).network
    assert result.inputs[0].tensor.shape == result.outputs[0].tensor.shape == (1, 4)
    np.testing.assert_array_equal(jit.run_network(result, [X[None]])[0], abs(X)[None])


def test_scalar_tensor(tmp_path: Path) -> None:
    text = network(ABS.replace("4x", ""), takes="%a: tensor<f32>", gives="tensor<f32>")
    assert jit.run_network(lowered(tmp_path, text).network, [np.array(-2, np.float32)])[0] == 2


def test_unsigned(tmp_path: Path) -> None:
    """uint8 − 128 → |int8| → + 128."""
    flags = "per_channel = false, rounding_mode = SINGLE_ROUND, scale32 = true"
    more = "tensor<1xi32>, tensor<1xi8>"
    text = network(
        '%m = "tosa.const"() <{values = dense<1073741824> : tensor<1xi32>}> : () -> tensor<1xi32>',
        '%s = "tosa.const"() <{values = dense<30> : tensor<1xi8>}> : () -> tensor<1xi8>',
        '%u = "tosa.const"() <{values = dense<128> : tensor<1xui8>}> : () -> tensor<1xui8>',
        '%z = "tosa.const"() <{values = dense<0> : tensor<1xi8>}> : () -> tensor<1xi8>',
        f"%x = tosa.rescale %a, %m, %s, %u, %z {{input_unsigned = true, output_unsigned = false, {flags}}}"
        f" : (tensor<4xui8>, {more}, tensor<1xui8>, tensor<1xi8>) -> tensor<4xi8>",
        "%y = tosa.abs %x : (tensor<4xi8>) -> tensor<4xi8>",
        f"%r = tosa.rescale %y, %m, %s, %z, %u {{input_unsigned = false, output_unsigned = true, {flags}}}"
        f" : (tensor<4xi8>, {more}, tensor<1xi8>, tensor<1xui8>) -> tensor<4xui8>",
        takes="%a: tensor<4xui8>",
        gives="tensor<4xui8>",
    )
    result = lowered(tmp_path, text).network
    assert result.inputs[0].tensor.dtype == result.outputs[0].tensor.dtype == "uint8"
    x = np.array([1, 100, 128, 255], np.uint8)
    wanted = np.abs(x.astype(int) - 128) + 128
    np.testing.assert_array_equal(jit.run_network(result, [x])[0], wanted)


def test_quoted_resource(tmp_path: Path) -> None:
    kind = "tensor<4xi8>"
    text = network(
        f'%c = "tosa.const"() <{{values = dense_resource<"b c"> : {kind}}}> : () -> {kind}',
        f"%r = tosa.maximum %a, %c : ({kind}, {kind}) -> {kind}",
        takes=f"%a: {kind}",
        gives=kind,
    )
    found = jit.run_network(lowered(tmp_path, text + RESOURCES).network, [np.zeros(4, np.int8)])
    np.testing.assert_array_equal(found[0], [1, 0, 3, 0])
