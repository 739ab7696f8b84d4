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
    """

    objective: Objective
    strategy: str = "auto"

    def __post_init__(self) -> None:
        if self.objective not in OBJECTIVES:
            raise UsageError(
                "plan", f"unknown objective '{self.objective}'", remedy=f"choose one of {', '.join(OBJECTIVES)}"
            )
