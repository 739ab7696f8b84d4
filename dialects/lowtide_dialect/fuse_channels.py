"""`lowtide.fuse_channels`: a chain of layers becomes one loop over slices of channels. See fuse_channels.md."""

# No `from __future__ import annotations` here: the bindings read operands and attributes off the evaluated annotations.

from lowtide.graph.fusion import Fusion
from lowtide.graph.row_schedule import UnschedulableError
from lowtide.ir import (
    IntegerAttr,
    ext,
    transform,
)
from lowtide.transform.fuse import fuse
from lowtide_dialect.dialect import LowtideDialect
from lowtide_dialect.payload import (
    binder_of,
    decline,
    layers_behind,
    make_executable,
    network_of,
    objection_to_chain,
    objection_to_number,
    refuse,
    unknown_attribute,
)


class FuseChannelsOp(ext.Operation, dialect=LowtideDialect, name="fuse_channels"):
    """Reads a handle to layers, puts them into one loop by channels, and gives a handle to the loop."""

    chain: ext.Operand[transform.AnyOpType]
    slice: IntegerAttr
    loop: ext.Result[transform.AnyOpType]


def attach() -> None:
    """Make the operation executable in the current context."""
    make_executable(FuseChannelsOp, _apply)


def _apply(
    op: FuseChannelsOp, results: transform.TransformResults, state: transform.TransformState
) -> transform.DiagnosedSilenceableFailure:
    objection = unknown_attribute(op, ("slice",)) or objection_to_number(op.slice, "channels a slice")
    if objection:
        return refuse(op, objection)
    layers = layers_behind([view.operation for view in state.get_payload_ops(op.chain)], "fuse")
    objection = layers if isinstance(layers, str) else objection_to_chain(layers)
    if isinstance(layers, str) or objection:
        return decline(op, objection)
    module = network_of(layers[0])
    wanted = Fusion(1, len(layers), op.slice.value, axis="channels")
    try:
        loop = fuse(module, layers, wanted, binder_of(module))
    except UnschedulableError as reason:
        return decline(op, str(reason))
    results.set_ops(op.loop, [loop])
    return transform.DiagnosedSilenceableFailure.Success
