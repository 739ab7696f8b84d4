"""Random variants of the operators of int16, each a small `.tflite` model and what to run it on."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import operator_variants
from operator_nets import Array, Case, Draw, NotDrawnError, single
from tflite_nets import TYPES

from lowtide.importer.tflite.model import OptionValue
from lowtide.importer.tflite.writer import write

INT8, INT16, INT32, INT64, FLOAT = (np.dtype(name) for name in ("int8", "int16", "int32", "int64", "float32"))
_NONE, _RELU, _RELU_N1_TO_1, _RELU6 = range(4)
_LIMIT = 1200
Build = Callable[[Draw], int]


def input_of(d: Draw, shape: Sequence[int], dtype: np.dtype[Any] = INT16, zero: int = 0) -> int:
    """An input with a scale."""
    d.inputs.append(made(d, shape, dtype, d.scale(), zero))
    return d.inputs[-1]


def made(d: Draw, shape: Sequence[int], dtype: np.dtype[Any], scale: float | None, zero: int = 0) -> int:
    """A tensor with this scale; floats have none."""
    name = f"t{len(d.net.tensors)}"
    return d.net.tensor(name, shape, dtype, None if scale is None or dtype == FLOAT else single(scale), zero)


def _activation(d: Draw) -> int:
    return d.pick((_NONE, _NONE, _RELU, _RELU6, _RELU_N1_TO_1))


def _output_scale(d: Draw, typical: float) -> float:
    return typical * d.factor(0.3, 3)


def _window(d: Draw, *, dilates: bool) -> tuple[dict[str, OptionValue], tuple[int, int]]:
    kernel = d.number(1, 3), d.number(1, 3)
    options: dict[str, OptionValue] = {
        "padding": d.number(0, 1),
        "stride_h": d.number(1, 2),
        "stride_w": d.number(1, 2),
    }
    if dilates and d.chance(0.3):
        options |= {"stride_h": 1, "stride_w": 1, "dilation_h_factor": d.number(1, 2), "dilation_w_factor": 2}
    return options, kernel


def _windowed(size: Sequence[int], options: Mapping[str, Any], kernel: tuple[int, int]) -> tuple[int, int]:
    sizes: list[int] = []
    for extent, taps, letter in zip(size, kernel, "hw", strict=True):
        reach = (taps - 1) * options.get(f"dilation_{letter}_factor", 1) + 1
        room = extent if options["padding"] == 0 else extent - reach + 1
        if room < 1:
            raise NotDrawnError
        sizes.append(-(-room // options[f"stride_{letter}"]))
    return sizes[0], sizes[1]


def _weights(d: Draw, shape: Sequence[int], axis: int) -> tuple[int, list[float]]:
    count = 1 if d.chance(0.3) else shape[axis]
    scales = [single(d.factor(0.001, 0.05)) for _ in range(count)]
    values = d.rng.integers(-127, 128, shape).astype(np.int8)
    if d.chance(0.2):
        values = np.full(shape, d.pick((-127, 127)), np.int8)
    return d.constant(values, scales, axis=axis), scales


def _bias(d: Draw, out: int, scale: float, dtype: np.dtype[Any] = INT64) -> int:
    far = 1 << (d.pick((10, 20, 34)) if dtype == INT64 else 20)
    return d.constant(d.rng.integers(-far, far, out).astype(dtype), single(scale))


def _sums_scale(d: Draw, x: int, scales: list[float], depth: int) -> float:
    return _output_scale(d, d.scale_of(x) * max(scales) * 70 * math.sqrt(depth) / 1.5)


def _convolution(d: Draw) -> int:
    options, kernel = _window(d, dilates=True)
    groups, inner = d.pick((1, 1, 1, 2)), d.number(1, 4)
    size = d.number(1, 6), d.number(1, 6)
    x = input_of(d, (1, *size, inner * groups))
    out = groups * d.number(1, 3)
    weights, scales = _weights(d, (out, *kernel, inner), 0)
    bias = d.pick(
        (
            (),
            (),
            (_bias(d, out, d.scale_of(x) * scales[0]),),
            (_bias(d, out, d.scale_of(x) * scales[0]),),
            (_bias(d, out, 1.0, INT32),),
        )
    )
    y = made(
        d, (1, *_windowed(size, options, kernel), out), INT16, _sums_scale(d, x, scales, inner * math.prod(kernel))
    )
    return d.operator("CONV_2D", (x, weights, *bias), y, {**options, "fused_activation_function": _activation(d)})


def _depthwise(d: Draw) -> int:
    options, kernel = _window(d, dilates=True)
    size, channels, copies = (d.number(1, 6), d.number(1, 6)), d.number(1, 4), d.pick((1, 1, 2))
    x = input_of(d, (1, *size, channels))
    out = channels * copies
    weights, scales = _weights(d, (1, *kernel, out), 3)
    bias = d.pick(((), (_bias(d, out, d.scale_of(x) * scales[0]),), (_bias(d, out, d.scale_of(x) * scales[0]),)))
    y = made(d, (1, *_windowed(size, options, kernel), out), INT16, _sums_scale(d, x, scales, math.prod(kernel)))
    options |= {"fused_activation_function": _activation(d), "depth_multiplier": copies}
    return d.operator("DEPTHWISE_CONV_2D", (x, weights, *bias), y, options)


def _dense(d: Draw) -> int:
    rows, depth, out = d.number(1, 3), d.pick((d.number(1, 40), 700)), d.number(1, 5)
    x = input_of(d, (rows, depth))
    weights, scales = _weights(d, (out, depth), 0)
    bias = d.pick(((), (_bias(d, out, d.scale_of(x) * scales[0]),), (_bias(d, out, d.scale_of(x) * scales[0]),)))
    y = made(d, (rows, out), INT16, _sums_scale(d, x, scales, depth))
    return d.operator("FULLY_CONNECTED", (x, weights, *bias), y, {"fused_activation_function": _activation(d)})


def _transposed(d: Draw) -> int:
    size, strides, kernel = ((d.number(1, 4), d.number(1, 4)) for _ in range(3))
    padding, channels, out = d.number(0, 1), d.number(1, 4), d.number(1, 3)
    extents = [
        (n - 1) * s + (d.number(1, s) if padding == 0 else k + d.number(0, s - 1))
        for n, s, k in zip(size, strides, kernel, strict=True)
    ]
    x = input_of(d, (1, *size, channels))
    weights, scales = _weights(d, (out, *kernel, channels), 0)
    bias = d.pick(((), (_bias(d, out, d.scale_of(x) * scales[0]),), (_bias(d, out, d.scale_of(x) * scales[0]),)))
    shape = (1, *extents, out)
    y = made(d, shape, INT16, _sums_scale(d, x, scales, channels * math.prod(kernel)))
    options = {"padding": padding, "stride_h": strides[0], "stride_w": strides[1]}
    return d.operator("TRANSPOSE_CONV", (d.numbers(shape), weights, x, *bias), y, options)


def _pair(d: Draw) -> tuple[int, int, tuple[int, ...]]:
    """Two operands, of which one may be broadcast or a constant."""
    shape = d.shape(d.number(1, 4))
    other = tuple(extent if d.chance(0.7) else 1 for extent in shape) if d.chance(0.4) else shape
    if d.chance(0.2):
        values = d.rng.integers(-32768, 32768, other).astype(np.int16)
        return input_of(d, shape), d.constant(values, d.scale()), shape
    return input_of(d, shape), input_of(d, other), shape


def _sum(name: str) -> Build:
    def build(d: Draw) -> int:
        x, y, shape = _pair(d)
        scale = _output_scale(d, 1.5 * max(d.scale_of(x), d.scale_of(y)))
        options = {"fused_activation_function": _activation(d)}
        return d.operator(name, (x, y), made(d, shape, INT16, scale), options)

    return build


def _product(d: Draw) -> int:
    x, y, shape = _pair(d)
    scale = _output_scale(d, d.scale_of(x) * d.scale_of(y) * 20000)
    options = {"fused_activation_function": _activation(d)}
    return d.operator("MUL", (x, y), made(d, shape, INT16, scale), options)


def _squared(d: Draw) -> int:
    x, y, shape = _pair(d)
    scale = _output_scale(d, max(d.scale_of(x), d.scale_of(y)) ** 2 * 20000)
    return d.operator("SQUARED_DIFFERENCE", (x, y), made(d, shape, INT16, scale))


def _extreme(name: str) -> Build:
    def build(d: Draw) -> int:
        shape = d.shape(d.number(1, 4))
        x, y = input_of(d, shape), input_of(d, shape)
        d.net.tensors[y] = type(d.of(y))(d.of(y).name, d.of(y).type, shape, quantization=d.of(x).quantization)
        return d.operator(name, (x, y), made(d, shape, INT16, d.scale_of(x)))

    return build


def _unary(name: str, factors: tuple[float, float] = (0.3, 3), **options: Any) -> Build:
    def build(d: Draw) -> int:
        x = input_of(d, d.shape(d.number(1, 4)))
        y = made(d, d.of(x).shape, INT16, d.scale_of(x) * d.factor(*factors))
        return d.operator(name, (x,), y, {key: value(d) for key, value in options.items()})

    return build


def _slope(d: Draw) -> float:
    return single(d.pick((0.1, 0.3, 0.0, 1.0, 1.5, -0.2, d.factor(0.01, 1))))


def _table(name: str) -> Build:
    def build(d: Draw) -> int:
        d.inputs.append(made(d, d.shape(3, 10), INT16, d.pick((2.0**-12, 2.0**-11, d.factor(1e-5, 3e-3))), 0))
        return d.operator(name, d.inputs, made(d, d.of(d.inputs[0]).shape, INT16, 2.0**-15))

    return build


def _softmax(d: Draw) -> int:
    dtype = d.pick((INT16, INT8))
    x = input_of(d, d.shape(d.number(1, 4)), dtype)
    scale, zero = (2.0**-15, 0) if dtype == INT16 else (2.0**-16, -32768)
    return d.operator("SOFTMAX", (x,), made(d, d.of(x).shape, INT16, scale, zero), {"beta": d.pick((1.0, 1.0, 0.5))})


def _pool(name: str) -> Build:
    def build(d: Draw) -> int:
        options, kernel = _window(d, dilates=False)
        size, channels = (d.number(1, 6), d.number(1, 6)), d.number(1, 4)
        x = input_of(d, (1, *size, channels))
        y = made(d, (1, *_windowed(size, options, kernel), channels), INT16, d.scale_of(x))
        options |= {"filter_height": kernel[0], "filter_width": kernel[1], "fused_activation_function": _activation(d)}
        return d.operator(name, (x,), y, options)

    return build


def _reduction(name: str, *ratios: float) -> Build:
    def build(d: Draw) -> int:
        x = input_of(d, d.shape(d.number(2, 4)))
        shape = d.of(x).shape
        axes = sorted({d.number(0, len(shape) - 1) for _ in range(2)})
        keep = d.chance(0.5)
        kept = [1 if i in axes else n for i, n in enumerate(shape) if keep or i not in axes]
        y = made(d, kept, INT16, d.scale_of(x) * (d.factor(*ratios) if ratios and d.chance(0.6) else 1.0))
        return d.operator(name, (x, d.numbers(axes)), y, {"keep_dims": keep})

    return build


def _matrices(d: Draw) -> int:
    batch, rows, depth, columns = (d.number(1, 4) for _ in range(4))
    flipped, turned = d.chance(0.5), d.chance(0.5)
    shared = d.chance(0.3)
    x = input_of(d, (batch, depth, rows) if flipped else (batch, rows, depth))
    other = (1 if shared else batch, *((columns, depth) if turned else (depth, columns)))
    if d.chance(0.3):
        y = d.constant(d.rng.integers(-32768, 32768, other).astype(np.int16), d.scale())
    else:
        y = input_of(d, other)
    scale = _output_scale(d, d.scale_of(x) * d.scale_of(y) * 15000 * math.sqrt(depth))
    output = made(d, (batch, rows, columns), INT16, scale)
    return d.operator("BATCH_MATMUL", (x, y), output, {"adj_x": flipped, "adj_y": turned})


def _quantize(d: Draw) -> int:
    pairs = ((INT16, INT8), (INT16, INT16), (INT16, INT32), (INT8, INT16), (INT8, INT32))
    source, target = d.pick((*pairs, (INT32, INT8), (INT32, INT16), (FLOAT, INT16)))
    x = input_of(d, d.shape(d.number(1, 4)), source, d.number(-100, 100) if source == INT8 else 0)
    steps = 1.0 if source == FLOAT else d.scale_of(x)
    ratio = {(INT16, INT8): 200.0, (INT8, INT16): 0.01, (FLOAT, INT16): 1e-4}.get((source, target), 1.0)
    zero = d.number(-100, 100) if target == INT8 else 0
    return d.operator("QUANTIZE", (x,), made(d, d.of(x).shape, target, steps * ratio * d.factor(0.3, 3), zero))


def _dequantize(d: Draw) -> int:
    x = input_of(d, d.shape(d.number(1, 4)))
    return d.operator("DEQUANTIZE", (x,), made(d, d.of(x).shape, FLOAT, None))


def _cast(d: Draw) -> int:
    source, target = d.pick(((INT16, FLOAT), (INT16, INT32), (FLOAT, INT16), (INT32, INT16), (INT8, INT16)))
    x = input_of(d, d.shape(d.number(1, 4)), source)
    options = {"in_data_type": TYPES[source], "out_data_type": TYPES[target]}
    return d.operator("CAST", (x,), made(d, d.of(x).shape, target, 1.0), options)


def _pad(name: str) -> Build:
    def build(d: Draw) -> int:
        x = input_of(d, d.shape(d.number(1, 4)))
        amounts = [
            (d.number(0, 2) if axis or len(d.of(x).shape) < 4 else 0, d.number(0, 1))
            for axis in range(len(d.of(x).shape))
        ]
        if len(amounts) == 4:
            amounts[0] = (0, 0)
        shape = [n + low + high for n, (low, high) in zip(d.of(x).shape, amounts, strict=True)]
        pads = d.constant(np.array(amounts, np.int32))
        filler = (d.constant(np.array(d.number(-30000, 30000), np.int16), d.scale_of(x)),) if name == "PADV2" else ()
        return d.operator(name, (x, pads, *filler), made(d, shape, INT16, d.scale_of(x)))

    return build


def _reciprocal_root(d: Draw) -> int:
    """Inputs from 0 on: LiteRT Micro stops below."""
    x = input_of(d, d.shape(d.number(1, 4)))
    d.ranges[x] = (0, 32767)
    y = made(d, d.of(x).shape, INT16, d.factor(0.01, 100) / math.sqrt(d.scale_of(x)) / 30000)
    return d.operator("RSQRT", (x,), y)


def _moved(name: str) -> Build:
    """An operator that only moves elements, as it is drawn for other types."""

    def build(d: Draw) -> int:
        variant = operator_variants.VARIANTS[name]
        return variant.build(d, input_of(d, d.shape(d.pick(variant.ranks))))

    return build


_MOVES = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS", "CONCATENATION", "GATHER", "TRANSPOSE", "SLICE", "STRIDED_SLICE")
VARIANTS: Mapping[str, Build] = {
    **{name: _moved(name) for name in _MOVES},
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _depthwise,
    "FULLY_CONNECTED": _dense,
    "TRANSPOSE_CONV": _transposed,
    "ADD": _sum("ADD"),
    "SUB": _sum("SUB"),
    "MUL": _product,
    "SQUARED_DIFFERENCE": _squared,
    "MINIMUM": _extreme("MINIMUM"),
    "MAXIMUM": _extreme("MAXIMUM"),
    "LEAKY_RELU": _unary("LEAKY_RELU", alpha=_slope),
    "RELU": _unary("RELU"),
    "RELU6": _unary("RELU6"),
    "RSQRT": _reciprocal_root,
    "ABS": _unary("ABS", (1.0, 1.0)),
    "LOGISTIC": _table("LOGISTIC"),
    "TANH": _table("TANH"),
    "SOFTMAX": _softmax,
    "MAX_POOL_2D": _pool("MAX_POOL_2D"),
    "AVERAGE_POOL_2D": _pool("AVERAGE_POOL_2D"),
    "MEAN": _reduction("MEAN", 0.3, 3),
    "SUM": _reduction("SUM", 0.3, 30),
    "REDUCE_MAX": _reduction("REDUCE_MAX"),
    "REDUCE_MIN": _reduction("REDUCE_MIN"),
    "BATCH_MATMUL": _matrices,
    "QUANTIZE": _quantize,
    "DEQUANTIZE": _dequantize,
    "CAST": _cast,
    "PAD": _pad("PAD"),
    "PADV2": _pad("PADV2"),
}
"""By the operator's name in the schema."""


def draw(seed: int, number: int, only: Sequence[str] = ()) -> Case:
    """The case of a number, one operator; the same for the same seed."""
    for attempt in range(1000):
        d = Draw(np.random.default_rng((seed, number, attempt)))
        try:
            name = d.pick(tuple(only or VARIANTS))
            return _case(d, name, VARIANTS[name](d))
        except NotDrawnError:
            continue
    raise AssertionError("none of a thousand attempts made a model")


def _case(d: Draw, name: str, output: int) -> Case:
    if any(math.prod(tensor.shape) > _LIMIT for tensor in d.net.tensors if tensor.data is None):
        raise NotDrawnError
    fillers = (_spread, _extremes, _near_zero)
    runs = tuple(
        tuple((_indices if index in d.ranges else filler)(d, index) for index in d.inputs) for filler in fillers
    )
    model = write(d.net.model(d.inputs, [output]))
    return Case(" → ".join(d.words), (name,), model, runs, rounded=False, floats=False, defined=False)


def _indices(d: Draw, index: int) -> Array:
    """Values of an input that stands for places: all within what it indexes."""
    low, high = d.ranges[index]
    return d.rng.integers(low, high + 1, d.of(index).shape).astype(d.dtype(index))


def _spread(d: Draw, index: int) -> Array:
    """Over all that the type holds; floats and int32 as far as an int16 would reach."""
    dtype = d.dtype(index)
    if dtype == FLOAT:
        return d.rng.normal(0, 2, d.of(index).shape).astype(np.float32)
    info = np.iinfo(INT16 if dtype == INT32 else dtype)
    return d.rng.integers(info.min, info.max + 1, d.of(index).shape).astype(dtype)


def _extremes(d: Draw, index: int) -> Array:
    """The ends of the type."""
    dtype = d.dtype(index)
    if dtype == FLOAT:
        return d.rng.choice(np.array([0, -0.0, 1e4, -1e4, 0.5, -0.5], np.float32), d.of(index).shape)
    info = np.iinfo(INT16 if dtype == INT32 else dtype)
    ends = np.array([info.min, info.min + 1, info.max - 1, info.max, 0, -1], dtype)
    return d.rng.choice(ends, d.of(index).shape)


def _near_zero(d: Draw, index: int) -> Array:
    """A few steps to either side of 0."""
    dtype = d.dtype(index)
    values = d.rng.integers(-40, 41, d.of(index).shape)
    return (values * 0.5).astype(np.float32) if dtype == FLOAT else values.astype(dtype)
