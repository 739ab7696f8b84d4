"""`lowtide.concat`: which parts of concats are copied into their place. See concat.md."""

# No `from __future__ import annotations` here: the bindings read operands and attributes off the evaluated annotations.

from lowtide.ir import (
    ArrayAttr,
    ext,
    transform,
)
from lowtide.normalise.form import is_cut
from lowtide.normalise.outline import COPIED
from lowtide_dialect.dialect import LowtideDialect
from lowtide_dialect.payload import enclosing_module, make_executable, module_of, numbers_in, refuse, unknown_attribute


class ConcatOp(ext.Operation, dialect=LowtideDialect, name="concat"):
    """Reads a handle to a module, or to anything inside one, and notes the parts to be copied on that module."""

    target: ext.Operand[transform.AnyOpType | transform.OperationType]
    copied: ArrayAttr


def attach() -> None:
    """Make the operation executable in the current context."""
    make_executable(ConcatOp, _apply)


def _apply(
    op: ConcatOp, _results: transform.TransformResults, state: transform.TransformState
) -> transform.DiagnosedSilenceableFailure:
    objection = unknown_attribute(op, ("copied",)) or _objection(op)
    if objection:
        return refuse(op, objection)
    targets = state.get_payload_ops(op.target)
    if not targets:
        return refuse(op, "the handle is empty: there is no module with concats")
    for target in targets:
        module = enclosing_module(target.operation)
        if module is None:
            return refuse(op, f"'{target.name}' is not inside a module")
        if is_cut(module_of(module)):
            return refuse(op, "the network has been cut into layers already; this comes before other steps")
        module.attributes[COPIED] = op.copied
    return transform.DiagnosedSilenceableFailure.Success


def _objection(op: ConcatOp) -> str:
    """What is wrong with the parts; empty where nothing is."""
    numbers = numbers_in(op.copied)
    if numbers is None:
        return "the parts are not a list of integers"
    if len(set(numbers)) != len(numbers) or min(numbers, default=1) < 1:
        return "the parts are numbered from 1, and each is named once"
    return ""
