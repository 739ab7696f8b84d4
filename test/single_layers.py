"""Networks of one layer, every kind with its variants: what profiles are tested on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from tosa_nets import Array, Pair, TosaNet, Value, Window

Build = Callable[[TosaNet, list[Value]], Value]


@dataclass(frozen=True)
class Single:
    """One layer.

    Attributes:
        name: for messages.
        shapes: of the inputs.
        build: appends the layer to a net; the same numbers every time but for the inputs'.
        kinds: element types that it is defined for.
    """

    name: str
    shapes: tuple[tuple[int, ...], ...]
    build: Build
    kinds: tuple[str, ...] = ("int8", "float32")

    def net(self, kind: str) -> tuple[TosaNet, Value]:
        """The network with random inputs, and its output."""
        net = TosaNet(np.random.default_rng(1))
        for shape in self.shapes:
            net.input(shape, kind)
        return net, self.build(net, net.inputs)

    def reads(self) -> list[Array]:
        """What each output element is computed from: bool[output elements, input elements] for each input.

        Found without any of lowtide's code: an element that is not a number makes every result that depends on it one.
        """
        net, output = self.net("float32")
        found: list[Array] = []
        for number, value in enumerate(net.inputs):
            depends = np.zeros((output.array.size, value.array.size), np.bool_)
            for element in range(value.array.size):
                depends[:, element] = np.isnan(self._poisoned(number, element)).reshape(-1)
            found.append(depends)
        return found

    def _poisoned(self, number: int, element: int) -> Array:
        net = TosaNet(np.random.default_rng(1))
        for shape in self.shapes:
            net.input(shape, "float32")
        net.inputs[number].array.reshape(-1)[element] = np.nan
        return self.build(net, net.inputs).array


def _narrow(net: TosaNet, x: Value) -> Value:
    return net.rescale(x) if x.array.dtype == np.int32 else x


def conv(hw: Pair, channels: Pair, window: Window, *, wide: bool = False) -> Single:
    """A convolution; `wide` leaves an int8 one in int32."""

    def build(net: TosaNet, x: list[Value]) -> Value:
        kind = x[0].array.dtype.name
        y = net.conv(x[0], net.random((channels[1], *window.kernel, channels[0]), kind), window)
        return y if wide else _narrow(net, y)

    return Single(f"conv {hw} {channels} {window} wide={wide}", ((1, *hw, channels[0]),), build)


def depthwise(hw: Pair, channels: int, multiplier: int, window: Window) -> Single:
    """A depthwise convolution."""

    def build(net: TosaNet, x: list[Value]) -> Value:
        kind = x[0].array.dtype.name
        weights = net.random((*window.kernel, channels, multiplier), kind)
        return _narrow(net, net.depthwise(x[0], weights, window))

    return Single(f"depthwise {hw} {channels}x{multiplier} {window}", ((1, *hw, channels),), build)


def pool(hw: Pair, channels: int, window: Window, how: str) -> Single:
    """A `max` or `avg` pooling."""

    def build(net: TosaNet, x: list[Value]) -> Value:
        return net.max_pool(x[0], window) if how == "max" else net.avg_pool(x[0], window)

    return Single(f"{how} pool {hw} {channels} {window}", ((1, *hw, channels),), build)


def dense(rows: int, inputs: int, outputs: int) -> Single:
    """A matrix product with constant weights."""

    def build(net: TosaNet, x: list[Value]) -> Value:
        weights = net.const(net.random((1, inputs, outputs), x[0].array.dtype.name))
        return _narrow(net, net.matmul(x[0], weights))

    return Single(f"dense {rows} {inputs}->{outputs}", ((1, rows, inputs),), build)


def product(rows: int, inner: int, columns: int) -> Single:
    """A matrix product of two activations."""

    def build(net: TosaNet, x: list[Value]) -> Value:
        return _narrow(net, net.matmul(x[0], x[1]))

    return Single(f"product {rows} {inner} {columns}", ((1, rows, inner), (1, inner, columns)), build)


def add(left: tuple[int, ...], right: tuple[int, ...]) -> Single:
    """A sum with broadcasting."""
    return Single(f"add {left} {right}", (left, right), lambda net, x: net.op_add(x[0], x[1]), ("float32",))


def moved(name: str, shape: tuple[int, ...], build: Callable[[TosaNet, Value], Value]) -> Single:
    """A layer of one input that needs no parameters."""
    return Single(f"{name} {shape}", (shape,), lambda net, x: build(net, x[0]))


def _windows() -> list[Window]:
    """Every stride, pad and dilation that a 5×5 (and 7×4) image takes whole."""
    same = ((1, 1), (1, 1))
    return [
        Window((1, 1)),
        Window((1, 1), stride=(2, 2)),
        Window((3, 3)),
        Window((3, 3), same),
        Window((3, 3), same, (2, 2)),
        Window((3, 3), ((0, 0), (0, 0)), (2, 2)),
        Window((3, 3), ((2, 2), (2, 2))),
        Window((3, 3), ((2, 0), (0, 2)), (2, 2)),
        Window((2, 3), ((1, 0), (1, 1))),
        Window((3, 3), ((2, 2), (2, 2)), dilation=(2, 2)),
        Window((2, 2), ((0, 0), (0, 0)), dilation=(2, 2)),
        Window((5, 5)),
    ]


PADDED_BEHIND = moved("pad behind", (1, 3, 4, 2), lambda n, x: n.pad(x, [(0, 0), (0, 2), (0, 0), (0, 0)], 3))


def all_layers() -> list[Single]:
    """Every kind, with strides, pads, dilations, broadcasts and axes."""
    layers: list[Single] = []
    for window in _windows():
        for channels in ((1, 1), (2, 3), (3, 2), (4, 1)):
            layers.append(conv((5, 5), channels, window))
        layers += [conv((5, 5), (2, 2), window, wide=True), depthwise((5, 5), 3, 1, window)]
        layers += [depthwise((5, 5), 2, 2, window), depthwise((5, 5), 3, 2, window)]
        if window.dilation == (1, 1) and max(max(pair) for pair in window.pads) < min(window.kernel):
            layers += [pool((5, 5), 2, window, "max"), pool((5, 5), 2, window, "avg")]
    layers += [dense(1, 6, 4), dense(1, 3, 9), dense(5, 3, 3), dense(4, 2, 5), product(3, 4, 2), product(2, 3, 5)]
    square = (1, 3, 4, 2)
    layers += [add(square, square), add(square, (1, 1, 1, 2)), add(square, (1, 3, 1, 1)), add((1, 1, 4, 1), square)]
    layers += [add((1, 3, 1, 2), (1, 1, 4, 2))]
    # over another axis a softmax is several layers
    layers.append(Single("softmax", (square,), lambda n, x: n.softmax(x[0], 3), ("float32",)))
    for axis in (1, 2, 3):
        layers.append(moved(f"max over {axis}", square, lambda n, x, a=axis: n.reduce(x, a, "max")))
        layers.append(moved(f"reverse {axis}", square, lambda n, x, a=axis: n.reverse(x, a)))
    for order in ([0, 2, 1, 3], [0, 3, 1, 2], [0, 3, 2, 1], [0, 1, 3, 2]):
        layers.append(moved(f"transpose {order}", square, lambda n, x, o=order: n.transpose(x, o)))
    layers.append(moved("slice", (1, 4, 5, 2), lambda n, x: n.slice(x, [0, 1, 2, 0], [1, 2, 3, 2])))
    layers.append(moved("slice low", (1, 4, 5, 3), lambda n, x: n.slice(x, [0, 0, 0, 1], [1, 4, 5, 2])))
    layers.append(moved("pad", square, lambda n, x: n.pad(x, [(0, 0), (1, 2), (0, 1), (1, 0)], 3)))
    layers.append(PADDED_BEHIND)
    layers.append(moved("clamp", square, lambda n, x: n.clamp(x, -20, 30)))
    layers.append(moved("gather", (1, 6, 3), _gathered))
    return layers


def _gathered(net: TosaNet, x: Value) -> Value:
    return net.gather(x, net.const(np.array([[3, 0, 5, 3]], np.int32)))
