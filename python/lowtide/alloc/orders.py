"""Orders in which first-fit places buffers, by name: the ones that do well on networks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lowtide.alloc.liveness import Live, live_sums
from lowtide.alloc.problem import Problem

Order = Callable[[Problem, Live], list[int]]


def _sorted_by(key: Callable[[Problem, Live, int], tuple[int, ...]]) -> Order:
    def order(problem: Problem, live: Live) -> list[int]:
        return sorted(range(len(problem.buffers)), key=lambda index: (*key(problem, live, index), index))

    return order


def _by_size(problem: Problem, _: Live, index: int) -> tuple[int, ...]:
    return (-problem.buffers[index].size, problem.buffers[index].first)


def _by_area(problem: Problem, _: Live, index: int) -> tuple[int, ...]:
    buffer = problem.buffers[index]
    return (-buffer.size * (buffer.last - buffer.first + 1),)


def _by_lifetime(problem: Problem, _: Live, index: int) -> tuple[int, ...]:
    buffer = problem.buffers[index]
    return (buffer.first - buffer.last, -buffer.size)


def _by_first_use(problem: Problem, _: Live, index: int) -> tuple[int, ...]:
    return (problem.buffers[index].first, -problem.buffers[index].size)


def _by_last_use(problem: Problem, _: Live, index: int) -> tuple[int, ...]:
    return (-problem.buffers[index].last, -problem.buffers[index].size)


def _by_degree(problem: Problem, live: Live, index: int) -> tuple[int, ...]:
    return (-len(live.beside(index)), -problem.buffers[index].size)


def _by_pressure(problem: Problem, live: Live) -> list[int]:
    """Buffers of the step with the largest live sum first; within it, the longest-lived first."""
    steps, sums = live_sums(problem.buffers, [buffer.size for buffer in problem.buffers])
    pressure = [
        int(sums[np.searchsorted(steps, buffer.first) : np.searchsorted(steps, buffer.last, side="right")].max())
        for buffer in problem.buffers
    ]
    return _sorted_by(lambda problem, live, index: (-pressure[index], *_by_lifetime(problem, live, index)))(
        problem, live
    )


ORDERS: dict[str, Order] = {
    "size": _sorted_by(_by_size),
    "area": _sorted_by(_by_area),
    "pressure": _by_pressure,
    "lifetime": _sorted_by(_by_lifetime),
    "first use": _sorted_by(_by_first_use),
    "last use": _sorted_by(_by_last_use),
    "degree": _sorted_by(_by_degree),
}
