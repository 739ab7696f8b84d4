"""Orders in which first-fit places buffers, by name: the ones that do well on networks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lowtide.alloc.liveness import Live, live_sums
from lowtide.alloc.problem import Buffer, Problem

Order = Callable[[Problem, Live], list[int]]


def _sorted_by(key: Callable[[Buffer, int], tuple[int, ...]]) -> Order:
    """The buffers by a key of each and of the number of buffers live together with it; of equals the first one."""

    def order(problem: Problem, live: Live) -> list[int]:
        keys = [(*key(buffer, len(live.beside(index))), index) for index, buffer in enumerate(problem.buffers)]
        return sorted(range(len(keys)), key=keys.__getitem__)

    return order


def _by_pressure(problem: Problem, _: Live) -> list[int]:
    """Buffers of the step with the largest live sum first; within it, the longest-lived first."""
    steps, sums = live_sums(problem.buffers, [buffer.size for buffer in problem.buffers])
    keys = [
        (
            -int(sums[np.searchsorted(steps, buffer.first) : np.searchsorted(steps, buffer.last, side="right")].max()),
            buffer.first - buffer.last,
            -buffer.size,
            index,
        )
        for index, buffer in enumerate(problem.buffers)
    ]
    return sorted(range(len(keys)), key=keys.__getitem__)


ORDERS: dict[str, Order] = {
    "size": _sorted_by(lambda buffer, _: (-buffer.size, buffer.first)),
    "area": _sorted_by(lambda buffer, _: (-buffer.size * (buffer.last - buffer.first + 1),)),
    "pressure": _by_pressure,
    "lifetime": _sorted_by(lambda buffer, _: (buffer.first - buffer.last, -buffer.size)),
    "first use": _sorted_by(lambda buffer, _: (buffer.first, -buffer.size)),
    "last use": _sorted_by(lambda buffer, _: (-buffer.last, -buffer.size)),
    "degree": _sorted_by(lambda buffer, degree: (-degree, -buffer.size)),
}
