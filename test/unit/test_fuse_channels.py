"""Loops by channels on random chains: the outputs of the whole layers, the predicted arena, the same MACs; refusals."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import jit
import numpy as np
import pytest
from tosa_nets import Array, TosaNet, Value, Window

from lowtide.alloc import solve
from lowtide.bound.build import build_graph
from lowtide.errors import InputError
from lowtide.graph.fusion import Fusion
from lowtide.graph.graph import Graph
from lowtide.graph.stages import UnschedulableError
from lowtide.ir import IntegerAttr, Module, parse_module
from lowtide.passes import run_passes
from lowtide.plan.memory import problem_of
from lowtide.plan.plan import Plan
from lowtide.script.emit import script_for
from lowtide.transform.interpreter import apply_script, make_transform_context

FRONT = "lowtide-import-tosa,lowtide-normalise"
BACK = "lowtide-outline,lowtide-allocate{alignment=8},lowtide-kernels"
POINT = Window((1, 1))
CASES = 8


@dataclass
class Chain:
    """A network whose layers all go into one loop, under construction."""

    net: TosaNet
    choose: random.Random
    kind: str

    def narrow(self, x: Value) -> Value:
        """Back to the network's type."""
        return self.net.rescale(x, per_channel=self.choose.random() < 0.5) if self.kind == "int8" else x

    def zero_point(self) -> int:
        """Of an input of a convolution."""
        return self.choose.randrange(-20, 20) if self.kind == "int8" else 0

    def conv(self, x: Value, channels: int, window: Window) -> Value:
        """A convolution, dense where image and window are one pixel."""
        weights = self.net.random((channels, *window.kernel, x.array.shape[3]), self.kind)
        return self.narrow(self.net.conv(x, weights, window, zp=self.zero_point()))

    def window(self, x: Value) -> Window:
        """One that fits, padded and strided at times."""
        if x.array.shape[1:3] == (1, 1):
            return POINT
        return self.choose.choice((POINT, Window((3, 3), ((1, 1), (1, 1))), Window((3, 3), ((1, 1), (1, 1)), (2, 2))))

    def between(self, x: Value) -> Value:
        """A layer that takes channels as they come, or more arithmetic behind the one before."""
        pool = Window((2, 2), ((0, 1), (0, 1)))
        steps: list[Callable[[], Value]] = [lambda: self.net.clamp(x, -7, 9)]
        if self.kind == "int8":
            steps.append(lambda: self.net.table(x))
        if x.array.shape[1:3] != (1, 1):
            weights = self.net.random((3, 3, x.array.shape[3], 1), self.kind)
            around = Window((3, 3), ((1, 1), (1, 1)))
            steps.append(lambda: self.narrow(self.net.depthwise(x, weights, around, zp=self.zero_point())))
            steps.append(lambda: self.net.max_pool(x, pool))
            steps.append(lambda: self.net.avg_pool(x, pool))
        return self.choose.choice(steps)()


def odd(extents: tuple[int, int]) -> tuple[int, int]:
    """Extents that a 3x3 window of stride 2 with a pad of 1 fills."""
    return extents[0] | 1, extents[1] | 1


def random_chain(seed: int, kind: str, end: str) -> tuple[TosaNet, Value]:
    """Fan-out, layers by channels, and at the end a fan-in, or a layer that makes its own slice."""
    choose = random.Random(seed)
    net = TosaNet(np.random.default_rng(seed))
    chain = Chain(net, choose, kind)
    dense = choose.random() < 0.3 and end == "fan-in"
    extents = (1, 1) if dense else odd((choose.randrange(3, 8), choose.randrange(3, 8)))
    x = net.input((1, *extents, choose.randrange(1, 5)), kind)
    x = chain.conv(x, choose.randrange(2, 14), chain.window(x))
    for _ in range(choose.randrange(0, 3)):
        x = chain.between(x)
    if end == "fan-in":
        # floats are added up in the same order only where channels are the outermost loop of the sum
        window = POINT if kind == "float32" or x.array.shape[1] < 3 else Window((3, 3), ((1, 1), (1, 1)))
        x = chain.conv(x, choose.randrange(1, 5), window)
        return net, x
    weights = net.random((3, 3, x.array.shape[3], 1), kind)
    x = chain.narrow(net.depthwise(x, weights, Window((3, 3), ((1, 1), (1, 1))), zp=chain.zero_point()))
    return net, x


def outlined(text: str) -> Graph:
    """The graph of whole layers."""
    return build_graph(jit.lowered(text, f"{FRONT},lowtide-outline"))


def scripted(text: str, fusion: Fusion) -> Module:
    """The network lowered by the script of a plan with one loop."""
    module = parse_module(text, make_transform_context())
    run_passes(module, FRONT)
    apply_script(module, script_for(Plan("free", fusions=(fusion,))))
    run_passes(module, BACK)
    return module


def number(module: Module, name: str) -> int:
    """An integer that a stage has noted on the module."""
    return IntegerAttr(module.operation.attributes[f"lowtide.{name}"]).value


def check(net: TosaNet, outputs: Sequence[Value], fusion: Fusion, *, exact: bool = True) -> None:
    """The loop against whole layers, numpy (where `exact`) and the plan's model of memory."""
    text = net.text(outputs)
    graph, module = outlined(text), scripted(text, fusion)
    predicted = solve(problem_of(graph, 8, fusions=(fusion,)))
    assert predicted.arena_bytes == number(module, "arena_bytes")
    assert number(module, "macs") == sum(layer.macs for layer in graph.layers)
    inputs, expected = [value.array for value in net.inputs], [value.array for value in outputs]
    whole = run(jit.lowered(text, f"{FRONT},{BACK}"), inputs, expected)
    for mine, theirs, value in zip(run(module, inputs, expected), whole, expected, strict=True):
        assert np.array_equal(mine, theirs)
        assert not exact or np.array_equal(mine, value)


def run(module: Module, inputs: Sequence[Array], outputs: Sequence[Array]) -> list[Array]:
    """Copies of the outputs: the arena is the run's own."""
    return [array.copy() for array in jit.run(module, inputs, outputs)]


@pytest.mark.parametrize("end", ["fan-in", "concat"])
@pytest.mark.parametrize("kind", ["int8", "float32"])
@pytest.mark.parametrize("seed", range(CASES))
def test_random_chains(seed: int, kind: str, end: str) -> None:
    net, y = random_chain(seed, kind, end)
    graph = outlined(net.text([y]))
    channels = graph.tensors[graph.layers[0].output].shape[-1]
    assert len(graph.layers) >= 2
    for slice_size in sorted({1, random.Random(seed).randrange(2, channels + 2), channels}):
        check(net, [y], Fusion(1, len(graph.layers), slice_size, axis="channels"), exact=kind == "int8")


def dense(net: TosaNet, x: Value, channels: int) -> Value:
    """An int8 or float32 dense layer on one pixel."""
    kind = x.array.dtype.name
    wide = net.conv(x, net.random((channels, 1, 1, x.array.shape[3]), kind), POINT)
    return net.rescale(wide) if kind == "int8" else wide


@pytest.mark.parametrize("slice_size", [1, 3, 5])
@pytest.mark.parametrize("kind", ["int8", "float32"])
def test_dense_to_dense_with_a_third_behind_the_loop(kind: str, slice_size: int) -> None:
    net = TosaNet(np.random.default_rng(7))
    x = net.input((1, 1, 1, 6), kind)
    y = dense(net, dense(net, dense(net, x, 11), 4), 3)
    check(net, [y], Fusion(1, 2, slice_size, axis="channels"), exact=kind == "int8")


@pytest.mark.parametrize("slice_size", [1, 2, 3])
@pytest.mark.parametrize("kind", ["int8", "float32"])
def test_gather_mean_dense(kind: str, slice_size: int) -> None:
    net = TosaNet(np.random.default_rng(3))
    indices = Value("%in0", net.rng.integers(0, 20, (1, 12)).astype(np.int32))
    net.inputs.append(indices)
    words = net.gather(net.const(net.random((1, 20, 8), kind)), indices)
    mean = net.mean(net.reshape(words, (1, 12, 1, 8)))
    y = dense(net, mean, 3)
    graph = outlined(net.text([y]))
    assert [layer.kind for layer in graph.layers] == ["gather", "reduce", "dense"]
    check(net, [y], Fusion(1, 3, slice_size, axis="channels"), exact=kind == "int8")


@pytest.mark.parametrize("slice_size", [2, 3])
def test_tensors_that_others_need_too_stay_whole(slice_size: int) -> None:
    """A residual around the loop, one inside it, and an output of the network that is made in its middle."""
    net = TosaNet(np.random.default_rng(5))
    x = net.input((1, 5, 4, 7), "int8")
    around = Window((3, 3), ((1, 1), (1, 1)))
    a = net.rescale(net.conv(x, net.random((7, 1, 1, 7), "int8"), POINT))
    b = net.rescale(net.depthwise(a, net.random((3, 3, 7, 1), "int8"), around))
    c = net.add(net.add(b, a), x)
    y = net.max_pool(c, around)
    graph = outlined(net.text([y, b]))
    check(net, [y, b], Fusion(1, len(graph.layers), slice_size, axis="channels"))


def test_a_slice_takes_its_share_of_the_memory() -> None:
    """A dense layer of 1,024 outputs in between; by sixteens those, and the sums of the next one, four bytes each."""
    net = TosaNet(np.random.default_rng(2))
    x = net.input((1, 1, 1, 8), "int8")
    y = dense(net, dense(net, x, 1024), 4)
    graph = outlined(net.text([y]))
    whole = solve(problem_of(graph, 4)).arena_bytes
    sliced = solve(problem_of(graph, 4, fusions=(Fusion(1, 2, 16, axis="channels"),))).arena_bytes
    assert whole >= 1024 and sliced == 8 + 16 + 4 * 4


@pytest.mark.parametrize(
    ("kind", "kernel", "refused"), [("float32", 3, True), ("float32", 1, False), ("int8", 3, False)]
)
def test_floats_are_added_in_the_same_order_or_not_at_all(kind: str, kernel: int, refused: bool) -> None:
    """A fan-in of several taps would add up channel by channel what the whole layer adds up tap by tap."""
    net = TosaNet(np.random.default_rng(4))
    x = net.input((1, 5, 5, 3), kind)
    pad = kernel // 2
    around = Window((kernel, kernel), ((pad, pad), (pad, pad)))
    y = net.conv(x, net.random((6, 1, 1, 3), kind), POINT)
    y = net.rescale(y) if kind == "int8" else y
    y = net.conv(y, net.random((2, kernel, kernel, 6), kind), around)
    text, fusion = net.text([y]), Fusion(1, 2, 2, axis="channels")
    if not refused:
        check(net, [y], fusion, exact=kind == "int8")
        return
    with pytest.raises(UnschedulableError, match="can't be computed by channels"):
        problem_of(outlined(text), 8, fusions=(fusion,))
    with pytest.raises(InputError, match="can't be computed by channels"):
        scripted(text, fusion)


def test_what_the_planner_refuses_the_script_refuses() -> None:
    """Any range of layers of a longer network: the two sides agree on what is a loop, and on its memory."""
    net = TosaNet(np.random.default_rng(9))
    around = Window((3, 3), ((1, 1), (1, 1)))
    x = net.input((1, 5, 5, 3), "int8")
    a = net.rescale(net.conv(x, net.random((6, 1, 1, 3), "int8"), POINT))
    b = net.rescale(net.depthwise(a, net.random((3, 3, 6, 1), "int8"), around))
    c = net.rescale(net.conv(b, net.random((6, 1, 1, 6), "int8"), POINT))
    d = net.add(c, a)
    e = net.reverse(d, 3)
    y = net.rescale(net.conv(e, net.random((4, 5, 5, 6), "int8"), Window((5, 5))))
    text = net.text([y])
    graph = outlined(text)
    taken = 0
    for first in range(1, len(graph.layers)):
        for last in range(first + 1, len(graph.layers) + 1):
            fusion = Fusion(first, last, 4, axis="channels")
            try:
                problem_of(graph, 8, fusions=(fusion,))
            except UnschedulableError:
                with pytest.raises(InputError, match="fuse_channels"):
                    scripted(text, fusion)
            else:
                check(net, [y], fusion)
                taken += 1
    assert 0 < taken < len(graph.layers) * (len(graph.layers) - 1) // 2
