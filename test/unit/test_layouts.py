"""Layers whose tensors lie in any order of dimensions: numpy's numbers on every core's lanes, nothing read beside them.

What kernels take together must be neighbours that are treated alike: not along a dimension that a window pads, not in
a ring, with weights of their own. `LOWTIDE_TEST_SEED` starts another sequence of layers; a failure prints it.
"""

from __future__ import annotations

import os
import random
from collections import Counter

import numpy as np
import pytest
from layouts import Layer, Subscript, layer_of
from random_layouts import random_layer
from shifted import kernel_of, profiles
from tosa_nets import TosaNet, Value, Window
from watched import Watched

from lowtide.kernels.microkernels import MICROKERNELS

SEED = int(os.environ.get("LOWTIDE_TEST_SEED", "0"))


def _check(layer: Layer, microkernels: str, label: str = "") -> None:
    """Right apart from each input and as near to it as the profile allows, in both directions; see `Watched`."""
    inputs, wanted = list(layer.inputs), layer.wanted
    found = profiles(layer.text, [array.nbytes for array in inputs], wanted.nbytes, microkernels)
    for direction in ("forwards", "backwards"):
        code = Watched(layer.text, direction, microkernels)
        for number, (array, profile) in enumerate(zip(inputs, found, strict=True)):
            near = -profile.forwards
            if direction == "backwards":
                near = array.nbytes - wanted.nbytes + profile.backwards
            for place in (-wanted.nbytes, near) if wanted.itemsize == 1 else (-wanted.nbytes,):
                got = code.run(inputs, wanted, number, place)
                message = f"{label} {microkernels} {direction} {number} at {place}\n{layer.text}"
                np.testing.assert_array_equal(got, wanted, message)


def _of(net: TosaNet, output: Value) -> Layer:
    return Layer(net.text([output]), tuple(value.array for value in net.inputs), output.array, "")


def _at(*loops: str, low: int = 0, high: int = 0) -> Subscript:
    return Subscript(tuple((loop, 1) for loop in loops), low, high)


def test_a_pool_whose_neighbours_lie_along_the_window() -> None:
    """The transposed result's innermost dimension is the one that the window pads: each element has its own bounds."""
    net = TosaNet(np.random.default_rng(1))
    pooled = net.max_pool(net.input([1, 18, 1, 1], "int8"), Window((3, 1), ((2, 1), (0, 0))))
    layer = _of(net, net.transpose(pooled, [0, 3, 2, 1]))
    assert kernel_of(layer.text) == "general"
    _check(layer, "dsp")


def test_a_pool_whose_neighbours_lie_along_a_window_without_pads() -> None:
    """They are neighbours all the same, and are taken together."""
    net = TosaNet(np.random.default_rng(1))
    pooled = net.max_pool(net.input([1, 18, 1, 1], "int8"), Window((3, 1)))
    layer = _of(net, net.transpose(pooled, [0, 3, 2, 1]))
    assert kernel_of(layer.text) == "pool"
    _check(layer, "dsp")


@pytest.mark.parametrize("pads", [(1, 0), (0, 1)])
def test_a_pool_with_a_pad_at_one_end_alone(pads: tuple[int, int]) -> None:
    """Every byte is the least that there is: one that lies beside the input would be seen."""
    net = TosaNet(np.random.default_rng(1))
    x = net.input([1, 9, 1, 8], "int8")
    x.array[:] = -128
    layer = _of(net, net.max_pool(x, Window((3, 1), (pads, (0, 0)))))
    assert kernel_of(layer.text) == "pool"
    _check(layer, "dsp")


TWO_PADS = """
func.func @main(%a: tensor<6x8xi8>, %b: tensor<5x8xi8>) -> tensor<8xi32> {
  %zero = arith.constant 0 : i8
  %x = tensor.pad %a low[2, 0] high[0, 0] {
  ^bb0(%i: index, %j: index):
    tensor.yield %zero : i8
  } : tensor<6x8xi8> to tensor<8x8xi8>
  %y = tensor.pad %b low[0, 0] high[3, 0] {
  ^bb0(%i: index, %j: index):
    tensor.yield %zero : i8
  } : tensor<5x8xi8> to tensor<8x8xi8>
  %none = arith.constant 0 : i32
  %e = tensor.empty() : tensor<8xi32>
  %f = linalg.fill ins(%none : i32) outs(%e : tensor<8xi32>) -> tensor<8xi32>
  %sum = linalg.generic {indexing_maps = [affine_map<(o, r) -> (r, o)>, affine_map<(o, r) -> (r, o)>,
      affine_map<(o, r) -> (o)>], iterator_types = ["parallel", "reduction"]}
      ins(%x, %y : tensor<8x8xi8>, tensor<8x8xi8>) outs(%f : tensor<8xi32>) {
  ^bb0(%p: i8, %q: i8, %t: i32):
    %m = arith.extsi %p : i8 to i32
    %n = arith.extsi %q : i8 to i32
    %k = arith.muli %m, %n : i32
    %r = arith.addi %t, %k : i32
    linalg.yield %r : i32
  } -> tensor<8xi32>
  return %sum : tensor<8xi32>
}
"""


def test_a_sum_over_two_tensors_with_pads_of_their_own() -> None:
    """What is a pad of either adds nothing."""
    generator = np.random.default_rng(1)
    a, b = (generator.integers(-128, 128, (rows, 8)).astype(np.int8) for rows in (6, 5))
    wanted = (a[:3].astype(np.int32) * b[2:5]).sum(axis=0, dtype=np.int32)
    assert kernel_of(TWO_PADS) == "pool"
    _once(Layer(TWO_PADS, (a, b), wanted, ""), "dsp")


PADDED = {
    "columns of one tap": (_at("y", "i"), _at("x", low=1, high=2)),
    "rows of one tap": (_at("y", low=2, high=1), _at("x", "j")),
    "one tap": (_at("y", low=1), _at("x", low=2, high=1)),
    "windows of pads alone": (_at("y", "i", low=4, high=3), _at("x", "j", low=5, high=4)),
}


@pytest.mark.parametrize("microkernels", [name for name in MICROKERNELS if name != "risc-fpu"])
@pytest.mark.parametrize("name", PADDED)
def test_windows_that_are_pads_alone(name: str, microkernels: str) -> None:
    """As a padding before a convolution of 1×1 makes them; their sums are what sums start from."""
    rows, columns = PADDED[name]
    used = {loop for subscript in (rows, columns) for loop, _ in subscript.terms}
    extents = {"y": 9, "x": 12, "o": 5} | {loop: 3 for loop in ("i", "j") if loop in used}
    wide = tuple(_at(loop) for loop in extents if loop not in "yxo")
    cases = [("int8", 4), ("int8", 3), ("float32", 2)] if microkernels in ("scalar", "dsp") else [("int8", 4)]
    for kind, channels in cases:
        x, w = (_at(), rows, columns, _at("c")), (_at("o"), *wide, _at("c"))
        layer = layer_of(extents | {"c": channels}, x, w, OUT, kind=kind, zero=3 if kind == "int8" else 0, wide=False)
        _once(layer, microkernels)
    if wide:
        _once(
            layer_of(extents, (_at(), rows, columns, _at("o")), (*wide, _at("o")), OUT, zero=-5, wide=False),
            microkernels,
        )


def _once(layer: Layer, microkernels: str) -> None:
    got = Watched(layer.text, "forwards", microkernels).run(list(layer.inputs), layer.wanted, 0, -layer.wanted.nbytes)
    np.testing.assert_array_equal(got, layer.wanted, f"{microkernels}\n{layer.text}")


OUT = (_at(), _at("y"), _at("x"), _at("o"))
EXTENTS = {"y": 3, "x": 5, "o": 6, "i": 3, "j": 3, "c": 4}
X = (_at(), _at("y", "i"), _at("x", "j"), _at("c"))
ODD = {
    "weights for no column": ((_at(), _at("y", "i"), _at("j"), _at("c")), (_at("o"), _at("i"), _at("c"))),
    "weights for no row, windows on the stack": (
        (_at(), _at("i"), _at("x", "j"), _at("c")),
        (_at("o"), _at("j"), _at("c")),
    ),
    "a diagonal": ((_at(), _at("y", "i"), _at("x", "i"), _at("c")), (_at("o"), _at("i"), _at("c"))),
    "channels padded": ((_at(), _at("y", "i"), _at("x", "j"), _at("c", low=1)), tuple(map(_at, "oijc"))),
    "channels first": ((_at(), _at("c"), _at("y", "i", low=1), _at("x", "j", high=1)), tuple(map(_at, "ocij"))),
    "channels between": ((_at(), _at("y", "i"), _at("c"), _at("x", "j", low=2)), tuple(map(_at, "oijc"))),
    "output channels last in the weights": (X, tuple(map(_at, "ijco"))),
    "columns before rows": ((_at(), _at("x", "j"), _at("y", "i"), _at("c")), tuple(map(_at, "oijc"))),
    "depthwise, channels first": ((_at(), _at("o"), _at("y", "i"), _at("x", "j", low=1)), tuple(map(_at, "oij"))),
}


@pytest.mark.parametrize("kind", ["int8", "float32"])
@pytest.mark.parametrize("name", ODD)
def test_windows_of_other_forms(name: str, kind: str) -> None:
    x, w = ODD[name]
    used = {loop for subscript in (*x, *w) for loop, _ in subscript.terms}
    # a loop that only the result has is one of a single turn
    extents = {loop: extent if loop in used else 1 for loop, extent in EXTENTS.items() if loop in used or loop in "yxo"}
    if "stack" in name:
        extents["c"] = 3
    layer = layer_of(extents, x, w, OUT, kind=kind, zero=3 if kind == "int8" else 0)
    for microkernels in ("dsp", "rvv") if kind == "int8" else ("dsp",):
        _once(layer, microkernels)


@pytest.mark.parametrize("out", ["oyx", "oxy", "yox", "xyo"])
def test_results_in_another_order(out: str) -> None:
    _once(layer_of(EXTENTS, X, tuple(map(_at, "oijc")), (_at(), *map(_at, out))), "mve")


def _sweep(count: int, start: int) -> Counter[str]:
    """Check so many random layers; by kernel, how many there were."""
    kernels: Counter[str] = Counter()
    number = 0
    while sum(kernels.values()) < count:
        number += 1
        layer = random_layer(random.Random(f"{start}/{number}"))
        try:
            kernel = "" if layer is None else kernel_of(layer.text)
        except ValueError:
            continue  # more than one layer, or none
        if layer is None:
            continue
        kernels[kernel] += 1
        microkernels = list(MICROKERNELS)[number % len(MICROKERNELS)]
        _check(layer, microkernels, f"LOWTIDE_TEST_SEED={SEED}, layer {number}, {layer.what}, {kernel}")
    return kernels


def test_random_layouts() -> None:
    assert _sweep(12, SEED)


@pytest.mark.slow
def test_many_random_layouts() -> None:
    assert set(_sweep(1500, SEED + 1)) == {"register_tiled", "map", "pool", "general"}
