"""Buffers of flags (`i1`): inputs, outputs, constants and what lies between, a byte each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import lowtide

F, B = "tensor<2x4xf32>", "tensor<2x4xi1>"
NETWORK = f"""func.func @main(%x: {F}, %y: {B}) -> ({B}, {F}, {B}) {{
  %c = "tosa.const"() <{{values = dense<0.5> : {F}}}> : () -> {F}
  %f = "tosa.const"() <{{values = dense<[[true, false, true, true], [false, false, true, false]]> : {B}}}> : () -> {B}
  %r = tosa.greater %x, %c : ({F}, {F}) -> {B}
  %a = tosa.logical_and %y, %r : ({B}, {B}) -> {B}
  %s = tosa.select %f, %x, %c : ({B}, {F}, {F}) -> {F}
  %n = tosa.logical_not %y : ({B}) -> {B}
  return %a, %s, %n : {B}, {F}, {B}
}}
"""


def test_flags_are_bytes(tmp_path: Path) -> None:
    path = tmp_path / "net.mlir"
    path.write_text(NETWORK)
    artifact = lowtide.compile(path, target="cortex-m4", out=tmp_path / "out")
    x: NDArray[np.float32] = np.array([[0, 1, 2, -1], [0.5, 0.6, 0.4, 9]], np.float32)
    y = np.array([[True, True, False, False], [True, True, True, False]])
    found = lowtide.run(artifact.directory, [x, y]).outputs
    kept = np.array([[True, False, True, True], [False, False, True, False]])
    for output, wanted in zip(found, (y & (x > 0.5), np.where(kept, x, np.float32(0.5)), ~y), strict=True):
        np.testing.assert_array_equal(output, wanted)
