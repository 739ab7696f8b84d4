"""The plan that leaves layers whole: their order is all there is to decide."""

from __future__ import annotations

from lowtide.alloc import solve
from lowtide.graph.graph import Graph
from lowtide.plan.memory import problem_of
from lowtide.plan.plan import Plan
from lowtide.plan.schedule import schedule


def plan_untiled(graph: Graph, alignment: int, *, keep_input: bool = False) -> Plan:
    """The model's own order, or a better one where the allocator makes a smaller arena of it.

    Args:
        graph: in the model's order.
        alignment: least alignment of a buffer, in bytes.
        keep_input: inputs stay intact up to the end.
    """
    found = schedule(graph, keep_input=keep_input).order
    if found == tuple(range(1, len(graph.layers) + 1)):
        return Plan("untiled")
    before, after = (
        solve(problem_of(g, alignment, keep_input=keep_input)).arena_bytes for g in (graph, graph.reordered(found))
    )
    return Plan("untiled", order=found if after < before else ())
