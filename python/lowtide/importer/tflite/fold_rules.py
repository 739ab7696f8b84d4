"""Operators on constants, by numpy, as LiteRT computes them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from tflite import BuiltinOperator, TensorType

from lowtide.importer.tflite.layout_shapes import split_sizes
from lowtide.importer.tflite.model import Operator, Tensor
from lowtide.importer.tflite.operands import ShapeError, axis_of
from lowtide.importer.tflite.shapes import strided_steps

Array = npt.NDArray[Any]
DTYPES: Mapping[int, npt.DTypeLike] = {
    TensorType.FLOAT32: np.float32,
    TensorType.FLOAT16: np.float16,
    TensorType.INT8: np.int8,
    TensorType.UINT8: np.uint8,
    TensorType.INT16: np.int16,
    TensorType.INT32: np.int32,
    TensorType.INT64: np.int64,
    TensorType.BOOL: np.bool_,
}
"""The element types that are folded, by number of the schema's `TensorType`."""
MOST_ELEMENTS = 1 << 20
"""What FILL, RANGE, TILE and broadcasts may make: shapes have a few, initial states thousands."""


@dataclass(frozen=True)
class Known:
    """An operator with all operands known.

    Attributes:
        operator: a rule for its code is in `RULES`.
        inputs: its operands; where it is in `SUPPORTED`, they fit each other.
        values: what they hold; for an operator that looks at shapes alone, anything.
        made: its outputs as the file declares them, with shapes inferred.
    """

    operator: Operator
    inputs: list[Tensor]
    values: list[Array]
    made: list[Tensor]

    def option(self, name: str) -> int:
        """An integer option, 0 where the file has none."""
        value = self.operator.options.get(name, 0)
        return 0 if isinstance(value, tuple) else int(value)

    def numbers(self, position: int) -> list[int]:
        """The integers of an operand."""
        if not np.issubdtype(self.values[position].dtype, np.integer):
            raise ShapeError(f"its input {position} is not of integers")
        return [int(value) for value in self.values[position].reshape(-1)]

    def scalar(self, position: int) -> int:
        """The one integer of an operand."""
        numbers = self.numbers(position)
        if len(numbers) != 1:
            raise ShapeError(f"its input {position} is not one number")
        return numbers[0]


def _limited(shape: list[int] | tuple[int, ...]) -> tuple[int, ...]:
    if min(shape, default=1) < 0 or math.prod(shape) > MOST_ELEMENTS:
        raise ShapeError(f"it makes a tensor of the shape {list(shape)[:8]}")
    return tuple(shape)


def _shape(known: Known) -> list[Array]:
    return [np.array(known.inputs[0].shape, np.int64)]


def _rank(known: Known) -> list[Array]:
    return [np.array(len(known.inputs[0].shape), np.int64)]


def _zeros_like(known: Known) -> list[Array]:
    return [np.zeros(_limited(known.inputs[0].shape), np.int64)]


def _fill(known: Known) -> list[Array]:
    if known.values[1].size != 1 or known.inputs[1].type != known.made[0].type:
        raise ShapeError("its value is not one number of its output's type")
    return [np.full(_limited(known.numbers(0)), known.values[1].reshape(()))]


def _range(known: Known) -> list[Array]:
    start, limit, delta = (known.scalar(position) for position in range(3))
    if delta == 0:
        raise ShapeError("its step is 0")
    values = range(start, limit, delta)
    _limited((len(values),))
    return [np.array(values, np.int64)]


def _reshape(known: Known) -> list[Array]:
    return [known.values[0].reshape(known.made[0].shape)]


def _transpose(known: Known) -> list[Array]:
    return [known.values[0].transpose(known.numbers(1))]


def _slice(known: Known) -> list[Array]:
    begins, sizes = known.numbers(1), known.numbers(2)
    return [known.values[0][tuple(slice(b, None if n < 0 else b + n) for b, n in zip(begins, sizes, strict=True))]]


def _strided_slice(known: Known) -> list[Array]:
    steps = strided_steps(known.operator, known.inputs)
    values = known.values[0]
    taken = np.ix_(*(step.taken for step in steps if not step.adds)) if values.ndim else ()
    return [np.asarray(values[taken]).reshape([len(step.taken) for step in steps if not step.shrinks])]


def _gather(known: Known) -> list[Array]:
    if known.option("batch_dims"):
        raise ShapeError("it gathers in batches")
    return [np.asarray(np.take(known.values[0], known.values[1], axis=known.option("axis")))]


def _concatenate(known: Known) -> list[Array]:
    if known.option("fused_activation_function"):
        raise ShapeError("it has an activation")
    return [np.concatenate(known.values, axis=known.option("axis"))]


def _pack(known: Known) -> list[Array]:
    return [np.stack(known.values, axis=known.option("axis"))]


def _unpack(known: Known) -> list[Array]:
    axis = known.option("axis")
    return [np.asarray(np.take(known.values[0], index, axis=axis)) for index in range(len(known.made))]


def _split(known: Known) -> list[Array]:
    position = 1 if known.operator.code == BuiltinOperator.SPLIT else 0
    axis, sizes = split_sizes(known.operator, known.inputs, len(known.made))
    ends = np.cumsum(sizes)[:-1].tolist()
    return [np.asarray(part) for part in np.split(known.values[position], ends, axis=axis)]


def _tile(known: Known) -> list[Array]:
    repeats = known.numbers(1)
    shape = known.inputs[0].shape
    if len(repeats) != len(shape):
        raise ShapeError(f"it repeats {len(shape)} dimensions by {len(repeats)} numbers")
    _limited([size * count for size, count in zip(shape, repeats, strict=True)])
    return [np.tile(known.values[0], repeats)]


def _broadcast_to(known: Known) -> list[Array]:
    shape = _limited(known.numbers(1))
    try:
        return [np.broadcast_to(known.values[0], shape)]
    except ValueError:
        raise ShapeError(f"{list(known.inputs[0].shape)} cannot be broadcast to {list(shape)}") from None


def _broadcast_args(known: Known) -> list[Array]:
    first, second = _limited(known.numbers(0)), _limited(known.numbers(1))
    return [np.array(_broadcast_shape(first, second), np.int64)]


def _broadcast_shape(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    try:
        return _limited(np.broadcast_shapes(*shapes))
    except ValueError:
        raise ShapeError("its inputs' shapes don't go together") from None


def _arithmetic(function: Callable[..., Array], count: int) -> Callable[[Known], list[Array]]:
    """A function of `count` numbers, element by element."""
    elementwise = _elementwise(function, count)

    def rule(known: Known) -> list[Array]:
        if any(value.dtype == np.bool_ for value in known.values):
            raise ShapeError("it computes with booleans")
        return elementwise(known)

    return rule


def _elementwise(function: Callable[..., Array], count: int) -> Callable[[Known], list[Array]]:
    """A function of `count` operands that are broadcast to each other."""

    def rule(known: Known) -> list[Array]:
        if len(known.values) != count:
            raise ShapeError(f"it has {len(known.values)} inputs, not {count}")
        if known.option("fused_activation_function"):
            raise ShapeError("it has an activation")
        _broadcast_shape(*(value.shape for value in known.values))
        return [np.asarray(function(*known.values))]

    return rule


def _divide(first: Array, second: Array) -> Array:
    """C++'s quotient, towards zero."""
    if not second.all():
        raise ShapeError("it divides by 0")
    quotient = np.abs(first.astype(np.int64)) // np.abs(second.astype(np.int64))
    return np.where((first < 0) != (second < 0), -quotient, quotient)


def _floor_divide(first: Array, second: Array) -> Array:
    if not second.all():
        raise ShapeError("it divides by 0")
    return first.astype(np.int64) // second.astype(np.int64)


def _floor_modulo(first: Array, second: Array) -> Array:
    if not second.all():
        raise ShapeError("it divides by 0")
    return first.astype(np.int64) % second.astype(np.int64)


def _reduction(function: Callable[..., Any]) -> Callable[[Known], list[Array]]:
    def rule(known: Known) -> list[Array]:
        values = known.values[0]
        axes = tuple({axis_of(axis, values.ndim) for axis in known.numbers(1)})
        if not all(values.shape[axis] for axis in axes):
            raise ShapeError("it reduces nothing")
        return [np.asarray(function(values, axis=axes, keepdims=bool(known.option("keep_dims"))))]

    return rule


def _cast(known: Known) -> list[Array]:
    return [known.values[0].astype(DTYPES[known.made[0].type])]


_B = BuiltinOperator
RULES: Mapping[int, Callable[[Known], list[Array]]] = {
    _B.SHAPE: _shape,
    _B.RANK: _rank,
    _B.ZEROS_LIKE: _zeros_like,
    _B.FILL: _fill,
    _B.RANGE: _range,
    **dict.fromkeys((_B.RESHAPE, _B.SQUEEZE, _B.EXPAND_DIMS), _reshape),
    _B.TRANSPOSE: _transpose,
    _B.SLICE: _slice,
    _B.STRIDED_SLICE: _strided_slice,
    _B.GATHER: _gather,
    _B.CONCATENATION: _concatenate,
    _B.PACK: _pack,
    _B.UNPACK: _unpack,
    **dict.fromkeys((_B.SPLIT, _B.SPLIT_V), _split),
    _B.TILE: _tile,
    _B.BROADCAST_TO: _broadcast_to,
    _B.BROADCAST_ARGS: _broadcast_args,
    _B.CAST: _cast,
    _B.DEQUANTIZE: lambda known: [known.values[0].astype(np.float32)],
    _B.ADD: _arithmetic(np.add, 2),
    _B.SUB: _arithmetic(np.subtract, 2),
    _B.MUL: _arithmetic(np.multiply, 2),
    _B.MINIMUM: _arithmetic(np.minimum, 2),
    _B.MAXIMUM: _arithmetic(np.maximum, 2),
    _B.DIV: _arithmetic(_divide, 2),
    _B.FLOOR_DIV: _arithmetic(_floor_divide, 2),
    _B.FLOOR_MOD: _arithmetic(_floor_modulo, 2),
    _B.NEG: _arithmetic(np.negative, 1),
    _B.ABS: _arithmetic(np.abs, 1),
    _B.EQUAL: _elementwise(np.equal, 2),
    _B.NOT_EQUAL: _elementwise(np.not_equal, 2),
    _B.LESS: _elementwise(np.less, 2),
    _B.LESS_EQUAL: _elementwise(np.less_equal, 2),
    _B.GREATER: _elementwise(np.greater, 2),
    _B.GREATER_EQUAL: _elementwise(np.greater_equal, 2),
    **dict.fromkeys((_B.SELECT, _B.SELECT_V2), _elementwise(np.where, 3)),
    _B.REDUCE_PROD: _reduction(np.prod),
    _B.SUM: _reduction(np.sum),
    _B.REDUCE_MAX: _reduction(np.max),
    _B.REDUCE_MIN: _reduction(np.min),
}
"""By number of the schema's `BuiltinOperator`."""
