"""The planners by the name of their objective."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from lowtide.alloc import solve
from lowtide.graph.graph import Graph
from lowtide.plan.fuse import CHANNELS, PIXELS, ROWS, Mode, fused_plan
from lowtide.plan.memory import problem_of
from lowtide.plan.plan import Objective, Plan
from lowtide.plan.untiled import Untiled, plan_untiled

Cut = Callable[[tuple[int, ...]], Graph]
"""The graph in the model's order, with these parts of concats copied."""


class Planner(Protocol):
    """Decides everything for one objective."""

    def __call__(self, cut: Cut, alignment: int, *, keep_input: bool = False) -> Untiled:
        """The plan, and the graph that it is of."""
        ...


def plan_free(cut: Cut, alignment: int, *, keep_input: bool = False) -> Untiled:
    """Least bytes with every element computed once, in whole rows: the untiled plan, with loops where they save bytes.

    Args:
        cut: as for `plan_untiled`.
        alignment: least alignment of a buffer, in bytes.
        keep_input: inputs stay intact up to the end.
    """
    return _fused(cut, alignment, keep_input, "free", (*ROWS, *CHANNELS))


def plan_ram(cut: Cut, alignment: int, *, keep_input: bool = False) -> Untiled:
    """Least bytes: loops may go by columns too, one at a time.

    Args:
        cut, alignment, keep_input: as for `plan_free`.
    """
    return _fused(cut, alignment, keep_input, "ram", (*ROWS, *CHANNELS, *PIXELS))


def _fused(cut: Cut, alignment: int, keep_input: bool, objective: Objective, modes: Sequence[Mode]) -> Untiled:
    whole = plan_untiled(cut, alignment, keep_input=keep_input)
    graph = whole.graph.reordered(whole.plan.order) if whole.plan.order else whole.graph
    fusions = fused_plan(graph, alignment, keep_input=keep_input, modes=modes)
    found = replace(whole.plan, objective=objective, fusions=fusions)
    return replace(whole, plan=_predicted(found, graph, alignment, keep_input))


def _predicted(plan: Plan, graph: Graph, alignment: int, keep_input: bool) -> Plan:
    problem = problem_of(graph, alignment, fusions=plan.fusions, keep_input=keep_input)
    return replace(plan, arena_bytes=solve(problem, plan.strategy).arena_bytes)


PLANNERS: Mapping[Objective, Planner] = {"free": plan_free, "ram": plan_ram, "untiled": plan_untiled}
