"""The plan that leaves layers whole: their order, and which parts of concats are written into their place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

from lowtide.alloc import solve
from lowtide.graph.bound import step_bytes
from lowtide.graph.graph import Graph
from lowtide.plan.memory import problem_of
from lowtide.plan.plan import Plan
from lowtide.plan.schedule import Schedule, schedule

TRIALS = 40
"""Sets of copied parts that are tried at most: each takes what cutting the network takes."""


@dataclass(frozen=True)
class Untiled:
    """A plan.

    Attributes:
        plan: what was decided.
        graph: what it makes, in the model's order.
        baseline_bytes: what the layers of the model need one by one, every part of a concat copied, without overlap.
    """

    plan: Plan
    graph: Graph
    baseline_bytes: int

    @property
    def ordered(self) -> Graph:
        """The graph in the plan's order."""
        return self.graph.reordered(self.plan.order) if self.plan.order else self.graph


def plan_untiled(cut: Callable[[tuple[int, ...]], Graph], alignment: int, *, keep_input: bool = False) -> Untiled:
    """The model's own order, or a better one where the allocator makes a smaller arena of it.

    A part of a concat that is written into its place needs no buffer and no copy, but the whole concat waits for the
    others from then on; so some are copied, where that lowers the peak.

    Args:
        cut: the graph in the model's order, with these parts of concats copied.
        alignment: least alignment of a buffer, in bytes.
        keep_input: inputs stay intact up to the end.
    """
    best = _best_parts(cut, keep_input)
    graph, found = best.graph, best.schedule.order
    baseline = cut(best.parts).baseline_bytes if best.parts else graph.baseline_bytes
    if found == tuple(range(1, len(graph.layers) + 1)):
        return Untiled(Plan("untiled", copied=best.copied), graph, baseline)
    before, after = (
        solve(problem_of(g, alignment, keep_input=keep_input)).arena_bytes for g in (graph, graph.reordered(found))
    )
    order = found if after < before else ()
    return Untiled(Plan("untiled", order=order, copied=best.copied), graph, baseline)


@dataclass(frozen=True)
class _Trial:
    """The network with some parts copied, in the order with the least peak."""

    copied: tuple[int, ...]
    graph: Graph
    keep_input: bool

    @cached_property
    def schedule(self) -> Schedule:
        return schedule(self.graph, keep_input=self.keep_input)

    @property
    def parts(self) -> tuple[int, ...]:
        """The parts of concats that can be copied."""
        return tuple(sorted(layer.part for layer in self.graph.layers if layer.part))

    @cached_property
    def waiting(self) -> set[int]:
        """The parts of concats that live at the first of the fullest steps: copying others can't help there."""
        graph = self.graph.reordered(self.schedule.order)
        fullest = max(range(len(graph.layers) + 2), key=lambda step: (step_bytes(graph, step), -step))
        live = {tensor.index for tensor in graph.live(fullest)}
        return {layer.part for layer in graph.layers if layer.part and layer.output in live}

    @property
    def rank(self) -> tuple[int, int]:
        """The less the better: bytes, then copies."""
        return self.schedule.peak_bytes, len(self.copied)


def _best_parts(cut: Callable[[tuple[int, ...]], Graph], keep_input: bool) -> _Trial:
    """Starts from no part copied and from all, and copies more or fewer while that helps."""
    none = _Trial((), cut(()), keep_input)
    tried = {none.copied: none}

    def trial(copied: tuple[int, ...]) -> _Trial | None:
        if copied not in tried and len(tried) < TRIALS:
            tried[copied] = _Trial(copied, cut(copied), keep_input)
        return tried.get(copied)

    for copied in ((), none.parts) if none.waiting else ():
        start = trial(copied)
        while start is not None:
            better = (other for parts in _neighbours(start) if (other := trial(parts)) and other.rank < start.rank)
            start = next(better, None)
    return min(tried.values(), key=lambda found: found.rank)


def _neighbours(trial: _Trial) -> Iterator[tuple[int, ...]]:
    """Other sets of copied parts that can lower the peak, or do with fewer copies."""
    copied, waiting = set(trial.copied), trial.waiting - set(trial.copied)
    more = [copied | {part} for part in sorted(waiting)]
    fewer = [copied - {part} for part in sorted(copied)]
    for parts in (*more, copied | waiting, *fewer):
        yield tuple(sorted(parts))
