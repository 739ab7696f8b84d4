"""What a channel's epilogue needs, side by side: one address for all of it, and loads that overlap.

In memory of their own bias, multiplier and shift take an address each, and are not ready to be used: what the input's
zero point adds is added to the bias, the shift less 31 and a power of two are made of the shift.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from lowtide.arithmetic import Integers
from lowtide.graph.nest import Filled, LayerBody, Node, Operand, Reshaped, Sliced, Structured, reachable, sources_of
from lowtide.indexing.linear import Index, Linear
from lowtide.ir import BlockArgument
from lowtide.kernels.constants import Numbers
from lowtide.kernels.kernel import Derived
from lowtide.kernels.register_tiled.blocks import Blocks
from lowtide.kernels.register_tiled.contraction import Contraction
from lowtide.kernels.register_tiled.requantised import Scale, Scales, scale_of
from lowtide.kernels.register_tiled.weights import fold, range_of_sums
from lowtide.kernels.rescale import MOST_SHIFT, scalings

UNKNOWN = 0
"""The exponent of a record without a meaning."""
_LEAST_SHIFT, _END_OF_SHIFTS, _MOST_EXPONENT = 31, 63, 30
_HALF = 1 << 30
_SMALL = 1 << 30
"""Twice what is below that is a 32-bit value."""


def tables_of(body: LayerBody, blocks: Blocks) -> Iterator[Derived]:
    """The tables that can be made for a layer: of records, and of starts where these are not the same in all rows.

    Args:
        body: the layer.
        blocks: of its convolution.
    """
    found, rows = blocks.found, [inside for _, inside in blocks.row_classes]
    bias = bias_of(found)
    bias = late_bias(body, found) if bias is None else bias
    folds = bias is not None and found.x.zero != 0 and found.w.zero == 0
    starts = () if bias is None else (bias, found.w.argument) if folds else (bias,)
    make = partial(_starts, found, rows)
    given = () if bias is None else (bias, found.w.argument)
    rescale = scales_of(body.result)
    if rescale is not None and all(scale.argument is None for scale in rescale[0]):
        # Records that are alike are for pieces of assembly alone; a dense layer's would take more flash for little.
        several = found.rows.outputs * found.columns.outputs > 1
        rescale = rescale if blocks.microkernel.at_once and several and given else None
    if folds and (rescale is None or list(rows) != [(0, found.rows.kernel)]):
        yield Derived("starts", starts, make)
    if rescale is not None:
        scales, added = rescale
        form = Form(added, folds=folds, bare=blocks.microkernel.bare)
        arguments = (*(scale.argument for scale in scales if scale.argument is not None), *given)
        yield Derived("records", arguments, partial(_records, found, scales, form))


def has_starts(body: LayerBody, found: Contraction) -> bool:
    """Whether the first words of records are what sums start from."""
    return bias_of(found) is not None or late_bias(body, found) is not None


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


def scales_of(node: Node) -> tuple[Scales, int] | None:
    """What a rescale behind a layer's sums multiplies and shifts by, and what it adds; None without one."""
    return next(_scales(node), None)


def _scales(node: Node) -> Iterator[tuple[Scales, int]]:
    node = _whole(node)
    if not isinstance(node, Structured) or node.is_reduction:
        return
    for multiplier, shift, added in scalings(node.block):
        scales = scale_of(node, multiplier), scale_of(node, shift)
        if scales[0] is not None and scales[1] is not None and all(_has_channels(node, scale) for scale in scales):
            yield (scales[0], scales[1]), added
    for source in [*node.inputs, node.init]:
        yield from _scales(source)


def _has_channels(node: Structured, scale: Scale | None) -> bool:
    """Whether the table has one number for each channel, if it is one."""
    tables = [_whole(source) for source in node.inputs]
    own = [table for table in tables if isinstance(table, Operand) and scale and table.argument == scale.argument]
    return all(is_by_channel(table) for table in own)


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


@dataclass(frozen=True)
class Form:
    """What the records of a layer are like.

    Attributes:
        added: to the rescale's result.
        folds: the input's zero point is in the starts.
        bare: they are for one rounding in place of two, as cores do without rounded high products (see `rescale`).
    """

    added: int
    folds: bool
    bare: bool


def _records(found: Contraction, scales: Scales, form: Form, *values: Numbers) -> npt.NDArray[np.int32]:
    """int32[channels * RECORD]; the exponent is `UNKNOWN` where the channel has no narrow rescale.

    A channel may have a bias beyond all measure and be multiplied by next to nothing, as one whose weights are 0. Where
    all that its sums can be comes to one number, a multiplier of 0 and what is added to it give that number.

    Args:
        found: the convolution.
        scales: multipliers and shifts.
        form: the rest.
        values: of the tables among those; then bias and weights, or nothing where sums start from another thing.
    """
    given = list(values)
    own = [given.pop(0) if scale.argument is not None else np.full(found.outputs, scale.value) for scale in scales]
    multiplier, shift = (number.reshape(-1).astype(np.int64) for number in own)
    shift &= 0xFF
    exponents = np.clip(shift - _LEAST_SHIFT, 1, _MOST_EXPONENT)
    nudges = (2 * form.added + 1) << (exponents - 1)
    start, known = np.zeros(len(exponents), np.int64), np.ones(len(exponents), bool)
    if given:
        start = _starts(found, [(0, found.rows.kernel)], *given[: 2 if form.folds else 1]).astype(np.int64)
        low, high = range_of_sums(found, *given)
        exact = (shift > _LEAST_SHIFT) & (shift < _END_OF_SHIFTS) & (multiplier >= 0)
        ends = [_rescaled(x, multiplier, np.where(exact, shift, _LEAST_SHIFT + 1)) for x in (low, high)]
        constant = exact & (ends[0] == ends[1]) & (np.abs(ends[0]) < _SMALL)
        known = constant | exact & (shift <= MOST_SHIFT) & (np.maximum(-low, high) < _SMALL)
        # with 1 less for a sum below 0 it is the same number
        multiplier, exponents = np.where(constant, 0, multiplier), np.where(constant, 1, exponents)
        nudges = np.where(constant, 2 * (ends[0] + form.added) + 1, nudges)
    if form.bare:
        nudges, exponents = 2 * nudges + 1, exponents + 1
    return (
        np.stack((start, multiplier, nudges, np.where(known, exponents, UNKNOWN)), axis=1).reshape(-1).astype(np.int32)
    )


def _rescaled(x: Integers, multiplier: Integers, shift: Integers) -> Integers:
    """TOSA's rescale with double rounding of a sum, in 64 bits (see `rescale`)."""
    return (x * multiplier + (np.int64(1) << (shift - 1)) + np.where(x >= 0, _HALF, -_HALF)) >> shift
