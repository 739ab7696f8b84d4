"""`lowtide.fuse_spatial`: a chain of layers becomes one loop over rows. See fuse_spatial.md."""

# No `from __future__ import annotations` here: the bindings read operands and attributes off the evaluated annotations.

from collections.abc import Sequence

from lowtide.graph.program import DIRECTIONS
from lowtide.graph.row_schedule import UnschedulableError
from lowtide.ir import (
    ArrayAttr,
    IntegerAttr,
    StringAttr,
    ext,
    transform,
)
from lowtide.transform.fuse import fuse_rows
from lowtide_dialect.dialect import LowtideDialect
from lowtide_dialect.payload import (
    in_order,
    make_executable,
    network_of,
    numbers_in,
    objection_to_chain,
    objection_to_number,
    refuse,
)

HALOS = ("cache", "recompute")


class FuseSpatialOp(ext.Operation, dialect=LowtideDialect, name="fuse_spatial"):
    """Consumes a handle to layers, fuses them in one loop by rows, and gives a handle to the loop."""

    chain: ext.Operand[transform.AnyOpType]
    again: ArrayAttr
    halo: StringAttr
    rows: IntegerAttr
    columns: IntegerAttr
    direction: StringAttr
    loop: ext.Result[transform.AnyOpType]


def attach() -> None:
    """Make the operation executable in the current context."""
    make_executable(FuseSpatialOp, _apply, consumes=True)


def _apply(
    op: FuseSpatialOp, results: transform.TransformResults, state: transform.TransformState
) -> transform.DiagnosedSilenceableFailure:
    chosen = [view.operation for view in state.get_payload_ops(op.chain)]
    objection = _objection(op) or objection_to_chain(chosen)
    if objection:
        return refuse(op, objection)
    again = _anew(op, len(chosen))
    objection = _objection_to_anew(again, len(chosen))
    if objection:
        return refuse(op, objection)
    try:
        loop = fuse_rows(
            network_of(chosen[0]),
            in_order(chosen),
            op.rows.value,
            op.columns.value,
            again=again,
            backwards=op.direction.value == DIRECTIONS[1],
        )
    except UnschedulableError as reason:
        return refuse(op, str(reason))
    results.set_ops(op.loop, [loop])
    return transform.DiagnosedSilenceableFailure.Success


def _objection(op: FuseSpatialOp) -> str:
    """What is wrong with the attributes; empty where nothing is."""
    if op.halo.value not in HALOS:
        return f"unknown halo '{op.halo.value}'; choose one of {', '.join(HALOS)}"
    if op.direction.value not in DIRECTIONS:
        return f"unknown direction '{op.direction.value}'; choose one of {', '.join(DIRECTIONS)}"
    if numbers_in(op.again) is None:
        return "the layers to compute again are not a list of integers"
    rows = objection_to_number(op.rows, "rows an iteration")
    return rows or objection_to_number(op.columns, "columns at a time", zero="whole rows")


def _anew(op: FuseSpatialOp, count: int) -> list[int]:
    """Positions in the chain, from 0, of the layers that are computed anew: those listed, or all but the last."""
    listed = [number - 1 for number in numbers_in(op.again) or ()]
    return listed if op.halo.value == "cache" else list(range(count - 1))


def _objection_to_anew(again: Sequence[int], count: int) -> str:
    wrong = [position + 1 for position in again if not 0 <= position < count - 1]
    if not wrong:
        return ""
    return f"layer {wrong[0]} of the chain can't be computed anew: it has {count} layers, and the last makes the rows"
