"""A padded average pool divides 64-bit numbers: its object must link alone on cores that cannot."""

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


@pytest.mark.parametrize("target", ["cortex-m4", "rv32imac"])
def test_two_kernels_that_divide(target: str, tmp_path: Path) -> None:
    """IREE refuses a function that two others call."""
    (tmp_path / "pools.mlir").write_text(TWO_POOLS, encoding="utf-8")
    lowtide.compile(tmp_path / "pools.mlir", target=target, out=tmp_path / "out")
    x = np.full((1, 5, 5, 1), 77, np.int8)
    assert (lowtide.run(tmp_path / "out", [x]).outputs[0] == 77).all()
