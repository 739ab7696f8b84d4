"""`lowtide.layers`: handles to a network's layers, by number. See layers.md."""

# No `from __future__ import annotations` here: the bindings read operands and attributes off the evaluated annotations.

from lowtide.errors import LowtideError
from lowtide.ir import (
    ArrayAttr,
    Module,
    ext,
    transform,
)
from lowtide.normalise.form import network_calls
from lowtide.normalise.outline import outline_once
from lowtide_dialect.dialect import LowtideDialect
from lowtide_dialect.payload import enclosing_module, make_executable, module_of, numbers_in, refuse


class LayersOp(ext.Operation, dialect=LowtideDialect, name="layers"):
    """Cuts the network of a module into layers, where that has not been done, and gives a handle to some of them."""

    target: ext.Operand[transform.AnyOpType | transform.OperationType]
    numbers: ArrayAttr
    layers: ext.Result[transform.AnyOpType]


def attach() -> None:
    """Make the operation executable in the current context."""
    make_executable(LayersOp, _apply)


def _apply(
    op: LayersOp, results: transform.TransformResults, state: transform.TransformState
) -> transform.DiagnosedSilenceableFailure:
    numbers = numbers_in(op.numbers)
    if numbers is None:
        return refuse(op, "the numbers are not a list of integers")
    targets = state.get_payload_ops(op.target)
    if len(targets) != 1:
        return refuse(op, f"the handle has {len(targets)} operations; one module is wanted")
    operation = enclosing_module(targets[0].operation)
    if operation is None:
        return refuse(op, f"'{targets[0].name}' is not inside a module")
    try:
        module: Module = module_of(operation)
        outline_once(module)
        calls = network_calls(module, "transform")
    except LowtideError as error:
        return refuse(op, str(error))
    for number in numbers:
        if not 1 <= number <= len(calls):
            return refuse(op, f"there is no layer {number}: the network has {len(calls)} that are still whole")
    results.set_ops(op.layers, [calls[number - 1] for number in numbers])
    return transform.DiagnosedSilenceableFailure.Success
