"""A complete search for offsets within a capacity, of buffers that are disjoint while live together.

Every feasible allocation can be pushed down until each buffer rests on another one or on the ground, so the search
looks only for those. It builds them bottom-up. At a node, `ground[i]` is the lowest offset that the buffers already
placed leave to buffer i, and the node splits in two: buffer i rests at `ground[i]`, or it is *lifted*, that is, some
buffer not yet placed comes beneath it. Buffer i must be one that nothing unplaced fits beneath; then no allocation is
met twice, and i is otherwise free to choose: it is taken where the memory is scarce, and low.

What prunes, at every node:
- `least[i]`, a lower bound of the offset: `ground[i]`, or for a lifted buffer the lowest top that can lift it;
- for every *section* (steps between which no buffer begins or ends), the buffers still to be placed there, stacked in
  the order of their `least`, must stay within the capacity; a section that does not is blamed, and taken sooner;
- buffers that no longer share a step with each other are searched apart (*components*): one that fails fails them all;
- of buffers with the same steps, size and alignment, all are lifted with the first.

The ideas of canonical allocations, inference on sections and decomposition are those of Moffitt, "MiniMalloc" (ASPLOS
2023); placing or lifting instead of a global order of offsets is "schedule or postpone" of Le Pape et al. (1994).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lowtide.alloc.search.board import Board, BufferState
from lowtide.compiled import compiled

SOLVED = 0
INFEASIBLE = 1
ABORTED = 2

_NOWHERE = -1
_NEVER = 1 << 60


@compiled
def _above(buffer: BufferState, top: int) -> int:
    """The lowest offset for the buffer at or above the top."""
    return (top + buffer.alignment - 1) // buffer.alignment * buffer.alignment


@compiled
def _lifted_by(buffer: BufferState, support: BufferState) -> int:
    """The lowest offset of a lifted buffer on top of that neighbour."""
    return max(buffer.ground + buffer.alignment, _above(buffer, support.least + support.size))


@compiled
def _lowest_support(board: Board, index: int, lifted: bool) -> int:
    """The neighbour with the lowest top (by `least`) among the unplaced ones, of those not lifted or of all; or -1."""
    found = _NOWHERE
    lowest = _NEVER
    for at in range(board.buffers[index].beside_begin, board.buffers[index].beside_end):
        other = board.buffers[board.beside[at]]
        if other.offset < 0 and (lifted or other.lifted == 0) and other.least + other.size < lowest:
            lowest = other.least + other.size
            found = board.beside[at]
    return found


@compiled
def _bound_buffers(board: Board, begin: int, end: int) -> bool:
    """Fill in `least` of the component; False where nothing can lift a lifted buffer.

    As in Dijkstra's algorithm, the lifted buffer with the lowest bound is final, and may lift the others.
    """
    buffers, queue = board.buffers, board.scratch
    waiting = 0
    for at in range(begin, end):
        buffer = buffers[board.members[at]]
        buffer.least = buffer.ground
        if buffer.lifted:
            queue[waiting] = board.members[at]
            waiting += 1
    # First what buffers that aren't lifted can lift: their bounds are final.
    for at in range(waiting):
        support = _lowest_support(board, queue[at], False)
        buffer = buffers[queue[at]]
        buffer.least = _lifted_by(buffer, buffers[support]) if support >= 0 else _NEVER
    while waiting > 0:
        lowest = 0
        for at in range(1, waiting):
            if buffers[queue[at]].least < buffers[queue[lowest]].least:
                lowest = at
        final = buffers[queue[lowest]]
        if final.least >= _NEVER:
            return False
        # out of the queue: its place goes to the last one
        waiting -= 1
        queue[lowest] = queue[waiting]
        for at in range(waiting):
            buffer = buffers[queue[at]]
            if buffer.first < final.behind and final.first < buffer.behind:
                buffer.least = min(buffer.least, _lifted_by(buffer, final))
    return True


@compiled
def _sort_by_least(board: Board, begin: int, end: int) -> None:
    """Insertion sort: from node to node the order changes little."""
    for at in range(begin + 1, end):
        index = board.members[at]
        key = board.buffers[index].least
        to = at
        while to > begin and board.buffers[board.members[to - 1]].least > key:
            board.members[to] = board.members[to - 1]
            to -= 1
        board.members[to] = index


@compiled
def _span(board: Board, begin: int, end: int) -> tuple[int, int]:
    """The sections of a component, half-open."""
    low, high = board.buffers[board.members[begin]].first, 0
    for at in range(begin, end):
        low = min(low, board.buffers[board.members[at]].first)
        high = max(high, board.buffers[board.members[at]].behind)
    return low, high


@compiled
def _fits(board: Board, begin: int, end: int, capacity: int) -> bool:
    """Bound the component's buffers and sections; False where it can't stay within the capacity."""
    if not _bound_buffers(board, begin, end):
        return False
    _sort_by_least(board, begin, end)
    low, high = _span(board, begin, end)
    for at in range(low, high):
        board.sections[at].reach = 0
        board.sections[at].bottom = -1
    for at in range(begin, end):
        buffer = board.buffers[board.members[at]]
        for crossed in range(buffer.first, buffer.behind):
            section = board.sections[crossed]
            if section.bottom < 0:
                section.bottom = buffer.least
            # Stacked in the order of `least`, no buffer can lie lower than this, in whatever order they end up.
            section.reach = max(section.reach, buffer.least) + buffer.size
            if section.reach > capacity:
                section.blame += 1.0
                return False
    return True


@compiled
def _scarcest_section(board: Board, begin: int, end: int, capacity: int, slack_weight: float, blame_power: int) -> int:
    """The section to look at: little to waste in it (less so the more it is blamed), and low."""
    low, high = _span(board, begin, end)
    for at in range(low, high):
        board.sections[at].mark = 0
    for at in range(begin, end):
        buffer = board.buffers[board.members[at]]
        if buffer.lifted == 0:
            for crossed in range(buffer.first, buffer.behind):
                board.sections[crossed].mark = 1
    found = _NOWHERE
    best = 1e300
    for at in range(low, high):
        section = board.sections[at]
        if section.mark:
            slack = slack_weight * (capacity - section.reach)
            if blame_power == 1:
                slack /= np.sqrt(section.blame)
            elif blame_power == 2:
                slack /= section.blame
            if slack + section.bottom < best:
                best = slack + section.bottom
                found = at
    return found


@compiled
def _lowest_in(board: Board, begin: int, end: int, section: int, rank: Sequence[int]) -> int:
    """The lowest buffer of the section that isn't lifted; of several, the first by rank."""
    found = _NOWHERE
    lowest = _NEVER
    for at in range(begin, end):
        index = board.members[at]
        buffer = board.buffers[index]
        better = buffer.ground < lowest or (buffer.ground == lowest and rank[index] < rank[found])
        if better and buffer.lifted == 0 and buffer.first <= section < buffer.behind:
            lowest = buffer.ground
            found = index
    return found


@compiled
def _nothing_beneath(board: Board, index: int) -> int:
    """The buffer, or one lower down that must be decided before it: not lifted, and nothing unplaced fits beneath."""
    while True:
        support = _lowest_support(board, index, True)
        if support < 0:
            return index
        buffer, beneath = board.buffers[index], board.buffers[support]
        if buffer.lifted == 0 and beneath.least + beneath.size > buffer.ground:
            return index
        index = support


@compiled
def _note(board: Board, index: int, ground: int) -> None:
    """Add a row to the trail: what to put back when the search returns here; ground -1 for a placement."""
    row = board.trail[board.counters[1]]
    row[0] = index
    row[1] = ground
    row[2] = board.buffers[index].lifted
    board.counters[1] += 1


@compiled
def _undo(board: Board, mark: int) -> None:
    """Put back all that has changed since the trail had `mark` rows, the last change first."""
    while board.counters[1] > mark:
        board.counters[1] -= 1
        row = board.trail[board.counters[1]]
        buffer = board.buffers[row[0]]
        if row[1] < 0:
            buffer.offset = -1
        else:
            buffer.ground = row[1]
            buffer.lifted = row[2]


@compiled
def _place(board: Board, index: int) -> None:
    """Put the buffer on its ground; its unplaced neighbours go above it."""
    buffer = board.buffers[index]
    buffer.offset = buffer.ground
    _note(board, index, -1)
    for at in range(buffer.beside_begin, buffer.beside_end):
        other = board.buffers[board.beside[at]]
        if other.offset < 0:
            ground = _above(other, buffer.offset + buffer.size)
            if other.ground < ground:
                _note(board, board.beside[at], other.ground)
                other.ground = ground
                other.lifted = 0


@compiled
def _lift(board: Board, index: int) -> None:
    """Something comes beneath the buffer, and beneath those that are like it."""
    buffer = board.buffers[index]
    _note(board, index, buffer.ground)
    buffer.lifted = 1
    for at in range(buffer.beside_begin, buffer.beside_end):
        other = board.buffers[board.beside[at]]
        alike = other.first == buffer.first and other.behind == buffer.behind
        alike = alike and other.size == buffer.size and other.alignment == buffer.alignment
        if alike and other.offset < 0 and other.lifted == 0:
            _note(board, board.beside[at], other.ground)
            other.lifted = 1


@compiled
def _split(board: Board, begin: int, end: int, placed: int) -> None:
    """Move the placed buffer to the end, and sort the others into components from left to right."""
    low, high = _span(board, begin, end)
    sections = board.sections
    for at in range(low, high + 1):
        sections[at].mark = 0
    for at in range(begin, end):
        index = board.members[at]
        board.scratch[at] = index
        if index != placed:
            sections[board.buffers[index].first + 1].mark += 1
            sections[board.buffers[index].behind].mark -= 1
    # `mark` now has, for each section, the buffers that reach into it from the left: begun there less ended there.
    crossing = 0
    parts = 0
    for at in range(low, high):
        crossing += sections[at].mark
        if at > low and crossing == 0:
            parts += 1
        sections[at].mark = parts
    to = begin
    for part in range(parts + 1):
        start = to
        for at in range(begin, end):
            index = board.scratch[at]
            if index != placed and sections[board.buffers[index].first].mark == part:
                board.members[to] = index
                to += 1
        if to > start:
            board.part_end[start] = to
    board.members[end - 1] = placed


@compiled
def search(
    board: Board,
    begin: int,
    end: int,
    capacity: int,
    limit: int,
    rank: Sequence[int],
    slack_weight: float,
    blame_power: int,
) -> int:
    """Place the component `members[begin:end]`, all of it unplaced and on the ground, within the capacity.

    Args:
        board: changed by the search; where solved, `offset` holds the answer.
        begin, end: the component, not empty.
        capacity: bytes.
        limit: nodes after which to give up.
        rank: of buffers that could be tried alike, the lower ranks come first.
        slack_weight, blame_power: which section is looked at first, see `_scarcest_section`.

    Returns:
        SOLVED, INFEASIBLE (proven) or ABORTED.
    """
    # one row for each placement in hand: begin, end, end of the components done, buffer placed, trail before it
    frames = np.zeros((end - begin, 5), dtype=np.int64)
    frames[0, 0], frames[0, 1] = begin, end
    depth = 0
    board.counters[0] = 0
    while True:
        begin, end = frames[depth, 0], frames[depth, 1]
        board.counters[0] += 1
        if board.counters[0] > limit:
            return ABORTED
        if _fits(board, begin, end, capacity):
            section = _scarcest_section(board, begin, end, capacity, slack_weight, blame_power)
            index = _nothing_beneath(board, _lowest_in(board, begin, end, section, rank))
            frames[depth, 2], frames[depth, 3], frames[depth, 4] = begin, index, board.counters[1]
            _place(board, index)
            _split(board, begin, end, index)
            while frames[depth, 2] == frames[depth, 1] - 1:  # all components of the frame are done
                if depth == 0:
                    return SOLVED
                depth -= 1
                frames[depth, 2] = frames[depth + 1, 1]
            following = frames[depth, 2]
            depth += 1
            frames[depth, 0], frames[depth, 1] = following, board.part_end[following]
        else:
            depth -= 1
            if depth < 0:
                return INFEASIBLE
            # Placing the buffer failed, so something comes beneath it: the other half of the node.
            _undo(board, frames[depth, 4])
            _lift(board, frames[depth, 3])
