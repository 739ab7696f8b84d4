"""Sums of products, one a channel of the result, and their way back to few bits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lowtide.importer.lowered.builder import (
    Array,
    constant,
    dims,
    element_of,
    elementwise,
    filled,
    generic,
    i32,
    integer,
    number,
    shape_of,
)
from lowtide.importer.lowered.int16_scalars import LEAST, reduced, rescaled_sum
from lowtide.importer.lowered.scalars import clamped, extended, rescaled_values, truncated
from lowtide.importer.tflite.model import Shape
from lowtide.ir import AffineMap, IntegerType, Type, Value, arith

_Scalars = Sequence[Value]


@dataclass(frozen=True)
class Stored:
    """How results are stored: their bits, between which values they are kept, and their zero point."""

    bits: int
    low: int
    high: int
    zero_point: int = 0


def fits_32_bits(weights: Array, channel: int) -> bool:
    """Whether no sum of a channel's products with int16 leaves 32 bits."""
    others = tuple(axis for axis in range(weights.ndim) if axis != channel)
    return int(np.abs(weights.astype(np.int64)).sum(axis=others).max(initial=0)) * -LEAST < 1 << 31


def contracted(
    operands: Sequence[tuple[Value, AffineMap]],
    made: Shape,
    output: AffineMap,
    iterators: Sequence[str],
    kind: Type,
) -> Value:
    """Sums of products of two operands in the given type: products of integers have 32 bits and are then extended."""

    def body(scalars: _Scalars) -> Value:
        x, y, total = scalars
        if not isinstance(kind, IntegerType):
            return arith.addf(total, arith.mulf(x, y))
        product = arith.muli(extended(x), extended(y))
        return arith.addi(total, product if kind.width == 32 else extended(product, bits=kind.width))

    start = filled(made, number(kind, 0))
    return generic(operands, [(start, output)], iterators, body)[0]


def dense(data: Value, weights: Value, kind: Type) -> Value:
    """Products of rows [rows, depth] with the rows of weights [channels, depth]: [rows, channels]."""
    row, channel, place = dims(3)
    maps = [AffineMap.get(3, 0, found) for found in ([row, place], [channel, place], [row, channel])]
    made = shape_of(data)[0], shape_of(weights)[0]
    return contracted([(data, maps[0]), (weights, maps[1])], made, maps[2], ["parallel", "parallel", "reduction"], kind)


def rescaled_channels(
    sums: Value, scales: Sequence[tuple[int, int]], bias: Array | Value | None, stored: Stored, *, wide: bool
) -> Value:
    """Sums, whose last dimension is the channel, with their bias, rescaled as LiteRT does and stored.

    Args:
        sums: of 32 or 64 bits.
        scales: mantissa and exponent that a channel's sums are multiplied by: one for all, or one each; not below 0
            where they are not wide.
        bias: one number a channel, a value where it is computed; None without.
        stored: what becomes of them.
        wide: LiteRT has 64 bits for the sums and rounds once; else 32, and it rounds twice.
    """
    bits = 64 if wide else 32
    extra: list[Value] = []
    if bias is not None:
        extra.append(bias if isinstance(bias, Value) else constant(bias.astype(f"int{bits}")))
    if len(set(scales)) > 1:
        multipliers = [reduced(mantissa) if wide else mantissa for mantissa, _ in scales]
        shifts = [(15 if wide else 31) - exponent for _, exponent in scales]
        extra.append(constant(np.array(multipliers, np.int32)))
        extra.append(constant(np.array(shifts, np.int8)))

    def body(scalars: _Scalars) -> Value:
        total, *rest = scalars
        if wide and total.type != integer(64):
            total = extended(total, bits=64)
        if bias is not None:
            term = rest.pop(0)
            total = arith.addi(total, term if term.type == total.type else extended(term, bits=bits))
        multiplier, shift = rest or _numbers(scales[0], wide=wide)
        if wide and rest:
            multiplier, shift = extended(multiplier, bits=64), extended(shift, bits=64)
        found = (rescaled_sum if wide else rescaled_values)(total, multiplier, shift)
        found = arith.addi(found, i32(stored.zero_point)) if stored.zero_point else found
        return truncated(clamped(found, stored.low, stored.high), stored.bits)

    return elementwise([sums, *extra], integer(stored.bits), body, shape_of(sums))


def _numbers(scale: tuple[int, int], *, wide: bool) -> tuple[Value, Value]:
    """Multiplier and shift that are the same for all channels."""
    mantissa, exponent = scale
    if wide:
        return number(integer(64), reduced(mantissa)), number(integer(64), 15 - exponent)
    return number(integer(32), mantissa), number(integer(8), 31 - exponent)


def with_bias(sums: Value, bias: Array | Value | None) -> Value:
    """Sums of floats, whose last dimension is the channel, with their bias."""
    if bias is None:
        return sums
    return elementwise(
        [sums, bias if isinstance(bias, Value) else constant(bias)],
        element_of(sums),
        lambda scalars: arith.addf(scalars[0], scalars[1]),
    )
