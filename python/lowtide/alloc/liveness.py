"""Who is live when: the sums over the steps, and the pairs live together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lowtide.alloc.problem import Buffer


@dataclass(frozen=True)
class Live:
    """Pairs of buffers that are live together, each pair seen from both sides, sorted by buffer.

    `others[starts[i]:starts[i + 1]]` are the buffers live together with buffer i.
    """

    starts: NDArray[np.int64]
    others: NDArray[np.int64]

    def beside(self, index: int) -> NDArray[np.int64]:
        """The buffers live together with this one."""
        return self.others[self.starts[index] : self.starts[index + 1]]

    @property
    def pairs(self) -> int:
        """Number of pairs."""
        return len(self.others) // 2


def live_sums(buffers: Sequence[Buffer], weights: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The steps at which a buffer becomes live, rising, and the sum of the weights live at each of them."""
    firsts = np.array([buffer.first for buffer in buffers], dtype=np.int64)
    lasts = np.array([buffer.last for buffer in buffers], dtype=np.int64)
    weight = np.array(weights, dtype=np.int64)
    zero = np.zeros(1, dtype=np.int64)
    begun = np.concatenate([zero, np.cumsum(weight[np.argsort(firsts)])])
    ended = np.concatenate([zero, np.cumsum(weight[np.argsort(lasts)])])
    steps = np.unique(firsts)
    sums = begun[np.searchsorted(np.sort(firsts), steps, side="right")]
    return steps, sums - ended[np.searchsorted(np.sort(lasts), steps, side="left")]


def live_bound(buffers: Sequence[Buffer]) -> int:
    """The largest sum of sizes live at one step, in bytes: the bound without overlap, alignment aside."""
    return int(live_sums(buffers, [buffer.size for buffer in buffers])[1].max(initial=0))


def live_pairs(buffers: Sequence[Buffer]) -> Live:
    """All pairs live together, by one sweep over the steps: O(n log n + pairs)."""
    left: list[int] = []
    right: list[int] = []
    active: list[int] = []
    for index in sorted(range(len(buffers)), key=lambda index: buffers[index].first):
        active = [other for other in active if buffers[other].last >= buffers[index].first]
        left.extend([index] * len(active))
        right.extend(active)
        active.append(index)
    ones, twos = np.array(left, dtype=np.int64), np.array(right, dtype=np.int64)
    owner, other = np.concatenate([ones, twos]), np.concatenate([twos, ones])
    counts = np.bincount(owner, minlength=len(buffers))
    starts = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(counts, dtype=np.int64)])
    return Live(starts, other[np.argsort(owner, kind="stable")])
