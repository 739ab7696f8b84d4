"""Where a run has got to whose rows arrive from outside, as code: the words of `lowtide.streaming` in the arena."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from lowtide import streaming
from lowtide.graph.row_ranges import RowRange
from lowtide.ir import IndexType, InsertionPoint, IntegerType, Value, arith, memref, scf
from lowtide.kernels.values import index_constant, word


class Position:
    """The words of one network.

    Args:
        view: of the words, a memref of i32.
    """

    def __init__(self, view: Value) -> None:
        self._view = view

    @contextmanager
    def in_phase(self, phase: int) -> Generator[None]:
        """Code, made inside the `with`, that runs in that phase alone."""
        now = memref.load(self._view, [index_constant(streaming.PHASE)])
        here = arith.cmpi(arith.CmpIPredicate.eq, now, word(streaming.MARK + phase))
        with when(here):
            yield

    def enter(self, phase: int) -> None:
        """Go on to a phase."""
        memref.store(word(streaming.MARK + phase), self._view, [index_constant(streaming.PHASE)])

    def load(self, number: int) -> Value:
        """A word, as an index."""
        return arith.index_cast(IndexType.get(), memref.load(self._view, [index_constant(number)]))

    def store(self, number: int, value: Value) -> None:
        """Set a word to an index."""
        memref.store(arith.index_cast(IntegerType.get_signless(32), value), self._view, [index_constant(number)])


@contextmanager
def when(condition: Value) -> Generator[None]:
    """Code, made inside the `with`, that runs where the condition holds."""
    branch = scf.IfOp(condition)
    with InsertionPoint(branch.then_block):
        yield
        scf.YieldOp([])


def iterations_with(rows: RowRange, arrived: Value, stop: int) -> Value:
    """The end of the iterations of a loop for which the rows of a source that have arrived are enough, as code.

    Args:
        rows: of the source.
        arrived: how many of them there are.
        stop: the end of all iterations.
    """
    # Iteration i needs ⌊(slope·i + offset) / divisor⌋ rows, so the last one that can run has
    # slope·i + offset ≤ (arrived + 1)·divisor - 1; once all rows are there nothing holds the others up.
    room = arith.muli(arith.addi(arrived, index_constant(1)), index_constant(rows.divisor))
    room = arith.subi(room, index_constant(1 + rows.offset))
    last = room if rows.slope == 1 else arith.floordivsi(room, index_constant(rows.slope))
    end = arith.minsi(arith.addi(last, index_constant(1)), index_constant(stop))
    complete = arith.cmpi(arith.CmpIPredicate.sge, arrived, index_constant(rows.rows))
    return arith.select(complete, index_constant(stop), end)
