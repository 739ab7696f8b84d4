"""`lowtide.allocate`: which strategy places the buffers of a module in its arena. See allocate.md."""

# No `from __future__ import annotations` here: the bindings read operands and attributes off the evaluated annotations.

from collections.abc import Sequence
from functools import partial

from lowtide.bufferise.allocate import STRATEGY
from lowtide.ir import (
    StringAttr,
    ext,
    transform,
)
from lowtide_dialect.dialect import LowtideDialect
from lowtide_dialect.payload import enclosing_module, make_executable, refuse


class AllocateOp(ext.Operation, dialect=LowtideDialect, name="allocate"):
    """Reads a handle to a module, or to anything inside one, and notes the strategy on that module."""

    target: ext.Operand[transform.AnyOpType | transform.OperationType]
    strategy: StringAttr


def attach(strategies: Sequence[str]) -> None:
    """Make the operation executable in the current context.

    Args:
        strategies: names that scripts may use.
    """
    make_executable(AllocateOp, partial(_apply, strategies))


def _apply(
    strategies: Sequence[str], op: AllocateOp, _results: transform.TransformResults, state: transform.TransformState
) -> transform.DiagnosedSilenceableFailure:
    strategy = op.strategy.value
    if strategy not in strategies:
        return refuse(op, f"unknown strategy '{strategy}'; choose one of {', '.join(strategies)}")
    targets = state.get_payload_ops(op.target)
    if not targets:
        return refuse(op, "the handle is empty: there is no module to allocate")
    for target in targets:
        module = enclosing_module(target.operation)
        if module is None:
            return refuse(op, f"'{target.name}' is not inside a module")
        module.attributes[STRATEGY] = StringAttr.get(strategy, module.context)
    return transform.DiagnosedSilenceableFailure.Success
