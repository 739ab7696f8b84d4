"""Random chains of layers with random loops over them, lowered, run on this machine and compared."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass, replace

import jit
import numpy as np
from tosa_nets import TosaNet, Value, Window

from lowtide.alloc import solve
from lowtide.bound.build import read_network
from lowtide.emission import emit
from lowtide.errors import InputError
from lowtide.graph.fusion import Fusion
from lowtide.graph.graph import Graph
from lowtide.graph.stages import UnschedulableError
from lowtide.ir import IntegerAttr, Module
from lowtide.kernels.microkernels import PLAIN
from lowtide.passes import run_passes
from lowtide.plan.memory import problem_of, schedule_of
from lowtide.plan.plan import Plan
from lowtide.script.emit import script_for
from lowtide.transform.interpreter import apply_script

FRONT = "lowtide-import-tosa,lowtide-normalise,lowtide-outline"
BACK = "lowtide-allocate{alignment=8},lowtide-kernels"
Kernels = tuple[tuple[str, tuple[int, ...]], ...]
"""Kernels that are picked, and the layers, numbered from 1, that they are for."""
ENDS = ("none", "none", "mean", "global pool", "dense")


@dataclass(frozen=True)
class Chain:
    """A network and its numbers.

    Attributes:
        net: of int8 (numpy's numbers are exact) or of float32.
        outputs: what it returns.
    """

    net: TosaNet
    outputs: tuple[Value, ...]

    @property
    def text(self) -> str:
        """In TOSA."""
        return self.net.text(self.outputs)


@dataclass(frozen=True)
class Tried:
    """Loops that were asked for.

    Attributes:
        fusions: those that the model of memory knows a schedule for.
        refused: the others, each with the reason.
    """

    fusions: tuple[Fusion, ...]
    refused: tuple[tuple[Fusion, str], ...]


def random_chain(choose: random.Random, seed: int, kind: str) -> Chain:
    """Two to six layers of any stride and pads on an image of odd size, residuals among them, and some end."""
    net = TosaNet(np.random.default_rng(seed))
    x = net.input((1, choose.randint(5, 13), choose.randint(3, 7), choose.randint(1, 4)), kind)
    values = [x]
    for _ in range(choose.randint(2, 6)):
        x = _layer(choose, net, x)
        values.append(x)
    x = _ended(choose, net, x, kind)
    kept = [value for value in values[1:-1] if choose.random() < 0.1]
    return Chain(net, (x, *kept[:1]))


def _layer(choose: random.Random, net: TosaNet, x: Value) -> Value:
    kind = choose.choice(("conv", "conv", "depthwise", "depthwise", "pool", "add", "residual"))
    channels = x.array.shape[3]
    if kind == "add":
        return net.add(x, net.const(net.random((1, 1, 1, channels), x.array.dtype.name)))
    if kind == "residual":
        y = _narrow(net, net.conv(x, net.random((channels, 3, 3, channels), x.array.dtype.name), _same(3)))
        if choose.random() < 0.5:
            y = _narrow(net, net.depthwise(y, net.random((5, 5, channels, 1), x.array.dtype.name), _same(5)))
        return net.add(y, x)
    window = _window(choose, x)
    if kind == "pool":
        return net.max_pool(x, window)
    if kind == "conv":
        made = choose.randint(1, 5)
        return _narrow(net, net.conv(x, net.random((made, *window.kernel, channels), x.array.dtype.name), window))
    weights = net.random((*window.kernel, channels, choose.choice((1, 1, 2))), x.array.dtype.name)
    return _narrow(net, net.depthwise(x, weights, window))


def _ended(choose: random.Random, net: TosaNet, x: Value, kind: str) -> Value:
    """Nothing more, a mean, a pool over the whole image, or a dense layer of all of it."""
    end = choose.choice(ENDS)
    height, width = x.array.shape[1:3]
    if end == "mean":
        return net.mean(x)
    if end == "global pool":
        return net.avg_pool(x, Window((height, width))) if kind == "int8" else net.max_pool(x, Window((height, width)))
    if end == "dense":
        flat = net.reshape(x, [1, 1, x.array.size])
        return _narrow(net, net.matmul(flat, net.const(net.random((1, x.array.size, choose.randint(2, 6)), kind))))
    return x


def _narrow(net: TosaNet, x: Value) -> Value:
    return net.rescale(x) if x.array.dtype == np.int32 else x


def _same(kernel: int) -> Window:
    return Window((kernel, kernel), ((kernel // 2, kernel // 2), (kernel // 2, kernel // 2)))


def _window(choose: random.Random, x: Value) -> Window:
    """One that TOSA takes: it divides the padded image without a remainder."""
    axes = [_axis(choose, extent) for extent in x.array.shape[1:3]]
    kernel, pads, stride = zip(*axes, strict=True)
    return Window((kernel[0], kernel[1]), (pads[0], pads[1]), (stride[0], stride[1]))


def _axis(choose: random.Random, extent: int) -> tuple[int, tuple[int, int], int]:
    kernel, stride = min(choose.choice((1, 2, 3, 3, 5)), extent), choose.randint(1, 2)
    fits = [
        (low, high)
        for low in range(kernel)
        for high in range(kernel)
        if (extent + low + high - kernel) % stride == 0 and extent + low + high >= kernel
    ]
    return (kernel, choose.choice(fits), stride) if fits else (kernel, (0, 0), 1)


def random_fusions(choose: random.Random, graph: Graph) -> Tried:
    """The layers cut at random places, each piece of two layers and more a loop of some kind."""
    count = len(graph.layers)
    cuts = [0, *sorted(choose.sample(range(1, count), choose.randint(0, min(2, count - 1)))), count]
    fusions: list[Fusion] = []
    refused: list[tuple[Fusion, str]] = []
    for first, last in itertools.pairwise(cuts):
        if last - first < 2:
            continue
        fusion = _fusion(choose, first + 1, last)
        try:
            schedule_of(graph, fusion)
            fusions.append(fusion)
        except UnschedulableError as reason:
            refused.append((fusion, str(reason)))
    return Tried(tuple(fusions), tuple(refused))


def _fusion(choose: random.Random, first: int, last: int) -> Fusion:
    whole = Fusion(first, last, choose.randint(1, 3), direction=choose.choice(("forwards", "forwards", "backwards")))
    kind = choose.randrange(6)
    if kind == 0:
        return replace(whole, axis="channels", direction="forwards")
    if kind == 1:
        return replace(whole, rows=1, columns=choose.randint(1, 2))
    if kind == 2:
        recompute = tuple(position for position in range(1, last - first + 1) if choose.random() < 0.4)
        return replace(whole, recompute=recompute)
    return whole


def graph_of(chain: Chain, microkernels: str = PLAIN, kernels: Kernels = ()) -> Graph:
    """Its layers whole, in the model's order, for a core with these microkernels."""
    picked = {number: name for name, numbers in kernels for number in numbers}
    return read_network(jit.lowered(chain.text, FRONT, microkernels), kernels=picked).graph


def lowered(chain: Chain, fusions: tuple[Fusion, ...], microkernels: str = PLAIN, kernels: Kernels = ()) -> Module:
    """The chain with these loops and kernels, as their script makes them."""
    module = jit.lowered(chain.text, FRONT, microkernels)
    apply_script(module, script_for(Plan("ram", fusions=fusions, kernels=kernels)))
    run_passes(module, BACK)
    return module


def check(
    chain: Chain,
    graph: Graph,
    fusions: tuple[Fusion, ...],
    label: str,
    microkernels: str = PLAIN,
    kernels: Kernels = (),
) -> None:
    """The loops compute what numpy and the whole layers do, in the arena that the model of memory says.

    Args:
        chain: int8 is compared with numpy, float32 with the whole layers, both bit for bit.
        graph: of its layers, for the same microkernels.
        fusions: the loops.
        label: what a failure is to print.
        microkernels: how the core multiplies.
        kernels: those picked for layers, as `Plan` has them; the graph is with them.
    """
    module = lowered(chain, fusions, microkernels, kernels)
    arena, macs = (_number(module, name) for name in (emit.ARENA, emit.MACS))
    assert solve(problem_of(graph, 8, fusions=fusions)).arena_bytes == arena, label
    if not any(fusion.recompute for fusion in fusions):
        assert macs <= graph.macs, label
    got = _run(chain, module)
    wanted = [value.array for value in chain.outputs]
    if wanted[0].dtype != np.int8:
        wanted = _run(chain, jit.lowered(chain.text, f"{FRONT},{BACK}"))
    for array, reference in zip(got, wanted, strict=True):
        assert array.tobytes() == reference.tobytes(), label


def check_refused(chain: Chain, fusion: Fusion, reason: str, label: str) -> None:
    """What the model of memory has no schedule for, the transform refuses too, and the network stays as it was."""
    module = jit.lowered(chain.text, FRONT)
    before = str(module)
    try:
        apply_script(module, script_for(Plan("ram", fusions=(fusion,))))
    except InputError:
        assert str(module) == before, label
        return
    raise AssertionError(f"{label}: the transform took what the model of memory refuses: {reason}")


def _run(chain: Chain, module: Module) -> list[jit.Array]:
    inputs = [value.array for value in chain.net.inputs]
    # a copy: the arrays are views of an arena that goes away
    return [array.copy() for array in jit.run(module, inputs, [value.array for value in chain.outputs])]


def _number(module: Module, name: str) -> int:
    return IntegerAttr(module.operation.attributes[name]).value
