"""Caches between a core and its flash: what fetches and loads wait for, in the order in which they came."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lowtide.compiled import compiled

LINE_BITS = 4
"""A line has 16 bytes, as flash is read 128 bits at a time."""


def stall_cycles(
    starts: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    elapsed: npt.NDArray[np.float64] | None,
    *,
    cache_bytes: int,
    wait_states: int,
) -> int:
    """Cycles that a core waits for lines that its cache does not hold.

    The cache is fully associative and drops the line that was not used for longest; it is empty in the beginning. The
    line that was used last is at hand also where there is no cache.

    Args:
        starts, ends: int64[n], the stretches of bytes that are read, by offset, one after the other.
        elapsed: where the line behind the one being read is fetched ahead, float64[halfwords + 1], the cycles of all
            code before each halfword, executed once: what was spent on a line is not waited for the next. None where
            nothing is fetched ahead.
        cache_bytes: how much the cache holds.
        wait_states: what a line takes that it does not hold.
    """
    lines = int(ends.max(initial=0) >> LINE_BITS) + 2
    times = np.zeros(1) if elapsed is None else elapsed
    slots = cache_bytes >> LINE_BITS
    return round(_stall(starts, ends, times, slots, wait_states, elapsed is not None, lines))


@compiled
def _stall(
    starts: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    elapsed: npt.NDArray[np.float64],
    slots: int,
    wait_states: int,
    ahead: bool,
    lines: int,
) -> float:
    # of each line its slot and of each slot its line, or -1; and when each slot was used last
    slot_of = np.full(lines, -1, np.int64)
    line_of = np.full(max(slots, 1), -1, np.int64)
    used = np.zeros(max(slots, 1), np.int64)
    now, current = 0, -2
    waited, spent = 0.0, 0.0
    for index in range(len(starts)):
        at, end = starts[index], ends[index]
        while at < end:
            line = at >> 4
            stop = min(end, (line + 1) << 4)
            if line != current:
                now += 1
                slot = slot_of[line]
                if slot < 0:
                    if ahead and line == current + 1:
                        # a line takes a cycle, and the wait states
                        waited += max(0.0, wait_states + 1.0 - spent)
                    else:
                        waited += wait_states
                    if slots > 0:
                        slot = np.argmin(used)
                        if line_of[slot] >= 0:
                            slot_of[line_of[slot]] = -1
                        line_of[slot] = line
                        slot_of[line] = slot
                if slots > 0:
                    used[slot] = now
                current = line
                spent = 0.0
            if ahead:
                spent += float(elapsed[stop >> 1] - elapsed[at >> 1])
            at = stop
    return waited
