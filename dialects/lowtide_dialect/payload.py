"""What the dialect's operations share: the module around a payload operation, and how they refuse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from lowtide.ir import Module, Operation, OpView, StringAttr, transform
from lowtide.normalise.form import LAYER, network_calls


def enclosing_module(op: Operation) -> Operation | None:
    """The innermost module that the operation is or is in."""
    inside: Operation | None = op
    while inside is not None and inside.name != "builtin.module":
        inside = inside.parent
    return inside


def refuse(op: OpView, message: str) -> transform.DiagnosedSilenceableFailure:
    """Stop the script with a message at the operation's place in it."""
    op.location.emit_error(f"'{op.name}': {message}")
    return transform.DiagnosedSilenceableFailure.DefiniteFailure


def module_of(op: Operation) -> Module:
    """A `builtin.module` operation as a module: the bindings have two classes for it, with the same properties."""
    return cast(Module, op.opview)


def network_of(layer: Operation) -> Module:
    """The module of an outlined network's layer."""
    module = enclosing_module(layer)
    assert module is not None, "functions are in modules"
    return module_of(module)


def objection_to_chain(chosen: Sequence[Operation]) -> str:
    """What is wrong with layers that are to be fused; empty where nothing is."""
    if not chosen:
        return "the handle is empty: there is no layer to fuse"
    if any(LAYER not in layer.attributes or layer.name != "func.call" for layer in chosen):
        return "the handle has other operations than layers; take them from lowtide.layers"
    if any(layer.block != chosen[0].block for layer in chosen):
        return "the handle has layers of several networks, or some that are in a loop already"
    if chosen[0].parent is not None and chosen[0].parent.name != "func.func":
        return f"layer '{StringAttr(chosen[0].attributes[LAYER]).value}' is in a loop already"
    return ""


def in_order(chosen: Sequence[Operation]) -> list[Operation]:
    """Layers of one network in the order in which it calls them, each once."""
    wanted = set(chosen)
    return [call for call in network_calls(network_of(chosen[0]), "transform") if call in wanted]
