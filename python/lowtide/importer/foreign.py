"""Takes from a stranger's module what would mean something to MLIR or to lowtide, and is no part of the network."""

from __future__ import annotations

from lowtide.ir import Module, Operation, WalkResult


def strip_foreign(module: Module) -> None:
    """Drop every attribute that belongs to a dialect and not to its operation: all those with a dot in their names.

    lowtide notes its decisions in such attributes, and linalg believes its own (`linalg.memoized_indexing_maps`).
    """

    def visit(op: Operation) -> WalkResult:
        for name in [name for name in op.attributes if "." in name]:
            del op.attributes[name]
        return WalkResult.ADVANCE

    module.operation.walk(visit)
