"""Random small networks in TOSA text, computed by numpy while they are written.

The numbers follow the TOSA specification: exact for integers; for float32 up to the order of additions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Pair = tuple[int, int]
ELEMENTS = {"int8": "i8", "int32": "i32", "float32": "f32"}
LIMIT = 600
"""No tensor of a random network has more elements."""


@dataclass(frozen=True)
class Window:
    """How a convolution or pooling goes over height and width; `pads` are before and after, for each of the two."""

    kernel: Pair
    pads: tuple[Pair, Pair] = ((0, 0), (0, 0))
    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)

    @property
    def attributes(self) -> str:
        """Of a TOSA operation, all but the kernel and the dilation, which only some have."""
        return f"pad = {_ints([*self.pads[0], *self.pads[1]])}, stride = {_ints(self.stride)}"


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor of the network: its SSA name and its number."""

    name: str
    array: Array = field(repr=False)

    @property
    def type(self) -> str:
        """As MLIR writes it."""
        dims = "x".join(map(str, (*self.array.shape, ELEMENTS[self.array.dtype.name])))
        return f"tensor<{dims}>"


@dataclass
class TosaNet:
    """Text and numbers of one network; each method appends an operation and gives its result."""

    rng: np.random.Generator
    inputs: list[Value] = field(default_factory=list[Value])
    lines: list[str] = field(default_factory=list[str])
    count: int = 0

    def text(self, outputs: Sequence[Value]) -> str:
        """The module, returning these values."""
        arguments = ", ".join(f"{value.name}: {value.type}" for value in self.inputs)
        types = ", ".join(value.type for value in outputs)
        names = ", ".join(value.name for value in outputs)
        body = "\n  ".join(self.lines)
        return f"func.func @main({arguments}) -> ({types}) {{\n  {body}\n  return {names} : {types}\n}}\n"

    def random(self, shape: Sequence[int], kind: str) -> Array:
        """Any int8, small int32, or float32 around 0."""
        if kind == "float32":
            return self.rng.standard_normal(shape).astype(np.float32)
        low, high = (-128, 128) if kind == "int8" else (-1000, 1000)
        return self.rng.integers(low, high, shape).astype(kind)

    def input(self, shape: Sequence[int], kind: str) -> Value:
        """A new input with random contents."""
        value = Value(f"%in{len(self.inputs)}", self.random(shape, kind))
        self.inputs.append(value)
        return value

    def const(self, array: Array) -> Value:
        """A constant."""
        value = Value(self._name(), np.ascontiguousarray(array))
        raw = value.array.tobytes().hex()
        self.lines.append(
            f'{value.name} = "tosa.const"() <{{values = dense<"0x{raw}"> : {value.type}}}> : () -> {value.type}'
        )
        return value

    def op(self, name: str, operands: Sequence[Value], array: Array, attributes: str = "") -> Value:
        """Any operation whose number the caller knows."""
        result = Value(self._name(), array)
        types = ", ".join(value.type for value in operands)
        names = ", ".join(value.name for value in operands)
        braces = f" {{{attributes}}}" if attributes else ""
        self.lines.append(f"{result.name} = tosa.{name} {names}{braces} : ({types}) -> {result.type}")
        return result

    def _name(self) -> str:
        self.count += 1
        return f"%v{self.count}"

    def _shape(self, dims: Sequence[int]) -> str:
        name = self._name()
        self.lines.append(
            f"{name} = tosa.const_shape {{values = dense<{list(dims)}> : tensor<{len(dims)}xindex>}}"
            f" : () -> !tosa.shape<{len(dims)}>"
        )
        return name

    def _shaped(self, name: str, x: Value, shapes: Sequence[Sequence[int]], array: Array, *more: Value) -> Value:
        """An operation that takes shapes as operands."""
        names = [self._shape(dims) for dims in shapes]
        result = Value(self._name(), array)
        operands = ", ".join([x.name, *names, *(value.name for value in more)])
        types = ", ".join([x.type, *(f"!tosa.shape<{len(dims)}>" for dims in shapes), *(value.type for value in more)])
        self.lines.append(f"{result.name} = tosa.{name} {operands} : ({types}) -> {result.type}")
        return result

    def _zero(self, kind: str, value: int = 0) -> Value:
        return self.const(np.array([value], kind))

    # -- element by element -------------------------------------------------------------------------------------

    def cast_i32(self, x: Value) -> Value:
        """int8 → int32."""
        return self.op("cast", [x], x.array.astype(np.int32))

    def rescale(
        self, x: Value, *, per_channel: bool = False, zero_point: int = 0, twice: bool = False, span: int = 100
    ) -> Value:
        """int32 → int8 with multipliers that use the range, or `span`; `twice` rounds as TFLite does."""
        channels = x.array.shape[-1] if per_channel else 1
        peak = int(np.abs(x.array).max(initial=1))
        shift = 30 + max(0, math.ceil(math.log2(peak / span)))
        multipliers = self.rng.integers(1 << 29, 1 << 30, channels).astype(np.int32)
        shifts = np.full(channels, shift, np.int8)
        nudge = np.where(x.array >= 0, 1 << 30, -(1 << 30)) if twice and shift > 31 else 0
        wide = (x.array.astype(np.int64) * multipliers + (1 << (shift - 1)) + nudge) >> shift
        array = np.clip(wide + zero_point, -128, 127).astype(np.int8)
        operands = [x, self.const(multipliers), self.const(shifts), self._zero("int32"), self._zero("int8", zero_point)]
        attributes = (
            f"input_unsigned = false, output_unsigned = false, per_channel = {str(per_channel).lower()}, "
            f"rounding_mode = {'DOUBLE' if twice else 'SINGLE'}_ROUND, scale32 = true"
        )
        return self.op("rescale", operands, array, attributes)

    def add(self, x: Value, y: Value) -> Value:
        """The sum with broadcasting; int8 in int32 and rescaled."""
        if x.array.dtype == np.int8:
            wide = self.op_add(self.cast_i32(x), self.cast_i32(y))
            return self.rescale(wide, zero_point=3)
        return self.op_add(x, y)

    def op_add(self, x: Value, y: Value) -> Value:
        """`tosa.add`."""
        return self.op("add", [x, y], x.array + y.array)

    def clamp(self, x: Value, low: int, high: int) -> Value:
        """`tosa.clamp`; the bounds are whole numbers."""
        kind = ELEMENTS[x.array.dtype.name]
        bounds = (low, high) if kind != "f32" else (f"{low}.0", f"{high}.0")
        attributes = f"min_val = {bounds[0]} : {kind}, max_val = {bounds[1]} : {kind}"
        return self.op("clamp", [x], np.clip(x.array, low, high).astype(x.array.dtype), attributes)

    def table(self, x: Value) -> Value:
        """An int8 look-up table."""
        entries = self.random((256,), "int8")
        return self.op("table", [x, self.const(entries)], entries[x.array.astype(np.int32) + 128])

    # -- windows ------------------------------------------------------------------------------------------------

    def conv(self, x: Value, w: Array, window: Window, zp: int = 0, wzp: int = 0, bias: Array | None = None) -> Value:
        """`tosa.conv2d`, weights OHWI, accumulated in int32 or float32; int8 is not yet rescaled.

        Args:
            x, w, window: input, weights, and how the window goes over the input.
            zp, wzp: zero points of input and weights.
            bias: random where left out.
        """
        bias = self._bias(x, w.shape[0]) if bias is None else bias
        array = np.einsum("nyxijc,oijc->nyxo", _patches(_wide(x.array, zp), window), _wide(w, wzp))
        return self._conv("conv2d", [x, self.const(w), self.const(bias)], array + bias, window, (zp, wzp))

    def depthwise(self, x: Value, w: Array, window: Window, zp: int = 0, wzp: int = 0) -> Value:
        """`tosa.depthwise_conv2d`, weights HWCM; else as `conv`."""
        bias = self._bias(x, w.shape[2] * w.shape[3])
        array = np.einsum("nyxijc,ijcm->nyxcm", _patches(_wide(x.array, zp), window), _wide(w, wzp))
        array = array.reshape(*array.shape[:3], -1)
        return self._conv("depthwise_conv2d", [x, self.const(w), self.const(bias)], array + bias, window, (zp, wzp))

    def _bias(self, x: Value, channels: int) -> Array:
        kind = x.array.dtype.name
        return self.random((channels,), "int32" if kind == "int8" else kind)

    def _conv(self, name: str, operands: list[Value], array: Array, window: Window, zeros: Pair) -> Value:
        kind = operands[0].array.dtype.name
        acc = operands[2].array.dtype
        attributes = f"acc_type = {ELEMENTS[acc.name]}, dilation = {_ints(window.dilation)}, {window.attributes}"
        return self.op(name, [*operands, *(self._zero(kind, zero) for zero in zeros)], array.astype(acc), attributes)

    def max_pool(self, x: Value, window: Window) -> Value:
        """`tosa.max_pool2d`."""
        lowest = -128 if x.array.dtype == np.int8 else -np.inf
        array = _patches(x.array, window, lowest).max(axis=(3, 4))
        return self.op("max_pool2d", [x], array, f"kernel = {_ints(window.kernel)}, {window.attributes}")

    def avg_pool(self, x: Value, window: Window) -> Value:
        """`tosa.avg_pool2d`: padding does not count."""
        kind = x.array.dtype.name
        total = _patches(_wide(x.array), window).sum(axis=(3, 4))
        counts = _patches(np.ones(x.array.shape, np.int64), window).sum(axis=(3, 4))
        array = total / counts if kind == "float32" else np.clip(_reciprocal_scaled(total, counts), -128, 127)
        acc = "i32" if kind == "int8" else "f32"
        attributes = f"acc_type = {acc}, kernel = {_ints(window.kernel)}, {window.attributes}"
        return self.op("avg_pool2d", [x, self._zero(kind), self._zero(kind)], array.astype(kind), attributes)

    # -- contractions and reductions ----------------------------------------------------------------------------

    def matmul(self, x: Value, y: Value) -> Value:
        """`tosa.matmul` of N×H×C and N×C×W float32 or int8 (then int32)."""
        kind = x.array.dtype.name
        array = (_wide(x.array) @ _wide(y.array)).astype("int32" if kind == "int8" else kind)
        attributes = f"acc_type = {'i32' if kind == 'int8' else 'f32'}"
        return self.op("matmul", [x, y, self._zero(kind), self._zero(kind)], array, attributes)

    def reduce(self, x: Value, axis: int, how: str) -> Value:
        """`tosa.reduce_sum`, `_max` or `_min` over one axis, which stays with extent 1."""
        function: Callable[..., Array] = {"sum": np.sum, "max": np.max, "min": np.min}[how]
        array = function(x.array, axis=axis, keepdims=True).astype(x.array.dtype)
        return self.op(f"reduce_{how}", [x], array, f"axis = {axis} : i32")

    def softmax(self, x: Value, axis: int) -> Value:
        """A float32 softmax as importers write it."""
        shifted = self.op("sub", [x, top := self.reduce(x, axis, "max")], x.array - top.array)
        exponents = self.op("exp", [shifted], np.exp(shifted.array))
        total = self.reduce(exponents, axis, "sum")
        inverse = self.op("reciprocal", [total], 1 / total.array)
        return self.mul(exponents, inverse)

    def mul(self, x: Value, y: Value) -> Value:
        """`tosa.mul` of float32."""
        return self.op("mul", [x, y, self._zero("int8")], x.array * y.array)

    def mean(self, x: Value) -> Value:
        """The mean over height and width."""
        wide = self.cast_i32(x) if x.array.dtype == np.int8 else x
        total = self.reduce(self.reduce(wide, 1, "sum"), 2, "sum")
        if x.array.dtype == np.int8:
            return self.rescale(total)
        scale = np.full((1, 1, 1, 1), 1 / (x.array.shape[1] * x.array.shape[2]), np.float32)
        return self.mul(total, self.const(scale))

    # -- data movement ------------------------------------------------------------------------------------------

    def reshape(self, x: Value, dims: Sequence[int]) -> Value:
        """`tosa.reshape`."""
        return self._shaped("reshape", x, [dims], x.array.reshape(dims))

    def transpose(self, x: Value, order: Sequence[int]) -> Value:
        """`tosa.transpose`."""
        perms = f"perms = array<i32: {', '.join(map(str, order))}>"
        return self.op("transpose", [x], np.ascontiguousarray(x.array.transpose(order)), perms)

    def concat(self, parts: Sequence[Value], axis: int) -> Value:
        """`tosa.concat`."""
        array = np.concatenate([part.array for part in parts], axis)
        return self.op("concat", parts, array, f"axis = {axis} : i32")

    def pad(self, x: Value, amounts: Sequence[tuple[int, int]], value: int) -> Value:
        """`tosa.pad` with a value of choice."""
        array = np.pad(x.array, amounts, constant_values=value)
        scalar = self.const(np.array([value], x.array.dtype))
        return self._shaped("pad", x, [[n for pair in amounts for n in pair]], array, scalar)

    def slice(self, x: Value, start: Sequence[int], size: Sequence[int]) -> Value:
        """`tosa.slice`."""
        where = tuple(slice(s, s + n) for s, n in zip(start, size, strict=True))
        return self._shaped("slice", x, [start, size], np.ascontiguousarray(x.array[where]))

    def gather(self, x: Value, indices: Value) -> Value:
        """`tosa.gather` of N×K×C values at N×W indices."""
        array = np.take_along_axis(x.array, indices.array[:, :, None], axis=1)
        return self.op("gather", [x, indices], array)

    def reverse(self, x: Value, axis: int) -> Value:
        """`tosa.reverse`."""
        return self.op("reverse", [x], np.ascontiguousarray(np.flip(x.array, axis)), f"axis = {axis} : i32")


def _ints(values: Sequence[int]) -> str:
    return f"array<i64: {', '.join(map(str, values))}>"


def _wide(array: Array, zero_point: int = 0) -> Array:
    return array if array.dtype == np.float32 else array.astype(np.int64) - zero_point


def _patches(x: Array, window: Window, fill: float = 0) -> Array:
    """Every window of an NHWC tensor: N×Y×X×KH×KW×C."""
    padded = np.pad(x, ((0, 0), *window.pads, (0, 0)), constant_values=fill)
    places = [_places(padded.shape[1 + axis], window, axis) for axis in range(2)]
    return padded[:, places[0][:, None, :, None], places[1][None, :, None, :], :]


def _places(extent: int, window: Window, axis: int) -> Array:
    """Along one axis, the element under each tap of each window."""
    reach = (window.kernel[axis] - 1) * window.dilation[axis] + 1
    starts = np.arange(0, extent - reach + 1, window.stride[axis])
    return starts[:, None] + np.arange(window.kernel[axis]) * window.dilation[axis]


def _reciprocal_scaled(total: Array, counts: Array) -> Array:
    """TOSA's integer mean: multiply by 2^30/count rounded up, shift with rounding."""
    k = np.array([max(0, int(n) - 1).bit_length() for n in counts.reshape(-1)]).reshape(counts.shape)
    multiplier = (((1 << 30) + 1) << k) // counts
    shift = 30 + k
    return (total * multiplier + (np.int64(1) << (shift - 1))) >> shift
