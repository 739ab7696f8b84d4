"""`lowtide.allocate`: how the buffers of a module are placed in its arena. See allocate.md."""

# No `from __future__ import annotations` here: the bindings read operands and attributes off the evaluated annotations.

from collections.abc import Sequence
from functools import partial

from lowtide.bufferise.allocate import BUDGET, OVERLAP, STRATEGY
from lowtide.ir import (
    BoolAttr,
    StringAttr,
    ext,
    transform,
)
from lowtide.normalise.form import integer_of
from lowtide_dialect.dialect import LowtideDialect
from lowtide_dialect.payload import MOST_BYTES, enclosing_module, make_executable, refuse, unknown_attribute

KNOWN = {STRATEGY: "strategy", OVERLAP: "overlap", BUDGET: "budget"}
"""Attributes of the operation by those of the module."""


class AllocateOp(ext.Operation, dialect=LowtideDialect, name="allocate"):
    """Reads a handle to a module, or to anything inside one, and notes on that module how it is to be allocated.

    Attributes that need not be there: `strategy` ("auto"), `overlap` (true), `budget` in bytes (0: none).
    """

    target: ext.Operand[transform.AnyOpType | transform.OperationType]


def attach(strategies: Sequence[str]) -> None:
    """Make the operation executable in the current context.

    Args:
        strategies: names that scripts may use.
    """
    make_executable(AllocateOp, partial(_apply, strategies))


def _apply(
    strategies: Sequence[str], op: AllocateOp, _results: transform.TransformResults, state: transform.TransformState
) -> transform.DiagnosedSilenceableFailure:
    objection = _objection(op, strategies)
    if objection:
        return refuse(op, objection)
    targets = state.get_payload_ops(op.target)
    if not targets:
        return refuse(op, "the handle is empty: there is no module to allocate")
    for target in targets:
        module = enclosing_module(target.operation)
        if module is None:
            return refuse(op, f"'{target.name}' is not inside a module")
        for name, attribute in KNOWN.items():
            if attribute in op.attributes:
                module.attributes[name] = op.attributes[attribute]
    return transform.DiagnosedSilenceableFailure.Success


def _objection(op: AllocateOp, strategies: Sequence[str]) -> str:
    """What is wrong with the attributes; empty where nothing is."""
    objection, attributes = unknown_attribute(op, tuple(KNOWN.values())), op.attributes
    if objection:
        return objection
    if "strategy" in attributes:
        strategy = attributes["strategy"]
        if not isinstance(strategy, StringAttr) or strategy.value not in strategies:
            shown = f"'{strategy.value}'" if isinstance(strategy, StringAttr) else str(strategy)
            return f"unknown strategy {shown}; choose one of {', '.join(strategies)}"
    if "overlap" in attributes and not isinstance(attributes["overlap"], BoolAttr):
        return f"overlap is true or false, not {attributes['overlap']}"
    if "budget" in attributes:
        budget = integer_of(attributes["budget"], MOST_BYTES)
        if budget is None:
            return f"the budget is a number of bytes, not {attributes['budget']}"
        if budget < 0:
            return f"a budget of {budget} bytes; 1 or more are wanted, or 0 for none"
    return ""
