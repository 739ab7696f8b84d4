"""What is known of the constants that the callers of a layer give it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt

from lowtide.ir import (
    DenseElementsAttr,
    F32Type,
    FlatSymbolRefAttr,
    InsertionPoint,
    IntegerType,
    MemRefType,
    Module,
    Operation,
    RankedTensorType,
    ShapedType,
    StringAttr,
    TypeAttr,
    Value,
    func,
    memref,
)
from lowtide.kernels.intervals import Interval, hull
from lowtide.normalise.analysis import defining

Numbers = npt.NDArray[Any]
"""Integers, or 32-bit floats."""
DERIVED = "__derived_"
"""What the names of constants begin with that are made of others."""
_VIEWS = ("memref.collapse_shape", "memref.expand_shape", "memref.cast")


class Globals:
    """The constants of a module.

    Args:
        module: bufferised.
    """

    def __init__(self, module: Module) -> None:
        operations = [view.operation for view in module.body.operations]
        self._values = {
            StringAttr(op.attributes["sym_name"]).value: op for op in operations if op.name == "memref.global"
        }
        self._intervals: dict[str, Interval | None] = {}
        self._made: dict[tuple[str, bytes], str] = {}
        self._module = module

    def intervals(self, calls: Sequence[func.CallOp]) -> Mapping[int, Interval]:
        """The interval of the values that these callers give each buffer argument, where all give integer constants."""
        found: dict[int, Interval] = {}
        for argument, operands in enumerate(zip(*(_buffers(call) for call in calls), strict=True)):
            intervals = [self._interval(operand) for operand in operands]
            known = [interval for interval in intervals if interval is not None]
            if len(known) == len(intervals):
                found[argument] = reduce(hull, known)
        return found

    def value(self, buffer: Value) -> Numbers | None:
        """The numbers of a buffer that is a constant."""
        name = _name(buffer)
        return None if name is None else _values(self._values[name], "initial_value")

    def new(self, values: Numbers) -> Value:
        """A constant with these values, got at the current insertion point; equal ones are one."""
        kind, key = type_of(values), (values.dtype.str, values.tobytes())
        if key not in self._made:
            self._made[key] = f"{DERIVED}{len(self._made)}"
            data = DenseElementsAttr.get(values.data, type=RankedTensorType.get(kind.shape, kind.element_type))
            with InsertionPoint.at_block_begin(self._module.body):
                memref.GlobalOp(
                    self._made[key],
                    TypeAttr.get(kind),
                    sym_visibility="private",
                    initial_value=data,
                    constant=True,
                    alignment=4,
                )
        return memref.get_global(kind, self._made[key])

    def _interval(self, buffer: Value) -> Interval | None:
        name = _name(buffer)
        if name is None:
            return None
        if name not in self._intervals:
            self._intervals[name] = _extremes(self.value(buffer))
        return self._intervals[name]


def _buffers(call: func.CallOp) -> list[Value]:
    return [operand for operand in call.operation.operands if isinstance(operand.type, MemRefType)]


def _name(buffer: Value) -> str | None:
    """The name of the constant that a buffer is, or is a view of; None for any other buffer."""
    op = defining(buffer)
    while op is not None and op.name in _VIEWS:
        op = defining(op.operands[0])
    if op is None or op.name != "memref.get_global":
        return None
    return FlatSymbolRefAttr(op.attributes["name"]).value


def _extremes(values: Numbers | None) -> Interval | None:
    """The least and the greatest of some integers; None for floats, or where there are none."""
    if values is None or values.size == 0 or values.dtype.kind == "f":
        return None
    return int(values.min()), int(values.max())


def _values(constant: Operation, attribute: str) -> Numbers | None:
    """The numbers that an attribute of the operation holds; None where it holds none."""
    if attribute not in constant.attributes:
        return None
    value = constant.attributes[attribute]
    if not isinstance(value, DenseElementsAttr):
        return None
    if not isinstance(ShapedType(value.type).element_type, IntegerType | F32Type):
        return None
    return np.array(value)


def interval_of(constant: Value) -> Interval | None:
    """Between which values the integers of a constant tensor lie, or of a view of one; None where nothing is known."""
    op = defining(constant)
    while op is not None and op.name != "arith.constant":
        op = defining(op.operands[0])
    return None if op is None else _extremes(_values(op, "value"))


def type_of(values: Numbers) -> MemRefType:
    """The type of a buffer that holds them."""
    element = F32Type.get() if values.dtype.kind == "f" else IntegerType.get_signless(8 * values.itemsize)
    return MemRefType.get(list(values.shape), element)
