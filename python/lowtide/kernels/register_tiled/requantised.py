"""Whether all that follows a layer's sums is one rescale into the bytes of its output, so that it can be assembly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from lowtide.graph.nest import Filled, Node, Operand, Reshaped, Sliced, Structured, source_index, sources_of
from lowtide.indexing.linear import Index
from lowtide.ir import BlockArgument, Operation, Value
from lowtide.kernels.intervals import filled_with
from lowtide.kernels.neutral import constant_of
from lowtide.kernels.rescale import Rescale, added_to

RECORD = 4
"""Words of a channel's record: what its sum starts from, multiplier, nudge and exponent (see `rescale.Ready`)."""
Cheaper = Callable[[Structured], Mapping[Operation, Rescale]]
"""The rescales in a node's scalar code that have a cheaper form, by their last operation."""
_WIDEST = (-(1 << 31), (1 << 31) - 1)


@dataclass(frozen=True)
class Scale:
    """What all channels are multiplied or shifted by, or each its own.

    Attributes:
        argument: which has a number for each channel; None where all have one.
        value: that one.
    """

    argument: int | None
    value: int = 0


Scales = tuple[Scale, Scale]
"""Multiplier and shift of a rescale."""


@dataclass(frozen=True)
class Requantised:
    """One narrow rescale, then a clamp.

    Attributes:
        scales: multipliers and shifts.
        negative: the sign of a sum matters (see `Rescale.signed`).
        low, high: what the result is clamped to, both included.
        left: what is added to the result before that, and is in the records; 0 when it has been.
    """

    scales: Scales
    negative: bool
    low: int
    high: int
    left: int = 0


_State = Requantised | Literal["sum"]
"""What a value is: a sum, with its bias or without, or what has been made of one."""


def requantised_of(
    node: Node, index: Index, sums: tuple[Node, Index], bias: int | None, cheaper: Cheaper
) -> Requantised | None:
    """What makes an element of a layer's result from its sum; None where that is anything else.

    Args:
        node, index: the element.
        sums: the node and subscripts of its sum.
        bias: the argument that is added to sums, which may start from it; None without one.
        cheaper: see `Cheaper`.
    """
    state = _Walk(sums, bias, cheaper).state(node, index)
    return None if state == "sum" else state


@dataclass(frozen=True)
class _Walk:
    sums: tuple[Node, Index]
    bias: int | None
    cheaper: Cheaper

    def state(self, node: Node, index: Index) -> _State | None:
        """What the element is, None for what is not made of the sum alone."""
        if node is self.sums[0]:
            return "sum" if index == self.sums[1] else None
        if isinstance(node, Sliced | Reshaped):
            inner = source_index(node, index)
            return None if inner is None else self.state(node.source, inner)
        return self._region(node, index) if isinstance(node, Structured) and not node.is_reduction else None

    def _region(self, node: Structured, index: Index) -> _State | None:
        sources = sources_of(node, index)[: len(node.inputs)]
        known: dict[Value, _State | None] = {}
        for argument, source in zip(node.block.arguments, sources, strict=False):
            known[argument] = self.state(*source)
        rescales = self.cheaper(node)
        for view in node.block.operations:
            op = view.operation
            if op in rescales:
                known[op.results[0]] = self._rescaled(rescales[op], node, known)
            elif len(op.results) == 1:
                known[op.results[0]] = self._simple(op, node, known)
        return known.get(node.yielded)

    def _rescaled(self, item: Rescale, node: Structured, known: Mapping[Value, _State | None]) -> _State | None:
        multiplier, shift = scale_of(node, item.multiplier), scale_of(node, item.shift)
        if known.get(item.x) != "sum" or multiplier is None or shift is None:
            return None
        # what is added to a narrow one is part of it; of others it follows, and is in their records
        left = 0 if item.narrow else added_to(item)
        return Requantised((multiplier, shift), item.signed, *_WIDEST, left)

    def _simple(self, op: Operation, node: Structured, known: Mapping[Value, _State | None]) -> _State | None:
        """The state of what an addition of the bias, a clamp or a conversion to bytes makes."""
        states: list[_State | None] = [known.get(operand) for operand in op.operands]
        state: _State | None = None
        for found in states:
            state = found if state is None else state
        others = [value for value, found in zip(op.operands, states, strict=True) if found is None]
        if not isinstance(state, Requantised):
            added = op.name == "arith.addi" and len(others) == 1 and self.bias is not None
            return state if added and _argument(node, others[0]) == self.bias else None
        return _finished(op, state, constant_of(others[0]) if len(others) == 1 else None)


def _finished(op: Operation, state: Requantised, number: float | None) -> Requantised | None:
    """What an operation with a constant makes of a rescaled sum; None for any that no record or clamp can be."""
    if op.name == "arith.addi" and state.left and number == state.left:
        return replace(state, left=0)
    if op.name == "arith.trunci" and (state.low, state.high) != _WIDEST:
        return state
    if not isinstance(number, int) or state.left or op.name not in ("arith.maxsi", "arith.minsi"):
        return None
    bound = max if op.name == "arith.maxsi" else min
    return replace(state, low=bound(state.low, number), high=bound(state.high, number))


def scale_of(node: Structured, value: Value) -> Scale | None:
    """What a value of scalar code is for each channel; None where it is anything but a constant or in a table."""
    source, constant = _source(node, value), constant_of(value)
    if isinstance(source, Filled):
        constant = filled_with(source)
    if isinstance(constant, int):
        return Scale(None, constant)
    return Scale(source.argument) if isinstance(source, Operand) else None


def _argument(node: Structured, value: Value) -> int | None:
    """The tensor argument that a value of scalar code is an element of."""
    source = _source(node, value)
    return source.argument if isinstance(source, Operand) else None


def _source(node: Structured, value: Value) -> Node | None:
    """The tensor that a value of scalar code is an element of."""
    if not isinstance(value, BlockArgument) or value.arg_number >= len(node.inputs):
        return None
    source = node.inputs[value.arg_number]
    while isinstance(source, Sliced | Reshaped):
        source = source.source
    return source
