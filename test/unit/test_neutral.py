"""Which pad values leave a reduction's accumulator alone, so that loops may skip the padding."""

from __future__ import annotations

import pytest

from lowtide.graph.nest import Padded, Structured
from lowtide.graph.read import read_layer
from lowtide.ir import func, make_context, parse_module
from lowtide.kernels.neutral import pad_is_neutral


def neutral(code: str, *, pad: str, start: str, kind: str = "i32", element: str = "i8") -> bool:
    """Of a sum over a padded row: `code` yields %r from %x (the padded input), %w (another) and %a (accumulator)."""
    text = f"""
    #row = affine_map<(d0) -> (d0)>
    #one = affine_map<(d0) -> (0)>
    func.func @f(%in: tensor<4x{element}>, %w: tensor<6x{element}>) -> tensor<1x{kind}> {{
      %p = arith.constant {pad} : {element}
      %s = arith.constant {start} : {kind}
      %e = tensor.empty() : tensor<1x{kind}>
      %f = linalg.fill ins(%s : {kind}) outs(%e : tensor<1x{kind}>) -> tensor<1x{kind}>
      %padded = tensor.pad %in low[1] high[1] {{
      ^bb0(%i: index):
        tensor.yield %p : {element}
      }} : tensor<4x{element}> to tensor<6x{element}>
      %y = linalg.generic {{indexing_maps = [#row, #row, #one], iterator_types = ["reduction"]}}
        ins(%padded, %w : tensor<6x{element}>, tensor<6x{element}>) outs(%f : tensor<1x{kind}>) {{
      ^bb0(%x: {element}, %v: {element}, %a: {kind}):
        {code}
        linalg.yield %r : {kind}
      }} -> tensor<1x{kind}>
      return %y : tensor<1x{kind}>
    }}"""
    module = parse_module(text, make_context())
    function = module.body.operations[0]
    assert isinstance(function, func.FuncOp)
    node = read_layer(function).result
    assert isinstance(node, Structured)
    padded = node.inputs[0]
    assert isinstance(padded, Padded)
    return pad_is_neutral(node, 0, padded.scalar)


PRODUCT = """%m = arith.extsi %x : i8 to i32
        %n = arith.extsi %v : i8 to i32
        %q = arith.muli %m, %n : i32
        %r = arith.addi %q, %a : i32"""
QUANTISED = """%z = arith.constant -3 : i32
        %m = arith.extsi %x : i8 to i32
        %d = arith.subi %m, %z : i32
        %n = arith.extsi %v : i8 to i32
        %q = arith.muli %d, %n : i32
        %r = arith.addi %a, %q : i32"""


def maximum(name: str, kind: str) -> str:
    return f"%r = arith.{name} %a, %x : {kind}"


@pytest.mark.parametrize(
    ("code", "pad", "expected"),
    [(PRODUCT, "0", True), (PRODUCT, "1", False), (QUANTISED, "-3", True), (QUANTISED, "0", False)],
)
def test_sums_of_products(code: str, pad: str, expected: bool) -> None:
    assert neutral(code, pad=pad, start="5") is expected


@pytest.mark.parametrize(
    ("name", "pad", "start", "expected"),
    [
        ("maxsi", "-128", "-128", True),
        ("maxsi", "-5", "-128", False),
        ("minsi", "127", "127", True),
        ("minsi", "0", "127", False),
    ],
)
def test_running_extremes(name: str, pad: str, start: str, expected: bool) -> None:
    assert neutral(maximum(name, "i8"), pad=pad, start=start, kind="i8") is expected


def test_floats() -> None:
    code = "%q = arith.mulf %x, %v : f32 %r = arith.addf %a, %q : f32"
    assert neutral(code, pad="0.0", start="1.0", kind="f32", element="f32")
    assert not neutral(code, pad="1.0", start="0.0", kind="f32", element="f32")
    lowest = "0xFF7FFFFF"
    assert neutral(maximum("maximumf", "f32"), pad=lowest, start=lowest, kind="f32", element="f32")
    assert not neutral(maximum("maximumf", "f32"), pad="0.0", start=lowest, kind="f32", element="f32")


def test_an_accumulator_that_is_more_than_a_maximum() -> None:
    """It may fall below its start, and then the padding would lift it."""
    code = "%m = arith.maxsi %a, %x : i8 %z = arith.constant 0 : i8 %r = arith.addi %m, %z : i8"
    assert not neutral(code, pad="-128", start="-128", kind="i8")


def test_what_wraps_around_is_not_trusted() -> None:
    """-128 - 1 is 127 in eight bits, which a maximum that started at 0 would take."""
    code = "%o = arith.constant 1 : i8 %d = arith.subi %x, %o : i8 %r = arith.maxsi %a, %d : i8"
    assert not neutral(code, pad="-128", start="0", kind="i8")
    assert neutral(code, pad="-127", start="0", kind="i8")


def test_what_is_not_known_is_not_neutral() -> None:
    code = "%m = arith.xori %x, %x : i8 %r = arith.addi %a, %m : i8"
    assert not neutral(code, pad="0", start="0", kind="i8")
