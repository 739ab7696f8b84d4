"""Which tensors get a buffer: layers by kind, what is inlined, what is stored."""

from __future__ import annotations

from collections.abc import Callable

import jit
import numpy as np
import pytest
from tosa_nets import TosaNet, Value, Window

from lowtide.graph.graph import Graph
from lowtide.kernels.graph import build_graph
from lowtide.normalise.materialise import DEPTH

Build = Callable[[TosaNet, Value], Value]


def graph_of(build: Build, kind: str = "float32") -> Graph:
    net = TosaNet(np.random.default_rng(0))
    x = net.input([1, 4, 4, 2], kind)
    text = net.text([build(net, x)])
    return build_graph(jit.lowered(text, "lowtide-import-tosa,lowtide-normalise,lowtide-outline"))


def kinds(build: Build, kind: str = "float32") -> list[str]:
    return [layer.kind for layer in graph_of(build, kind).layers]


SAME = Window((3, 3), ((1, 1), (1, 1)))


def conv(net: TosaNet, x: Value) -> Value:
    return net.conv(x, net.random((2, 3, 3, x.array.shape[3]), x.array.dtype.name), SAME)


CASES: dict[str, tuple[Build, list[str]]] = {
    "an epilogue joins its convolution": (lambda n, x: n.clamp(conv(n, x), 0, 6), ["conv"]),
    "a pad joins the layer that reads it": (
        lambda n, x: conv(n, n.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)], 2)),
        ["conv"],
    ),
    "a slice joins the layer that reads it": (lambda n, x: conv(n, n.slice(x, [0, 1, 1, 0], [1, 3, 3, 2])), ["conv"]),
    "a pad alone is a layer": (lambda n, x: n.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)], 2), ["map"]),
    "element-wise operations in a row are one layer": (lambda n, x: n.clamp(n.add(x, x), 0, 1), ["map"]),
    "a sum of two layers": (lambda n, x: n.add(conv(n, x), n.max_pool(x, SAME)), ["conv", "pool", "map"]),
    "a softmax is one layer": (lambda n, x: n.softmax(x, 3), ["reduce"]),
    "a mean is one layer": (lambda n, x: n.mean(x), ["reduce"]),
    "a concat is written by the layers of its parts": (
        lambda n, x: n.concat([conv(n, x), n.reshape(n.softmax(conv(n, x), 3), [1, 4, 4, 2])], 3),
        ["conv", "conv", "reduce"],
    ),
    "a part that another layer reads is copied": (
        lambda n, x: n.max_pool(n.concat([y := conv(n, x), conv(n, y)], 3), SAME),
        ["conv", "concat", "conv", "pool"],
    ),
    "a reshape is none": (lambda n, x: n.reshape(conv(n, x), [1, 32]), ["conv"]),
    "a gather reads a stored tensor": (
        lambda n, x: n.gather(n.reshape(n.pad(x, [(0, 0), (0, 0), (0, 0), (0, 1)], 0), [1, 16, 3]), rows(n)),
        ["map", "gather"],
    ),
}


def rows(net: TosaNet) -> Value:
    return net.const(np.array([[0, 5, 9]], np.int32))


@pytest.mark.parametrize("name", CASES)
def test_layers(name: str) -> None:
    build, wanted = CASES[name]
    assert kinds(build) == wanted


def test_no_accumulator_is_stored() -> None:
    graph = graph_of(lambda n, x: n.rescale(conv(n, x)), "int8")
    assert [tensor.dtype for tensor in graph.tensors] == ["int8", "int8"]


def test_a_layer_ends_at_the_smallest_tensor() -> None:
    """An int8 convolution whose result is wanted in int32 again: the int8 tensor between is a quarter."""
    graph = graph_of(lambda n, x: n.op_add(w := n.cast_i32(n.rescale(conv(n, x))), w), "int8")
    assert [layer.kind for layer in graph.layers] == ["conv", "map"]
    assert [tensor.dtype for tensor in graph.tensors] == ["int8", "int8", "int32"]


def test_what_two_layers_read_is_computed_once() -> None:
    """The convolution behind both branches is one layer, not inlined twice."""
    graph = graph_of(lambda n, x: n.add(n.max_pool(y := conv(n, x), SAME), y))
    assert [layer.kind for layer in graph.layers] == ["conv", "pool", "map"]
    assert graph.macs == 16 * 2 * 18


def test_long_chains_are_cut() -> None:
    """Kernels nest as deep as a chain is long."""

    def chain(net: TosaNet, x: Value) -> Value:
        for _ in range(5 * DEPTH):
            x = net.op("tanh", [x], np.tanh(x.array))
        return x

    assert 4 <= len(graph_of(chain).layers) <= 6
    net = TosaNet(np.random.default_rng(0))
    y = chain(net, net.input([1, 1, 1, 2], "float32"))
    got = jit.run(jit.lowered(net.text([y])), [net.inputs[0].array], [y.array])
    np.testing.assert_allclose(got[0], y.array, rtol=1e-3, atol=1e-6)


LOOKED_AHEAD = """
func.func @main(%a: tensor<4xf32>, %b: tensor<4xf32>, %c: tensor<4xf32>) -> tensor<4xf32> {
  %e = tensor.empty() : tensor<4xf32>
  %e2 = tensor.empty() : tensor<2x2xf32>
  %0 = linalg.abs ins(%a : tensor<4xf32>) outs(%e : tensor<4xf32>) -> tensor<4xf32>
  %1 = linalg.add ins(%b, %c : tensor<4xf32>, tensor<4xf32>) outs(%e : tensor<4xf32>) -> tensor<4xf32>
  %2 = tensor.expand_shape %1 [[0, 1]] output_shape [2, 2] : tensor<4xf32> into tensor<2x2xf32>
  %3 = linalg.transpose ins(%2 : tensor<2x2xf32>) outs(%e2 : tensor<2x2xf32>) permutation = [1, 0]
  %4 = tensor.collapse_shape %3 [[0, 1]] : tensor<2x2xf32> into tensor<4xf32>
  %5 = linalg.mul ins(%1, %4 : tensor<4xf32>, tensor<4xf32>) outs(%e : tensor<4xf32>) -> tensor<4xf32>
  %6 = linalg.sub ins(%0, %5 : tensor<4xf32>, tensor<4xf32>) outs(%e : tensor<4xf32>) -> tensor<4xf32>
  return %6 : tensor<4xf32>
}
"""


def test_what_was_looked_at_before_it_had_a_buffer() -> None:
    """The first layer looks ahead to the sum at the end, and so at all of its other side, where nothing is cut yet."""
    passes = "lowtide-import-tosa,lowtide-normalise,lowtide-outline"
    graph = build_graph(jit.lowered(LOOKED_AHEAD, passes))
    assert [layer.name for layer in graph.layers] == ["linalg.add", "linalg.sub"]
    read = {layer.name: [graph.tensors[index].name for index in layer.inputs] for layer in graph.layers}
    assert read == {"linalg.add": ["input 1", "input 2"], "linalg.sub": ["input 0", "linalg.add"]}
