"""A network as the allocator's problem sees it: buffers, calls and loops of calls; plain data.

The planner makes a `Program` of a graph and a plan, bufferisation makes one of the IR. The problem follows from the
program alone, so a plan's predicted arena is the arena of the bufferised module.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

from lowtide.dtypes import DType

Direction = Literal["forwards", "backwards"]
"""The direction of a loop: from the first row and column to the last, or from the last to the first."""
DIRECTIONS: tuple[Direction, Direction] = get_args(Direction)
"""The position is the number of the alternative in a layer's `lowtide.alloc.Choice`."""


@dataclass(frozen=True)
class Window:
    """Which rows of an input row y of the output needs: rows stride·y + first to stride·y + last, as far as there are.

    Attributes:
        stride: input rows from one output row to the next; 0 where every output row needs the same rows.
        first, last: for output row 0, both included; may lie outside the input (padding).
    """

    stride: int
    first: int
    last: int


def hull(windows: Sequence[Window | None]) -> Window | None:
    """What covers several windows of one tensor; None where one is unknown or they go at different paces."""
    known = [window for window in windows if window is not None]
    if len(known) < len(windows) or len({window.stride for window in known}) != 1:
        return None
    return Window(known[0].stride, min(w.first for w in known), max(w.last for w in known))


def mirrored(window: Window | None, inputs: int, outputs: int) -> Window | None:
    """The window with the rows of input and output counted from the end, for extents of so many rows."""
    if window is None:
        return None
    last = inputs - 1 - (outputs - 1) * window.stride
    return Window(window.stride, last - window.last, last - window.first)


Windows = tuple[tuple[int, Window | None], ...] | None
"""A window for each tensor that a layer reads: None for any row, or in place of all where rows mean nothing."""


@dataclass(frozen=True)
class RowAccess:
    """How a layer can go by rows.

    Attributes:
        windows: of each tensor that it reads, None for one of which it may read any row; None where it can't make its
            output by rows.
        accumulates: the tensor whose rows it can take a few at a time, or None.
        columns: as `windows`, of the dimension after the rows; None where the output has none.
        by_columns: it can take a few columns of a row of `accumulates` at a time.
    """

    windows: Windows = None
    accumulates: int | None = None
    columns: Windows = None
    by_columns: bool = False


@dataclass(frozen=True)
class Read:
    """A buffer that a call reads.

    Attributes:
        buffer: position in `Program.buffers`.
        window: which rows, in a loop by rows; None where any row may be read.
        columns: which columns, in a loop by rows and columns.
        overlap: D and D' in bytes of the whole layer (see `lowtide.graph.profile`), None where it was not asked.
        tensor: of the graph, whose rows those are; -1 for an accumulator.
        row_overlap: D of one row of the output and the one row that it needs of this buffer, which holds no other; None
            where that is not so, or was not asked.
    """

    buffer: int
    window: Window | None = None
    overlap: tuple[int, int] | None = None
    columns: Window | None = None
    tensor: int = -1
    row_overlap: int | None = None


@dataclass(frozen=True)
class Call:
    """One layer, or a part of one: it reads buffers and writes one.

    Attributes:
        name: the model's name of what it computes.
        reads: one for each buffer.
        writes: position in `Program.buffers`.
        accumulates: in a loop the rows that it goes by are those of its input, and what it writes is there before.
        layer: number of the layer, from 1.
        macs: multiply-accumulates in one inference, recomputation included.
        stored_bytes: what one run stores, each byte once; of a call that goes by rows of its output, what it stores of
            one pixel (a row at one column).
        workspaces: positions of the buffers in which it keeps what nobody else reads.
        part: of a layer that a loop sums up: "start" fills its accumulator, "finish" computes the output from it.
            "state" copies what the layer has made to where it is found in the next run.
    """

    name: str
    reads: tuple[Read, ...]
    writes: int
    accumulates: bool = False
    layer: int = 0
    macs: int = 0
    stored_bytes: int = 0
    part: Literal["", "start", "finish", "state"] = ""
    workspaces: tuple[int, ...] = ()


class Run(NamedTuple):
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
        columns: for each call the columns [begin, end) that it goes through in each turn of the loop inside, in which
            all calls of one iteration run a part of their rows in turn; None without such a loop.
        backwards: rows and columns, and the windows of reads, are counted from the end.
        by_channels: the runs go through channels, which lie in every row: no byte of a tensor is done before the last.
    """

    first: int
    last: int
    runs: tuple[Run, ...]
    columns: tuple[tuple[tuple[int, int], ...], ...] | None = None
    backwards: bool = False
    by_channels: bool = False


@dataclass(frozen=True)
class ProgramBuffer:
    """A buffer.

    Attributes:
        name: unique; the model's of the tensor, with a number where several buffers are of one.
        rows, row_bytes: rows that it holds at a time, and their size; row y lies at y modulo `rows`.
        alignment: in bytes.
        temporary: it holds nothing from one iteration of its loop to the next.
        columns: of a row; 1 where the rows have no such dimension.
        capacity: of a ring of pixels: so many of them, pixel p = row * columns + column at p modulo `capacity`; `rows`
            then are the tensor's. None for a ring of rows, or all of the tensor.
        shift: of a ring that fills from its end: pixel p lies at p + shift, modulo.
        block: columns of a block of rows and columns that is recomputed each time, where row and column are each taken
            modulo the block's; 0 for a ring.
        shape, dtype: of what it holds at a time, as the code sees it.
        innermost: channels of the tensor.
    """

    name: str
    rows: int
    row_bytes: int
    alignment: int
    temporary: bool = False
    columns: int = 1
    capacity: int | None = None
    shift: int = 0
    block: int = 0
    shape: tuple[int, ...] = ()
    dtype: DType = "int8"
    innermost: int = 1

    @property
    def pixel_bytes(self) -> int:
        """Size of one row at one column, in bytes."""
        return self.row_bytes // self.columns

    @property
    def pixels(self) -> int:
        """Pixels that it holds at a time."""
        return self.rows * self.columns if self.capacity is None else self.capacity

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return self.pixels * self.pixel_bytes


@dataclass(frozen=True)
class Program:
    """Buffers, and the calls in the order of the code; call k is step k + 1, as in `Graph`.

    Attributes:
        inputs, outputs: positions of the network's own tensors.
        kept: buffers that stay intact to the end though nobody reads them again.
        states: buffers that live for ever, from one run to the next.
        mark: the buffer of the word that says that they hold something; None where there are none.
        sources: the calls whose rows arrive from outside, in the order of the code.
        position: the buffer that says how far a run has got; None where no rows arrive.
    """

    buffers: tuple[ProgramBuffer, ...]
    calls: tuple[Call, ...]
    loops: tuple[Loop, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    kept: tuple[int, ...] = ()
    states: tuple[int, ...] = ()
    mark: int | None = None
    sources: tuple[int, ...] = ()
    position: int | None = None

    def loop_of(self, call: int) -> Loop | None:
        """The loop that a call is in."""
        return next((loop for loop in self.loops if loop.first <= call <= loop.last), None)

    def lives(self) -> list[tuple[int, int]]:
        """The first and the last step of each buffer; what outlives an iteration lives through its whole loop."""
        steps: list[list[int]] = [[] for _ in self.buffers]
        for buffer in self.inputs:
            steps[buffer].append(0)
        for buffer in (*self.states, *(b for b in (self.mark, self.position) if b is not None)):
            steps[buffer].extend((0, len(self.calls) + 1))
        for buffer in (*self.outputs, *self.kept):
            steps[buffer].append(len(self.calls) + 1)
        for number, call in enumerate(self.calls):
            loop = self.loop_of(number)
            for buffer in used_by(call):
                whole = loop is not None and not self.buffers[buffer].temporary
                steps[buffer].extend((loop.first + 1, loop.last + 1) if loop is not None and whole else (number + 1,))
        return [(min(of_one), max(of_one)) for of_one in steps]


def used_by(call: Call) -> Iterator[int]:
    """The buffers of a call, what it writes last."""
    yield from (read.buffer for read in call.reads)
    yield from call.workspaces
    yield call.writes
