"""What a channel's epilogue needs, side by side: one address for all of it, and loads that overlap.

In memory of their own bias, multiplier and shift take an address each, and are not ready to be used: what the input's
zero point adds is added to the bias, the shift less 31 and a power of two are made of the shift.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

from lowtide.graph.nest import Filled, LayerBody, Node, Operand, Reshaped, Sliced, Structured, reachable, sources_of
from lowtide.indexing.linear import Index, Linear
from lowtide.ir import BlockArgument
from lowtide.kernels.constants import Numbers
from lowtide.kernels.kernel import Derived
from lowtide.kernels.register_tiled.contraction import Contraction
from lowtide.kernels.register_tiled.weights import fold
from lowtide.kernels.rescale import by_tables

RECORD = 4
"""Words of a channel's record: what its sum starts from, multiplier, nudge and exponent (see `rescale.Ready`)."""
_LEAST_SHIFT, _MOST_EXPONENT = 31, 30


def tables_of(body: LayerBody, found: Contraction, rows: Sequence[tuple[int, int]], *, bare: bool) -> Iterator[Derived]:
    """The tables that can be made for a layer: of records, and of starts where these are not the same in all rows.

    Args:
        body, found: the layer and its convolution.
        rows: see `fold`.
        bare: nudges and exponents are those for one rounding, see `rescale.Ready`.
    """
    bias = bias_of(found)
    bias = late_bias(body, found) if bias is None else bias
    folds = bias is not None and found.x.zero != 0 and found.w.zero == 0
    starts = () if bias is None else (bias, found.w.argument) if folds else (bias,)
    make = partial(_starts, found, rows)
    scales = next(rescale_tables(body.result), None)
    if folds and (scales is None or len(rows) > 1):
        yield Derived("starts", starts, make)
    if scales is not None:
        multipliers, shifts, added = scales
        first = (multipliers, shifts, *(starts if len(rows) == 1 else ()))
        yield Derived("records", first, partial(_records, added, bare, make))


def bias_of(found: Contraction) -> int | None:
    """The argument whose number for each channel is what a sum starts from; None where it starts from another thing."""
    return _channel_operand(found.init, found.index, Linear.of(found.loops[3]))


def late_bias(body: LayerBody, found: Contraction) -> int | None:
    """The argument whose number for each channel is added to the finished sums, which start from zero.

    Depthwise convolutions come like that. Sums may as well start from it.
    """
    if not isinstance(found.init, Filled) and not isinstance(_whole(found.init), Filled):
        return None
    late = _added(body.result, found.result, found)
    uses = [node for node in reachable(body.result) if isinstance(node, Operand) and node.argument == late]
    return late if len(uses) == 1 else None


def _added(node: Node, index: Index, found: Contraction) -> int | None:
    if not isinstance(node, Structured) or node.is_reduction:
        return None
    sources = sources_of(node, index)
    for position, (source, inner) in enumerate(sources[:-1]):
        # the sums themselves, perhaps with channels and multipliers in one dimension
        if (source.source if isinstance(source, Reshaped) else source) is not found.node:
            deeper = _added(source, inner, found)
            if deeper is not None:
                return deeper
            continue
        total = node.block.arguments[position]
        uses = [use.owner.operation for use in total.uses]
        if len(uses) != 1 or uses[0].name != "arith.addi":
            return None
        other = next((operand for operand in uses[0].operands if operand != total), None)
        if not isinstance(other, BlockArgument) or len(list(other.uses)) != 1 or other.arg_number >= len(sources) - 1:
            return None
        return _channel_operand(*sources[other.arg_number], Linear.of(found.loops[3]))
    return None


def _channel_operand(node: Node, index: Index, channel: Linear) -> int | None:
    if isinstance(node, Operand):
        by_channel = is_by_channel(node) and index[-1] == channel and channel.terms
        return node.argument if by_channel else None
    if not isinstance(node, Structured) or node.is_reduction or len(node.inputs) != 1:
        return None
    only = next(view.operation for view in node.block.operations)
    yielded = next(iter(only.operands)) if only.name == "linalg.yield" else None
    if not isinstance(yielded, BlockArgument) or yielded.arg_number:
        return None
    source, inner = sources_of(node, index)[0]
    return _channel_operand(source, inner, channel)


def rescale_tables(node: Node) -> Iterator[tuple[int, int, int]]:
    """The tensor arguments, by channel, of a rescale behind a layer's sums: multipliers, shifts, and what is added."""
    node = _whole(node)
    if not isinstance(node, Structured) or node.is_reduction:
        return
    sources = [*node.inputs, node.init]
    for multiplier, shift, added in by_tables(node.block):
        tables = [_whole(sources[number]) for number in (multiplier, shift)]
        arguments = [table.argument for table in tables if isinstance(table, Operand) and is_by_channel(table)]
        if len(arguments) == 2:
            yield arguments[0], arguments[1], added
    for source in sources:
        yield from rescale_tables(source)


def is_by_channel(table: Operand) -> bool:
    """Whether it has one number for each channel."""
    return table.shape[-1:] == (math.prod(table.shape),)


def _whole(node: Node) -> Node:
    """What a node is a part of, or has in another shape."""
    return _whole(node.source) if isinstance(node, Sliced | Reshaped) else node


def _starts(
    found: Contraction, rows: Sequence[tuple[int, int]], bias: Numbers, weights: Numbers | None = None
) -> npt.NDArray[np.int32]:
    """What each channel's sum starts from, for each class of rows in turn: int32[classes * channels]."""
    starts = np.tile(bias.reshape(-1).astype(np.int64), len(rows))
    more = 0 if weights is None else fold(found, rows, weights).astype(np.int64)
    return (starts + more).astype(np.int32)


def _records(
    added: int,
    bare: bool,
    make: partial[npt.NDArray[np.int32]],
    multipliers: Numbers,
    shifts: Numbers,
    *starts: Numbers,
) -> npt.NDArray[np.int32]:
    """int32[channels * RECORD]; of shifts that no narrow rescale has the words are of no use."""
    exponents = np.clip((shifts.reshape(-1).astype(np.int64) & 0xFF) - _LEAST_SHIFT, 1, _MOST_EXPONENT)
    nudges = (2 * added + 1) << (exponents - 1)
    if bare:
        nudges, exponents = 2 * nudges + 1, exponents + 1
    first = make(*starts) if starts else np.zeros(len(exponents), np.int64)
    words = first.astype(np.int64), multipliers.reshape(-1).astype(np.int64), nudges, exponents
    return np.stack(words, axis=1).reshape(-1).astype(np.int32)
