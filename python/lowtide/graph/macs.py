"""Counts multiply-accumulates from a layer's loop description."""

from __future__ import annotations

import math

from lowtide.graph.nest import Filled, Node, Structured, Undefined, reachable


def macs_of(node: Node) -> int:
    """MACs of everything that is computed for the node, each element once.

    A contraction (a reduction whose scalar code multiplies two of its inputs) counts one for each point of its
    iteration space, padding included; all else counts nothing (design: convolution, depthwise and dense only).
    """
    return sum(math.prod(n.extents) for n in reachable(node) if isinstance(n, Structured) and _contracts(n))


def _contracts(node: Structured) -> bool:
    if not any(kind == "reduction" for kind in node.kinds):
        return False
    tensors = sum(not isinstance(source, Filled | Undefined) for source in node.inputs)
    return tensors > 1 and any(view.operation.name in ("arith.muli", "arith.mulf") for view in node.block.operations)
