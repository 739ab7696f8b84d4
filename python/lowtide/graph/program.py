"""A network as the allocator's problem sees it: buffers, calls and loops of calls; plain data.

The planner makes a `Program` of a graph and a plan, bufferisation makes one of the IR. The problem follows from the
program alone, so a plan's predicted arena is the arena of the bufferised module.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Window:
    """Which rows of an input one row of the output needs: rows stride·y + first to stride·y + last, as far as there are.

    Attributes:
        stride: input rows from one output row to the next; 0 where every output row needs the same rows.
        first, last: for output row 0, both included; may lie outside the input (padding).
    """

    stride: int
    first: int
    last: int


@dataclass(frozen=True)
class RowAccess:
    """How a layer can go by rows.

    Attributes:
        windows: of each tensor that it reads, None for one of which it may read any row; None where it can't make its
            output by rows.
        accumulates: the tensor whose rows it can take a few at a time, or None.
    """

    windows: tuple[tuple[int, Window | None], ...] | None = None
    accumulates: int | None = None


@dataclass(frozen=True)
class Read:
    """A buffer that a call reads.

    Attributes:
        buffer: position in `Program.buffers`.
        window: which rows, in a loop by rows; None where any row may be read.
        overlap: D and D' in bytes of the whole layer (see `lowtide.graph.profile`), None where it was not asked.
    """

    buffer: int
    window: Window | None = None
    overlap: tuple[int, int] | None = None


@dataclass(frozen=True)
class Call:
    """One layer, or a part of one: it reads buffers and writes one.

    Attributes:
        name: the model's name of what it computes.
        reads: one for each buffer.
        writes: position in `Program.buffers`.
        accumulates: in a loop the rows that it goes by are those of its input, and what it writes is there before.
    """

    name: str
    reads: tuple[Read, ...]
    writes: int
    accumulates: bool = False


@dataclass(frozen=True)
class Run:
    """One execution of a call inside a loop: rows [begin, end) of its output (of its input where it accumulates)."""

    call: int
    iteration: int
    begin: int
    end: int


@dataclass(frozen=True)
class Loop:
    """Calls `first` to `last` (both included) run again and again, each time by some rows.

    Attributes:
        runs: in the order of execution; runs of no row are left out.
    """

    first: int
    last: int
    runs: tuple[Run, ...]


@dataclass(frozen=True)
class Store:
    """A buffer.

    Attributes:
        name: unique.
        rows, row_bytes: rows that it holds at a time, and their size; row y lies at y modulo `rows`.
        alignment: in bytes.
        temporary: it holds nothing from one iteration of its loop to the next.
    """

    name: str
    rows: int
    row_bytes: int
    alignment: int
    temporary: bool = False

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return self.rows * self.row_bytes


@dataclass(frozen=True)
class Program:
    """Buffers, and the calls in the order of the code; call k is step k + 1, as in `Graph`.

    Attributes:
        inputs, outputs: positions of the network's own tensors.
        kept: buffers that stay intact to the end though nobody reads them again.
    """

    buffers: tuple[Store, ...]
    calls: tuple[Call, ...]
    loops: tuple[Loop, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    kept: tuple[int, ...] = ()

    def loop_of(self, call: int) -> Loop | None:
        """The loop that a call is in."""
        return next((loop for loop in self.loops if loop.first <= call <= loop.last), None)

    def lives(self) -> list[tuple[int, int]]:
        """The first and the last step of each buffer; what outlives an iteration lives through its whole loop."""
        steps: list[list[int]] = [[] for _ in self.buffers]
        for buffer in self.inputs:
            steps[buffer].append(0)
        for buffer in (*self.outputs, *self.kept):
            steps[buffer].append(len(self.calls) + 1)
        for number, call in enumerate(self.calls):
            loop = self.loop_of(number)
            for buffer in used_by(call):
                whole = loop is not None and not self.buffers[buffer].temporary
                steps[buffer].extend((loop.first + 1, loop.last + 1) if loop is not None and whole else (number + 1,))
        return [(min(of_one), max(of_one)) for of_one in steps]

    def rows_run(self, call: int) -> int:
        """Rows that a call goes through in all; 0 for a call outside loops."""
        loop = self.loop_of(call)
        return 0 if loop is None else sum(run.end - run.begin for run in loop.runs if run.call == call)


def used_by(call: Call) -> Iterator[int]:
    """The buffers of a call, what it writes last."""
    yield from (read.buffer for read in call.reads)
    yield call.writes


def readers(calls: Sequence[Call], loop: Loop, buffer: int) -> list[int]:
    """The calls of a loop that read the buffer."""
    inside = range(loop.first, loop.last + 1)
    return [k for k in inside if any(read.buffer == buffer for read in calls[k].reads)]
