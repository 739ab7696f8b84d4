"""Attributes made of Python's values; a context must be current."""

from __future__ import annotations

from collections.abc import Iterable

from torch_mlir.ir import ArrayAttr, IntegerAttr, IntegerType


def i64(value: int) -> IntegerAttr:
    """A number as an attribute of 64 bits."""
    return IntegerAttr.get(IntegerType.get_signless(64), value)


def i64_array(values: Iterable[int]) -> ArrayAttr:
    """Numbers as an attribute, 64 bits each."""
    return ArrayAttr.get([i64(value) for value in values])
