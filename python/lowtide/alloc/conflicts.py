"""What the chosen alternatives forbid, as the solvers look at it: buffer by buffer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lowtide.alloc.problem import Forbidden, Problem


@dataclass(frozen=True)
class Named:
    """What the chosen alternatives say of one buffer: its offset is outside (offset(others) + lows, … + highs)."""

    others: NDArray[np.int64]
    lows: NDArray[np.int64]
    highs: NDArray[np.int64]


def chosen_intervals(problem: Problem, choices: Sequence[int]) -> list[Forbidden]:
    """The intervals of the chosen alternatives, by index."""
    return [
        Forbidden(problem.index(item.a), problem.index(item.b), item.low, item.high)
        for choice, picked in zip(problem.choices, choices, strict=True)
        for item in choice.alternatives[picked]
    ]


def named_conflicts(problem: Problem, choices: Sequence[int]) -> dict[int, Named]:
    """The chosen alternatives' intervals by buffer, each seen from both sides."""
    rows: dict[int, list[tuple[int, int, int]]] = {}
    for item in chosen_intervals(problem, choices):
        a, b = int(item.a), int(item.b)
        rows.setdefault(b, []).append((a, item.low, item.high))
        rows.setdefault(a, []).append((b, -item.high, -item.low))
    table = {index: np.array(row, dtype=np.int64) for index, row in rows.items()}
    return {index: Named(row[:, 0], row[:, 1], row[:, 2]) for index, row in table.items()}
