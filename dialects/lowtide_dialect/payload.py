"""What the dialect's operations share: the module around a payload operation, and how they refuse."""

from __future__ import annotations

from typing import cast

from lowtide.ir import Module, Operation, OpView, transform


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
