"""RESIZE_BILINEAR: each element from up to four of the input, whose places and weights are known at import.

LiteRT computes places in 10 fractional bits for integers and in single precision for floats; weights outside 0 … 1 at
the borders are its own, too: there both neighbours are the same element.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from tflite import BuiltinOperator, BuiltinOptions, TensorType

from lowtide.importer.lowered.builder import (
    Call,
    constant,
    dims,
    element_of,
    element_type,
    empty,
    f32,
    generic,
    i32,
    place_along,
    shape_of,
)
from lowtide.importer.lowered.lowering import Lowering
from lowtide.importer.lowered.scalars import extended, truncated
from lowtide.importer.tflite.model import Shape
from lowtide.importer.tflite.operands import Operands, ShapeError
from lowtide.importer.tflite.operators import OpSpec, Option
from lowtide.ir import AffineMap, IndexType, Value, arith, tensor

_BITS = 10
_ONE = 1 << _BITS
_HALF = np.float32(0.5)
_MOST = 1 << 16
"""Rows or columns of an output: no arena holds more, and each is listed here."""
_TYPES = (TensorType.FLOAT32, TensorType.INT8)
Numbers = npt.NDArray[np.int32] | npt.NDArray[np.float32]


def _shape(operands: Operands) -> Sequence[Shape]:
    image, (height, width) = operands.shape(0, 4), operands.numbers(1, 2)
    if min(height, width) < 1 or max(height, width) > _MOST:
        raise ShapeError(f"it resizes to {height} x {width}; 1 to {_MOST} are possible")
    if operands.option("align_corners") and operands.option("half_pixel_centers"):
        raise ShapeError("it wants both the corners aligned and the pixels' centres halved")
    return [(image[0], height, width, image[3])]


def _places(call: Call, inputs: int, outputs: int, *, whole: bool) -> tuple[Numbers, Numbers, Numbers]:
    """For each row or column of the output: the two of the input and the weight of the second, of 2¹⁰ in integers."""
    corners, centres = bool(call.option("align_corners")), bool(call.option("half_pixel_centers"))
    at = np.arange(outputs, dtype=np.int64)
    if whole:
        scale = (_ONE * inputs + outputs // 2) // outputs
        if corners and outputs > 1:
            scale = (_ONE * (inputs - 1) + (outputs - 1) // 2) // (outputs - 1)
        scaled = at * scale + (scale // 2 - _ONE // 2 if centres else 0)
        # C divides towards zero
        low = np.maximum(np.trunc(scaled / _ONE).astype(np.int64), 0)
        high = np.minimum(np.trunc((scaled + _ONE - 1) / _ONE).astype(np.int64), inputs - 1)
        return low.astype(np.int32), high.astype(np.int32), (scaled - _ONE * low).astype(np.int32)
    ratio = np.float32(inputs) / np.float32(outputs)
    if corners and outputs > 1:
        ratio = np.float32(inputs - 1) / np.float32(outputs - 1)
    places = at.astype(np.float32)
    real = (places + _HALF) * ratio - _HALF if centres else places * ratio
    first = np.maximum(np.floor(real), np.float32(0)).astype(np.int32)
    second = np.minimum(np.ceil(real), np.float32(inputs - 1)).astype(np.int32)
    return first, second, real - first.astype(np.float32)


def _emit(call: Call) -> Sequence[Value]:
    source, made = call.value(0), call.outputs[0].shape
    whole = call.outputs[0].type != TensorType.FLOAT32
    shape, axes = shape_of(source), dims(4)
    tables = [
        (constant(numbers), AffineMap.get(4, 0, [axes[axis]]))
        for axis in (1, 2)
        for numbers in _places(call, shape[axis], made[axis], whole=whole)
    ]

    def body(scalars: Sequence[Value]) -> Value:
        y0, y1, down, x0, x1, across = scalars[:6]
        batch, channel = place_along(0), place_along(3)

        def at(y: Value, x: Value) -> Value:
            return tensor.extract(source, [batch, _index(y), _index(x), channel])

        corners = [at(y, x) for y in (y0, y1) for x in (x0, x1)]
        return _integer(corners, down, across) if whole else _real(corners, down, across)

    out = (empty(made, element_type(call.outputs[0].type)), AffineMap.get_identity(4))
    assert element_of(source) == element_of(out[0])
    return [generic(tables, [out], ["parallel"] * 4, body)[0]]


def _index(place: Value) -> Value:
    return arith.index_cast(IndexType.get(), place)


def _integer(corners: Sequence[Value], down: Value, across: Value) -> Value:
    """The mean of four bytes with weights of 20 bits, rounded to nearest, ties away from zero."""
    weights = [(arith.subi(i32(_ONE), w), w) for w in (down, across)]
    total: Value | None = None
    for corner, (y, x) in zip(corners, ((y, x) for y in weights[0] for x in weights[1]), strict=True):
        product = arith.muli(extended(corner), arith.muli(y, x))
        total = product if total is None else arith.addi(total, product)
    assert total is not None
    half = 1 << 2 * _BITS - 1
    up = arith.cmpi(arith.CmpIPredicate.sgt, total, i32(0))
    rounded = arith.addi(total, arith.select(up, i32(half), i32(-half)))
    return truncated(arith.divsi(rounded, i32(1 << 2 * _BITS)), 8)


def _real(corners: Sequence[Value], down: Value, across: Value) -> Value:
    weights = [(arith.subf(f32(1.0), w), w) for w in (down, across)]
    products = [
        arith.mulf(arith.mulf(corner, y), x)
        for corner, (y, x) in zip(corners, ((y, x) for y in weights[0] for x in weights[1]), strict=True)
    ]
    # LiteRT adds up along the rows' axis first
    first, second = arith.addf(products[0], products[2]), arith.addf(products[1], products[3])
    return arith.addf(first, second)


LOWERED: Mapping[int, Sequence[Lowering]] = {
    BuiltinOperator.RESIZE_BILINEAR: (
        Lowering(
            OpSpec(
                BuiltinOptions.ResizeBilinearOptions,
                # the schema's first two fields are of old files, which gave the size as options
                (
                    Option("new_height", "unused"),
                    Option("new_width", "unused"),
                    Option("align_corners", "bool"),
                    Option("half_pixel_centers", "bool"),
                ),
                (2, 2),
                (1,),
                (0,),
                output_types=_TYPES,
                input_types=_TYPES,
            ),
            _shape,
            _emit,
        ),
    ),
}
