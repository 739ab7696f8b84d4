"""Whether what an operation reads and writes lies inside its operands: MLIR's verifiers do not say so for certain.

They let strides be negative or zero, and compare products that have wrapped round.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from lowtide.indexing.linear import Linear, Var
from lowtide.indexing.subscripts import apply_map, dimension_of, is_linear
from lowtide.ir import AffineMap, AffineMapAttr, ArrayAttr, DenseI64ArrayAttr, Operation, ShapedType, Value, linalg
from lowtide.normalise.analysis import Role, role_of


def objection_to_places(op: Operation) -> str:
    """What is wrong with where an operation with static shapes reads and writes; empty where nothing is."""
    match role_of(op):
        case Role.SLICE:
            return _slice(op, op.operands[0])
        case Role.INSERT:
            return _slice(op, op.operands[1])
        case Role.PAD:
            return _pad(op)
        case Role.RESHAPE:
            before, after = (math.prod(_shape(value)) for value in (op.operands[0], op.results[0]))
            return "" if before == after else f"reshapes {before} elements to {after}"
        case _:
            return _structured(op) if op.name.startswith("linalg.") else ""


def maps_of(op: Operation) -> list[AffineMap]:
    """The subscript of each operand of a structured operation, over its loops."""
    return [AffineMapAttr(attribute).value for attribute in ArrayAttr(linalg.get_indexing_maps(op))]


def _shape(value: Value) -> list[int]:
    return list(value.type.shape) if isinstance(value.type, ShapedType) else []


def _numbers(op: Operation, name: str) -> list[int]:
    return list(DenseI64ArrayAttr(op.attributes[name]))


def _slice(op: Operation, whole: Value) -> str:
    shape = _shape(whole)
    offsets, sizes, strides = (_numbers(op, f"static_{word}") for word in ("offsets", "sizes", "strides"))
    for dimension, (extent, first, size, stride) in enumerate(zip(shape, offsets, sizes, strides, strict=True)):
        if stride < 1:
            return f"its stride in dimension {dimension} is {stride}; 1 or more are wanted"
        last = first + (size - 1) * stride
        if size < 1 or first < 0 or last >= extent:
            return f"takes elements {first} to {last} of the {extent} in dimension {dimension}"
    return ""


def _pad(op: Operation) -> str:
    shapes = _shape(op.operands[0]), _shape(op.results[0])
    amounts = _numbers(op, "static_low"), _numbers(op, "static_high")
    for dimension, (before, after, low, high) in enumerate(zip(*shapes, *amounts, strict=True)):
        if low < 0 or high < 0:
            return f"pads dimension {dimension} with {min(low, high)} elements; 0 or more are wanted"
        if before + low + high != after:
            return f"pads {before} elements in dimension {dimension} with {low} and {high} to {after}"
    return ""


def _structured(op: Operation) -> str:
    """What is wrong with the subscripts of a structured operation, taken over all of its loops at once."""
    maps, shapes = maps_of(op), [_shape(operand) for operand in op.operands]
    if not all(map(is_linear, maps)):
        return "a subscript is not linear in the loops"
    extents = dict(_extents(maps, shapes))
    loops = maps[0].n_dims
    if set(extents) != set(range(loops)):
        return "a loop has no operand that gives its size"
    # a linear subscript is least and largest at corners of the loops' ranges: no element has to be looked at
    dims = tuple(Linear.of(Var(f"d{i}", extents[i])) for i in range(loops))
    for position, (amap, shape) in enumerate(zip(maps, shapes, strict=True)):
        for dimension, (subscript, extent) in enumerate(zip(apply_map(amap, dims), shape, strict=True)):
            low, high = subscript.bounds()
            if low < 0 or high >= extent:
                taken = f"takes elements {low} to {high} of the {extent} in dimension {dimension}"
                return f"operand {position}: {taken}"
    return _result(maps[-1], shapes[-1])


def _extents(maps: list[AffineMap], shapes: list[list[int]]) -> Iterator[tuple[int, int]]:
    """The size of each loop that some operand is subscripted by alone, the first such operand last."""
    pairs = [pair for amap, shape in zip(maps, shapes, strict=True) for pair in zip(amap.results, shape, strict=True)]
    for expr, extent in reversed(pairs):
        dimension = dimension_of(expr)
        if dimension is not None:
            yield dimension, extent


def _result(amap: AffineMap, shape: list[int]) -> str:
    """Each element of the result is computed, and once: its subscripts are different loops that cover it."""
    # dimensions of one element may be written by a constant subscript
    loops = [dimension_of(expr) for expr, extent in zip(amap.results, shape, strict=True) if extent > 1]
    if None in loops or len(set(loops)) != len(loops):
        return "the loops that are parallel are not the dimensions of the result"
    return ""
