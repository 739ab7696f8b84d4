"""`lowtide.fuse_channels`: a chain of layers becomes one loop over slices of channels. See fuse_channels.md."""

# No `from __future__ import annotations` here: the bindings read operands and attributes off the evaluated annotations.

from lowtide.graph.row_schedule import UnschedulableError
from lowtide.ir import (
    IntegerAttr,
    MemoryEffectInstancesList,
    MemoryEffectsOpInterface,
    Operation,
    ext,
    transform,
)
from lowtide.normalise.form import LAYER, network_calls
from lowtide.transform.fuse import fuse_by_channels
from lowtide_dialect.dialect import LowtideDialect
from lowtide_dialect.payload import enclosing_module, module_of, refuse


class FuseChannelsOp(ext.Operation, dialect=LowtideDialect, name="fuse_channels"):
    """Consumes a handle to layers, fuses them in one loop by channels, and gives a handle to the loop."""

    chain: ext.Operand[transform.AnyOpType]
    slice: IntegerAttr
    loop: ext.Result[transform.AnyOpType]


class _Effects(MemoryEffectsOpInterface):
    @staticmethod
    def get_effects(op: FuseChannelsOp, effects: MemoryEffectInstancesList) -> None:
        transform.consumes_handle(op.op_operands, effects)
        transform.produces_handle(op.results, effects)
        transform.modifies_payload(effects)


class _Apply(transform.TransformOpInterface):
    @staticmethod
    def apply(
        op: FuseChannelsOp,
        _rewriter: transform.TransformRewriter,
        results: transform.TransformResults,
        state: transform.TransformState,
    ) -> transform.DiagnosedSilenceableFailure:
        return _apply(op, results, state)

    @staticmethod
    def allow_repeated_handle_operands(_op: FuseChannelsOp) -> bool:
        return False


def attach() -> None:
    """Make the operation executable in the current context."""
    _Apply.attach(FuseChannelsOp.OPERATION_NAME)
    _Effects.attach(FuseChannelsOp.OPERATION_NAME)


def _apply(
    op: FuseChannelsOp, results: transform.TransformResults, state: transform.TransformState
) -> transform.DiagnosedSilenceableFailure:
    if op.slice.value < 1:
        return refuse(op, f"slices of {op.slice.value} channels; 1 or more are wanted")
    chosen = [view.operation for view in state.get_payload_ops(op.chain)]
    if not chosen:
        return refuse(op, "the handle is empty: there is no layer to fuse")
    if any(LAYER not in layer.attributes or layer.name != "func.call" for layer in chosen):
        return refuse(op, "the handle has other operations than layers; take them from lowtide.layers")
    module = enclosing_module(chosen[0])
    assert module is not None
    try:
        loop = fuse_by_channels(module_of(module), _in_order(chosen, module), op.slice.value)
    except UnschedulableError as reason:
        return refuse(op, str(reason))
    results.set_ops(op.loop, [loop])
    return transform.DiagnosedSilenceableFailure.Success


def _in_order(chosen: list[Operation], module: Operation) -> list[Operation]:
    wanted = set(chosen)
    return [call for call in network_calls(module_of(module), "transform") if call in wanted]
