"""Layers that only move bytes: run of elements to run of elements, nothing computed."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lowtide.graph.nest import (
    LayerBody,
    Node,
    Operand,
    Reshaped,
    Sliced,
    Structured,
    loops_over,
    row_major,
    source_index,
    sources_of,
)
from lowtide.indexing.linear import Index, Linear
from lowtide.ir import BlockArgument


@dataclass(frozen=True)
class Copy:
    """Elements `target` … `target + count - 1` of the destination are elements `source` … of an argument, in order."""

    argument: int
    source: int
    target: int
    count: int


def copy_of(body: LayerBody) -> Copy | None:
    """What the layer moves; None where it computes, or where the elements are no run."""
    _, index = loops_over(body.result.shape)
    number = row_major(body.result.shape, index)
    target = row_major(body.destination, body.target(index))
    loaded = _loaded(body.result, index)
    if loaded is None or not number.terms == target.terms == loaded[1].terms:
        return None
    argument, source = loaded
    return Copy(argument, source.const, target.const, math.prod(body.result.shape))


def _loaded(node: Node, index: Index) -> tuple[int, Linear] | None:
    """The argument and the number of its element that the node's element is a copy of."""
    match node:
        case Operand():
            return node.argument, row_major(node.shape, index)
        case Sliced() | Reshaped():
            through = source_index(node, index)
            return None if through is None else _loaded(node.source, through)
        case Structured() if not node.is_reduction:
            position = _yielded(node)
            return None if position is None else _loaded(*sources_of(node, index)[position])
        case _:
            return None


def _yielded(node: Structured) -> int | None:
    """The number of the input that the scalar code gives back as it is."""
    value = node.yielded
    if not isinstance(value, BlockArgument) or value.owner != node.block:
        return None
    return value.arg_number if value.arg_number < len(node.inputs) else None
