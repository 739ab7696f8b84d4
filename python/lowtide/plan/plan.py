"""What the search decides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from lowtide.errors import UsageError
from lowtide.graph.fusion import Fusion
from lowtide.plan.watch import Ending

Objective = Literal["free", "fit", "ram", "untiled"]
OBJECTIVES: tuple[Objective, ...] = get_args(Objective)
DEFAULT_OBJECTIVE: Objective = "free"


@dataclass(frozen=True)
class Plan:
    """A network's plan, complete: its transform script follows from it alone.

    Attributes:
        objective: what was asked for; `untiled` leaves every layer whole, `free` computes no element twice,
            goes by whole rows, and takes 5 % (or 20,000) more cycles at most (instructions where a core's cycles are
            unknown); `ram` looks for the least bytes, `fit` for the least cost within the RAM there is.
        strategy: which of `lowtide.alloc.STRATEGIES` places the buffers.
        overlap: buffers may overlap where a layer no longer reads what it writes over; else live ones share no byte.
        budget: bytes of arena that it must fit in, 0 for no such bound.
        copied: the parts of concats that get a buffer of their own and are copied, by their numbers in the graph; the
            others are written into their place.
        order: the layers in the order in which they run, numbered from 1 in the model's; empty for the model's own.
        fusions: in the order of their layers, of which no two share one.
        kernels: layers, numbered from 1 in the plan's order, that a named kernel computes; others choose themselves.
        arena_bytes: what the plan's model of memory says that the arena will be.
        streamed: the inputs, numbered from 0, that arrive row by row.
        search: how the search for the loops ended; one that did not come to its end may have missed a better plan.
    """

    objective: Objective
    strategy: str = "auto"
    order: tuple[int, ...] = ()
    fusions: tuple[Fusion, ...] = ()
    arena_bytes: int | None = None
    copied: tuple[int, ...] = ()
    overlap: bool = True
    budget: int = 0
    kernels: tuple[tuple[str, tuple[int, ...]], ...] = ()
    search: Ending = "complete"
    streamed: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        check_objective(self.objective)


def check_objective(objective: str) -> None:
    """Raises UsageError for the name of no objective."""
    if objective not in OBJECTIVES:
        raise UsageError("plan", f"unknown objective '{objective}'", remedy=f"choose one of {', '.join(OBJECTIVES)}")
