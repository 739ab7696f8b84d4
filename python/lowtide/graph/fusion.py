"""A fused loop as plain data: what `lowtide.fused` says, and what the planner looks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lowtide.graph.program import Direction

Axis = Literal["rows", "channels"]


@dataclass(frozen=True)
class Fusion:
    """Layers `first` to `last` (both included, numbered from 1 in the plan's order) become one loop by rows.

    Attributes:
        rows: how many rows an iteration, of the layer that has the most to make.
        columns: how many columns of those rows at a time, 0 for whole rows; then `rows` is 1.
        axis: rows, or channels; then `rows` is how many channels an iteration.
        direction: from the first row to the last, or from the last to the first.
        recompute: positions in the chain, from 1, of layers whose rows are recomputed for their one reader.
    """

    first: int
    last: int
    rows: int = 1
    columns: int = 0
    direction: Direction = "forwards"
    axis: Axis = "rows"
    recompute: tuple[int, ...] = ()
