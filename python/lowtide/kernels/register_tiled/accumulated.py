"""Emits dense layers of bytes that take their input a few rows at a time, into sums that lie in memory.

A call adds the products of a run of the input, or of two where a ring wraps around. Some channels at a time have their
sums in registers: loaded once, stored once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lowtide.graph.nest import LayerBody
from lowtide.indexing.linear import Linear, Var
from lowtide.ir import MemRefType, Value, arith, memref
from lowtide.kernels.element import ElementEmitter
from lowtide.kernels.loops import How, Part
from lowtide.kernels.microkernels import MICROKERNELS
from lowtide.kernels.register_tiled.carried import looped
from lowtide.kernels.register_tiled.contraction import Contraction
from lowtide.kernels.register_tiled.memory import WORD, Address, address_of, advanced, scaled
from lowtide.kernels.scalar import counted
from lowtide.kernels.values import index_constant

_PAIRS = 2
_TURN = 8
"""Least bytes of a turn: every channel's weights need an address of their own, which each turn has to compute."""


@dataclass(frozen=True)
class _Run:
    """Bytes of the input that lie together, as their weights do.

    Attributes:
        x, w: offset of the first byte in the input, and in each channel's weights; `index` values.
        count: how many.
    """

    x: Value
    w: Value
    count: Value


class AccumulatedEmitter(ElementEmitter):
    """Emits one call's loops at the current insertion point.

    Args:
        found: the layer's sums, one for each channel; `is_accumulated` holds for them.
        body, arguments, how: as for `LoopEmitter`.
        part: what the call takes of the input.
    """

    def __init__(self, found: Contraction, body: LayerBody, arguments: Sequence[Value], how: How, part: Part) -> None:
        super().__init__(body, arguments, how)
        self._found = found
        self._microkernel = MICROKERNELS[how.microkernels]
        self._unit = part.unit
        self._range = next(iter(part.ranges.values()))
        x = found.x
        self._kept = MemRefType(arguments[x.argument].type).shape[3]

    def emit(self) -> None:
        """Emit the sums of all channels, a block of them at a time."""
        with self.unless_empty():
            runs = self._runs()
            outputs, most = self._found.outputs, self._microkernel.blocks[1]
            # as many blocks as the largest size needs, and these as even as can be
            size = -(-outputs // -(-outputs // most))
            rest = outputs % size
            if outputs > size:
                with counted(index_constant(0), index_constant(outputs - rest), size) as channel:
                    self._channels(channel, size, runs)
            for first, count in ((outputs - rest, rest), (0, size if outputs == size else 0)):
                if count:
                    self._channels(index_constant(first), count, runs)

    def _runs(self) -> list[_Run]:
        """The bytes that the call goes through: one run, or two where the ring of input rows wraps around."""
        begin, end = self._range
        count, whole = arith.subi(end, begin), self._found.channels
        # a ring that holds all rows, or one that each call fills anew, never wraps around within a call
        if self._kept == whole:
            return [_Run(begin, begin, count)]
        if self._unit % self._kept == 0:
            return [_Run(index_constant(0), begin, count)]
        at = Var("k", whole)
        self.indices.bind(at, begin)
        zero = Linear()
        index = (zero, zero, zero, Linear.of(at))
        place = self.place(self.arguments[self._found.x.argument], self._found.x.shape, index)[3]
        before = arith.minsi(count, arith.subi(index_constant(self._kept), place))
        after = _Run(index_constant(0), arith.addi(begin, before), arith.subi(count, before))
        return [_Run(place, begin, before), after]

    def _channels(self, channel: Value, count: int, runs: Sequence[_Run]) -> None:
        """Emit one block: load the sums of `count` channels, add the products of all runs, store the sums."""
        zero = index_constant(0)
        places = [[zero, zero, zero, arith.addi(channel, index_constant(n)) if n else channel] for n in range(count)]
        sums = [memref.load(self.arguments[-1], place) for place in places]
        sums = self._both(channel, sums, runs) if len(runs) == _PAIRS else self._run(channel, sums, runs[0])
        for value, place in zip(sums, places, strict=True):
            memref.store(value, self.arguments[-1], place)

    def _both(self, channel: Value, sums: list[Value], runs: Sequence[_Run]) -> list[Value]:
        """Emit both runs as a loop of two turns: the code is there once."""
        first, second = runs

        def one(number: Value, totals: list[list[Value]]) -> list[list[Value]]:
            before = arith.cmpi(arith.CmpIPredicate.eq, number, index_constant(0))
            fields = ((first.x, second.x), (first.w, second.w), (first.count, second.count))
            return [self._run(channel, totals[0], _Run(*(arith.select(before, a, b) for a, b in fields)))]

        return looped(index_constant(0), index_constant(_PAIRS), 1, [sums], one)[0]

    def _run(self, channel: Value, sums: list[Value], run: _Run) -> list[Value]:
        """Emit a run: a loop of several bytes a turn, and one of the bytes that are left."""
        found = self._found
        step = self._step()
        x = advanced(address_of(self.arguments[found.x.argument]), run.x)
        w = advanced(address_of(self.arguments[found.w.argument]), scaled(channel, found.w_strides[0]))
        w = advanced(w, run.w)
        whole = run.count
        if self._unit % step:
            whole = arith.subi(run.count, arith.remui(run.count, index_constant(step)))
        made = self._turns(sums, x.base, advanced(x, whole).base, w, step)
        if self._unit % step:
            made = self._turns(made, advanced(x, whole).base, advanced(x, run.count).base, advanced(w, whole), 1)
        return made

    def _turns(self, sums: list[Value], low: Value, high: Value, w: Address, step: int) -> list[Value]:
        """Emit a loop over the addresses [low, high) of the input, `step` bytes a turn."""
        found = self._found
        # one loop counter for both sides: the weights lie at a fixed distance from the input
        apart = arith.subi(w.base, low)

        def some(at: Value, totals: list[list[Value]]) -> list[list[Value]]:
            weights = Address(arith.addi(at, apart))
            ws = [weights + n * found.w_strides[0] for n in range(len(sums))]
            return self._microkernel.dot(totals, [Address(at)], ws, step, found.x, found.w)

        return looped(low, high, step, [sums], some)[0]

    def _step(self) -> int:
        """The bytes of a turn: the most that the call's length is sure to be a multiple of."""
        sizes = (max(self._microkernel.turn, _TURN), 16, 8, WORD)
        return next((step for step in sizes if self._unit % step == 0), _TURN)


def is_accumulated(found: Contraction, body: LayerBody, arguments: Sequence[Value], part: Part | None) -> bool:
    """True for a call that takes a part of a dense layer's input into one sum a channel."""
    if part is None or not part.reduces or len(part.ranges) != 1 or found.layout != "runs" or body.result != found.node:
        return False
    outputs = found.loops[1].extent * found.loops[2].extent
    kept = MemRefType(arguments[found.x.argument].type).shape
    dense = list(kept[:3]) == [1, 1, 1] and list(body.destination) == [1, 1, 1, found.outputs]
    whole = found.rows.is_point and found.columns.is_point and found.channels == found.x.shape[3]
    return outputs == 1 and whole and dense and found.channels > 1
