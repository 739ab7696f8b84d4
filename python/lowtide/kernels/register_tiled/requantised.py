"""Whether all that follows a layer's sums is one rescale into the bytes of its output, so that it can be assembly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from lowtide.graph.nest import Node, Operand, Reshaped, Sliced, Structured, source_index, sources_of
from lowtide.indexing.linear import Index
from lowtide.ir import BlockArgument, Operation, Value
from lowtide.kernels.neutral import constant_of
from lowtide.kernels.rescale import Rescale

RECORD = 4
"""Words of a channel's record: what its sum starts from, multiplier, nudge and exponent (see `rescale.Ready`)."""
Cheaper = Callable[[Structured], Mapping[Operation, Rescale]]
"""The rescales in a node's scalar code that have a cheaper form, by their last operation."""
_WIDEST = (-(1 << 31), (1 << 31) - 1)


@dataclass(frozen=True)
class Requantised:
    """One narrow rescale by tables, then a clamp.

    Attributes:
        tables: the arguments that hold multipliers and shifts, by channel.
        negative: the sign of a sum matters (see `Rescale.signed`).
        low, high: what the result is clamped to, both included.
    """

    tables: tuple[int, int]
    negative: bool
    low: int
    high: int


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
        known = {argument: self.state(*source) for argument, source in zip(node.block.arguments, sources, strict=False)}
        rescales = self.cheaper(node)
        for view in node.block.operations:
            op = view.operation
            if op in rescales:
                known[op.results[0]] = self._rescaled(rescales[op], node, known)
            elif len(op.results) == 1:
                known[op.results[0]] = self._simple(op, node, known)
        return known.get(node.yielded)

    def _rescaled(self, item: Rescale, node: Structured, known: Mapping[Value, _State | None]) -> _State | None:
        tables = [_argument(node, value) for value in (item.multiplier, item.shift)]
        if known.get(item.x) != "sum" or not item.narrow or tables[0] is None or tables[1] is None:
            return None
        return Requantised((tables[0], tables[1]), item.signed, *_WIDEST)

    def _simple(self, op: Operation, node: Structured, known: Mapping[Value, _State | None]) -> _State | None:
        """The state of what an addition of the bias, a clamp or a conversion to bytes makes."""
        states = [known.get(operand) for operand in op.operands]
        state = next((found for found in states if found is not None), None)
        if state is None:
            return None
        others = [value for value, found in zip(op.operands, states, strict=True) if found is None]
        if op.name == "arith.addi" and state == "sum" and len(others) == 1:
            return state if self.bias is not None and _argument(node, others[0]) == self.bias else None
        if state == "sum":
            return None
        bound = constant_of(others[0]) if len(others) == 1 else None
        if op.name == "arith.maxsi" and isinstance(bound, int):
            return replace(state, low=max(state.low, bound), high=max(state.high, bound))
        if op.name == "arith.minsi" and isinstance(bound, int):
            return replace(state, low=min(state.low, bound), high=min(state.high, bound))
        if op.name == "arith.trunci" and (state.low, state.high) != _WIDEST:
            return state
        return None


def _argument(node: Structured, value: Value) -> int | None:
    """The tensor argument that a value of scalar code is an element of."""
    if not isinstance(value, BlockArgument) or value.arg_number >= len(node.inputs):
        return None
    source = node.inputs[value.arg_number]
    while isinstance(source, Sliced | Reshaped):
        source = source.source
    return source.argument if isinstance(source, Operand) else None
