"""The graph that is read off an outlined network: layers, tensors, what is live, MACs."""

from __future__ import annotations

from dataclasses import replace

import jit
import numpy as np
import pytest
from tosa_nets import TosaNet, Window

from lowtide.bound.build import build_graph
from lowtide.errors import InputError
from lowtide.graph.graph import Graph
from lowtide.ir import make_context, parse_module

OUTLINE = "lowtide-import-tosa,lowtide-normalise,lowtide-outline"


@pytest.fixture(scope="module")
def graph() -> Graph:
    """x → conv (stride 2, padded) → depthwise → add to the conv → reshape → dense; and the conv is a second output."""
    net = TosaNet(np.random.default_rng(0))
    x = net.input([1, 8, 8, 3], "int8")
    window = Window((3, 3), ((0, 1), (0, 1)), (2, 2))
    conv = net.rescale(net.conv(x, net.random((4, 3, 3, 3), "int8"), window))
    depth = net.rescale(net.depthwise(conv, net.random((3, 3, 4, 1), "int8"), Window((3, 3), ((1, 1), (1, 1)))))
    total = net.add(conv, depth)
    rows = net.reshape(total, [1, 1, 64])
    dense = net.rescale(net.matmul(rows, net.const(net.random((1, 64, 10), "int8"))))
    return build_graph(jit.lowered(net.text([dense, conv]), OUTLINE))


def test_layers(graph: Graph) -> None:
    assert [layer.kind for layer in graph.layers] == ["conv", "depthwise", "map", "dense"]
    assert [layer.step for layer in graph.layers] == [1, 2, 3, 4]
    assert [layer.inputs for layer in graph.layers] == [(0,), (1,), (1, 2), (3,)]
    assert [layer.output for layer in graph.layers] == [1, 2, 3, 4]
    assert len({layer.function for layer in graph.layers}) == 4
    assert graph.inputs == (0,)
    assert graph.outputs == (4, 1)


def test_macs_count_taps_in_the_padding(graph: Graph) -> None:
    assert [layer.macs for layer in graph.layers] == [16 * 4 * 27, 16 * 4 * 9, 0, 640]
    assert graph.macs == 16 * 4 * 27 + 16 * 4 * 9 + 640


def test_weights(graph: Graph) -> None:
    """Weights and bias; multipliers and shifts of one element are in the code."""
    assert [layer.weights_bytes for layer in graph.layers] == [4 * 27 + 4 * 4, 4 * 9 + 4 * 4, 0, 640]


def test_tensors(graph: Graph) -> None:
    assert [t.shape for t in graph.tensors] == [(1, 8, 8, 3), (1, 4, 4, 4), (1, 4, 4, 4), (1, 4, 4, 4), (1, 1, 10)]
    assert [t.nbytes for t in graph.tensors] == [192, 64, 64, 64, 10]
    assert {t.dtype for t in graph.tensors} == {"int8"}
    assert [(t.producer, t.last_use) for t in graph.tensors] == [(0, 1), (1, 5), (2, 3), (3, 4), (4, 5)]


def test_live(graph: Graph) -> None:
    assert [graph.live_bytes(step) for step in range(6)] == [192, 256, 128, 192, 138, 74]
    assert graph.baseline_bytes == 256
    assert graph.peak_step == 1


def test_between_is_never_above_the_baseline(graph: Graph) -> None:
    """Before the first layer the input alone; after it the conv, which stays as an output."""
    assert graph.between_bytes == 192 <= graph.baseline_bytes


def test_the_first_of_equal_peaks_counts(graph: Graph) -> None:
    doubled = replace(graph, tensors=tuple(replace(t, last_use=5) if t.index == 0 else t for t in graph.tensors))
    assert doubled.live_bytes(3) == doubled.baseline_bytes == 384
    assert doubled.peak_step == 3


def test_parts_of_a_concat_are_one_tensor() -> None:
    net = TosaNet(np.random.default_rng(0))
    x, y = net.input([1, 2, 2, 3], "float32"), net.input([1, 2, 2, 1], "float32")
    graph = build_graph(jit.lowered(net.text([net.concat([x, y, x], 3)]), OUTLINE))
    assert [layer.kind for layer in graph.layers] == ["concat"] * 3
    assert {layer.output for layer in graph.layers} == {2}
    assert graph.tensors[2].shape == (1, 2, 2, 7)
    assert (graph.tensors[2].producer, graph.tensors[2].last_use) == (1, 4)


def test_equal_layers_share_one_function() -> None:
    net = TosaNet(np.random.default_rng(0))
    x = net.input([1, 6, 6, 2], "int8")
    window = Window((3, 3), ((1, 1), (1, 1)))
    pooled = net.max_pool(net.max_pool(net.max_pool(x, window), window), window)
    graph = build_graph(jit.lowered(net.text([pooled]), OUTLINE))
    assert len(graph.layers) == 3
    assert {layer.function for layer in graph.layers} == {"pool_0"}


def test_a_module_that_is_not_outlined_is_refused() -> None:
    with pytest.raises(InputError, match="has not been cut into layers") as caught:
        build_graph(parse_module("func.func @main() { return }", make_context()))
    assert caught.value.stage == "graph"
