"""Loops that MLIR's own tiling makes, as layers on the arena: run, and compared with numpy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jit
import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from lowtide.ir import Module, parse_module
from lowtide.lower import lower
from lowtide.passes import run_passes
from lowtide.stages import Stages
from lowtide.targets import TARGETS
from lowtide.transform.interpreter import apply_embedded_script, make_transform_context

Array = NDArray[Any]
PASSES = "lowtide-outline,lowtide-allocate{alignment=8},lowtide-kernels"
SCRIPTS = Path(__file__).parent.parent / "lit" / "transform"


def lowered(text: str) -> Module:
    """A network with a script inside, which is applied, as code on one arena."""
    module = parse_module(text, make_transform_context())
    apply_embedded_script(module)
    for view in list(module.body.operations):
        if view.operation.name == "transform.named_sequence":
            view.operation.erase()
    run_passes(module, PASSES)
    return module


def check(text: str, expected: Callable[..., Array], *inputs: Array) -> None:
    """The network of a text gives what numpy does: bytes and integers exactly, floats up to how they are rounded."""
    wanted = expected(*inputs)
    (found,) = jit.run(lowered(text), inputs, [wanted])
    compare(found, wanted)


def compare(found: Array, wanted: Array) -> None:
    if wanted.dtype.kind == "f":
        np.testing.assert_allclose(found, wanted, rtol=2e-6, atol=1e-6)
    else:
        np.testing.assert_array_equal(found, wanted)


def floats(*shape: int) -> Array:
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)


def numbers(*shape: int) -> Array:
    return np.random.default_rng(1).integers(-128, 128, shape).astype(np.int8)


def fused_product(x: Array, w: Array) -> Array:
    v = [[1, -1], [2, 0.5], [3, 0], [4, 1.5], [-1, 2], [0, 1], [1, 1], [2, -2]]
    return np.tanh(x @ w) @ np.array(v, np.float32)


def pooled(x: Array, height: int, width: int) -> Array:
    return sliding_window_view(x, (height, width), (1, 2)).max((-2, -1))


def numbered_pools(x: Array) -> Array:
    rows = np.arange(8, dtype=np.int8).reshape(1, 8, 1, 1)
    return pooled(pooled(x + rows, 3, 1), 3, 1)


def convolved(x: Array, w: Array) -> Array:
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))).astype(np.int32)
    sums = np.einsum("nyxcij,ijco->nyxo", sliding_window_view(padded, (3, 3), (1, 2)), w.astype(np.int32))
    return pooled(pooled((sums >> 6).astype(np.int8), 3, 3), 3, 3)


def magnitudes(x: Array, w: Array) -> Array:
    return np.abs(x @ w)


def curved_sums(x: Array, y: Array) -> Array:
    return np.exp(x + y) * x


def curved_product(x: Array, w: Array) -> Array:
    return np.exp(x @ w)


def biased_product(x: Array, w: Array, b: Array) -> Array:
    return x.astype(np.int32) @ w.astype(np.int32) + b


CASES: dict[str, tuple[Callable[..., Array], tuple[Array, ...]]] = {
    "fuse-into-loop": (fused_product, (floats(8, 6), floats(6, 8))),
    "tile-forall": (numbered_pools, (numbers(1, 8, 4, 2),)),
    "unroll": (magnitudes, (floats(8, 6), floats(6, 4))),
    "peel": (curved_sums, (floats(8, 6), floats(8, 6)[::-1])),
    "pad": (curved_product, (floats(5, 6), floats(6, 7))),
    "conv": (convolved, (numbers(1, 8, 8, 2), numbers(3, 3, 2, 4))),
    "interchange": (biased_product, (numbers(4, 6), numbers(6, 8), numbers(4, 8).astype(np.int32))),
}


@pytest.mark.parametrize("name", CASES)
def test_the_scripts_of_the_lit_tests(name: str) -> None:
    expected, inputs = CASES[name]
    check((SCRIPTS / f"stock-{name}.mlir").read_text(encoding="utf-8"), expected, *inputs)


@pytest.mark.parametrize("name", ["conv", "fuse-into-loop", "pad", "peel", "tile-forall"])
def test_the_same_scripts_as_plans(name: str, tmp_path: Path) -> None:
    expected, inputs = CASES[name]
    text = (SCRIPTS / f"stock-{name}.mlir").read_text(encoding="utf-8")
    head, marked = "module attributes {transform.with_named_sequence} {", "  transform.named_sequence"
    network, sequence = text.split(marked)
    (tmp_path / "net.mlir").write_text(network.replace(head, "module {") + "}")
    (tmp_path / "plan.mlir").write_text(f"{head}\n{marked}{sequence}")
    lowered = lower(tmp_path / "net.mlir", TARGETS["host"], plan=tmp_path / "plan.mlir", stages=Stages())
    wanted = expected(*inputs)
    (found,) = jit.run_network(lowered.network, inputs)
    compare(found.reshape(wanted.shape), wanted)
    assert any(layer.rewrites for layer in lowered.layers)


def script(steps: str) -> str:
    """A sequence with the steps, in which `%module` is the module."""
    head = "transform.named_sequence @__transform_main(%module: !transform.any_op {transform.readonly}) {"
    return f"{head}\n{steps}\ntransform.yield\n}}"


def two_curves(steps: str) -> str:
    """A network of an elementwise sum and a product with a table, and a script."""
    return f"""
module attributes {{transform.with_named_sequence}} {{
  func.func @main(%x: tensor<7x4xf32>) -> tensor<7x4xf32> {{
    %two = arith.constant dense<2.0> : tensor<7x4xf32>
    %table = arith.constant dense<[[1.0, 2.0, 3.0, 4.0]]> : tensor<1x4xf32>
    %row = tensor.collapse_shape %table [[0, 1]] : tensor<1x4xf32> into tensor<4xf32>
    %e = tensor.empty() : tensor<7x4xf32>
    %0 = linalg.add ins(%x, %two : tensor<7x4xf32>, tensor<7x4xf32>) outs(%e : tensor<7x4xf32>) -> tensor<7x4xf32>
    %1 = linalg.generic {{indexing_maps = [affine_map<(a, b) -> (a, b)>, affine_map<(a, b) -> (b)>,
        affine_map<(a, b) -> (a, b)>], iterator_types = ["parallel", "parallel"]}}
        ins(%0, %row : tensor<7x4xf32>, tensor<4xf32>) outs(%e : tensor<7x4xf32>) {{
    ^bb0(%a: f32, %b: f32, %c: f32):
      %2 = arith.mulf %a, %b : f32
      linalg.yield %2 : f32
    }} -> tensor<7x4xf32>
    return %1 : tensor<7x4xf32>
  }}
  {script(steps)}
}}"""


def scaled(x: Array) -> Array:
    return (x + np.float32(2)) * np.array([1, 2, 3, 4], np.float32)


MATCH = """
%sum = transform.structured.match ops{["linalg.add"]} in %module : (!transform.any_op) -> !transform.any_op
%map = transform.structured.match ops{["linalg.generic"]} in %module : (!transform.any_op) -> !transform.any_op
"""
FUSED = """
%tile, %loop = transform.structured.tile_using_KIND %map tile_sizes SIZES
    : (!transform.any_op) -> (!transform.any_op, !transform.any_op)
%inside, %both = transform.structured.fuse_into_containing_op %sum into %loop
    : (!transform.any_op, !transform.any_op) -> (!transform.any_op, !transform.any_op)
"""
PEELED = """
%counted = transform.cast %both : !transform.any_op to !transform.op<"scf.for">
%most, %rest = transform.loop.peel %counted : (!transform.op<"scf.for">) -> (!transform.any_op, !transform.any_op)
"""


@pytest.mark.parametrize("kind", ["for", "forall"])
@pytest.mark.parametrize("sizes", ["[1]", "[2]", "[3]", "[7]", "[0, 3]"])
def test_tables_and_constants_of_one_value_in_loops(kind: str, sizes: str) -> None:
    steps = MATCH + FUSED.replace("KIND", kind).replace("SIZES", sizes)
    check(two_curves(steps), scaled, floats(7, 4))


@pytest.mark.parametrize("sizes", ["[2]", "[3]", "[4]"])
def test_a_peeled_loop_needs_no_canonicalization(sizes: str) -> None:
    steps = MATCH + FUSED.replace("KIND", "for").replace("SIZES", sizes) + PEELED
    check(two_curves(steps), scaled, floats(7, 4))


def test_a_loop_that_is_unrolled_whole_is_no_loop() -> None:
    fused = FUSED.replace("KIND", "for").replace("SIZES", "[1]")
    unroll = "transform.loop.unroll %both {factor = 7} : !transform.any_op\n"
    clean = """
        %main = transform.structured.match ops{["func.func"]} in %module : (!transform.any_op) -> !transform.any_op
        transform.apply_patterns to %main { transform.apply_patterns.canonicalization } : !transform.any_op
    """
    check(two_curves(MATCH + fused + unroll + clean), scaled, floats(7, 4))


def network(arguments: str, result: str, body: str, steps: str) -> str:
    head = f"func.func @main({arguments}) -> {result} {{"
    return f"module attributes {{transform.with_named_sequence}} {{\n{head}\n{body}\n}}\n{script(steps)}\n}}"


def tiled(name: str, loops: int, sizes: str) -> str:
    """The step that tiles the one linalg operation of that name."""
    types = ", ".join(["!transform.any_op"] * (loops + 1))
    return f"""
%op = transform.structured.match ops{{["linalg.{name}"]}} in %module : (!transform.any_op) -> !transform.any_op
%tile, %loops:{loops} = transform.structured.tile_using_for %op tile_sizes {sizes} : (!transform.any_op) -> ({types})
"""


def joined(x: Array) -> Array:
    return np.concatenate([np.exp(x), x], 1)


def test_a_part_of_a_concat() -> None:
    body = """
%e = tensor.empty() : tensor<6x4xf32>
%0 = linalg.exp ins(%x : tensor<6x4xf32>) outs(%e : tensor<6x4xf32>) -> tensor<6x4xf32>
%c = tensor.empty() : tensor<6x8xf32>
%1 = tensor.insert_slice %0 into %c[0, 0] [6, 4] [1, 1] : tensor<6x4xf32> into tensor<6x8xf32>
%2 = tensor.insert_slice %x into %1[0, 4] [6, 4] [1, 1] : tensor<6x4xf32> into tensor<6x8xf32>
return %2 : tensor<6x8xf32>
"""
    text = network("%x: tensor<6x4xf32>", "tensor<6x8xf32>", body, tiled("exp", 2, "[4, 3]"))
    check(text, joined, floats(6, 4))


def added_product(x: Array, y: Array, z: Array) -> Array:
    return x @ y + z


def test_tiles_of_tiles_that_add_to_an_input() -> None:
    body = """
%0 = linalg.matmul ins(%x, %y : tensor<6x4xf32>, tensor<4x5xf32>) outs(%z : tensor<6x5xf32>) -> tensor<6x5xf32>
return %0 : tensor<6x5xf32>
"""
    arguments = "%x: tensor<6x4xf32>, %y: tensor<4x5xf32>, %z: tensor<6x5xf32>"
    again = tiled("matmul", 2, "[2, 2]").replace("%op", "%op1").replace("%tile, %loops", "%tile1, %loops1")
    text = network(arguments, "tensor<6x5xf32>", body, tiled("matmul", 3, "[4, 3, 3]") + again)
    check(text, added_product, floats(6, 4), floats(4, 5), floats(6, 5))


def looked_up(x: Array) -> Array:
    return np.array([3, 1, 4, 1.5], np.float32)[np.clip(x, 0, 3)]


def test_an_index_that_depends_on_data_stays_in_its_table() -> None:
    body = """
%table = arith.constant dense<[3.0, 1.0, 4.0, 1.5]> : tensor<4xf32>
%e = tensor.empty() : tensor<6xf32>
%0 = linalg.generic {indexing_maps = [affine_map<(a) -> (a)>, affine_map<(a) -> (a)>], iterator_types = ["parallel"]}
    ins(%x : tensor<6xi8>) outs(%e : tensor<6xf32>) {
^bb0(%a: i8, %b: f32):
  %i = arith.index_cast %a : i8 to index
  %value = tensor.extract %table[%i] : tensor<4xf32>
  linalg.yield %value : f32
} -> tensor<6xf32>
return %0 : tensor<6xf32>
"""
    text = network("%x: tensor<6xi8>", "tensor<6xf32>", body, tiled("generic", 1, "[2]"))
    check(text, looked_up, np.array([0, 3, -128, 1, 127, 2], np.int8))


def chosen(x: Array, y: Array) -> Array:
    return np.where(x > 0, x, y)


def test_flags_between_the_operations_of_a_loop() -> None:
    body = """
%zero = arith.constant 0.0 : f32
%flags = tensor.empty() : tensor<6x4xi1>
%0 = linalg.generic {indexing_maps = [affine_map<(a, b) -> (a, b)>, affine_map<(a, b) -> (a, b)>],
    iterator_types = ["parallel", "parallel"]} ins(%x : tensor<6x4xf32>) outs(%flags : tensor<6x4xi1>) {
^bb0(%a: f32, %b: i1):
  %more = arith.cmpf ogt, %a, %zero : f32
  linalg.yield %more : i1
} -> tensor<6x4xi1>
%e = tensor.empty() : tensor<6x4xf32>
%1 = linalg.select ins(%0, %x, %y : tensor<6x4xi1>, tensor<6x4xf32>, tensor<6x4xf32>)
    outs(%e : tensor<6x4xf32>) -> tensor<6x4xf32>
return %1 : tensor<6x4xf32>
"""
    steps = """
%flags = transform.structured.match ops{["linalg.generic"]} in %module : (!transform.any_op) -> !transform.any_op
%in, %all = transform.structured.fuse_into_containing_op %flags into %loops
    : (!transform.any_op, !transform.any_op) -> (!transform.any_op, !transform.any_op)
"""
    arguments = "%x: tensor<6x4xf32>, %y: tensor<6x4xf32>"
    text = network(arguments, "tensor<6x4xf32>", body, tiled("select", 1, "[4]") + steps)
    check(text, chosen, floats(6, 4), floats(6, 4) * np.float32(3))
