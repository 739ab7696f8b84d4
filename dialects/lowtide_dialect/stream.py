"""`lowtide.stream`: which inputs of the network arrive row by row. See stream.md."""

# No `from __future__ import annotations` here: the bindings read operands and attributes off the evaluated annotations.

from lowtide.ir import (
    ArrayAttr,
    ext,
    transform,
)
from lowtide.normalise.form import is_cut
from lowtide.normalise.stream import STREAMED
from lowtide_dialect.dialect import LowtideDialect
from lowtide_dialect.payload import enclosing_module, make_executable, module_of, numbers_in, refuse, unknown_attribute


class StreamOp(ext.Operation, dialect=LowtideDialect, name="stream"):
    """Reads a handle to a module, or to anything inside one, and notes the inputs on that module."""

    target: ext.Operand[transform.AnyOpType | transform.OperationType]
    inputs: ArrayAttr


def attach() -> None:
    """Make the operation executable in the current context."""
    make_executable(StreamOp, _apply)


def _apply(
    op: StreamOp, _results: transform.TransformResults, state: transform.TransformState
) -> transform.DiagnosedSilenceableFailure:
    objection = unknown_attribute(op, ("inputs",)) or _objection(op)
    if objection:
        return refuse(op, objection)
    targets = state.get_payload_ops(op.target)
    if not targets:
        return refuse(op, "the handle is empty: there is no module with inputs")
    for target in targets:
        module = enclosing_module(target.operation)
        if module is None:
            return refuse(op, f"'{target.name}' is not inside a module")
        if is_cut(module_of(module)):
            return refuse(op, "the network has been cut into layers already; this comes before other steps")
        module.attributes[STREAMED] = op.inputs
    return transform.DiagnosedSilenceableFailure.Success


def _objection(op: StreamOp) -> str:
    """What is wrong with the inputs; empty where nothing is."""
    numbers = numbers_in(op.inputs)
    if numbers is None:
        return "the inputs are not a list of integers"
    if not numbers or len(set(numbers)) != len(numbers) or min(numbers) < 0:
        return "the inputs are numbered from 0; one or more are wanted, and each is named once"
    return ""
