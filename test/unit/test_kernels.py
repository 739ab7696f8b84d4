"""Random small networks, lowered by every pass and run on this machine, give numpy's numbers.

`LOWTIDE_TEST_SEED` starts another sequence of networks; a failure prints it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import hypothesis.strategies as st
import jit
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, note, seed, settings
from tosa_nets import LIMIT, TosaNet, Value, Window

SEED = int(os.environ.get("LOWTIDE_TEST_SEED", "0"))
Draw = Callable[..., Any]
KINDS = ("int8", "float32")
SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much)


class _Network:
    """A random network under construction: each step takes live values and adds one."""

    def __init__(self, draw: Draw, kind: str | None = None) -> None:
        self.draw = draw
        self.net = TosaNet(np.random.default_rng(self.number(0, 1 << 16)))
        self.kind = kind or self.pick(KINDS)
        shape = [1, self.number(1, 7), self.number(1, 7), self.number(1, 5)]
        self.values = [self.net.input(shape, self.kind)]

    def number(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))

    def pick(self, values: Any) -> Any:
        return self.draw(st.sampled_from(list(values)))

    def step(self) -> None:
        """Append one operation to a value, the newest more often than others."""
        x = self.values[-1] if self.draw(st.booleans()) else self.pick(self.values)
        result = STEPS[self.pick(STEPS)](self, x)
        if result.array.size <= LIMIT:
            self.values.append(result)

    def outputs(self) -> list[Value]:
        """The newest value, and sometimes another that is no input."""
        chosen = [self.values[-1]]
        other = self.pick(self.values)
        return [*chosen, other] if other not in (*chosen, self.values[0]) else chosen

    def window(self, x: Value, dilate: bool) -> Window:
        """One that TOSA accepts: it fills the padded extent exactly, and pads by less than a kernel."""
        axes = [self._axis(extent, dilate) for extent in x.array.shape[1:3]]
        kernel, pads, stride, dilation = zip(*axes, strict=True)
        return Window(kernel, pads, stride, dilation)

    def _axis(self, extent: int, dilate: bool) -> tuple[int, tuple[int, int], int, int]:
        stride, dilation = self.number(1, 3), self.number(1, 2 if dilate else 1)
        kernel = self.number(1, min(4, extent))
        fits = [
            (low, high)
            for low in range(kernel)
            for high in range(kernel)
            if (rest := extent + low + high - (kernel - 1) * dilation - 1) >= 0 and rest % stride == 0
        ]
        return (kernel, self.pick(fits), stride, dilation) if fits else (1, (0, 0), 1, 1)

    def narrow(self, wide: Value, **options: Any) -> Value:
        """Back to the network's type."""
        return self.net.rescale(wide, **options) if self.kind == "int8" else wide


def _conv(n: _Network, x: Value) -> Value:
    window = n.window(x, True)
    weights = n.net.random((n.number(1, 5), *window.kernel, x.array.shape[3]), n.kind)
    zero_point = n.number(-3, 3) if n.kind == "int8" else 0
    return n.narrow(n.net.conv(x, weights, window, zero_point), per_channel=n.draw(st.booleans()), zero_point=-5)


def _depthwise(n: _Network, x: Value) -> Value:
    window = n.window(x, True)
    weights = n.net.random((*window.kernel, x.array.shape[3], n.number(1, 3)), n.kind)
    return n.narrow(n.net.depthwise(x, weights, window, n.number(-3, 3) if n.kind == "int8" else 0))


def _dense(n: _Network, x: Value) -> Value:
    rows = n.net.reshape(x, [1, x.array.shape[0] * x.array.shape[1] * x.array.shape[2], x.array.shape[3]])
    weights = n.net.random((1, x.array.shape[3], n.number(1, 6)), n.kind)
    y = n.narrow(n.net.matmul(rows, n.net.const(weights)))
    return n.net.reshape(y, [1, *y.array.shape[:2], y.array.shape[2]])


def _attention(n: _Network, x: Value) -> Value:
    """A product of two activations."""
    dims = x.array.shape
    left = n.net.reshape(x, [1, dims[0] * dims[1] * dims[2], dims[3]])
    y = n.narrow(n.net.matmul(left, n.net.transpose(left, [0, 2, 1])))
    return n.net.reshape(y, [1, 1, *y.array.shape[1:]])


def _add(n: _Network, x: Value) -> Value:
    """To another value where shapes broadcast, else to a constant."""
    fitting = [y for y in n.values if all(a == b or a == 1 for a, b in zip(y.array.shape, x.array.shape, strict=True))]
    if n.draw(st.booleans()):
        return n.net.add(x, n.pick(fitting))
    dims = [n.pick((1, extent)) for extent in x.array.shape]
    return n.net.add(x, n.net.const(n.net.random(dims, n.kind)))


def _softmax(n: _Network, x: Value) -> Value:
    if n.kind == "int8":
        return n.net.table(x)
    return n.net.softmax(x, n.number(1, 3))


def _reduce(n: _Network, x: Value) -> Value:
    return n.net.reduce(x, n.number(1, 3), n.pick(("max", "min")))


def _transpose(n: _Network, x: Value) -> Value:
    return n.net.transpose(x, [0, *n.draw(st.permutations([1, 2, 3]))])


def _reshape(n: _Network, x: Value) -> Value:
    """To factors of its size, in any split."""
    rest, dims = x.array.size, list[int]()
    for _ in range(2):
        dims.append(n.pick([d for d in range(1, rest + 1) if rest % d == 0]))
        rest //= dims[-1]
    return n.net.reshape(x, [1, *n.draw(st.permutations([*dims, rest]))])


def _concat(n: _Network, x: Value) -> Value:
    axis = n.number(1, 3)
    fits = [
        y
        for y in n.values
        if all(a == b or d == axis for d, (a, b) in enumerate(zip(x.array.shape, y.array.shape, strict=True)))
    ]
    return n.net.concat([x, *(n.pick(fits) for _ in range(n.number(1, 2)))], axis)


def _pad(n: _Network, x: Value) -> Value:
    amounts = [(0, 0), *((n.number(0, 2), n.number(0, 2)) for _ in range(3))]
    return n.net.pad(x, amounts, n.number(-2, 2))


def _slice(n: _Network, x: Value) -> Value:
    start = [n.number(0, extent - 1) for extent in x.array.shape]
    return n.net.slice(x, start, [n.number(1, extent - s) for s, extent in zip(start, x.array.shape, strict=True)])


def _gather(n: _Network, x: Value) -> Value:
    dims = x.array.shape
    rows = n.net.reshape(x, [1, dims[0] * dims[1] * dims[2], dims[3]])
    indices = n.net.rng.integers(0, rows.array.shape[1], (1, n.number(1, 6))).astype(np.int32)
    y = n.net.gather(rows, n.net.const(indices))
    return n.net.reshape(y, [1, 1, *y.array.shape[1:]])


def _mean(n: _Network, x: Value) -> Value:
    return n.net.mean(x)


STEPS: dict[str, Callable[[_Network, Value], Value]] = {
    "conv": _conv,
    "depthwise": _depthwise,
    "max_pool": lambda n, x: n.net.max_pool(x, n.window(x, False)),
    "avg_pool": lambda n, x: n.net.avg_pool(x, n.window(x, False)),
    "dense": _dense,
    "attention": _attention,
    "add": _add,
    "softmax": _softmax,
    "mean": _mean,
    "reduce": _reduce,
    "transpose": _transpose,
    "reshape": _reshape,
    "concat": _concat,
    "pad": _pad,
    "slice": _slice,
    "gather": _gather,
    "clamp": lambda n, x: n.net.clamp(x, -20, 30),
    "reverse": lambda n, x: n.net.reverse(x, n.number(1, 3)),
}


def _check(net: TosaNet, outputs: list[Value]) -> None:
    note(f"LOWTIDE_TEST_SEED={SEED}")
    text = net.text(outputs)
    note(text)
    wanted = [value.array for value in outputs]
    got = jit.run(jit.lowered(text), [value.array for value in net.inputs], wanted)
    for actual, reference in zip(got, wanted, strict=True):
        if reference.dtype == np.float32:
            scale = max(1.0, float(np.abs(reference).max()))
            np.testing.assert_allclose(actual, reference, rtol=1e-4, atol=1e-4 * scale)
        else:
            np.testing.assert_array_equal(actual, reference)


def _networks(data: Any, steps: int) -> None:
    network = _Network(data.draw)
    for _ in range(network.number(1, steps)):
        network.step()
    outputs = network.outputs()
    if outputs[0] not in network.net.inputs:
        _check(network.net, outputs)


# Networks are small as they are: shrinking one takes longer than reading it.
common = settings(database=None, deadline=None, phases=[Phase.generate], print_blob=True, suppress_health_check=SLOW)


@seed(SEED)
@settings(common, max_examples=60)
@given(st.data())
def test_random_networks(data: Any) -> None:
    _networks(data, 4)


@pytest.mark.slow
@seed(SEED + 1)
@settings(common, max_examples=600)
@given(st.data())
def test_many_random_networks(data: Any) -> None:
    _networks(data, 8)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("step", STEPS)
@seed(SEED)
@settings(common, max_examples=4)
@given(st.data())
def test_each_operation(step: str, kind: str, data: Any) -> None:
    """Every operation on its own, so that none depends on the luck of the draw."""
    network = _Network(data.draw, kind)
    _check(network.net, [STEPS[step](network, network.values[0])])
