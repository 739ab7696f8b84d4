"""Intervals of integers against all values of small widths: nothing lies outside, and what is claimed is close."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Mapping, Sequence

import pytest

from lowtide.graph.nest import LayerBody, Structured
from lowtide.graph.read import read_layer
from lowtide.ir import Module, func, parse_module
from lowtide.kernels.intervals import Interval, Intervals, full
from lowtide.transform.interpreter import make_transform_context

WIDTH = 3
VALUES = range(-(1 << (WIDTH - 1)), 1 << (WIDTH - 1))
INTERVALS = [(low, high) for low in VALUES for high in VALUES if low <= high]


def signed(value: int, width: int) -> int:
    """The value of the low bits."""
    return (value + (1 << (width - 1))) % (1 << width) - (1 << (width - 1))


def layer(code: str, kinds: Sequence[str], extents: str = "2", iterator: str = "parallel") -> tuple[Module, LayerBody]:
    """Scalar code of %x0, %x1, … with the result %r, for each element of vectors; the last kind is the result's."""
    *given, made = kinds
    arguments = ", ".join(f"%a{n}: tensor<{extents}x{kind}>" for n, kind in enumerate(kinds))
    scalars = ", ".join(f"%x{n}: {kind}" for n, kind in enumerate(given))
    names = ", ".join(f"%a{n}" for n in range(len(given)))
    types = ", ".join(f"tensor<{extents}x{kind}>" for kind in given)
    out, result = f"%a{len(given)}", f"tensor<{extents}x{made}>"
    maps = ", ".join(["affine_map<(d0) -> (d0)>"] * len(kinds))
    text = f"""
    func.func @layer({arguments}) -> {result} {{
      %y = linalg.generic {{indexing_maps = [{maps}], iterator_types = ["{iterator}"]}}
        ins({names} : {types}) outs({out} : {result}) {{
      ^bb0({scalars}, %o: {made}):
        {code}
        linalg.yield %r : {made}
      }} -> {result}
      return %y : {result}
    }}"""
    return read(text)


def read(text: str) -> tuple[Module, LayerBody]:
    module = parse_module(text, make_transform_context())
    function = module.body.operations[0]
    assert isinstance(function, func.FuncOp)
    return module, read_layer(function)


def found(code: str, kinds: Sequence[str], constants: Mapping[int, Interval]) -> Interval:
    """The interval of %r where the arguments lie in these."""
    module, body = layer(code, kinds)
    with module.context:
        interval = Intervals(body, constants).of_node(body.result)
    assert interval is not None
    return interval


Function = Callable[[int, int], int]
BINARY: dict[str, Function] = {
    "addi": operator.add,
    "subi": operator.sub,
    "muli": operator.mul,
    "maxsi": max,
    "minsi": min,
}


@pytest.mark.parametrize("name", BINARY)
def test_operations_on_all_pairs_of_intervals(name: str) -> None:
    """In six bits, which hold every result, intervals are exact."""
    code = f"%y0 = arith.extsi %x0 : i3 to i6\n%y1 = arith.extsi %x1 : i3 to i6\n%r = arith.{name} %y0, %y1 : i6"
    module, body = layer(code, ["i3", "i3", "i6"])
    with module.context:
        for left, right in itertools.product(INTERVALS, INTERVALS):
            pairs = itertools.product(range(left[0], left[1] + 1), range(right[0], right[1] + 1))
            results = [BINARY[name](a, b) for a, b in pairs]
            assert Intervals(body, {0: left, 1: right}).of_node(body.result) == (min(results), max(results))


@pytest.mark.parametrize("name", BINARY)
def test_what_wraps_around_may_be_anything(name: str) -> None:
    module, body = layer(f"%r = arith.{name} %x0, %x1 : i3", ["i3", "i3", "i3"])
    with module.context:
        for left, right in itertools.product(INTERVALS, INTERVALS):
            pairs = itertools.product(range(left[0], left[1] + 1), range(right[0], right[1] + 1))
            exact = [BINARY[name](a, b) for a, b in pairs]
            wraps = any(value not in VALUES for value in exact)
            interval = full(WIDTH) if wraps else (min(exact), max(exact))
            assert Intervals(body, {0: left, 1: right}).of_node(body.result) == interval


SHIFTS: dict[str, Function] = {"shli": lambda a, b: a << b, "shrsi": lambda a, b: a >> b}


@pytest.mark.parametrize("name", SHIFTS)
def test_shifts(name: str) -> None:
    code = f"%y0 = arith.extsi %x0 : i3 to i7\n%y1 = arith.extsi %x1 : i3 to i7\n%r = arith.{name} %y0, %y1 : i7"
    module, body = layer(code, ["i3", "i3", "i7"])
    with module.context:
        for left, right in itertools.product(INTERVALS, INTERVALS):
            if right[0] < 0:
                interval = full(7)
            else:
                amounts = range(right[0], right[1] + 1)
                results = [SHIFTS[name](a, b) for a in range(left[0], left[1] + 1) for b in amounts]
                interval = min(results), max(results)
            assert Intervals(body, {0: left, 1: right}).of_node(body.result) == interval


CONVERSIONS: list[tuple[str, int, Callable[[int], int]]] = [
    ("%r = arith.extsi %x0 : i3 to i6", 6, lambda x: x),
    ("%r = arith.extui %x0 : i3 to i6", 6, lambda x: x % 8),
    ("%r = arith.trunci %x0 : i3 to i2", 2, lambda x: signed(x, 2)),
    ("%w = arith.extui %x0 : i3 to i6\n%r = arith.trunci %w : i6 to i3", 3, lambda x: x),
    ("%c = arith.constant -3 : i3\n%r = arith.minsi %x0, %c : i3", 3, lambda x: min(x, -3)),
    ("%r = arith.xori %x0, %x0 : i3", 3, lambda x: 0),
    ("%t = arith.trunci %x0 : i3 to i1\n%r = arith.extui %t : i1 to i6", 6, lambda x: x & 1),
    ("%t = arith.trunci %x0 : i3 to i1\n%r = arith.extsi %t : i1 to i6", 6, lambda x: -(x & 1)),
    ("%t = arith.constant true\n%r = arith.extsi %t : i1 to i6", 6, lambda x: -1),
    ("%t = arith.constant true\n%r = arith.extui %t : i1 to i6", 6, lambda x: 1),
]


@pytest.mark.parametrize(("code", "made", "function"), CONVERSIONS)
def test_conversions_hold_all_values(code: str, made: int, function: Callable[[int], int]) -> None:
    module, body = layer(code, ["i3", f"i{made}"])
    with module.context:
        for low, high in INTERVALS:
            claimed = Intervals(body, {0: (low, high)}).of_node(body.result)
            assert claimed is not None
            results = [function(x) for x in range(low, high + 1)]
            assert claimed[0] <= min(results) and max(results) <= claimed[1], (low, high)


def test_conversions_are_as_close_as_signs_allow() -> None:
    wide = ["i3", "i6"]
    assert found("%r = arith.extsi %x0 : i3 to i6", wide, {0: (-2, 3)}) == (-2, 3)
    assert found("%r = arith.extui %x0 : i3 to i6", wide, {0: (1, 3)}) == (1, 3)
    assert found("%r = arith.extui %x0 : i3 to i6", wide, {0: (-1, 3)}) == (0, 7)
    assert found("%r = arith.trunci %x0 : i3 to i2", ["i3", "i2"], {0: (-2, 1)}) == (-2, 1)
    assert found("%r = arith.trunci %x0 : i3 to i2", ["i3", "i2"], {0: (-2, 2)}) == (-2, 1)
    assert found("%r = arith.extsi %x0 : i3 to i6", wide, {}) == (-4, 3)


def test_either_side_of_a_choice() -> None:
    code = "%c = arith.cmpi slt, %x0, %x1 : i3\n%r = arith.select %c, %x0, %x1 : i3"
    assert found(code, ["i3", "i3", "i3"], {0: (-4, -3), 1: (1, 2)}) == (-4, 2)
    assert found(code, ["i3", "i3", "i3"], {0: (1, 2), 1: (-4, -3)}) == (-4, 2)


# -- sums ----------------------------------------------------------------------------------------------------------


def of_sum(start: int, step: Interval, count: int = 5, code: str = "%r = arith.addi %o, %x : i16") -> Interval | None:
    """The interval of a sum of so many values, from a start on, and not started at the first."""
    module, body = read(f"""
    func.func @layer(%a0: tensor<{count}xi16>, %a1: tensor<1xi16>) -> tensor<1xi16> {{
      %c = arith.constant {start} : i16
      %f = linalg.fill ins(%c : i16) outs(%a1 : tensor<1xi16>) -> tensor<1xi16>
      %y = linalg.generic {{indexing_maps = [affine_map<(d0, d1) -> (d1)>, affine_map<(d0, d1) -> (d0)>],
                            iterator_types = ["parallel", "reduction"]}}
        ins(%a0 : tensor<{count}xi16>) outs(%f : tensor<1xi16>) {{
      ^bb0(%x: i16, %o: i16):
        {code}
        linalg.yield %r : i16
      }} -> tensor<1xi16>
      return %y : tensor<1xi16>
    }}""")
    with module.context:
        return Intervals(body, {0: step}).of_node(body.result)


@pytest.mark.parametrize("start", [-7, 0, 100])
@pytest.mark.parametrize("step", [(-3, -2), (-3, 4), (2, 4), (0, 0)])
def test_partial_sums_from_their_start(start: int, step: Interval) -> None:
    """Sums of none of the values (a pad may leave out any) up to all of them."""
    sums = [start + n * value for n in range(6) for value in step]
    assert of_sum(start, step) == (min(sums), max(sums))
    commuted = of_sum(start, step, code="%r = arith.addi %x, %o : i16")
    assert commuted == (min(sums), max(sums))


def test_sums_that_may_wrap_around_may_be_anything() -> None:
    assert of_sum(0, (0, 1), count=32767) == (0, 32767)
    assert of_sum(1, (0, 1), count=32767) == full(16)
    assert of_sum(0, (-1, 0), count=32768) == (-32768, 0)
    assert of_sum(-1, (-1, 0), count=32768) == full(16)


def test_other_reductions_may_be_anything() -> None:
    assert of_sum(0, (1, 2), code="%r = arith.maxsi %o, %x : i16") == full(16)
    assert of_sum(0, (1, 2), code="%r = arith.addi %o, %o : i16") == full(16)


def test_the_scalar_code_of_a_sum_sees_every_partial_sum() -> None:
    module, body = read("""
    func.func @layer(%a0: tensor<5xi16>, %a1: tensor<1xi16>) -> tensor<1xi16> {
      %c = arith.constant 3 : i16
      %f = linalg.fill ins(%c : i16) outs(%a1 : tensor<1xi16>) -> tensor<1xi16>
      %y = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d1)>, affine_map<(d0, d1) -> (d0)>],
                           iterator_types = ["parallel", "reduction"]}
        ins(%a0 : tensor<5xi16>) outs(%f : tensor<1xi16>) {
      ^bb0(%x: i16, %o: i16):
        %r = arith.addi %o, %x : i16
        linalg.yield %r : i16
      } -> tensor<1xi16>
      return %y : tensor<1xi16>
    }""")
    assert isinstance(body.result, Structured)
    block = body.result.op.regions[0].blocks[0]
    with module.context:
        known = Intervals(body, {0: (2, 4)}).of_block(body.result)
    assert known[block.arguments[0]] == (2, 4)
    assert known[block.arguments[1]] == (3, 3 + 5 * 4)


def test_a_pad_is_among_the_values() -> None:
    module, body = read("""
    func.func @layer(%a0: tensor<3xi8>, %a1: tensor<5xi8>) -> tensor<5xi8> {
      %c = arith.constant -9 : i8
      %p = tensor.pad %a0 low[1] high[1] {
      ^bb0(%i: index):
        tensor.yield %c : i8
      } : tensor<3xi8> to tensor<5xi8>
      %y = linalg.generic {indexing_maps = [affine_map<(d0) -> (d0)>, affine_map<(d0) -> (d0)>],
                           iterator_types = ["parallel"]}
        ins(%p : tensor<5xi8>) outs(%a1 : tensor<5xi8>) {
      ^bb0(%x: i8, %o: i8):
        linalg.yield %x : i8
      } -> tensor<5xi8>
      return %y : tensor<5xi8>
    }""")
    with module.context:
        assert Intervals(body, {0: (2, 4)}).of_node(body.result) == (-9, 4)
