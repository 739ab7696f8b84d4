"""`lowtide.kernel`: which kernel computes some layers. See kernel.md."""

# No `from __future__ import annotations` here: the bindings read operands and attributes off the evaluated annotations.

from lowtide.errors import InputError
from lowtide.graph.read import layer_bodies
from lowtide.ir import (
    FlatSymbolRefAttr,
    StringAttr,
    ext,
    transform,
)
from lowtide.kernels.library import KERNELS, kernel_name
from lowtide.normalise.form import KERNEL, LAYER, body_names
from lowtide_dialect.dialect import LowtideDialect
from lowtide_dialect.payload import make_executable, network_of, objection_to_layers, refuse


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
    if kernel not in KERNELS:
        return refuse(op, f"unknown kernel '{kernel}'; choose one of {', '.join(KERNELS)}")
    chosen = [view.operation for view in state.get_payload_ops(op.layers)]
    objection = objection_to_layers(chosen, "pick a kernel for")
    if objection:
        return refuse(op, objection)
    network = network_of(chosen[0])
    bodies, names = layer_bodies(network, "transform"), body_names(network)
    for layer in chosen:
        try:
            kernel_name(bodies[names[FlatSymbolRefAttr(layer.attributes["callee"]).value]], kernel)
        except InputError as reason:
            name = StringAttr(layer.attributes[LAYER]).value
            return refuse(op, f"layer '{name}': {reason.message}; {reason.remedy}")
        layer.attributes[KERNEL] = StringAttr.get(kernel, layer.context)
    return transform.DiagnosedSilenceableFailure.Success
