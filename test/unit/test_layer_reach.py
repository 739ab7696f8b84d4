"""What single layers read, on cases small enough to count: slices, reversed loops, tables that are looked up."""

from __future__ import annotations

import numpy as np

from lowtide.graph import profile
from lowtide.graph.nest import LayerBody
from lowtide.graph.profile import Access, Profile, Steps, accesses, profile_of
from lowtide.graph.program import Window
from lowtide.graph.read import read_layer
from lowtide.graph.rows import windows_of
from lowtide.indexing.linear import Linear, Var
from lowtide.ir import Module, func, parse_module
from lowtide.transform.interpreter import make_transform_context


def read(text: str) -> tuple[Module, LayerBody]:
    module = parse_module(text, make_transform_context())
    function = module.body.operations[0]
    assert isinstance(function, func.FuncOp)
    return module, read_layer(function)


def copied(given: str, kind: str, made: str, before: str = "", amap: str = "(d0)") -> str:
    """A layer that copies %x, of type `kind`, as subscripts say."""
    return f"""
    func.func @layer(%a: {given}, %b: {made}) -> {made} {{
      {before}
      %y = linalg.generic {{indexing_maps = [affine_map<(d0) -> {amap}>, affine_map<(d0) -> (d0)>],
                            iterator_types = ["parallel"]}} ins(%x : {kind}) outs(%b : {made}) {{
      ^bb0(%p: i8, %o: i8):
        %c = arith.constant 1 : i8
        %q = arith.addi %p, %c : i8
        linalg.yield %q : i8
      }} -> {made}
      return %y : {made}
    }}"""


def test_a_slice_is_read_from_its_offset_on() -> None:
    """Bytes 1, 3, 5 of six: after the first step all below 3 is dead, and backwards, before the last, all above 3."""
    piece = "%x = tensor.extract_slice %a[1] [3] [2] : tensor<6xi8> to tensor<3xi8>"
    module, body = read(copied("tensor<6xi8>", "tensor<3xi8>", "tensor<3xi8>", piece))
    with module.context:
        found = profile_of(body, 0, 6, 3)
    # forwards t + 1 bytes are stored and 2t + 3 are dead; backwards 3 - t are stored, and 6 - 2t dead
    assert found == Profile(max(1 - 3, 2 - 5), max((3 - t) - (6 - 2 * t) for t in (1, 2)))


def test_what_is_looked_up_may_be_anywhere() -> None:
    module, body = read("""
    func.func @layer(%a: tensor<3xi8>, %t: tensor<9xi8>, %b: tensor<3xi8>) -> tensor<3xi8> {
      %y = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>],
                           iterator_types = ["parallel"]} ins(%a : tensor<3xi8>) outs(%b : tensor<3xi8>) {
      ^bb0(%p: i8, %o: i8):
        %i = arith.index_castui %p : i8 to index
        %q = tensor.extract %t[%i] : tensor<9xi8>
        linalg.yield %q : i8
      } -> tensor<3xi8>
      return %y : tensor<3xi8>
    }""")
    with module.context:
        index = Steps(body.result.shape).index
        assert None in list(accesses(body.result, index, 1, None, padded=False))
        # two of three bytes are stored when the last step still reads any of the nine
        assert profile_of(body, 1, 9, 3) == Profile(2, 2)


def test_loops_within_a_step_that_go_down() -> None:
    inner = Var("k", 3)
    steps = Steps((2,))
    (row,) = steps.index
    access = Access((12,), (row * 4 + Linear(((inner, -1),), 4),))
    least, greatest, inside = profile._extremes(access, steps)  # pyright: ignore[reportPrivateUsage]
    assert (least.tolist(), greatest.tolist()) == ([2, 6], [4, 8])
    assert np.all(inside)


def test_rows_in_the_other_order_are_no_window() -> None:
    text = """
    func.func @layer(%a: tensor<4x5xi8>, %b: tensor<4x5xi8>) -> tensor<4x5xi8> {
      %y = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (MAP, d1)>, affine_map<(d0, d1) -> (d0, d1)>],
                           iterator_types = ["parallel", "parallel"]}
        ins(%a : tensor<4x5xi8>) outs(%b : tensor<4x5xi8>) {
      ^bb0(%p: i8, %o: i8):
        linalg.yield %p : i8
      } -> tensor<4x5xi8>
      return %y : tensor<4x5xi8>
    }"""
    for amap, window in (("d0", Window(1, 0, 0)), ("3 - d0", None)):
        module, body = read(text.replace("MAP", amap))
        with module.context:
            windows = windows_of(body, "rows")
            assert windows is not None and windows[0] == window, amap
