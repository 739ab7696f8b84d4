"""Padded average pools: what their code makes of a row and a column comes from tables, whatever the formula."""

from __future__ import annotations

from pathlib import Path

import jit
import numpy as np
import pytest
from tosa_nets import Array, TosaNet, Value, Window

import lowtide
from lowtide.ir import Module
from lowtide.normalise.analysis import calls_in, network_function

PASSES = "lowtide-import-tosa,lowtide-normalise"
WINDOWS = {
    "2x2 on an odd image": ((9, 11, 5), Window((2, 2), ((0, 1), (0, 1)), (2, 2))),
    "3x3": ((5, 6, 4), Window((3, 3), ((1, 1), (1, 1)))),
    "1x5": ((1, 13, 3), Window((1, 5), ((0, 0), (2, 2)))),
    "as large as the image": ((7, 5, 2), Window((7, 5), ((3, 3), (2, 2)))),
    "beside the image at one end": ((6, 6, 9), Window((4, 3), ((3, 0), (0, 1)), (1, 2))),
    "one channel": ((8, 8, 1), Window((3, 3), ((1, 0), (1, 0)), (2, 2))),
}


def _pool(shape: tuple[int, int, int], window: Window, kind: str) -> tuple[TosaNet, Value]:
    net = TosaNet(np.random.default_rng(1))
    x = net.input([1, *shape], kind)
    if kind == "int8":
        x.array.reshape(-1)[::3] = net.rng.choice([-128, 127], len(x.array.reshape(-1)[::3]))
    return net, net.avg_pool(x, window)


def _divisions(module: Module) -> int:
    text = str(module)
    return sum(text.count(f"arith.{name} ") for name in ("divui", "divsi", "remui", "remsi")) + text.count("ctlz")


@pytest.mark.parametrize("kind", ["int8", "float32"])
@pytest.mark.parametrize("name", WINDOWS)
def test_average_pools_divide_nowhere(name: str, kind: str) -> None:
    net, y = _pool(*WINDOWS[name], kind)
    module = jit.lowered(net.text([y]), PASSES)
    assert not _divisions(module)
    whole = jit.lowered(net.text([y]))
    assert len(calls_in(network_function(whole, "test"))) == 1
    (got,) = jit.run(whole, [net.inputs[0].array], [y.array])
    if kind == "int8":
        np.testing.assert_array_equal(got, y.array)
    else:
        np.testing.assert_allclose(got, y.array, 1e-5)


def test_a_table_that_would_be_large_is_not_made() -> None:
    """Every place has a value of its own."""
    module = jit.lowered(
        _formula("%s = arith.muli %i, %k : index\n %q = arith.divui %s, %three : index", 60, 70), PASSES
    )
    assert _divisions(module) == 1


FORMULAS = {
    "32 bits": "%n = arith.addi %i, %three : index\n %q = arith.divsi %n, %three : index",
    "remainders": "%n = arith.muli %i, %three : index\n %q = arith.remui %n, %k1 : index",
    "rounded up": "%n = arith.addi %i, %k : index\n %q = arith.ceildivsi %n, %three : index",
    "of 64 bits": """%n = arith.index_cast %i : index to i64
        %big = arith.constant 1073741825 : i64
        %one = arith.constant 3 : i64
        %d = arith.addi %n, %one : i64
        %w = arith.divui %big, %d : i64
        %q = arith.index_cast %w : i64 to index""",
}


def _formula(code: str, rows: int = 5, columns: int = 11) -> str:
    """A tensor with what the code makes of row %i and column %k added to it."""
    kind = f"tensor<1x{rows}x{columns}x2xi32>"
    return f"""
    #same = affine_map<(a, b, c, d) -> (a, b, c, d)>
    func.func @main(%x: {kind}) -> {kind} {{
      %e = tensor.empty() : {kind}
      %y = linalg.generic {{indexing_maps = [#same, #same],
          iterator_types = ["parallel", "parallel", "parallel", "parallel"]}}
        ins(%x : {kind}) outs(%e : {kind}) {{
      ^bb0(%a: i32, %t: i32):
        %three = arith.constant 3 : index
        %i = linalg.index 1 : index
        %k = linalg.index 2 : index
        %k1 = arith.addi %k, %three : index
        {code}
        %v = arith.index_cast %q : index to i32
        %r = arith.addi %a, %v : i32
        linalg.yield %r : i32
      }} -> {kind}
      return %y : {kind}
    }}"""


def _value(name: str, i: Array, k: Array) -> Array:
    match name:
        case "32 bits":
            return (i + 3) // 3 + 0 * k
        case "remainders":
            return (3 * i) % (k + 3)
        case "rounded up":
            return -(-(i + k) // 3)
        case _:
            return 1073741825 // (i + 3) + 0 * k


@pytest.mark.parametrize("name", FORMULAS)
def test_any_formula(name: str) -> None:
    text = _formula(FORMULAS[name])
    assert not _divisions(jit.lowered(text, PASSES))
    x = np.random.default_rng(1).integers(-1000, 1000, (1, 5, 11, 2)).astype(np.int32)
    i, k = np.indices((5, 11))
    wanted = x + _value(name, i, k).astype(np.int32)[None, :, :, None]
    (got,) = jit.run(jit.lowered(text), [x], [wanted])
    np.testing.assert_array_equal(got, wanted)


def test_what_has_no_value_stays_as_it_is() -> None:
    """A division by zero at the first column, which nobody may compute."""
    module = jit.lowered(_formula("%q = arith.divui %i, %k : index"), PASSES)
    assert _divisions(module) == 1


@pytest.mark.parametrize("target", ["cortex-m4", "rv32imac"])
def test_instructions_of_a_padded_average_pool(target: str, tmp_path: Path) -> None:
    net, y = _pool(*WINDOWS["2x2 on an odd image"], "int8")
    (tmp_path / "pool.mlir").write_text(net.text([y]), encoding="utf-8")
    lowtide.compile(tmp_path / "pool.mlir", target=target, out=tmp_path / "out")
    result = lowtide.run(tmp_path / "out", [net.inputs[0].array], witness=True)
    np.testing.assert_array_equal(result.outputs[0], y.array)
    assert result.instructions is not None
    assert result.instructions <= 60 * y.array.size
