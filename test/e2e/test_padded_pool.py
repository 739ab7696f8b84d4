"""Padded average pools and divisions of 64-bit numbers: the object must link alone on cores that cannot divide them."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

import lowtide

POOL = """
func.func @main(%x: tensor<1x5x5x2xi8>) -> tensor<1x3x3x2xi8> {
  %z = "tosa.const"() <{values = dense<0> : tensor<1xi8>}> : () -> tensor<1xi8>
  %0 = tosa.avg_pool2d %x, %z, %z {acc_type = i32, kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>,
      stride = array<i64: 2, 2>} : (tensor<1x5x5x2xi8>, tensor<1xi8>, tensor<1xi8>) -> tensor<1x3x3x2xi8>
  return %0 : tensor<1x3x3x2xi8>
}
"""


def _reference(x: np.ndarray) -> np.ndarray:
    """Mean of the elements under the window, halves away from zero."""
    y = np.zeros((1, 3, 3, 2), np.int8)
    for row, column, channel in itertools.product(range(3), range(3), range(2)):
        window = x[0, max(0, 2 * row - 1) : 2 * row + 2, max(0, 2 * column - 1) : 2 * column + 2, channel].astype(int)
        total, count = int(window.sum()), window.size
        y[0, row, column, channel] = (abs(total) + count // 2) // count * (1 if total >= 0 else -1)
    return y


@pytest.mark.parametrize("target", ["cortex-m4", "rv32imac"])
def test_numbers(target: str, tmp_path: Path) -> None:
    (tmp_path / "pool.mlir").write_text(POOL, encoding="utf-8")
    artifact = lowtide.compile(tmp_path / "pool.mlir", target=target, out=tmp_path / "out")
    assert artifact.report.external_symbols == ()
    generator = np.random.default_rng(5)
    for _ in range(5):
        x = generator.integers(-128, 128, (1, 5, 5, 2)).astype(np.int8)
        assert np.array_equal(lowtide.run(tmp_path / "out", [x]).outputs[0], _reference(x))


TWO_POOLS = """
func.func @main(%x: tensor<1x5x5x1xi8>) -> tensor<1x2x2x1xi8> {
  %z = "tosa.const"() <{values = dense<0> : tensor<1xi8>}> : () -> tensor<1xi8>
  %0 = tosa.avg_pool2d %x, %z, %z {acc_type = i32, kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>,
      stride = array<i64: 2, 2>} : (tensor<1x5x5x1xi8>, tensor<1xi8>, tensor<1xi8>) -> tensor<1x3x3x1xi8>
  %1 = tosa.avg_pool2d %0, %z, %z {acc_type = i32, kernel = array<i64: 3, 3>, pad = array<i64: 1, 1, 1, 1>,
      stride = array<i64: 2, 2>} : (tensor<1x3x3x1xi8>, tensor<1xi8>, tensor<1xi8>) -> tensor<1x2x2x1xi8>
  return %1 : tensor<1x2x2x1xi8>
}
"""


BY_DATA = """
#same = affine_map<(a) -> (a)>
func.func @main(%x: tensor<9xi32>, %y: tensor<7xi32>) -> (tensor<9xi32>, tensor<7xi32>) {
  %big = arith.constant 1099511627777 : i64
  %e = tensor.empty() : tensor<9xi32>
  %0 = linalg.generic {indexing_maps = [#same, #same], iterator_types = ["parallel"]}
      ins(%x : tensor<9xi32>) outs(%e : tensor<9xi32>) {
  ^bb0(%a: i32, %t: i32):
    %w = arith.extui %a : i32 to i64
    %q = arith.divui %big, %w : i64
    %r = arith.trunci %q : i64 to i32
    linalg.yield %r : i32
  } -> tensor<9xi32>
  %f = tensor.empty() : tensor<7xi32>
  %1 = linalg.generic {indexing_maps = [#same, #same], iterator_types = ["parallel"]}
      ins(%y : tensor<7xi32>) outs(%f : tensor<7xi32>) {
  ^bb0(%a: i32, %t: i32):
    %w = arith.extui %a : i32 to i64
    %s = arith.muli %w, %w : i64
    %q = arith.divui %s, %w : i64
    %r = arith.trunci %q : i64 to i32
    linalg.yield %r : i32
  } -> tensor<7xi32>
  return %0, %1 : tensor<9xi32>, tensor<7xi32>
}
"""


@pytest.mark.parametrize("target", ["cortex-m4", "rv32imac"])
def test_two_kernels_that_divide(target: str, tmp_path: Path) -> None:
    """By data; IREE refuses a function that two others call."""
    (tmp_path / "divide.mlir").write_text(BY_DATA, encoding="utf-8")
    artifact = lowtide.compile(tmp_path / "divide.mlir", target=target, out=tmp_path / "out")
    assert artifact.report.external_symbols == ()
    generator = np.random.default_rng(5)
    x, y = (generator.integers(1, 1 << 31, count).astype(np.int32) for count in (9, 7))
    x[:3] = 1, 255, 70000
    first, second = lowtide.run(tmp_path / "out", [x, y]).outputs
    assert np.array_equal(first, ((1099511627777 // x.astype(np.int64)) & 0xFFFFFFFF).astype(np.uint32).view(np.int32))
    assert np.array_equal(second, y)


@pytest.mark.parametrize("target", ["cortex-m4", "rv32imac"])
def test_two_pools(target: str, tmp_path: Path) -> None:
    (tmp_path / "pools.mlir").write_text(TWO_POOLS, encoding="utf-8")
    lowtide.compile(tmp_path / "pools.mlir", target=target, out=tmp_path / "out")
    x = np.full((1, 5, 5, 1), 77, np.int8)
    assert (lowtide.run(tmp_path / "out", [x]).outputs[0] == 77).all()
