"""Finds layers with one reduction that goes through neighbours alike: pools, means, maxima over rows or columns.

The innermost dimension of the result, its *channels*, is not reduced, and in what is reduced its elements are
neighbours too: several channels are reduced side by side, with one address for all of their loads.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lowtide.graph.nest import (
    LayerBody,
    Node,
    Operand,
    Padded,
    Reshaped,
    Structured,
    children,
    iteration_space,
    loops_over,
    output_dimensions,
    source_index,
    sources_at,
    sources_of,
)
from lowtide.indexing.linear import Index, Var
from lowtide.kernels.elementwise import element_of, lies, reads_of, width_of
from lowtide.kernels.neutral import pad_is_neutral
from lowtide.kernels.values import is_used


@dataclass(frozen=True, eq=False)
class Source:
    """One tensor that an iteration of the reduction reads, and which element of it.

    Attributes:
        node, index: the element as the scalar code has it.
        operand, at: the element of a tensor that it is; what is outside the tensor is a pad that changes nothing.
        varies: each channel has its own.
    """

    node: Node
    index: Index
    operand: Operand
    at: Index
    varies: bool


@dataclass(frozen=True, eq=False)
class Channelwise:
    """A layer with one reduction that leaves the channels alone.

    Attributes:
        loops: over the result, the channels last.
        index: of its element.
        node: the reduction.
        where: its element that the layer's element is made from.
        dims: the point of its iteration space, in terms of `loops` and of what is reduced.
        reduced: its loops, by dimension.
        sources: what its scalar code reads.
    """

    loops: tuple[Var, ...]
    index: Index
    node: Structured
    where: Index
    dims: Index
    reduced: dict[int, Var]
    sources: tuple[Source, ...]

    @property
    def channels(self) -> Var:
        """The innermost loop."""
        return self.loops[-1]


def channelwise_of(body: LayerBody) -> Channelwise | None:
    """The layer as such, None where it is none, or holds anything but integers."""
    loops, index = loops_over(body.result.shape)
    integers = all(width_of(element_of(kind)) is not None for kind in body.arguments)
    if not integers or not loops or loops[-1].extent < 2 or _target(body, index, loops[-1]) != 1:
        return None
    found = list(_reductions(body.result, index))
    if len(found) != 1 or found[0] is None:
        return None
    node, where = found[0]
    space = iteration_space(node)
    dims = output_dimensions(node, where, space)
    reduced = {d: var for d, var in enumerate(space) if node.kinds[d] == "reduction" and var.extent > 1}
    sources = list(_sources(node, dims, loops[-1], tuple(reduced.values())))
    if not sources or any(source is None for source in sources):
        return None
    return Channelwise(loops, index, node, where, dims, reduced, tuple(s for s in sources if s is not None))


def _target(body: LayerBody, index: Index, channels: Var) -> int | None:
    return lies(body.destination, body.target(index), body.destination, (channels,))


def _reductions(node: Node, index: Index) -> Iterator[tuple[Structured, Index] | None]:
    """The reductions that an element is made from; None for what is not linear in the loops, or padded."""
    match node:
        case Structured():
            if node.is_reduction:
                yield node, index
                return
            for source, inner in sources_of(node, index):
                yield from _reductions(source, inner)
        case Reshaped():
            through = source_index(node, index)
            if through is None:
                yield None
            else:
                yield from _reductions(node.source, through)
        case Operand():
            pass
        case _:
            if children(node):
                yield None


def _sources(node: Structured, dims: Index, channels: Var, reduced: Sequence[Var]) -> Iterator[Source | None]:
    if any(view.operation.name in ("linalg.index", "tensor.extract") for view in node.block.operations):
        yield None
    for argument, (source, index) in zip(list(node.block.arguments)[:-1], sources_at(node, dims)[:-1], strict=True):
        if not is_used(argument):
            continue
        if isinstance(source, Padded):
            yield _padded(node, argument.arg_number, source, index, channels, reduced)
            continue
        for read in reads_of(source, index):
            yield None if read is None else _source(read[0], read[1], read[0], read[1], channels)


def _source(node: Node, index: Index, operand: Operand, at: Index, channels: Var) -> Source | None:
    place = lies(operand.shape, at, operand.shape, (channels,))
    return None if place is None else Source(node, index, operand, at, place == 1)


def _padded(
    node: Structured, position: int, source: Padded, index: Index, channels: Var, reduced: Sequence[Var]
) -> Source | None:
    """A pad that the bounds of the reduction's loops leave out."""
    if not isinstance(source.source, Operand) or not pad_is_neutral(node, position, source.scalar):
        return None
    at = tuple(i + -low for i, low in zip(index, source.low, strict=True))
    clamped: list[Var] = []
    for subscript, extent in zip(at, source.source.shape, strict=True):
        low, high = subscript.bounds()
        if low >= 0 and high < extent:
            continue
        if subscript.coefficient(channels):
            # the bounds are taken for all channels of a step at once, but each would have its own
            return None
        own = [var for var in reduced if subscript.coefficient(var)]
        if len(own) != 1 or own[0] in clamped or subscript.coefficient(own[0]) < 0:
            return None
        clamped.append(own[0])
    return _source(source, index, source.source, at, channels)
