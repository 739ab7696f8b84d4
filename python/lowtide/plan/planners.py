"""The planners by the name of their objective."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from lowtide.alloc import solve
from lowtide.errors import UsageError
from lowtide.graph.graph import Graph
from lowtide.graph.stages import UnschedulableError
from lowtide.plan.fuse import fused_front, fused_search
from lowtide.plan.loop_cost import Allowance, LoopCost, any_cost, by_macs
from lowtide.plan.loop_order import loop_order
from lowtide.plan.memory import problem_of
from lowtide.plan.modes import CHANNELS, PATCHES, PIXELS, ROWS, Mode
from lowtide.plan.plan import Objective, Plan
from lowtide.plan.primitives import Chooser, Chosen
from lowtide.plan.untiled import Untiled, plan_untiled
from lowtide.plan.watch import Watch, unwatched

MOST_PRICED = 8
"""Plans within the limit of `fit` that are priced with primitives, from the one whose loops cost least."""
ROWS_AT_ONCE = (1, 2, 4)
"""How many times as many rows an iteration are tried for them."""
Cut = Callable[[tuple[int, ...]], Graph]
"""The graph in the model's order, with these parts of concats copied."""

ALL = (*ROWS, *CHANNELS, *PIXELS, *PATCHES)
"""Every way a loop may go, recomputation included."""


class Planner(Protocol):
    """Decides everything for one objective."""

    def __call__(self, cut: Cut, alignment: int, *, keep_input: bool = False, watch: Watch = unwatched) -> Untiled:
        """The plan, and the graph that it is of; `watch` may end the search."""
        ...


def plan_fused(
    cut: Cut,
    alignment: int,
    *,
    keep_input: bool = False,
    watch: Watch = unwatched,
    objective: Objective,
    modes: Sequence[Mode],
    loop_cost: LoopCost = by_macs,
    allowance: Allowance = any_cost,
) -> Untiled:
    """The untiled plan, with loops where they save bytes.

    Args:
        cut: as for `plan_untiled`.
        alignment: least alignment of a buffer, in bytes.
        keep_input: inputs stay intact up to the end.
        watch: may end the search.
        objective: the plan's name for what was looked for.
        modes: how loops may go.
        loop_cost: what loops cost.
        allowance: what they may cost together.
    """
    whole = plan_untiled(cut, alignment, keep_input=keep_input)
    found: list[Untiled] = []
    for start in _orders(whole):
        graph = start.ordered
        fusions, ending = fused_search(
            graph,
            alignment,
            keep_input=keep_input,
            modes=modes,
            watch=watch,
            loop_cost=loop_cost,
            most_cost=allowance(graph),
        )
        plan = replace(start.plan, objective=objective, fusions=fusions, search=ending)
        if graph.states and fusions:
            # the search looks at parts of the network, where it can't see that a loop makes a new state beside the
            # old one
            found.append(replace(start, plan=_predicted(replace(plan, fusions=()), graph, alignment, keep_input)))
        found.append(replace(start, plan=_predicted(plan, graph, alignment, keep_input)))
    return min(found, key=lambda untiled: untiled.plan.arena_bytes or 0)


def _orders(whole: Untiled) -> Iterator[Untiled]:
    """The untiled plan, and where that is another one the plan in an order made for loops."""
    yield whole
    order = loop_order(whole.graph)
    if order is not None and order != (whole.plan.order or tuple(range(1, len(order) + 1))):
        yield replace(whole, plan=replace(whole.plan, order=order))


plan_free = partial(plan_fused, objective="free", modes=(*ROWS, *CHANNELS))
"""Least bytes with every element computed once, in whole rows."""
plan_ram = partial(plan_fused, objective="ram", modes=ALL)
"""Least bytes: loops may go by columns too, one at a time."""


@dataclass(frozen=True)
class Costed:
    """A plan of the front, and what it costs more than layers that are whole, by the loop cost that was asked for."""

    cost: int
    found: Untiled

    @property
    def arena_bytes(self) -> int:
        """What the plan predicts."""
        assert self.found.plan.arena_bytes is not None
        return self.found.plan.arena_bytes


def plan_front(
    cut: Cut, alignment: int, *, keep_input: bool = False, watch: Watch = unwatched, loop_cost: LoopCost = by_macs
) -> tuple[Costed, ...]:
    """The plans worth having, from the cheapest, whole layers, to the smallest: each costs more and takes less.

    Args:
        cut, alignment, keep_input, watch: as for `plan_fused`.
        loop_cost: what loops cost.
    """
    front: list[Costed] = []
    for costed in _candidates(cut, alignment, keep_input, watch, loop_cost):
        if not front or costed.arena_bytes < front[-1].arena_bytes:
            front = [better for better in front if better.cost < costed.cost]
            front.append(costed)
    return tuple(front)


def _candidates(cut: Cut, alignment: int, keep_input: bool, watch: Watch, loop_cost: LoopCost) -> Iterator[Costed]:
    """The plans of the search, each with its exact arena, which can be larger than a cheaper one's."""
    whole = plan_untiled(cut, alignment, keep_input=keep_input)
    graph = whole.ordered
    front = fused_front(graph, alignment, keep_input=keep_input, modes=ALL, watch=watch, loop_cost=loop_cost)
    for cost, fusions, ending in front:
        plan = replace(whole.plan, objective="ram" if fusions else "untiled", fusions=fusions, search=ending)
        yield Costed(cost, replace(whole, plan=_predicted(plan, graph, alignment, keep_input)))


def plan_fit(
    cut: Cut,
    alignment: int,
    *,
    keep_input: bool = False,
    watch: Watch = unwatched,
    arena_limit: int,
    loop_cost: LoopCost = by_macs,
    chooser: Chooser | None = None,
) -> Untiled:
    """Least cost within a number of bytes; the least bytes where nothing stays within it.

    With a chooser of primitives the plans that stay within it are priced by the best primitives that their memory
    leaves: a plan whose loops cost more, but leave room for workspaces, may be the faster one.

    Args:
        cut, alignment, keep_input, watch: as for `plan_fused`.
        arena_limit: of the arena, in bytes.
        loop_cost: what loops cost.
        chooser: of primitives; None where layers keep their own kernels.
    """
    tried: list[Costed] = []
    fitting: list[Untiled] = []
    for costed in _candidates(cut, alignment, keep_input, watch, loop_cost):
        tried.append(costed)
        if costed.arena_bytes <= arena_limit:
            fitting.append(costed.found)
            if chooser is None or len(fitting) == MOST_PRICED:
                break
    found = min(tried, key=lambda costed: (costed.arena_bytes, costed.cost)).found
    if fitting and chooser is None:
        found = fitting[0]
    elif fitting and chooser is not None:
        found = fastest(fitting, alignment, arena_limit, chooser, keep_input=keep_input)[1]
    ending = tried[-1].found.plan.search
    return replace(found, plan=replace(found.plan, objective="fit", search=ending))


def fastest(
    plans: Sequence[Untiled], alignment: int, arena_limit: int, chooser: Chooser, *, keep_input: bool = False
) -> tuple[Chosen, Untiled]:
    """Of some plans the one that takes the least time with the best primitives for it, which it has then.

    Some primitives make several rows at once: each plan is tried with its loops making as many, too.

    Args:
        plans: of which `MOST_PRICED` are looked at; they stay within the limit.
        alignment: least alignment of a buffer, in bytes.
        arena_limit: of the arena, in bytes.
        chooser: of primitives.
        keep_input: inputs stay intact up to the end.
    """
    best: tuple[Chosen, Untiled] | None = None
    for found in plans[:MOST_PRICED]:
        for rows in ROWS_AT_ONCE:
            plan = _by_more_rows(found.plan, rows)
            if plan is found.plan and rows > 1:
                continue
            try:
                plan = _predicted(plan, found.ordered, alignment, keep_input)
            except UnschedulableError:
                continue
            if plan.arena_bytes is None or plan.arena_bytes > arena_limit:
                continue
            chosen = chooser.choose(found.ordered, plan, arena_limit)
            if best is None or chosen.time < best[0].time:
                plan = replace(plan, kernels=chosen.kernels, arena_bytes=chosen.arena_bytes)
                best = chosen, replace(found, plan=plan)
    assert best is not None, "the plans themselves stay within the limit"
    return best


def _by_more_rows(plan: Plan, times: int) -> Plan:
    """The plan with so many times as many rows an iteration in its loops by whole rows."""
    if times == 1:
        return plan
    by_rows = [f.axis == "rows" and not f.columns for f in plan.fusions]
    fusions = (replace(f, rows=f.rows * times) if more else f for f, more in zip(plan.fusions, by_rows, strict=True))
    return replace(plan, fusions=tuple(fusions)) if any(by_rows) else plan


def _whole(cut: Cut, alignment: int, *, keep_input: bool = False, watch: Watch = unwatched) -> Untiled:
    """`plan_untiled`, in which there is nothing to watch."""
    del watch
    return plan_untiled(cut, alignment, keep_input=keep_input)


def _predicted(plan: Plan, graph: Graph, alignment: int, keep_input: bool) -> Plan:
    problem = problem_of(graph, alignment, fusions=plan.fusions, keep_input=keep_input, overlap=plan.overlap)
    return replace(plan, arena_bytes=solve(problem, plan.strategy).arena_bytes)


def planner_for(
    objective: Objective,
    arena_limit: int | None = None,
    loop_cost: LoopCost = by_macs,
    allowance: Allowance = any_cost,
    chooser: Chooser | None = None,
) -> Planner:
    """The planner of an objective.

    Args:
        objective: what to look for.
        arena_limit: bytes of the arena that `fit` stays within if it can; others have no use for it.
        loop_cost: what loops cost, for `free` and `fit`; `ram` looks for the least bytes, for no core in particular.
        allowance: what loops may cost together, for `free`.
        chooser: of primitives, for `fit`.

    Raises:
        UsageError: `fit` without a limit.
    """
    if objective == "free":
        return partial(plan_free, loop_cost=loop_cost, allowance=allowance)
    if objective != "fit":
        return PLANNERS[objective]
    if arena_limit is None:
        remedy = "give --ram BYTES, or choose the objective free"
        raise UsageError("plan", "the objective 'fit' needs to know how much RAM there is", remedy=remedy)
    return partial(plan_fit, arena_limit=arena_limit, loop_cost=loop_cost, chooser=chooser)


def planner_by(modes: Sequence[Mode]) -> Planner:
    """Least bytes with loops of these kinds alone: to see what each kind gives."""
    return partial(plan_fused, objective="ram", modes=modes)


PLANNERS: Mapping[Objective, Planner] = {"ram": plan_ram, "untiled": _whole}
"""The planners that need to know nothing but the network."""
