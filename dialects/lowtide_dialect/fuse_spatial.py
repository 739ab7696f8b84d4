"""`lowtide.fuse_spatial`: a chain of layers becomes one loop over rows. See fuse_spatial.md."""

# No `from __future__ import annotations` here: the bindings read operands and attributes off the evaluated annotations.

from collections.abc import Sequence

from lowtide.graph.fusion import Fusion
from lowtide.graph.program import DIRECTIONS
from lowtide.ir import (
    ArrayAttr,
    Attribute,
    IntegerAttr,
    StringAttr,
    ext,
    transform,
)
from lowtide.normalise.form import integer_of
from lowtide_dialect.dialect import LowtideDialect
from lowtide_dialect.payload import (
    chain_behind,
    decline,
    fuse_or_decline,
    make_executable,
    numbers_in,
    objection_to_number,
    refuse,
    unknown_attribute,
)

HALOS = ("cache", "recompute")
KNOWN = ("rows", "columns", "halo", "recompute", "direction")


class FuseSpatialOp(ext.Operation, dialect=LowtideDialect, name="fuse_spatial"):
    """Reads a handle to layers, puts them into one loop by rows, and gives a handle to the loop.

    Attributes that need not be there: `columns` (0), `halo` ("cache"), `recompute` (none), `direction` ("forwards").
    """

    chain: ext.Operand[transform.AnyOpType]
    rows: IntegerAttr
    loop: ext.Result[transform.AnyOpType]


def attach() -> None:
    """Make the operation executable in the current context."""
    make_executable(FuseSpatialOp, _apply)


def _apply(
    op: FuseSpatialOp, results: transform.TransformResults, state: transform.TransformState
) -> transform.DiagnosedSilenceableFailure:
    objection = unknown_attribute(op, KNOWN) or _objection(op)
    if objection:
        return refuse(op, objection)
    layers = chain_behind([view.operation for view in state.get_payload_ops(op.chain)])
    if isinstance(layers, str):
        return decline(op, layers)
    recompute = _recomputed(op, len(layers))
    objection = _objection_to_recompute(recompute, len(layers))
    if objection:
        return decline(op, objection)
    direction = DIRECTIONS[_word(op, "direction", DIRECTIONS[0]) == DIRECTIONS[1]]
    columns = integer_of(op.attributes["columns"]) if "columns" in op.attributes else 0
    wanted = Fusion(1, len(layers), op.rows.value, columns or 0, direction, recompute=tuple(p + 1 for p in recompute))
    return fuse_or_decline(op, op.loop, results, layers, wanted)


def _word(op: FuseSpatialOp, name: str, default: str) -> str | None:
    """An attribute that is a word; None where it is something else."""
    if name not in op.attributes:
        return default
    value = op.attributes[name]
    return value.value if isinstance(value, StringAttr) else None


def _recompute(op: FuseSpatialOp) -> list[int] | None:
    if "recompute" not in op.attributes:
        return []
    value = op.attributes["recompute"]
    return numbers_in(value) if isinstance(value, ArrayAttr) else None


def _objection(op: FuseSpatialOp) -> str:
    """What is wrong with the attributes; empty where nothing is."""
    for name, words in (("halo", HALOS), ("direction", DIRECTIONS)):
        word = _word(op, name, words[0])
        if word not in words:
            shown = f"'{word}'" if word is not None else str(op.attributes[name])
            return f"unknown {name} {shown}; choose one of {', '.join(words)}"
    if _recompute(op) is None:
        return "the layers to recompute are not a list of integers"
    columns: Attribute = op.attributes["columns"] if "columns" in op.attributes else op.rows  # noqa: SIM401
    zero = "whole rows" if "columns" in op.attributes else ""
    return objection_to_number(op.rows, "rows an iteration") or objection_to_number(
        columns, "columns at a time", zero=zero
    )


def _recomputed(op: FuseSpatialOp, count: int) -> list[int]:
    """Positions in the chain, from 0, of the layers that are recomputed: those listed, or all but the last."""
    listed = [number - 1 for number in _recompute(op) or ()]
    return listed if _word(op, "halo", HALOS[0]) == "cache" else list(range(count - 1))


def _objection_to_recompute(recompute: Sequence[int], count: int) -> str:
    wrong = [position + 1 for position in recompute if not 0 <= position < count - 1]
    if not wrong:
        return ""
    return f"layer {wrong[0]} of the chain can't be recomputed: it has {count} layers, and the last makes the rows"
