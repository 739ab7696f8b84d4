"""`lowtide.schedule`: in which order a module's layers run. See schedule.md."""

# No `from __future__ import annotations` here: the bindings read operands and attributes off the evaluated annotations.

from collections.abc import Sequence

from lowtide.errors import LowtideError
from lowtide.ir import (
    ArrayAttr,
    ext,
    transform,
)
from lowtide.normalise.schedule import reorder
from lowtide_dialect.dialect import LowtideDialect
from lowtide_dialect.payload import (
    cut_into_layers,
    decline,
    enclosing_network,
    make_executable,
    module_of,
    numbers_in,
    refuse,
    unknown_attribute,
)


class ScheduleOp(ext.Operation, dialect=LowtideDialect, name="schedule"):
    """Reads a handle to a module, or to anything inside one, and puts that network's layers into the order."""

    target: ext.Operand[transform.AnyOpType | transform.OperationType]
    order: ArrayAttr


def attach() -> None:
    """Make the operation executable in the current context."""
    make_executable(ScheduleOp, _apply)


def _apply(
    op: ScheduleOp, _results: transform.TransformResults, state: transform.TransformState
) -> transform.DiagnosedSilenceableFailure:
    numbers = numbers_in(op.order)
    objection = unknown_attribute(op, ("order",)) or _objection(numbers)
    if objection or numbers is None:
        return refuse(op, objection)
    targets = state.get_payload_ops(op.target)
    if not targets:
        return refuse(op, "the handle is empty: there is no module to schedule")
    for target in targets:
        operation = enclosing_network(target.operation)
        if operation is None:
            return refuse(op, f"'{target.name}' is not inside a module")
        try:
            cut_into_layers(module_of(operation))
            reorder(module_of(operation), numbers)
        except LowtideError as error:
            return decline(op, str(error))
    return transform.DiagnosedSilenceableFailure.Success


def _objection(numbers: Sequence[int] | None) -> str:
    """What is wrong with an order; empty where nothing is."""
    if numbers is None:
        return "the order is not a list of integers"
    if sorted(numbers) != list(range(1, len(numbers) + 1)):
        return f"the order does not name each of {len(numbers)} layers once, from 1 on"
    return ""
