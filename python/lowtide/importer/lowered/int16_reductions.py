"""Operators of int16 that look at several elements of a tensor: pools, means, products of matrices."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from tflite import BuiltinOperator, BuiltinOptions, TensorType

from lowtide.importer.lowered.builder import (
    Call,
    constant,
    dims,
    elementwise,
    empty,
    filled,
    generic,
    i32,
    integer,
    number,
    reduce,
    reshape,
    shape_of,
)
from lowtide.importer.lowered.channel_sums import contracted
from lowtide.importer.lowered.int16_elementwise import INT16, of_int16
from lowtide.importer.lowered.int16_scalars import (
    GREATEST,
    LEAST,
    activation_range,
    factor,
    reduced,
    rescaled_sum,
    scale_of_sums,
    stored_int16,
    symmetric,
)
from lowtide.importer.lowered.int16_sums import padded, window
from lowtide.importer.lowered.lowering import Lowering
from lowtide.importer.lowered.scalars import clamped, extended, fixed_point, rescaled
from lowtide.importer.tflite.model import Shape
from lowtide.importer.tflite.operands import Operands, ShapeError, axis_of
from lowtide.importer.tflite.operators import OpSpec, Option
from lowtide.ir import AffineExpr, AffineMap, Value, arith

_B, _O, _T = BuiltinOperator, BuiltinOptions, TensorType
_KIND = arith.CmpIPredicate
_Scalars = Sequence[Value]


# -- pools and means --------------------------------------------------------------------------------------------------


def _pooled(call: Call, filler: int, start: Value, body: Callable[[_Scalars], Value]) -> Value:
    """A reduction over windows of an image."""
    kernel = call.option("filter_height"), call.option("filter_width")
    made = call.outputs[0].shape
    image = padded(call, call.value(0), kernel, made, number(integer(16), filler))
    n, row, column, channel, tap_row, tap_column = dims(6)
    index = AffineMap.get(6, 0, [n, *window(call, row, column, (tap_row, tap_column)), channel])
    # how far the window reaches is said by a tensor that nobody reads
    taps = empty(kernel, integer(16)), AffineMap.get(6, 0, [tap_row, tap_column])
    output = AffineMap.get(6, 0, [n, row, column, channel])
    iterators = ["parallel"] * 4 + ["reduction"] * 2
    return generic([(image, index), taps], [(filled(made, start), output)], iterators, body)[0]


def _max_pool(call: Call) -> Sequence[Value]:
    """MAX_POOL_2D; the padding is below all numbers."""
    low, high = activation_range(call)
    start = number(integer(16), LEAST)
    found = _pooled(call, LEAST, start, lambda scalars: arith.maxsi(scalars[2], scalars[0]))
    if (low, high) == (LEAST, GREATEST):
        return [found]
    return [elementwise([found], integer(16), lambda scalars: clamped(scalars[0], low, high))]


def _average_pool(call: Call) -> Sequence[Value]:
    """AVERAGE_POOL_2D: the mean of what of the window lies in the image, rounded to nearest, ties away from 0."""
    low, high = activation_range(call)
    total = _pooled(call, 0, i32(0), lambda scalars: arith.addi(scalars[2], extended(scalars[0])))
    counts = _counts(call)
    same = bool((counts == counts[0, 0]).all())
    operands = [total] if same else [total, constant(counts.reshape(*counts.shape, 1))]

    def body(scalars: _Scalars) -> Value:
        count = i32(int(counts[0, 0])) if same else scalars[1]
        return stored_int16(_divided(scalars[0], count), low, high)

    return [elementwise(operands, integer(16), body)]


def _counts(call: Call) -> npt.NDArray[np.int32]:
    """How many elements of the image each window holds, by row and column of the result."""
    image, made = call.tensor(0).shape, call.outputs[0].shape
    along: list[npt.NDArray[np.int32]] = []
    for axis, letter, name in ((1, "h", "filter_height"), (2, "w", "filter_width")):
        stride, taps, size = call.option(f"stride_{letter}"), call.option(name), image[axis]
        needed = max(0, (made[axis] - 1) * stride + taps - size) if call.option("padding") == 0 else 0
        first = np.arange(made[axis]) * stride - needed // 2
        along.append((np.minimum(first + taps, size) - np.maximum(first, 0)).astype(np.int32))
    return np.outer(*along).astype(np.int32)


def _divided(total: Value, count: Value) -> Value:
    """The quotient rounded to nearest, ties away from 0."""
    half = arith.shrsi(count, i32(1))
    nudge = arith.select(arith.cmpi(_KIND.sgt, total, i32(0)), half, arith.subi(i32(0), half))
    return arith.divsi(arith.addi(total, nudge), count)


def _axes(call: Call) -> list[int]:
    rank = len(call.tensor(0).shape)
    return sorted({axis_of(int(axis), rank) for axis in call.array(1).reshape(-1)})


def _mean(call: Call) -> Sequence[Value]:
    """MEAN: the sum, rescaled with a factor that has the number of elements in it, whose mantissa is cut off."""
    mantissa, exponent = _factor(call)
    count = _count(call)
    shift = min(count.bit_length() - 1, 32, 31 + exponent)
    return _rescaled_total(call, (mantissa << shift) // count, exponent - shift)


def _sum(call: Call) -> Sequence[Value]:
    """SUM: in 32 bits, then rescaled with two roundings."""
    return _rescaled_total(call, *_factor(call))


def _factor(call: Call) -> tuple[int, int]:
    return fixed_point(factor(call, call.scale(0)[0] / call.scale_made()[0]))


def _count(call: Call) -> int:
    """Elements that are summed up for one of the result."""
    return math.prod(call.tensor(0).shape[axis] for axis in _axes(call))


def _rescaled_total(call: Call, mantissa: int, exponent: int) -> Sequence[Value]:
    """The sum of the elements' distances from the zero point, times mantissa · 2^(exponent − 31)."""
    offset, zero = call.scale(0)[1] * _count(call), call.scale_made()[1]
    total = reduce(call.value(0), _axes(call), i32(0), lambda scalars: arith.addi(scalars[1], extended(scalars[0])))

    def body(scalars: _Scalars) -> Value:
        x = arith.subi(scalars[0], i32(offset)) if offset else scalars[0]
        found = rescaled(x, mantissa, exponent)
        return stored_int16(arith.addi(found, i32(zero)) if zero else found)

    return [reshape(elementwise([total], integer(16), body), call.outputs[0].shape)]


def _extreme(function: Callable[[Value, Value], Value], start: int) -> Callable[[Call], Sequence[Value]]:
    """REDUCE_MAX or REDUCE_MIN of the stored numbers, whose scale stays."""

    def emit(call: Call) -> Sequence[Value]:
        if call.scale(0) != call.scale_made():
            call.refuse("its input and its output have different scales", "export the model again")
        first = number(integer(16), start)
        found = reduce(call.value(0), _axes(call), first, lambda scalars: function(scalars[1], scalars[0]))
        return [reshape(found, call.outputs[0].shape)]

    return emit


# -- products of matrices ---------------------------------------------------------------------------------------------


def _product_shapes(operands: Operands) -> Sequence[Shape]:
    """Matrices in the last two dimensions; those before are broadcast."""
    first, second = list(operands.shape(0)), list(operands.shape(1))
    if min(len(first), len(second)) < 2:
        raise ShapeError(f"its inputs' shapes {first} and {second} have fewer than 2 dimensions")
    rows, depth = first[-2:][:: -1 if operands.option("adj_x") else 1]
    other, columns = second[-2:][:: -1 if operands.option("adj_y") else 1]
    if depth != other:
        raise ShapeError(f"its inputs' shapes {first} and {second} do not share a dimension to be summed over")
    try:
        batch = np.broadcast_shapes(tuple(first[:-2]), tuple(second[:-2]))
    except ValueError:
        raise ShapeError(f"its inputs' shapes {first} and {second} don't go together") from None
    return [(*batch, rows, columns)]


def _matrices(call: Call) -> Sequence[Value]:
    """BATCH_MATMUL: sums of 64 bits, rounded once by a multiplier of 16 bits."""
    symmetric(call, 0, 1)
    made = call.outputs[0].shape
    loops = dims(len(made) + 1)
    batch, (row, column, depth) = loops[: len(made) - 2], loops[len(made) - 2 :]

    def operand(position: int, matrix: Sequence[AffineExpr], flipped: bool) -> tuple[Value, AffineMap]:
        value = call.value(position)
        shape = shape_of(value)
        outer = batch[len(made) - len(shape) :]
        kept = [loop if size > 1 else loop * 0 for loop, size in zip(outer, shape, strict=False)]
        return value, AffineMap.get(len(loops), 0, [*kept, *(matrix[::-1] if flipped else matrix)])

    operands = [
        operand(0, (row, depth), bool(call.option("adj_x"))),
        operand(1, (depth, column), bool(call.option("adj_y"))),
    ]
    output = AffineMap.get(len(loops), 0, [*batch, row, column])
    sums = contracted(operands, made, output, ["parallel"] * len(made) + ["reduction"], integer(64))
    product = np.float32(call.scale(0)[0]) * np.float32(call.scale(1)[0])
    mantissa, exponent = scale_of_sums(call, float(product) / call.scale_made()[0])

    def body(scalars: _Scalars) -> Value:
        wide = number(integer(64), reduced(mantissa)), number(integer(64), 15 - exponent)
        return stored_int16(rescaled_sum(scalars[0], *wide))

    return [elementwise([sums], integer(16), body)]


_MATRICES = OpSpec(
    _O.BatchMatMulOptions,
    (Option("adj_x", "bool"), Option("adj_y", "bool"), Option("asymmetric_quantize_inputs", "bool")),
    (2, 2),
    (),
    (0, 1),
    INT16,
    INT16,
)
LOWERED: Mapping[int, Sequence[Lowering]] = {
    _B.MAX_POOL_2D: of_int16(_B.MAX_POOL_2D, _max_pool),
    _B.AVERAGE_POOL_2D: of_int16(_B.AVERAGE_POOL_2D, _average_pool),
    _B.MEAN: of_int16(_B.MEAN, _mean),
    _B.SUM: of_int16(_B.SUM, _sum),
    _B.REDUCE_MAX: of_int16(_B.REDUCE_MAX, _extreme(arith.maxsi, LEAST)),
    _B.REDUCE_MIN: of_int16(_B.REDUCE_MIN, _extreme(arith.minsi, GREATEST)),
    _B.BATCH_MATMUL: (Lowering(_MATRICES, _product_shapes, _matrices, INT16),),
}
