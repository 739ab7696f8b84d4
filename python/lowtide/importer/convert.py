"""Conversions between element types as LiteRT computes them, as `linalg.generic`: TOSA has no way to say some."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from lowtide.dtypes import DTYPE_BYTES
from lowtide.ir import (
    AffineMap,
    AffineMapAttr,
    ArrayAttr,
    Attribute,
    DenseI32ArrayAttr,
    F32Type,
    InsertionPoint,
    IntegerType,
    Operation,
    RankedTensorType,
    Type,
    Value,
    arith,
    linalg,
    tensor,
)

if TYPE_CHECKING:
    # the lowerings of operators, which the package of `.tflite` imports, convert too
    from lowtide.importer.tflite.notes import Conversion

_SIGN_BIT = 128
"""What the converter takes from uint8, to make int8 of it."""
# The float before 1/2: x + 1/2 would round up from there.
_UNDER_HALF = float(np.nextafter(np.float32(0.5), np.float32(0)))
_FLOAT_DIGITS = 24


def convert(before: Operation, source: Value, conversion: Conversion) -> Value:
    """A tensor converted element by element, inserted before an operation whose place and result type it gets."""
    made = RankedTensorType(before.results[0].type)
    given = RankedTensorType(source.type)
    with before.context, before.location, InsertionPoint(before):
        empty = tensor.empty(made.shape, made.element_type)
        identity = AffineMapAttr.get(AffineMap.get_identity(made.rank))
        attributes: dict[str, Attribute] = {
            "indexing_maps": ArrayAttr.get([identity, identity]),
            "iterator_types": ArrayAttr.get([Attribute.parse("#linalg.iterator_type<parallel>")] * made.rank),
            "operandSegmentSizes": DenseI32ArrayAttr.get([1, 1]),
        }
        generic = Operation.create("linalg.generic", [made], [source, empty], attributes, regions=1)
        block = generic.regions[0].blocks.append(given.element_type, made.element_type)
        with InsertionPoint(block):
            quantizes = conversion.scale is not None
            linalg.yield_([(quantized if quantizes else _cast)(block.arguments[0], conversion)])
    return generic.results[0]


def _int(bits: int) -> Type:
    return IntegerType.get_signless(bits)


def _float(value: float) -> Value:
    return arith.constant(F32Type.get(), value)


def _bounds(conversion: Conversion) -> tuple[int, int]:
    info = np.iinfo(conversion.target)
    return int(info.min), int(info.max)


def quantized(x: Value, conversion: Conversion) -> Value:
    """The quotient x / scale, rounded to nearest, ties away from zero, plus the zero point, within the type.

    LiteRT makes an int32 of the quotient first. What that is for NaN is undefined in C; its builds for the machines
    that models are tested on take the least int32, and that plus a zero point below 0 wraps around to a great number.
    """
    assert conversion.scale is not None
    low, high = (float(bound - conversion.zero_point) for bound in _bounds(conversion))
    steps = _clamped(_divided(x, conversion.scale), low, high, nan=low if conversion.zero_point >= 0 else high)
    kind = arith.CmpFPredicate
    half = arith.select(arith.cmpf(kind.OLT, steps, _float(0.0)), _float(-_UNDER_HALF), _float(_UNDER_HALF))
    whole = arith.fptosi(_int(32), arith.addf(steps, half))
    offset = conversion.zero_point - (_SIGN_BIT if conversion.target == "uint8" else 0)
    if offset:
        whole = arith.addi(whole, arith.constant(_int(32), offset))
    return arith.trunci(_int(8 * DTYPE_BYTES[conversion.target]), whole)


def _divided(x: Value, scale: float) -> Value:
    """The quotient x / scale; a product where that is exactly the same."""
    mantissa, exponent = math.frexp(scale)
    if mantissa == 0.5 and abs(exponent) < 100:
        return arith.mulf(x, _float(1 / scale))
    return arith.divf(x, _float(scale))


def _clamped(x: Value, low: float, high: float, nan: float) -> Value:
    """The value x within low … high; NaN becomes `nan`, one of the two."""
    kind = arith.CmpFPredicate
    # the unordered comparison holds for NaN
    below, above = (kind.ULT, kind.OGT) if nan == low else (kind.OLT, kind.UGT)
    raised = arith.select(arith.cmpf(below, x, _float(low)), _float(low), x)
    return arith.select(arith.cmpf(above, raised, _float(high)), _float(high), raised)


def _cast(x: Value, conversion: Conversion) -> Value:
    """A C cast, but floats beyond an integer type give its ends, and NaN 0 (of uint8, which Micro lacks, the end)."""
    if conversion.source == "float32":
        return _cast_float(x, conversion)
    wide = _widened(x, conversion)
    bits = 64 if conversion.source == "int64" else 32
    match conversion.target:
        case "float32":
            return arith.sitofp(F32Type.get(), wide)
        case "bool":
            return arith.cmpi(arith.CmpIPredicate.ne, wide, arith.constant(_int(bits), 0))
        case _:
            return _narrowed(wide, bits, conversion)


def _widened(x: Value, conversion: Conversion) -> Value:
    """An integer's true value in 32 bits (or in the 64 that it has)."""
    match conversion.source:
        case "bool":
            return arith.extui(_int(32), x)
        case "int8" | "int16":
            return arith.extsi(_int(32), x)
        case "uint8":
            return arith.addi(arith.extsi(_int(32), x), arith.constant(_int(32), _SIGN_BIT))
        case _:
            return x


def _narrowed(wide: Value, bits: int, conversion: Conversion) -> Value:
    """An integer modulo the target's size."""
    wanted = 8 * DTYPE_BYTES[conversion.target]
    if conversion.target == "uint8":
        wide = arith.addi(wide, arith.constant(_int(bits), -_SIGN_BIT))
    if wanted == bits:
        return wide
    return (arith.trunci if wanted < bits else arith.extsi)(_int(wanted), wide)


def _cast_float(x: Value, conversion: Conversion) -> Value:
    kind = arith.CmpFPredicate
    if conversion.target == "float32":
        return x
    if conversion.target == "bool":
        return arith.cmpf(kind.UNE, x, _float(0.0))
    low, high = _bounds(conversion)
    if conversion.target == "uint8":
        return _narrowed(arith.fptosi(_int(32), _clamped(x, float(low), float(high), nan=float(high))), 32, conversion)
    number = arith.select(arith.cmpf(kind.UNO, x, x), _float(0.0), x)
    if high < 1 << _FLOAT_DIGITS:
        clamped = _clamped(number, float(low), float(high), nan=float(low))
        return _narrowed(arith.fptosi(_int(32), clamped), 32, conversion)
    # the greatest int32 is no float, so the comparison chooses between integers
    raised = arith.select(arith.cmpf(kind.OLT, number, _float(float(low))), _float(float(low)), number)
    whole = arith.fptosi(_int(32), raised)
    beyond = arith.cmpf(kind.OGE, number, _float(float(high) + 1))
    return arith.select(beyond, arith.constant(_int(32), high), whole)
