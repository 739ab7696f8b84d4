"""What the chosen alternatives forbid, as the solvers look at it: buffer by buffer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from lowtide.alloc.problem import Problem


@dataclass(frozen=True)
class Conflicts:
    """What stands in the way of one buffer: its offset is outside (offset(others) + lows, … + highs).

    Attributes:
        others, lows, highs: int64[n], by conflict.
    """

    others: NDArray[np.int64]
    lows: NDArray[np.int64]
    highs: NDArray[np.int64]

    @cached_property
    def rows(self) -> list[tuple[int, int, int]]:
        """Other buffer, low and high of each."""
        return list(zip(self.others.tolist(), self.lows.tolist(), self.highs.tolist(), strict=True))


def named_conflicts(problem: Problem, choices: Sequence[int]) -> dict[int, Conflicts]:
    """The chosen alternatives' intervals by buffer, each seen from both sides."""
    rows: dict[int, list[tuple[int, int, int]]] = {}
    for choice, picked in zip(problem.choices, choices, strict=True):
        for item in choice.alternatives[picked]:
            a, b = problem.index(item.a), problem.index(item.b)
            rows.setdefault(b, []).append((a, item.low, item.high))
            rows.setdefault(a, []).append((b, -item.high, -item.low))
    table = {index: np.array(row, dtype=np.int64) for index, row in rows.items()}
    return {index: Conflicts(row[:, 0], row[:, 1], row[:, 2]) for index, row in table.items()}
