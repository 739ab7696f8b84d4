"""Plans from outside (`--plan`): what their scripts may hold, and their application in a process of its own.

MLIR's transform dialect can run any pass, and some passes write files; it can unroll a loop a million times. A plan is
data that people pass on, so it may use what is listed here and nothing else. `lowtide-opt` applies any script.
"""

from __future__ import annotations

from dataclasses import dataclass

from lowtide.errors import InputError
from lowtide.ir import (
    DictAttr,
    IntegerAttr,
    Module,
    Operation,
    StringAttr,
    WalkOrder,
    WalkResult,
    bytecode_of,
    parse_module,
    place_of,
)
from lowtide.isolated import run_isolated
from lowtide.messages import Message
from lowtide.transform.interpreter import STAGE, apply_script, make_transform_context

OWN = "lowtide."
HANDLES = frozenset(
    (
        "transform.cast",
        "transform.get_defining_op",
        "transform.get_parent_op",
        "transform.get_producer_of_operand",
        "transform.merge_handles",
        "transform.named_sequence",
        "transform.select",
        "transform.split_handle",
        "transform.structured.match",
        "transform.yield",
    )
)
"""What only names operations of the network. None repeats a part of the script: a plan has as many steps as lines."""
REWRITES = frozenset(
    (
        "transform.apply_cse",
        "transform.apply_dce",
        "transform.apply_patterns",
        "transform.apply_patterns.canonicalization",
        "transform.apply_patterns.linalg.fold_unit_extent_dims_via_reshapes",
        "transform.apply_patterns.tensor.reassociative_reshape_folding",
        "transform.apply_registered_pass",
        "transform.loop.peel",
        "transform.loop.unroll",
        "transform.structured.fuse_into_containing_op",
        "transform.structured.generalize",
        "transform.structured.interchange",
        "transform.structured.pad",
        "transform.structured.tile_using_for",
        "transform.structured.tile_using_forall",
    )
)
"""What rewrites the network itself, and stands before it is cut into layers, which checks it again."""
PASSES = frozenset(
    (
        "canonicalize",
        "cse",
        "linalg-fold-unit-extent-dims",
        "linalg-fuse-elementwise-ops",
        "linalg-generalize-named-ops",
        "linalg-inline-scalar-operands",
    )
)
"""What `transform.apply_registered_pass` may run, without options."""
MOST_COPIES = 64
"""What the factors of all `transform.loop.unroll` of a plan may multiply to: loops in loops make as many copies."""
_UNROLL = "transform.loop.unroll"
_CUTS = frozenset(("lowtide.layers", "lowtide.schedule"))
_REMEDY = "docs/plans.md lists what a plan may hold; lowtide-opt --transform-script applies any script"


def apply_plan(module: Module, script: str, name: str) -> Module:
    """Apply a script from outside to a normalised module, in a process of its own.

    Args:
        module: stays as it is.
        script: the text.
        name: how messages call the script.

    Returns:
        the module that it makes, in the same context.

    Raises:
        InputError: the script is no plan, a step fails, or it takes too much time or memory.
    """
    header = {"name": name, "stage": STAGE}
    blobs = [bytecode_of(module), script.encode()]
    reply = run_isolated("plan", header, blobs, stage=STAGE, where=name)
    return parse_module(reply.blobs[0], module.context, name, stage=STAGE)


def isolated_plan(request: Message) -> Message:
    """What `apply_plan` asks for.

    Raises:
        InputError: as for `apply_plan`.
    """
    module = parse_module(request.blobs[0], make_transform_context(), stage=STAGE)
    apply_script(module, request.blobs[1].decode(), name=request.header["name"], check=check_plan)
    return Message({}, (bytecode_of(module),))


def check_plan(script: Operation) -> None:
    """Refuse a script that holds anything but what is listed in this file.

    Raises:
        InputError: with the place of the first operation in it that is not.
    """
    found: list[InputError] = []
    seen = _Seen()

    def visit(op: Operation) -> WalkResult:
        objection = _objection(op, script, seen)
        if op.name in _CUTS:
            seen.cut = seen.cut or op.name
        if objection:
            # An exception would not come through MLIR's walk as it is.
            found.append(InputError(STAGE, objection, where=place_of(op.location), remedy=_REMEDY))
            return WalkResult.INTERRUPT
        return WalkResult.ADVANCE

    # in the order of the text: what a region is part of comes before it
    script.walk(visit, WalkOrder.PRE_ORDER)
    if found:
        raise found[0]


@dataclass
class _Seen:
    """What the steps up to one have done: the first that cuts the network, and how many copies of a loop they make."""

    cut: str = ""
    copies: int = 1


def _objection(op: Operation, script: Operation, seen: _Seen) -> str:
    """What is wrong with an operation of a plan; empty where nothing is."""
    if op == script or op.name in HANDLES or op.name.startswith(OWN):
        return ""
    if op.name not in REWRITES:
        return f"a plan may not use '{op.name}'"
    if op.name == _UNROLL:
        factor = IntegerAttr(op.attributes["factor"]).value
        seen.copies *= max(1, factor)
        if seen.copies > MOST_COPIES:
            return f"'{op.name}' makes {factor} copies; a plan may make {MOST_COPIES} in all, one factor times the next"
    if seen.cut:
        return f"'{op.name}' comes after '{seen.cut}', which has cut the network into layers"
    return _objection_to_pass(op) if op.name == "transform.apply_registered_pass" else ""


def _objection_to_pass(op: Operation) -> str:
    name = StringAttr(op.attributes["pass_name"]).value
    if name not in PASSES:
        return f"a plan may not run the pass '{name}'"
    if len(op.operands) > 1 or ("options" in op.attributes and len(DictAttr(op.attributes["options"]))):
        return f"a plan may not give options to the pass '{name}'"
    return ""
