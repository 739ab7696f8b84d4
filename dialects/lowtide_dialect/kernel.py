"""`lowtide.kernel`: which kernel computes some layers. See kernel.md."""

# No `from __future__ import annotations` here: the bindings read operands and attributes off the evaluated annotations.

from lowtide.errors import InputError
from lowtide.ir import (
    StringAttr,
    ext,
    transform,
)
from lowtide.kernels.library import KERNELS
from lowtide.normalise.form import KERNEL, label_of
from lowtide_dialect.dialect import LowtideDialect
from lowtide_dialect.payload import (
    binder_of,
    decline,
    layers_behind,
    make_executable,
    network_of,
    refuse,
    unknown_attribute,
)


class KernelOp(ext.Operation, dialect=LowtideDialect, name="kernel"):
    """Reads a handle to layers, and notes on each of them the kernel that is to compute it."""

    layers: ext.Operand[transform.AnyOpType]
    kernel: StringAttr


def attach() -> None:
    """Make the operation executable in the current context."""
    make_executable(KernelOp, _apply)


def _apply(
    op: KernelOp, _results: transform.TransformResults, state: transform.TransformState
) -> transform.DiagnosedSilenceableFailure:
    kernel = op.kernel.value
    objection = unknown_attribute(op, ("kernel",))
    if objection or kernel not in KERNELS:
        return refuse(op, objection or f"unknown kernel '{kernel}'; choose one of {', '.join(KERNELS)}")
    layers = layers_behind([view.operation for view in state.get_payload_ops(op.layers)], "pick a kernel for")
    if isinstance(layers, str):
        return decline(op, layers)
    binder = binder_of(network_of(layers[0]))
    for layer in layers:
        try:
            binder.bind(layer).kernel(kernel)
        except InputError as reason:
            return decline(op, f"layer '{label_of(layer)}': {reason.message}; {reason.remedy}")
    for layer in layers:
        layer.attributes[KERNEL] = StringAttr.get(kernel, layer.context)
    return transform.DiagnosedSilenceableFailure.Success
