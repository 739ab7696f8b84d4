"""Random variants of every operator of `.tflite` that lowtide takes, one function a kind of operator."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from lowered_variants import LOWERED
from operator_nets import BOOL, BYTES, FLOAT, INT8, INT32, INT64, UINT8, Case, Draw, NotDrawnError, Variant

_NONE, _RELU, _RELU_N1_TO_1, _RELU6 = range(4)
_SAME, _VALID = range(2)


def _activation(d: Draw) -> int:
    return d.pick((_NONE, _NONE, _RELU, _RELU6, _RELU_N1_TO_1))


def _spread_scale(d: Draw, typical: float) -> float:
    """A scale around the one that fills the output's range, at times far from it."""
    return typical * (d.factor(0.01, 100) if d.chance(0.15) else d.factor(0.3, 3))


def _made(d: Draw, shape: Sequence[int], dtype: np.dtype[Any], typical: float) -> int:
    """An output whose scale is about `typical`."""
    return d.tensor(shape, dtype, _spread_scale(d, typical)) if dtype in BYTES else d.tensor(shape, dtype)


def _options(d: Draw, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options, those drawn that are functions of the draw."""
    return {key: value(d) if callable(value) else value for key, value in options.items()}


def _unary(name: str, **options: Any) -> Callable[[Draw, int], int]:
    def build(d: Draw, x: int) -> int:
        return d.operator(name, (x,), _made(d, d.of(x).shape, d.dtype(x), d.scale_of(x)), _options(d, options))

    return build


def _same_scale(name: str) -> Callable[[Draw, int], int]:
    """Activations: with the input's scale half of the time, else with another."""

    def build(d: Draw, x: int) -> int:
        made = d.like(x) if d.chance(0.5) else _made(d, d.of(x).shape, d.dtype(x), d.scale_of(x))
        d.defined |= name == "RELU6" and d.of(x).quantization != d.of(made).quantization
        return d.operator(name, (x,), made)

    return build


def _fixed_scale(name: str, steps: int, *, offset: int, odd: float, **options: Any) -> Callable[[Draw, int], int]:
    """Operators whose output has a scale of their own, of 1 / `steps`; with another one in a share `odd` of cases."""

    def build(d: Draw, x: int) -> int:
        dtype = d.dtype(x)
        if dtype not in BYTES or d.chance(odd):
            made = d.tensor(d.of(x).shape, dtype)
            d.defined |= name == "TANH" and dtype in BYTES
        else:
            made = d.tensor(d.of(x).shape, dtype, 1 / steps, offset if dtype == INT8 else offset + 128)
        return d.operator(name, (x,), made, _options(d, options))

    return build


def _quantize(d: Draw, x: int) -> int:
    if d.dtype(x) == FLOAT:
        return d.operator("QUANTIZE", (x,), d.tensor(d.of(x).shape, d.pick(BYTES)))
    return d.operator("QUANTIZE", (x,), _made(d, d.of(x).shape, d.pick(BYTES), d.scale_of(x)))


def _dequantize(d: Draw, x: int) -> int:
    return d.operator("DEQUANTIZE", (x,), d.tensor(d.of(x).shape, FLOAT))


def _cast(d: Draw, x: int) -> int:
    dtype = d.pick((FLOAT, INT8, UINT8, INT32, INT64, BOOL))
    made = d.net.tensor(f"t{len(d.net.tensors)}", d.of(x).shape, dtype)
    return d.operator("CAST", (x,), made)


def _other_operand(d: Draw, x: int) -> int:
    """The tensor itself, another input or a constant, of a shape that broadcasts or that `x` broadcasts to."""
    if d.chance(0.1):
        return x
    shape = [extent if d.chance(0.6) else 1 for extent in d.of(x).shape]
    if d.chance(0.5):
        shape = list(d.of(x).shape)
    elif d.chance(0.3):
        shape = [d.number(1, 4) if extent == 1 and d.chance(0.5) else extent for extent in d.of(x).shape]
        if len(shape) == 4:
            shape[0] = 1
    elif d.chance(0.4):
        shape = shape[d.number(0, len(shape)) :]
    same = {}
    if d.dtype(x) in BYTES and d.chance(0.2):
        same = {"scale": d.scale_of(x)}
    return (d.filled if d.chance(0.4) or not shape else d.input)(shape, d.dtype(x), **same)


def _pair(d: Draw, x: int) -> tuple[tuple[int, int], tuple[int, ...]]:
    """Both operands in either order, and the shape that they broadcast to."""
    other = _other_operand(d, x)
    pair = (x, other) if d.chance(0.6) else (other, x)
    return pair, np.broadcast_shapes(*(d.of(index).shape for index in pair))


def _arithmetic(name: str) -> Callable[[Draw, int], int]:
    def build(d: Draw, x: int) -> int:
        pair, shape = _pair(d, x)
        first, second = (d.scale_of(index) for index in pair)
        typical = first * second * 60 if name == "MUL" else max(first, second) * 1.5
        activation = _activation(d) if d.dtype(x) != INT32 or d.chance(0.3) else _NONE
        options = {"fused_activation_function": activation}
        d.defined |= name == "ADD" and d.dtype(x) == INT32 and activation != _NONE
        return d.operator(name, pair, _made(d, shape, d.dtype(x), typical), options)

    return build


def _extremum(name: str) -> Callable[[Draw, int], int]:
    def build(d: Draw, x: int) -> int:
        other = _other_operand(d, x)
        if d.dtype(x) in BYTES and other != x:
            # all three have one scale and zero point: LiteRT compares the bytes
            tensor, source = d.of(other), d.of(x)
            assert source.quantization is not None
            d.net.tensors[other] = type(tensor)(
                tensor.name, tensor.type, tensor.shape, data=tensor.data, quantization=source.quantization
            )
        pair = (x, other) if d.chance(0.6) else (other, x)
        shape = np.broadcast_shapes(*(d.of(index).shape for index in pair))
        return d.operator(name, pair, d.like(x, shape))

    return build


@dataclass(frozen=True)
class _Window:
    """Kernel, strides, dilations and padding of one image; the output's height and width."""

    kernel: tuple[int, int]
    options: dict[str, int]
    size: tuple[int, int]


def _window(d: Draw, shape: Sequence[int], *, dilates: bool) -> _Window:
    padding = d.pick((_SAME, _VALID))
    kernel: list[int] = []
    size: list[int] = []
    options = {"padding": padding}
    for extent, letter in zip(shape[1:3], "hw", strict=True):
        taps, stride = d.number(1, min(5, extent + 1)), d.pick((1, 1, 2, 3))
        dilation = d.pick((1, 1, 1, 2, 3)) if dilates and stride == 1 else 1
        room = extent if padding == _SAME else extent - (taps - 1) * dilation
        if room < 1:
            raise NotDrawnError
        kernel.append(taps)
        size.append(-(-room // stride))
        options[f"stride_{letter}"] = stride
        if dilates:
            options[f"dilation_{letter}_factor"] = dilation
    return _Window((kernel[0], kernel[1]), options, (size[0], size[1]))


def _weights(d: Draw, shape: tuple[int, ...], dtype: np.dtype[Any], axis: int) -> int:
    """Filters: per channel or per tensor if int8, with a zero point if uint8."""
    if dtype == FLOAT:
        return d.filled(shape, FLOAT)
    if dtype == UINT8:
        return d.filled(shape, UINT8, scale=d.factor(2e-3, 0.05))
    values = d.rng.integers(-127, 128, shape).astype(np.int8)
    scales = [d.factor(1e-3, 0.05) for _ in range(shape[axis])] if d.chance(0.6) else [d.factor(2e-3, 0.05)]
    return d.constant(values, [float(np.float32(scale)) for scale in scales], axis=axis)


def _bias(d: Draw, x: int, weights: int, count: int) -> int:
    """A bias at the scale of the sums, or none."""
    if d.chance(0.2):
        return -1
    if d.dtype(x) == FLOAT:
        return d.filled((count,), FLOAT)
    quantization = d.of(weights).quantization
    assert quantization is not None
    scales = [float(np.float32(d.scale_of(x) * scale)) for scale in quantization.scales]
    if len(scales) not in (1, count):
        scales = scales[:1]
    return d.constant(d.rng.integers(-2000, 2001, count).astype(np.int32), scales)


def _summed(d: Draw, x: int, weights: int, depth: int, shape: Sequence[int]) -> int:
    """The output of a sum over `depth` products."""
    quantization = d.of(weights).quantization
    largest = max(quantization.scales) if quantization else 1.0
    return _made(d, shape, d.dtype(x), d.scale_of(x) * largest * 40 * np.sqrt(depth))


def _conv(d: Draw, x: int) -> int:
    shape = d.of(x).shape
    window = _window(d, shape, dilates=True)
    out = d.number(1, 9)
    weights = _weights(d, (out, *window.kernel, shape[3]), d.dtype(x), 0)
    made = _summed(d, x, weights, int(np.prod(window.kernel)) * shape[3], (1, *window.size, out))
    options = {**window.options, "fused_activation_function": _activation(d)}
    return d.operator("CONV_2D", (x, weights, _bias(d, x, weights, out)), made, options)


def _depthwise(d: Draw, x: int) -> int:
    shape = d.of(x).shape
    window = _window(d, shape, dilates=True)
    multiplier = d.pick((1, 1, 2, 3))
    out = shape[3] * multiplier
    weights = _weights(d, (1, *window.kernel, out), d.dtype(x), 3)
    made = _summed(d, x, weights, int(np.prod(window.kernel)), (1, *window.size, out))
    options = {**window.options, "depth_multiplier": multiplier, "fused_activation_function": _activation(d)}
    return d.operator("DEPTHWISE_CONV_2D", (x, weights, _bias(d, x, weights, out)), made, options)


def _dense(d: Draw, x: int) -> int:
    shape = d.of(x).shape
    keeps = d.chance(0.5)
    elements = int(np.prod(shape))
    depth = shape[-1] if keeps or d.chance(0.5) else elements
    out = d.number(1, 9)
    weights = _weights(d, (out, depth), d.dtype(x), 0)
    rows = (*shape[:-1], out) if keeps else (elements // depth, out)
    options = {"keep_num_dims": keeps, "fused_activation_function": _activation(d)}
    bias = _bias(d, x, weights, out)
    return d.operator("FULLY_CONNECTED", (x, weights, bias), _summed(d, x, weights, depth, rows), options)


def _pool(name: str) -> Callable[[Draw, int], int]:
    def build(d: Draw, x: int) -> int:
        shape = d.of(x).shape
        window = _window(d, shape, dilates=False)
        options = {**window.options, "filter_height": window.kernel[0], "filter_width": window.kernel[1]}
        if d.chance(0.4):
            options["fused_activation_function"] = _activation(d)
        return d.operator(name, (x,), d.like(x, (shape[0], *window.size, shape[3])), options)

    return build


def _mean(d: Draw, x: int) -> int:
    shape = d.of(x).shape
    axes = sorted(d.rng.permutation(len(shape))[: d.number(1, len(shape))].tolist())
    if d.chance(0.4) and len(shape) == 4:
        axes = [1, 2]
    keeps = d.chance(0.5)
    made = [1 if i in axes else extent for i, extent in enumerate(shape) if keeps or i not in axes]
    named = [axis - len(shape) if d.chance(0.2) else axis for axis in axes]
    output = d.like(x, made) if d.chance(0.4) else _made(d, made, d.dtype(x), d.scale_of(x))
    return d.operator("MEAN", (x, d.numbers(named)), output, {"keep_dims": keeps})


def _pad(name: str) -> Callable[[Draw, int], int]:
    def build(d: Draw, x: int) -> int:
        shape = d.of(x).shape
        amounts = [(d.pick((0, 0, 1, 2)), d.pick((0, 0, 1, 3))) for _ in shape]
        if len(shape) == 4:
            amounts[0] = (0, 0)
        made = d.like(x, [extent + sum(pair) for extent, pair in zip(shape, amounts, strict=True)])
        inputs = [x, d.constant(np.array(amounts, np.int32))]
        if name == "PADV2":
            value = d.like(x, ())
            tensor = d.of(value)
            stored = d.rng.integers(0, 100, 1).astype(d.dtype(x))
            shaped = () if d.chance(0.5) else (1,)
            d.net.tensors[value] = type(tensor)(
                tensor.name, tensor.type, shaped, data=stored.tobytes(), quantization=tensor.quantization
            )
            inputs.append(value)
        return d.operator(name, inputs, made)

    return build


def _split(d: Draw, elements: int) -> list[int]:
    """A shape with so many elements."""
    extents: list[int] = []
    for _ in range(d.number(0, 3)):
        extents.append(d.pick([n for n in range(1, elements + 1) if elements % n == 0 and n <= 24]))
        elements //= extents[-1]
    return [*extents, elements]


def _reshape(d: Draw, x: int) -> int:
    shape = _split(d, int(np.prod(d.of(x).shape)))
    given = list(shape)
    if d.chance(0.4):
        given[d.number(0, len(given) - 1)] = -1
    options = {"new_shape": tuple(given)}
    inputs = (x, d.numbers(given)) if d.chance(0.8) else (x,)
    return d.operator("RESHAPE", inputs, d.like(x, shape), options)


def _squeeze(d: Draw, x: int) -> int:
    shape = d.of(x).shape
    ones = [axis for axis, extent in enumerate(shape) if extent == 1 and d.chance(0.6)]
    dropped = ones or [axis for axis, extent in enumerate(shape) if extent == 1]
    if len(dropped) == len(shape):
        raise NotDrawnError
    made = d.like(x, [extent for axis, extent in enumerate(shape) if axis not in dropped])
    return d.operator("SQUEEZE", (x,), made, {"squeeze_dims": tuple(ones)})


def _expand(d: Draw, x: int) -> int:
    shape = list(d.of(x).shape)
    axis = d.number(-len(shape) - 1, len(shape))
    shape.insert(axis if axis >= 0 else axis + len(shape) + 1, 1)
    return d.operator("EXPAND_DIMS", (x, d.numbers([axis])), d.like(x, shape))


def _concat(d: Draw, x: int) -> int:
    shape = d.of(x).shape
    axis = d.number(1 if len(shape) == 4 else 0, len(shape) - 1)
    others: list[int] = []
    for _ in range(d.number(0, 3)):
        extents = [d.number(1, 4) if i == axis else extent for i, extent in enumerate(shape)]
        other = (d.filled if d.chance(0.25) else d.input)(extents, d.dtype(x))
        if d.dtype(x) in BYTES and not (d.dtype(x) == UINT8 and d.chance(0.5)):
            tensor = d.of(other)
            d.net.tensors[other] = type(tensor)(
                tensor.name, tensor.type, tensor.shape, data=tensor.data, quantization=d.of(x).quantization
            )
        others.append(other)
    parts = [x, *others]
    d.rng.shuffle(parts)
    total = sum(d.of(part).shape[axis] for part in parts)
    made = d.like(x, [total if i == axis else extent for i, extent in enumerate(shape)])
    return d.operator("CONCATENATION", parts, made, {"axis": axis - len(shape) if d.chance(0.3) else axis})


def _gather(d: Draw, x: int) -> int:
    shape = d.of(x).shape
    axis = d.number(1 if len(shape) == 4 else 0, len(shape) - 1)
    picked = d.shape(d.number(0, 2), 4)
    if d.chance(0.6):
        indices = d.constant(d.rng.integers(0, shape[axis], picked).astype(np.int32))
    else:
        indices = d.input(picked, INT32)
        d.ranges[indices] = (0, shape[axis] - 1)
    made = d.like(x, (*shape[:axis], *picked, *shape[axis + 1 :]))
    return d.operator("GATHER", (x, indices), made, {"axis": axis - len(shape) if d.chance(0.3) else axis})


def _transpose(d: Draw, x: int) -> int:
    shape = d.of(x).shape
    order = [int(axis) for axis in d.rng.permutation(len(shape))]
    return d.operator("TRANSPOSE", (x, d.numbers(order)), d.like(x, [shape[axis] for axis in order]))


def _slice(d: Draw, x: int) -> int:
    shape = d.of(x).shape
    begins = [d.number(0, extent - 1) for extent in shape]
    sizes = [d.number(1, extent - begin) for extent, begin in zip(shape, begins, strict=True)]
    made = d.like(x, sizes)
    whole = [-1 if d.chance(0.3) and b + s == e else s for b, s, e in zip(begins, sizes, shape, strict=True)]
    return d.operator("SLICE", (x, d.numbers(begins), d.numbers(whole)), made)


def _strided_slice(d: Draw, x: int) -> int:
    shape = d.of(x).shape
    begins: list[int] = []
    ends: list[int] = []
    strides: list[int] = []
    made: list[int] = []
    masks = [0, 0, 0]
    for axis, extent in enumerate(shape):
        begin, stride = d.number(0, extent - 1), d.pick((1, 1, 2, 3))
        end = d.number(begin + 1, extent)
        for kind in (0, 1):
            masks[kind] |= d.chance(0.2) << axis
        shrinks = d.chance(0.15)
        masks[2] |= shrinks << axis
        start = 0 if masks[0] >> axis & 1 else begin
        stop = extent if masks[1] >> axis & 1 else end
        if not shrinks:
            made.append(len(range(start, stop, stride)))
        begins.append(begin - extent if d.chance(0.2) else begin)
        ends.append(end - extent if d.chance(0.2) and end < extent else end)
        strides.append(1 if shrinks else stride)
    names = ("begin_mask", "end_mask", "shrink_axis_mask")
    inputs = (x, *(d.numbers(values) for values in (begins, ends, strides)))
    return d.operator("STRIDED_SLICE", inputs, d.like(x, made), dict(zip(names, masks, strict=True)))


def _alpha(d: Draw) -> float:
    return d.pick((0.1, 0.01, 0.3, 0.0, -0.4, -1.5, 1.0, 1.7, d.rng.uniform(-1, 1)))


_REAL = (INT8, INT8, UINT8, FLOAT)
_NUMBERS = (*_REAL, INT32)
_ALL = (*_NUMBERS, INT64, BOOL)
VARIANTS: dict[str, Variant] = {
    "CONV_2D": Variant(_conv, _REAL, (4,), rounds=True),
    "DEPTHWISE_CONV_2D": Variant(_depthwise, _REAL, (4,), rounds=True),
    "FULLY_CONNECTED": Variant(_dense, _REAL, rounds=True),
    "AVERAGE_POOL_2D": Variant(_pool("AVERAGE_POOL_2D"), _REAL, (4,), rounds=True),
    "MAX_POOL_2D": Variant(_pool("MAX_POOL_2D"), _REAL, (4,)),
    "MEAN": Variant(_mean, _REAL, rounds=True),
    "ADD": Variant(_arithmetic("ADD"), _NUMBERS, rounds=True),
    "SUB": Variant(_arithmetic("SUB"), _NUMBERS, rounds=True),
    "MUL": Variant(_arithmetic("MUL"), _NUMBERS, rounds=True),
    "MINIMUM": Variant(_extremum("MINIMUM"), _NUMBERS),
    "MAXIMUM": Variant(_extremum("MAXIMUM"), _NUMBERS),
    "PAD": Variant(_pad("PAD"), _REAL, nan=True),
    "PADV2": Variant(_pad("PADV2"), _REAL, nan=True),
    "RESHAPE": Variant(_reshape, _ALL, nan=True),
    "SQUEEZE": Variant(_squeeze, _ALL, nan=True),
    "EXPAND_DIMS": Variant(_expand, _ALL, (1, 2, 3), nan=True),
    "CONCATENATION": Variant(_concat, _ALL, nan=True),
    "GATHER": Variant(_gather, _ALL, nan=True),
    "TRANSPOSE": Variant(_transpose, _ALL, nan=True),
    "SLICE": Variant(_slice, _ALL, nan=True),
    "STRIDED_SLICE": Variant(_strided_slice, _ALL, nan=True),
    "SOFTMAX": Variant(_fixed_scale("SOFTMAX", 256, offset=-128, odd=0.03, beta=1.0), _REAL, rounds=True),
    "LOGISTIC": Variant(_fixed_scale("LOGISTIC", 256, offset=-128, odd=0.03), _REAL, rounds=True),
    "TANH": Variant(_fixed_scale("TANH", 128, offset=0, odd=0.2), _REAL, rounds=True),
    "RELU": Variant(_same_scale("RELU"), _REAL, nan=True),
    "RELU6": Variant(_same_scale("RELU6"), _REAL, nan=True),
    "RELU_N1_TO_1": Variant(_same_scale("RELU_N1_TO_1"), _REAL, nan=True),
    "LEAKY_RELU": Variant(_unary("LEAKY_RELU", alpha=_alpha), _REAL, rounds=True),
    "HARD_SWISH": Variant(_unary("HARD_SWISH"), _REAL, rounds=True),
    "FLOOR": Variant(_unary("FLOOR"), (FLOAT,), nan=True),
    "CEIL": Variant(_unary("CEIL"), (FLOAT,), nan=True),
    "QUANTIZE": Variant(_quantize, (*BYTES, FLOAT, FLOAT, FLOAT), nan=True),
    "DEQUANTIZE": Variant(_dequantize, BYTES, nan=True),
    "CAST": Variant(_cast, (FLOAT, FLOAT, *_ALL), nan=True),
    **LOWERED,
}
"""By the operator's name in the schema."""


def draw(seed: int, number: int, only: Sequence[str] = ()) -> Case:
    """The case of a number: one operator, or two in a row; the same for the same seed."""
    for attempt in range(1000):
        d = Draw(np.random.default_rng((seed, number, attempt)))
        try:
            return _drawn(d, only or tuple(VARIANTS))
        except NotDrawnError:
            continue
    raise AssertionError("none of a thousand attempts made a model")


def _drawn(d: Draw, names: Sequence[str]) -> Case:
    chosen = [d.pick(names)]
    first = VARIANTS[chosen[0]]
    dtype, rank = d.pick(first.dtypes), d.pick(first.ranks)
    output = first.build(d, d.input(d.shape(rank, 8 if rank == 4 else 6), dtype))
    # no engine is right on a model of which one operator is LiteRT Micro's and another is not
    if d.chance(0.35) and not d.defined and not d.alone:
        shape = d.of(output).shape
        fits = [
            name
            for name, variant in VARIANTS.items()
            if d.dtype(output) in variant.dtypes and len(shape) in variant.ranks and (len(shape) != 4 or shape[0] == 1)
        ]
        if d.dtype(output) in BYTES and d.of(output).quantization is None:
            fits = ["CAST"]
        if fits:
            chosen.append(d.pick(fits))
            output = VARIANTS[chosen[-1]].build(d, output)
            if d.defined or d.alone:
                raise NotDrawnError
    d.nan = all(VARIANTS[name].nan for name in chosen)
    rounds = any(VARIANTS[name].rounds for name in chosen)
    return d.case(output, lambda _: rounds)
