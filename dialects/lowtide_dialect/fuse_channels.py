"""`lowtide.fuse_channels`: a chain of layers becomes one loop over slices of channels. See fuse_channels.md."""

# No `from __future__ import annotations` here: the bindings read operands and attributes off the evaluated annotations.

from lowtide.graph.fusion import Fusion
from lowtide.ir import (
    IntegerAttr,
    ext,
    transform,
)
from lowtide_dialect.dialect import LowtideDialect
from lowtide_dialect.payload import (
    chain_behind,
    decline,
    fuse_or_decline,
    make_executable,
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
    layers = chain_behind([view.operation for view in state.get_payload_ops(op.chain)])
    if isinstance(layers, str):
        return decline(op, layers)
    return fuse_or_decline(op, op.loop, results, layers, Fusion(1, len(layers), op.slice.value, axis="channels"))
