"""Random networks of every operator, computed by numpy to the last bit, that lowtide lowers with overlapping buffers.

int8 networks are exact by TOSA's rules; float32 ones hold small whole numbers, which floats add and multiply exactly.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import jit
import layout_steps
import numpy as np
from tosa_nets import Array, TosaNet, Value, Window

from lowtide.bufferise.allocate import arena_of
from lowtide.emission import emit
from lowtide.ir import ArrayAttr, DictAttr, IntegerAttr, IntegerType, Module
from lowtide.normalise.analysis import network_function
from lowtide.normalise.form import network_layers
from lowtide.normalise.materialise import numbered_parts
from lowtide.normalise.outline import COPIED

LIMIT = 1200
"""No tensor has more elements."""
ROOTS = 6
"""Layers at least: operators that no other layer swallows."""
FRONT, BACK = "lowtide-import-tosa,lowtide-normalise", "lowtide-outline"


class Chooser(Protocol):
    """Where a network's choices come from."""

    def number(self, low: int, high: int) -> int:
        """A whole number, both ends included."""
        ...


class Dice:
    """Choices by numpy's generator."""

    def __init__(self, *seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def number(self, low: int, high: int) -> int:
        """See `Chooser`."""
        return int(self._rng.integers(low, high + 1))


class _WholeNumbers(TosaNet):
    """float32 tensors hold whole numbers."""

    def random(self, shape: Sequence[int], kind: str) -> Array:
        if kind == "float32":
            return self.rng.integers(-3, 4, shape).astype(np.float32)
        return super().random(shape, kind)


@dataclass(frozen=True)
class Outcome:
    """What one network gave.

    Attributes:
        arena_bytes: what lowtide took; baseline_bytes: the most that live together.
        overlaps: two buffers share bytes while both live.
        residual: a value is added to what was computed from it.
        right: every output is numpy's, bit for bit.
    """

    layers: int
    arena_bytes: int
    baseline_bytes: int
    overlaps: bool
    residual: bool
    right: bool


@dataclass
class Graph:
    """A random network under construction.

    Args:
        choose: makes every choice but the tensors' contents.
        layouts: makes the choices of steps on images that lie in any order, which are every other step then; None for
            channels last alone. It is apart, so that a network without them stays the same.
    """

    choose: Chooser
    layouts: Chooser | None = None
    operators: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        self.net = _WholeNumbers(np.random.default_rng(self.choose.number(0, 1 << 30)))
        self.kind: str = self.pick(("int8", "int8", "float32"))
        self.residual = self.choose.number(0, 3) < 3
        # odd sizes twice as often
        height, width = (self.pick((3, 5, 5, 7, 7, 9, 11, 4, 6, 8)) for _ in range(2))
        self.values = [self.net.input([1, height, width, self.choose.number(1, 5)], self.kind)]
        self.roots = 0
        joined = not self.residual
        while self.roots < ROOTS or not joined:
            if self.layouts is not None and self.layouts.number(0, 1):
                self._append_layout(self.layouts)
                continue
            name: str = self.pick(STEPS) if joined or self.choose.number(0, 2) else "residual"
            joined |= self._append(name)

    def pick(self, values: Any) -> Any:
        """One of them."""
        items = list(values)
        return items[self.choose.number(0, len(items) - 1)]

    def _append(self, name: str) -> bool:
        """Append an operator to the newest value, so that none is in vain; True for a residual."""
        step = STEPS[name]
        if self.kind not in step.kinds:
            return False
        result = step.build(self, self.values[-1])
        if not 0 < result.array.size <= LIMIT:
            return False
        self.values.append(self.bounded(result))
        self.operators.append(name)
        self.roots += step.roots
        return name == "residual"

    def _append_layout(self, layouts: Chooser) -> None:
        """Append an operator of linalg to the newest value, on an image that lies in any order."""
        count = len(self.net.lines)
        name, result = layout_steps.append(self.net, self.values[-1], random.Random(layouts.number(0, 1 << 30)))
        if not 0 < result.array.size <= LIMIT:
            del self.net.lines[count:]
            return
        wide = result.array.dtype == np.int32
        self.values.append(self.bounded(self.net.rescale(result) if wide else result))
        self.operators.append(name)
        self.roots += 1

    def bounded(self, x: Value) -> Value:
        """Small enough for the next layer to be exact."""
        return self.net.clamp(x, -30, 30) if self.kind == "float32" else x

    def narrow(self, wide: Value, **options: Any) -> Value:
        """Back to the network's type."""
        return self.net.rescale(wide, **options) if self.kind == "int8" else wide

    def outputs(self) -> list[Value]:
        """The newest value, and sometimes one more."""
        newest, other = self.values[-1], self.pick(self.values[1:])
        return [newest, other] if other is not newest and not self.choose.number(0, 3) else [newest]

    def window(self, x: Value, *, dilate: bool = False) -> Window:
        """One that TOSA accepts: it fills the padded extent exactly, and pads by less than a kernel."""
        axes = [self._axis(extent, dilate) for extent in x.array.shape[1:3]]
        kernel, pads, stride, dilation = zip(*axes, strict=True)
        return Window(kernel, pads, stride, dilation)

    def _axis(self, extent: int, dilate: bool) -> tuple[int, tuple[int, int], int, int]:
        stride = self.choose.number(1, 2)
        dilation = self.pick((1, 1, 2)) if dilate else 1
        kernel = min(self.pick((1, 2, 3, 3, 3, 5)), extent)
        fits = [
            (low, high)
            for low in range(kernel)
            for high in range(kernel)
            if (rest := extent + low + high - (kernel - 1) * dilation - 1) >= 0 and rest % stride == 0
        ]
        return (kernel, self.pick(fits), stride, dilation) if fits else (1, (0, 0), 1, 1)


def _convolved(g: Graph, x: Value, window: Window, channels: int) -> Value:
    weights = g.net.random((channels, *window.kernel, x.array.shape[3]), g.kind)
    zero_point = g.choose.number(-3, 3) if g.kind == "int8" else 0
    return g.narrow(g.net.conv(x, weights, window, zero_point), per_channel=bool(g.choose.number(0, 1)), zero_point=-5)


def _same(kernel: int) -> Window:
    return Window((kernel, kernel), ((kernel // 2, kernel // 2), (kernel // 2, kernel // 2)))


def _conv(g: Graph, x: Value) -> Value:
    return _convolved(g, x, g.window(x, dilate=True), g.choose.number(1, 6))


def _depthwise(g: Graph, x: Value) -> Value:
    window = g.window(x, dilate=True)
    weights = g.net.random((*window.kernel, x.array.shape[3], g.pick((1, 1, 1, 2))), g.kind)
    return g.narrow(g.net.depthwise(x, weights, window, g.choose.number(-3, 3) if g.kind == "int8" else 0))


def _rows(g: Graph, x: Value) -> Value:
    return g.net.reshape(x, [1, x.array.size // x.array.shape[3], x.array.shape[3]])


def _dense(g: Graph, x: Value) -> Value:
    """Of each pixel, or of the whole tensor."""
    rows = _rows(g, x) if g.choose.number(0, 1) else g.net.reshape(x, [1, 1, x.array.size])
    weights = g.net.random((1, rows.array.shape[2], g.choose.number(1, 6)), g.kind)
    y = g.narrow(g.net.matmul(rows, g.net.const(weights)))
    return g.net.reshape(y, [1, *y.array.shape])


def _attention(g: Graph, x: Value) -> Value:
    """A product of two activations."""
    left = _rows(g, x)
    if left.array.shape[1] > 30:
        return _dense(g, x)
    y = g.narrow(g.net.matmul(left, g.net.transpose(left, [0, 2, 1])))
    return g.net.reshape(y, [1, *y.array.shape])


def _residual(g: Graph, x: Value) -> Value:
    """Two or three layers, and their input added."""
    y = _convolved(g, x, _same(g.pick((1, 3))), x.array.shape[3])
    if g.choose.number(0, 1):
        kernel = (3, 3, x.array.shape[3], 1)
        y = g.narrow(g.net.depthwise(g.bounded(y), g.net.random(kernel, g.kind), _same(3)))
    return g.net.add(g.bounded(y), x) if g.choose.number(0, 1) else g.net.add(x, g.bounded(y))


def _add(g: Graph, x: Value) -> Value:
    """An older value where shapes broadcast, or a constant."""
    fits = [y for y in g.values if all(b in (a, 1) for a, b in zip(x.array.shape, y.array.shape, strict=True))]
    if g.choose.number(0, 2):
        return g.net.add(x, g.pick(fits))
    dims = [g.pick((1, extent)) for extent in x.array.shape]
    return g.net.add(x, g.net.const(g.net.random(dims, g.kind)))


def _softmax(g: Graph, x: Value) -> Value:
    """Of int8 by a table of powers and a division, over channels."""
    top = g.net.reduce(g.net.cast_i32(x), 3, "max")
    below = g.net.op("sub", [g.net.cast_i32(x), top], g.net.cast_i32(x).array - top.array)
    place = g.net.clamp(g.net.op_add(below, g.net.const(np.full((1, 1, 1, 1), 127, np.int32))), -128, 127)
    narrow = g.net.op("cast", [place], place.array.astype(np.int8))
    powers = np.rint(127 * np.exp2((np.arange(-128, 128) - 127) / 16)).astype(np.int8)
    raised = g.net.op("table", [narrow, g.net.const(powers)], powers[narrow.array.astype(np.int32) + 128])
    wide = g.net.cast_i32(raised)
    scaled = g.net.mul(wide, g.net.const(np.full((1, 1, 1, 1), 127, np.int32)))
    total = g.net.reduce(wide, 3, "sum")
    sums = g.net.op_add(total, g.net.const(np.zeros(scaled.array.shape, np.int32)))
    share = g.net.op("intdiv", [scaled, sums], (scaled.array // sums.array).astype(np.int32))
    return g.net.op("cast", [share], share.array.astype(np.int8))


def _concat(g: Graph, x: Value) -> Value:
    """With an older value that fits, or with another layer's result."""
    axis = g.choose.number(1, 3)
    fits = [
        y
        for y in g.values
        if all(a == b or d == axis for d, (a, b) in enumerate(zip(x.array.shape, y.array.shape, strict=True)))
    ]
    parts = [x, *(g.pick(fits) for _ in range(g.choose.number(0, 1)))]
    branch = g.bounded(_convolved(g, x, _same(g.pick((1, 3))), x.array.shape[3]))
    return g.net.concat([*parts, branch] if g.choose.number(0, 1) else [branch, *parts], axis)


def _reshape(g: Graph, x: Value) -> Value:
    rest, dims = x.array.size, list[int]()
    for _ in range(2):
        dims.append(g.pick([d for d in range(1, rest + 1) if rest % d == 0 and d <= 12]))
        rest //= dims[-1]
    return g.net.reshape(x, [1, *dims, rest])


def _transpose(g: Graph, x: Value) -> Value:
    return g.net.transpose(x, [0, *g.pick(([1, 3, 2], [2, 1, 3], [2, 3, 1], [3, 1, 2], [3, 2, 1]))])


def _pad(g: Graph, x: Value) -> Value:
    amounts = [(0, 0), *((g.choose.number(0, 2), g.choose.number(0, 1)) for _ in range(3))]
    return g.net.pad(x, amounts, g.choose.number(-2, 2))


def _slice(g: Graph, x: Value) -> Value:
    start = [g.choose.number(0, extent // 3) for extent in x.array.shape]
    sizes = [g.choose.number((extent - s + 1) // 2, extent - s) for s, extent in zip(start, x.array.shape, strict=True)]
    return g.net.slice(x, start, sizes)


def _gather(g: Graph, x: Value) -> Value:
    rows = _rows(g, x)
    count = g.choose.number(2, 12)
    indices = g.net.rng.integers(0, rows.array.shape[1], (1, count)).astype(np.int32)
    y = g.net.gather(rows, g.net.const(indices))
    return g.net.reshape(y, [1, *y.array.shape])


@dataclass(frozen=True)
class Step:
    """An operator: how it is appended, how many layers it is at least, and the element types it is exact for."""

    build: Callable[[Graph, Value], Value]
    roots: int = 0
    kinds: tuple[str, ...] = ("int8", "float32")


STEPS: dict[str, Step] = {
    "conv": Step(_conv, 1),
    "depthwise": Step(_depthwise, 1),
    "max_pool": Step(lambda g, x: g.net.max_pool(x, g.window(x)), 1),
    "avg_pool": Step(lambda g, x: g.net.avg_pool(x, g.window(x)), 1, ("int8",)),
    "dense": Step(_dense, 1),
    "attention": Step(_attention, 1),
    "residual": Step(_residual, 1),
    "concat": Step(_concat, 1),
    "add": Step(_add),
    "softmax": Step(_softmax, 0, ("int8",)),
    "table": Step(lambda g, x: g.net.table(x), 0, ("int8",)),
    "mean": Step(lambda g, x: g.net.mean(x), 0, ("int8",)),
    "reduce": Step(lambda g, x: g.net.reduce(x, g.choose.number(1, 3), g.pick(("max", "min")))),
    "reshape": Step(_reshape),
    "transpose": Step(_transpose),
    "pad": Step(_pad),
    "slice": Step(_slice),
    "gather": Step(_gather),
    "clamp": Step(lambda g, x: g.net.clamp(x, -20, 25)),
    "reverse": Step(lambda g, x: g.net.reverse(x, g.choose.number(1, 3))),
}


def run(graph: Graph) -> Outcome:
    """Lower the network, run it on this machine and compare it bit for bit with numpy."""
    outputs = graph.outputs()
    alignment, keep = graph.pick((1, 4, 8, 16)), graph.choose.number(0, 4) == 0
    module = jit.lowered(graph.net.text(outputs), FRONT)
    _copy_parts(graph, module)
    jit.run_passes(module, BACK)
    layers = len(network_layers(module, "test"))
    jit.run_passes(module, f"lowtide-allocate{{alignment={alignment} keep-input={int(keep)}}}")
    rows = _buffers(module)
    jit.run_passes(module, "lowtide-kernels")
    arena = IntegerAttr(module.operation.attributes[emit.ARENA]).value
    steps = range(max(row[3] for row in rows) + 1)
    wanted = [value.array for value in outputs]
    got = jit.run(module, [value.array for value in graph.net.inputs], wanted)
    right = all(np.array_equal(actual, reference) for actual, reference in zip(got, wanted, strict=True))
    return Outcome(
        layers=layers,
        arena_bytes=arena,
        baseline_bytes=max(sum(size for size, _, first, last in rows if first <= s <= last) for s in steps),
        overlaps=any(_share(a, b) for i, a in enumerate(rows) for b in rows[:i]),
        residual="residual" in graph.operators,
        right=right,
    )


def _copy_parts(graph: Graph, module: Module) -> None:
    """Have some parts of concats copied, the others written straight into their places."""
    parts = len(numbered_parts(network_function(module, "test").regions[0].blocks[0]))
    copied = [number for number in range(1, parts + 1) if not graph.choose.number(0, 2)]
    with module.context:
        numbers = [IntegerAttr.get(IntegerType.get_signless(64), number) for number in copied]
        module.operation.attributes[COPIED] = ArrayAttr.get(numbers)


Row = tuple[int, int, int, int]
FIELDS = ("bytes", "offset", "first", "last")


def _buffers(module: Module) -> list[Row]:
    """Size, offset, first and last step of each buffer."""
    found: list[Row] = []
    arena = arena_of(module)
    assert arena is not None
    for row in ArrayAttr(arena.attributes["buffers"]):
        size, offset, first, last = (IntegerAttr(DictAttr(row)[name]).value for name in FIELDS)
        found.append((size, offset, first, last))
    return found


def _share(a: Row, b: Row) -> bool:
    """Whether two buffers share a byte while both live."""
    return a[2] <= b[3] and b[2] <= a[3] and a[1] < b[1] + b[0] and b[1] < a[1] + a[0]


@dataclass
class Tally:
    """Outcomes of many networks."""

    outcomes: list[Outcome] = field(default_factory=list[Outcome])
    operators: set[str] = field(default_factory=set[str])

    def add(self, graph: Graph, outcome: Outcome) -> None:
        """One more."""
        self.outcomes.append(outcome)
        self.operators |= set(graph.operators)

    def __str__(self) -> str:
        done = self.outcomes
        taken, whole = sum(o.arena_bytes for o in done), sum(o.baseline_bytes for o in done)
        return (
            f"{len(done)} networks of {min(o.layers for o in done)} to {max(o.layers for o in done)} layers and "
            f"{len(self.operators)} operators, {sum(o.residual for o in done)} with a residual: "
            f"{sum(not o.right for o in done)} wrong results; an overlap was realised in "
            f"{sum(o.overlaps for o in done)}, arenas are {1 - taken / whole:.0%} below the bytes that live together"
        )
