"""`lowtide.fuse_channels`: a chain of layers becomes one loop over slices of channels. See fuse_channels.md."""

# No `from __future__ import annotations` here: the bindings read operands and attributes off the evaluated annotations.

from lowtide.graph.row_schedule import UnschedulableError
from lowtide.ir import (
    IntegerAttr,
    ext,
    transform,
)
from lowtide.transform.fuse import fuse_by_channels
from lowtide_dialect.dialect import LowtideDialect
from lowtide_dialect.payload import (
    in_order,
    make_executable,
    network_of,
    objection_to_chain,
    objection_to_number,
    refuse,
)


class FuseChannelsOp(ext.Operation, dialect=LowtideDialect, name="fuse_channels"):
    """Consumes a handle to layers, fuses them in one loop by channels, and gives a handle to the loop."""

    chain: ext.Operand[transform.AnyOpType]
    slice: IntegerAttr
    loop: ext.Result[transform.AnyOpType]


def attach() -> None:
    """Make the operation executable in the current context."""
    make_executable(FuseChannelsOp, _apply, consumes=True)


def _apply(
    op: FuseChannelsOp, results: transform.TransformResults, state: transform.TransformState
) -> transform.DiagnosedSilenceableFailure:
    objection = objection_to_number(op.slice, "channels a slice")
    if objection:
        return refuse(op, objection)
    chosen = [view.operation for view in state.get_payload_ops(op.chain)]
    objection = objection_to_chain(chosen)
    if objection:
        return refuse(op, objection)
    try:
        loop = fuse_by_channels(network_of(chosen[0]), in_order(chosen), op.slice.value)
    except UnschedulableError as reason:
        return refuse(op, str(reason))
    results.set_ops(op.loop, [loop])
    return transform.DiagnosedSilenceableFailure.Success
