"""What the search decides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from lowtide.errors import UsageError

Objective = Literal["untiled"]
OBJECTIVES: tuple[Objective, ...] = get_args(Objective)


@dataclass(frozen=True)
class Plan:
    """A network's plan, complete: its transform script follows from it alone.

    Attributes:
        objective: what was asked for; `untiled` leaves every layer whole.
        strategy: which of `lowtide.alloc.STRATEGIES` places the buffers.
        copied: the parts of concats that get a buffer of their own and are copied, by their numbers in the graph; the
            others are written into their place.
        order: the layers in the order in which they run, numbered from 1 in the model's; empty for the model's own.
    """

    objective: Objective
    strategy: str = "auto"
    order: tuple[int, ...] = ()
    copied: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        check_objective(self.objective)


def check_objective(objective: str) -> None:
    """Raises UsageError for the name of no objective."""
    if objective not in OBJECTIVES:
        raise UsageError("plan", f"unknown objective '{objective}'", remedy=f"choose one of {', '.join(OBJECTIVES)}")
