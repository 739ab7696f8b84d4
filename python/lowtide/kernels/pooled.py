"""Emits reductions of several channels side by side: their sums or maxima in registers, one address for all loads.

A step loads all that its channels are made from, then stores them. They are neighbours, so that the output may lie as
near to its input as with code that goes one by one: each load is as early, each store as late.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lowtide.graph.nest import LayerBody
from lowtide.indexing.linear import Var
from lowtide.ir import InsertionPoint, MemRefType, Value, arith, scf
from lowtide.kernels.channelwise import Channelwise, channelwise_of
from lowtide.kernels.elementwise import lies
from lowtide.kernels.general import General
from lowtide.kernels.kernel import Kernel
from lowtide.kernels.loops import How, Part, Range
from lowtide.kernels.register_tiled.memory import load, store
from lowtide.kernels.register_tiled.wide import WideEmitter
from lowtide.kernels.values import index_constant

_GROUPS = (8, 4)
"""Channels of a step: the first of these that divides the layer's; else the last, and one step of what is left."""


class PoolEmitter(WideEmitter):
    """Emits one layer's loops at the current insertion point.

    Args:
        found: the layer.
        body, arguments, how: as for `LoopEmitter`.
    """

    def __init__(self, found: Channelwise, body: LayerBody, arguments: Sequence[Value], how: How) -> None:
        super().__init__(body, arguments, how)
        self._found = found
        ranges: Mapping[int, Range] = {} if how.part is None else how.part.ranges
        # what the part cuts: the output's loops, or those of the reduction
        self._ranges, self._reduced = ({}, ranges) if how.part is not None and how.part.reduces else (ranges, {})

    def emit(self) -> None:
        """Emit the loops over all of the output, or over the part's."""
        with self.unless_empty():
            around = self._found.loops[: self._found.loops.index(self._found.channels)]
            self.nested(around, self._ranges, self._groups)

    # -- channels ---------------------------------------------------------------------------------------------

    def _groups(self) -> None:
        """Emit all channels: a loop of several a step, and one step of those that are left."""
        count = self._found.channels.extent
        size = next((group for group in _GROUPS if count % group == 0), min(_GROUPS[-1], count))
        rest = count % size
        for number in self.ordered((size, rest)):
            if number == size:
                bounds = index_constant(0), index_constant(count - rest)
                self.directed(*bounds, lambda channel: self._step(channel, size), size)
            elif number:
                with self.scope():
                    self._step(index_constant(count - rest), rest)

    def _step(self, channel: Value, count: int) -> None:
        """Emit a step: reduce `count` channels from `channel` on side by side, compute their epilogues, store them."""
        found, channels = self._found, self._found.channels
        self.indices.bind(channels, channel)
        ranges = self._bounds()
        own = [arith.addi(channel, index_constant(n)) if n else channel for n in range(count)]
        starts: list[Value] = []
        for place in own:
            with self.scope():
                self.indices.bind(channels, place)
                starts.append(self.value(found.node.init, found.where))
        self.indices.bind(channels, channel)
        totals = self._reduce(list(found.reduced.values()), ranges, starts)
        made: list[Value] = []
        for place, total in zip(own, totals, strict=True):
            with self.scope():
                self.indices.bind(channels, place)
                self.memo[-1][found.node, found.where] = total
                made.append(self.value(self.body.result, found.index))
        self.indices.bind(channels, channel)
        target = self.byte_of(self.destination(), self.body.destination, self.body.target(found.index))
        size = self.element_bytes(self.arguments[-1])
        for n, value in enumerate(made):
            store(value, target + n * size, alignment=size)

    def _bounds(self) -> dict[Var, Range]:
        """The ranges of the reduction's loops that skip pads, or that the part has."""
        found = self._found
        ranges: dict[Var, Range] = {}
        for source in found.sources:
            if source.node is source.operand:
                continue
            for subscript, extent in zip(source.at, source.operand.shape, strict=True):
                low, high = subscript.bounds()
                own = next((var for var in found.reduced.values() if subscript.coefficient(var)), None)
                if own is None or (low >= 0 and high < extent):
                    continue
                inside = self.range_of(subscript, own, extent)
                if own in ranges:
                    # a pad of either source changes nothing
                    inside = self._both(ranges[own], inside)
                ranges[own] = inside
        ranges.update({found.reduced[d]: bounds for d, bounds in self._reduced.items()})
        return ranges

    def _both(self, one: Range, other: Range) -> Range:
        """The numbers that are in both ranges; none where the first is not below the second."""
        return arith.maxsi(one[0], other[0]), arith.minsi(one[1], other[1])

    def _reduce(self, loops: Sequence[Var], ranges: Mapping[Var, Range], totals: Sequence[Value]) -> list[Value]:
        """The loops of the reduction, which carry a value for each channel."""
        if not loops:
            return self._one(totals)
        var = loops[0]
        low, high = ranges[var] if var in ranges else (index_constant(0), index_constant(var.extent))
        loop = scf.ForOp(low, high, index_constant(1), list(totals))
        with InsertionPoint(loop.body), self.scope():
            self.indices.bind(var, loop.induction_variable)
            scf.YieldOp(self._reduce(loops[1:], ranges, list(loop.inner_iter_args)))
        return list(loop.results)

    def _one(self, totals: Sequence[Value]) -> list[Value]:
        """Emit one iteration of the reduction for each channel: load all, then accumulate."""
        found = self._found
        loaded: list[list[Value]] = []
        for source in found.sources:
            buffer = self.arguments[source.operand.argument]
            size = self.element_bytes(buffer)
            first = self.byte_of(buffer, source.operand.shape, source.at)
            kind = MemRefType(buffer.type).element_type
            count = len(totals) if source.varies else 1
            values = [load(first + n * size, kind, alignment=size) for n in range(count)]
            loaded.append(values if source.varies else values * len(totals))
        made: list[Value] = []
        for n, total in enumerate(totals):
            with self.scope():
                for source, values in zip(found.sources, loaded, strict=True):
                    self.memo[-1][source.node, source.index] = values[n]
                made.append(self._region(found.node, found.dims, lambda total=total: total))
        return made


def is_pooled(found: Channelwise, body: LayerBody, arguments: Sequence[Value], part: Part | None) -> bool:
    """Whether the channels lie together in these buffers, and the call goes through all of them."""
    if part is not None:
        own = set(found.reduced) if part.reduces else set(range(len(found.loops) - 1))
        if not set(part.ranges) <= own or (part.reduces and body.result is not found.node):
            return False
    reads = [(source.operand.shape, source.at, source.operand.argument) for source in found.sources if source.varies]
    places = [*reads, (body.destination, body.target(found.index), len(arguments) - 1)]
    kept = [MemRefType(value.type).shape for value in arguments]
    return all(lies(shape, at, kept[number], (found.channels,)) == 1 for shape, at, number in places)


class Pools(Kernel):
    """`lowtide.kernels.pooled`: reductions of integers that leave the channels alone."""

    def accepts(self, body: LayerBody) -> bool:
        """Layers with one reduction through neighbours alike."""
        return channelwise_of(body) is not None

    def emit(self, body: LayerBody, arguments: Sequence[Value], how: How) -> None:
        """Emit loops over channels side by side; where a call has them apart, elements are computed one by one."""
        found = channelwise_of(body)
        if found is None or not is_pooled(found, body, arguments, how.part):
            General().emit(body, arguments, how)
            return
        PoolEmitter(found, body, arguments, how).emit()

    def form(self, body: LayerBody) -> str:
        """All pools cost alike."""
        del body
        return "pool"
