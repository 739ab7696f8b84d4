"""Clamps of floats by a comparison are `arith.maximumf` and `arith.minimumf`, NaN and signed zeros included."""

from __future__ import annotations

import jit
import numpy as np
import pytest

VALUES = (0.0, -0.0, 1.0, -1.0, 2.5, np.inf, -np.inf, np.nan, 1e-45, -1e-45, 3.4028235e38)


def _definition(name: str, x: float, limit: float) -> float:
    """NaN where either is; -0 is less than +0."""
    if np.isnan(x) or np.isnan(limit):
        return np.nan
    if x == limit == 0:
        negative = [bool(np.signbit(value)) for value in (x, limit)]
        return -0.0 if (all(negative) if name == "maximumf" else any(negative)) else 0.0
    return max(x, limit) if name == "maximumf" else min(x, limit)


@pytest.mark.parametrize("name", ["maximumf", "minimumf"])
@pytest.mark.parametrize("limit", ["0.0", "-0.0", "1.5", "-1.0", "3.40282347E+38", "0x7F800000", "0x7FC00000"])
@pytest.mark.parametrize("order", ["%v, %limit", "%limit, %v"])
def test_every_value(name: str, limit: str, order: str) -> None:
    x = np.array([VALUES], np.float32)
    kind = f"tensor<1x{len(VALUES)}xf32>"
    text = f"""
    func.func @test(%x: {kind}) -> {kind} {{
      %limit = arith.constant {limit} : f32
      %e = tensor.empty() : {kind}
      %y = linalg.generic {{indexing_maps = [affine_map<(a, b) -> (a, b)>, affine_map<(a, b) -> (a, b)>],
          iterator_types = ["parallel", "parallel"]}} ins(%x : {kind}) outs(%e : {kind}) {{
      ^bb0(%v: f32, %o: f32):
        %r = arith.{name} {order} : f32
        linalg.yield %r : f32
      }} -> {kind}
      return %y : {kind}
    }}"""
    module = jit.lowered(text, jit.PASSES)
    assert (f"arith.{name}" in str(module)) == (limit == "0x7FC00000")
    (found,) = jit.run(module, [x], [x])
    number = float(limit) if "x" not in limit else float(np.array(int(limit, 16), np.uint32).view(np.float32))
    wanted = np.array(
        [[_definition(name, float(np.float32(v)), float(np.float32(number))) for v in VALUES]], np.float32
    )
    np.testing.assert_array_equal(found, wanted)
    there = ~np.isnan(wanted)
    np.testing.assert_array_equal(np.signbit(found)[there], np.signbit(wanted)[there])
