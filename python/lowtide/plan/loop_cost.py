"""What a loop costs more than its layers cost whole, and how much of that a plan may pay for fewer bytes."""

from __future__ import annotations

import math
from collections.abc import Callable

from lowtide.cost.model import CostModel
from lowtide.graph.fusion import Fusion
from lowtide.graph.graph import Graph
from lowtide.plan.executed import executed_counts, loop_executed_counts

LoopCost = Callable[[Graph, Fusion], int]
"""The cost of a loop over all layers of a graph; more than 0."""
Allowance = Callable[[Graph], float]
"""What all loops of a graph's plan together may cost, by the loop cost that goes with it."""
MOST_PAID = 0.05
"""The share of the untiled network's time (see `Cost.time`) that objective `free` pays at most for fewer bytes."""
LITTLE_TIME = 20_000
"""What `free` may always pay: a fifth of a millisecond at 100 MHz, where a cycle is an instruction.

Of a network that runs in less than a few milliseconds 5 % is a hundred or a thousand cycles, which no loop costs less
than; nobody would trade half of such a network's RAM for them.
"""


def by_macs(graph: Graph, fusion: Fusion) -> int:
    """The loop's MACs, doubled where it does not go by whole rows: a measure that needs no core."""
    plain = fusion.axis == "rows" and not fusion.columns and not fusion.recompute
    return sum(1 + layer.macs for layer in graph.layers) * (1 if plain else 2)


def by_time(model: CostModel) -> LoopCost:
    """The cycles that a core is predicted to take more, or the instructions where its cycles are not known."""

    def loop_cost(graph: Graph, fusion: Fusion) -> int:
        loop, whole = model.total(loop_executed_counts(graph, fusion)), model.total(executed_counts(graph))
        # what differs less than the model errs is still a loop more
        return max(1, round(loop.time - whole.time))

    return loop_cost


def any_cost(graph: Graph) -> float:
    """The allowance of plans that take the least bytes, whatever they cost."""
    del graph
    return math.inf


def part_of_time(model: CostModel, counts: float = MOST_PAID, least: int = LITTLE_TIME) -> Allowance:
    """The allowance that goes with `by_time`: a share of what the layers take whole, or `least` if more."""
    return lambda graph: max(least, counts * model.total(executed_counts(graph)).time)
