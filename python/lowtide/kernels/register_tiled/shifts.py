"""The shifts of rescales as words: TOSA has bytes, which take registers to be widened in where there are none left."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from lowtide.graph.nest import Node, Operand, Reshaped, Sliced, Structured
from lowtide.ir import BlockArgument, IntegerType
from lowtide.kernels.rescale import shift_operands


def shift_arguments(node: Node) -> Iterator[int]:
    """The numbers of the tensor arguments, of bytes by channel, that the rescales behind a layer's sums shift by.

    Args:
        node: what the layer computes, or a part of it.
    """
    node = _whole(node)
    if not isinstance(node, Structured) or node.is_reduction:
        return
    sources = [*node.inputs, node.init]
    for value in shift_operands(node.block):
        if not isinstance(value, BlockArgument) or value.type != IntegerType.get_signless(8, value.owner.owner.context):
            continue
        source = _whole(sources[value.arg_number])
        if isinstance(source, Operand) and source.shape[-1:] == (math.prod(source.shape),):
            yield source.argument
    for source in sources:
        yield from shift_arguments(source)


def as_words(shifts: npt.NDArray[np.integer]) -> npt.NDArray[np.int32]:
    """Unsigned bytes as int32[n]."""
    return shifts.reshape(-1).astype(np.int32) & 0xFF


def _whole(node: Node) -> Node:
    """What a node is a part of, or has in another shape."""
    return _whole(node.source) if isinstance(node, Sliced | Reshaped) else node
