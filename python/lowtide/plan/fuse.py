"""Which layers to fuse: a dynamic program over where the chain of layers is cut.

Layers run in one order; a cut after some of them leaves the tensors that are live there in memory, whole. Between two
cuts a layer runs alone, or all of them in one loop by rows. First the least peak (minimax over cuts, as msf-CNN does)
of the plans that cost no more than is allowed, then of all plans under that peak the one with the least cost. A
segment's memory is that of its own program beside all that waits, so the whole plan's arena is rarely more; the
allocator has the last word on it.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import accumulate

from lowtide.alloc import solve
from lowtide.graph.conflicts import MOST_RUNS, loop_bytes, problem_of as problem_of_program
from lowtide.graph.fusion import Fusion
from lowtide.graph.graph import Graph
from lowtide.graph.program import Program
from lowtide.graph.stages import UnschedulableError
from lowtide.plan.loop_cost import LoopCost, by_macs
from lowtide.plan.memory import program_of
from lowtide.plan.modes import ROWS, Mode
from lowtide.plan.segments import NEVER, Segment, cheapest, cost_of, least_peak, peak_of, segment_graph
from lowtide.plan.watch import Ending, Progress, Watch, unwatched

STEPS = 45_000
"""Steps that a search takes at most for each mode of loops.

One for each buffer of each loop that it looks at, more where the loop's layers run often. Some 0.15 ms each:
MobileNetV2 (64 layers) takes 81,000 with the four modes of objective `free`, and 318,000 with all eight.
"""
RUNS = 10_000
"""A loop whose layers run so often takes twice the steps of one with few runs."""
SHORT = 8
"""Layers of the loops that are looked at first; longer ones must then promise less than the best plan of these."""


def fused_search(
    graph: Graph,
    alignment: int,
    *,
    keep_input: bool = False,
    modes: Sequence[Mode] = ROWS,
    watch: Watch = unwatched,
    loop_cost: LoopCost = by_macs,
    most_cost: float = math.inf,
    steps: int | None = None,
) -> tuple[tuple[Fusion, ...], Ending]:
    """The loops of the plan with the least peak, and of several those of the least cost; and how the search ended.

    Args:
        graph: layers in the order in which they run.
        alignment: least alignment of a buffer, in bytes.
        keep_input: inputs stay intact up to the end.
        modes: how loops may go.
        watch: may end the search.
        loop_cost: what a loop costs.
        most_cost: what all loops together may cost.
        steps: how many the search may take, `STEPS` a mode where it is not said; the best plan of those that were
            looked at until then is the result.
    """
    search = _Search(
        graph,
        alignment,
        keep_input=keep_input,
        modes=modes,
        watch=watch,
        loop_cost=loop_cost,
        most_cost=most_cost,
        steps=steps,
    )
    fusions = search.turned(search.best())
    return fusions, search.ending


def fused_front(
    graph: Graph,
    alignment: int,
    *,
    keep_input: bool = False,
    modes: Sequence[Mode] = ROWS,
    watch: Watch = unwatched,
    loop_cost: LoopCost = by_macs,
    steps: int | None = None,
) -> Iterator[tuple[int, tuple[Fusion, ...], Ending]]:
    """Cost and loops of the cheapest plans under falling peaks, from whole layers to the least peak; costs never fall.

    With each plan, how the search has ended up to there.

    Args:
        graph, alignment, keep_input, modes, watch, steps: as for `fused_search`.
        loop_cost: what a loop costs.
    """
    search = _Search(
        graph, alignment, keep_input=keep_input, modes=modes, watch=watch, loop_cost=loop_cost, steps=steps
    )
    for chain in search.front():
        fusions = search.turned(chain)
        yield cost_of(chain), fusions, search.ending


class _Search:
    """Segments by what they need at least; the allocator is asked only of those that a best plan is made of.

    Args: those of `fused_search`. All loops have been looked at, or the search has ended, when it is made.

    Attributes:
        ending: how the search has ended; "complete" as long as it has not.
    """

    def __init__(
        self,
        graph: Graph,
        alignment: int,
        *,
        keep_input: bool,
        modes: Sequence[Mode],
        watch: Watch,
        loop_cost: LoopCost,
        most_cost: float = math.inf,
        steps: int | None = None,
    ) -> None:
        self._graph = graph
        self._loop_cost = loop_cost
        self._most_cost = most_cost
        self._alignment = alignment
        self._keep_input = keep_input
        self._count = len(graph.layers)
        self._segments: dict[Fusion, Segment] = {}
        self._watch = watch
        self._steps_left = STEPS * len(modes) if steps is None else steps
        self.ending: Ending = "complete"
        # first layers, by mode, of loops that were too large already: longer ones need not be looked at
        self._ended: set[tuple[int, Mode]] = set()
        for number in range(1, self._count + 1):
            whole = Fusion(number, number)
            self._segments[whole] = Segment(whole, self._solved(whole), 0, exact=True)
        floor = self._floor()
        large = (segment.nbytes > floor for segment in self._segments.values())
        # how many of the first n layers need more than the floor: a loop without one of them is of no use
        self._large = tuple(accumulate(large, initial=0))
        # Loops by channels, and those with recomputed layers, are only looked at up to `SHORT` layers.
        long_too = [mode.axis == "rows" and not mode.recomputed for mode in modes]
        self._done, self._total = 0, sum(1 + long for long in long_too) * self._count
        for mode, long in zip(modes, long_too, strict=True):
            self._add_all(mode, range(2, SHORT + 1))
            if long:
                self._add_all(mode, range(SHORT + 1, self._count + 1))

    def _floor(self) -> int:
        """Bytes that no plan needs less of: all inputs, all outputs, a layer that no loop can take.

        A loop of layers none of which needs more when it is whole lowers no peak and costs something.
        """
        sizes = [tensor.nbytes for tensor in self._graph.tensors]
        alone = (
            self._segments[Fusion(layer.step, layer.step)].nbytes
            for layer in self._graph.layers
            if all(access.windows is None and access.accumulates is None for access in (layer.rows, layer.channels))
        )
        # all inputs are there before the first layer, all outputs after the last
        ends = (sum(sizes[index] for index in indices) for indices in (self._graph.inputs, self._graph.outputs))
        return max(*ends, *alone)

    def _goes_on(self, best_bytes: int) -> bool:
        """Whether there are steps left, and the watcher has not had enough."""
        if self.ending == "complete" and not self._watch(Progress(self._done, self._total, best_bytes)):
            self.ending = "interrupted"
        return self.ending == "complete"

    def _takes(self, program: Program) -> bool:
        """Count the steps that a program takes; False where there are not as many left, which ends the search."""
        runs = sum(
            min(len(loop.runs) * (1 if loop.columns is None else len(loop.columns[0])), MOST_RUNS)
            for loop in program.loops
        )
        self._steps_left -= len(program.buffers) * (RUNS + runs) // RUNS
        if self._steps_left < 0 and self.ending == "complete":
            self.ending = "budget"
        return self.ending == "complete"

    def best(self) -> tuple[Segment, ...]:
        """The cheapest chain under the least peak that is to be had for what loops may cost."""
        chain = self._settled(None)
        assert chain is not None, "whole layers always are a way"
        return chain

    def front(self) -> Iterator[tuple[Segment, ...]]:
        """The cheapest chains under falling peaks, whole layers first."""
        chain = self._settled(peak_of(s for s in self._segments.values() if s.first == s.last))
        while chain is not None:
            yield chain
            chain = self._settled(peak_of(chain) - 1)

    def _settled(self, limit: int | None) -> tuple[Segment, ...] | None:
        """The cheapest chain under a peak, the allocator asked of all its segments; without a limit see `best`.

        None where no chain stays under the limit.
        """
        while True:
            # a search that is ended asks the allocator no more; whole layers are exact
            segments = [s for s in self._segments.values() if s.exact or self.ending == "complete"]
            least = least_peak(segments, self._count)
            if limit is not None and least > limit:
                return None
            chain = self._affordable(segments, least) if limit is None else cheapest(segments, self._count, limit)
            guessed = [segment for segment in chain if not segment.exact]
            if not guessed:
                return chain
            if not self._goes_on(peak_of(chain)):
                continue
            worst = max(guessed, key=lambda segment: segment.nbytes)
            nbytes = max(worst.nbytes, self._solved(worst.fusion))
            self._segments[worst.fusion] = replace(worst, nbytes=nbytes, exact=True)

    def _affordable(self, segments: Sequence[Segment], least: int) -> tuple[Segment, ...]:
        """The cheapest chain under the least peak under which it costs no more than is allowed; peaks from `least` on.

        The higher the peak the cheaper the chain, and whole layers cost nothing: hence a binary search.
        """
        chain = cheapest(segments, self._count, least)
        if cost_of(chain) <= self._most_cost:
            return chain
        peaks = sorted({segment.nbytes for segment in segments if segment.nbytes > least})

        def affords(peak: int) -> bool:
            return cost_of(cheapest(segments, self._count, peak)) <= self._most_cost

        return cheapest(segments, self._count, peaks[bisect_left(peaks, True, key=affords)])

    def _add_all(self, mode: Mode, lengths: range) -> None:
        """Add all loops of so many layers that promise less than the best plan so far."""
        limit = peak_of(self.best())
        for first in range(1, self._count + 1):
            if not self._goes_on(limit):
                return
            self._done += 1
            if (first, mode) in self._ended:
                continue
            for last in range(first + lengths.start - 1, min(first + lengths.stop - 2, self._count) + 1):
                # without a layer above the floor a loop saves nothing; where `_add` says so, longer ones can't either
                if self._large[last] > self._large[first - 1] and not self._add(first, last, mode, limit):
                    self._ended.add((first, mode))
                    break
            if self.ending != "complete":
                return

    def _add(self, first: int, last: int, mode: Mode, limit: int) -> bool:
        """Add one loop; False where a longer one can't be of use either."""
        fusion = mode.fusion(self._graph, first, last)
        if mode.recomputed and not fusion.recompute:
            # the same loop as without recomputation, which another mode looks at
            return True
        part = segment_graph(self._graph, first, last, self._keep_input)
        # before the loop all of its inputs are there, behind it all of its outputs: no need to look inside for that
        if self._bytes(part.inputs) >= limit:
            return False
        if self._bytes(part.outputs) >= limit:
            return True
        try:
            program = program_of(part, self._alignment, fusions=(_alone(fusion),))
        except UnschedulableError as reason:
            return reason.for_now
        if not self._takes(program):
            return False
        # a lower bound, quicker than the allocator, which is asked where the loop is in the best plan
        nbytes, inside = loop_bytes(program)
        if nbytes < limit:
            # The two directions do the same work: what a cost makes of their order is noise. It must not decide, or
            # loops are turned round that the kernels are slower for.
            twin = self._segments.get(replace(fusion, direction="forwards"))
            cost = self._loop_cost(part, _alone(fusion)) if twin is None else twin.cost
            self._segments[fusion] = Segment(fusion, nbytes, cost)
        # a longer loop holds the same rows of these tensors when it has made as much of them
        return inside < limit

    def _bytes(self, tensors: Iterable[int]) -> int:
        return sum(self._graph.tensors[index].nbytes for index in tensors)

    def turned(self, chain: Sequence[Segment]) -> tuple[Fusion, ...]:
        """The chain's loops, some of them turned round where segments do not lie well beside each other."""
        best = tuple(fusion for segment in chain for fusion in segment.fusions)
        least, wanted = self._whole(best), peak_of(chain)
        improved = True
        while improved and least > wanted:
            improved = False
            for position, fusion in enumerate(best):
                other = (*best[:position], _turned(fusion), *best[position + 1 :])
                nbytes = self._whole(other)
                if nbytes < least:
                    best, least, improved = other, nbytes, True
                if not self._goes_on(least):
                    return best
        return best

    def _whole(self, fusions: Sequence[Fusion]) -> int:
        """Bytes of the whole network with these loops."""
        try:
            return self._needed(self._graph, fusions, self._keep_input)
        except UnschedulableError:
            return NEVER

    def _solved(self, fusion: Fusion) -> int:
        """Bytes of a segment beside all that waits for later, which is its input and output."""
        part = segment_graph(self._graph, fusion.first, fusion.last, self._keep_input)
        return self._needed(part, () if fusion.first == fusion.last else (_alone(fusion),))

    def _needed(self, graph: Graph, fusions: Sequence[Fusion], keep_input: bool = False) -> int:
        """Bytes of the arena, by first-fit: it is asked some thousand times."""
        program = program_of(graph, self._alignment, fusions=fusions, keep_input=keep_input)
        self._takes(program)
        return solve(problem_of_program(program, overlap=True)[0], "first-fit").arena_bytes


def _alone(fusion: Fusion) -> Fusion:
    """The loop in the graph of its layers alone, whose numbers begin with 1."""
    return replace(fusion, first=1, last=fusion.last - fusion.first + 1)


def _turned(fusion: Fusion) -> Fusion:
    if fusion.axis == "channels":
        return fusion
    return replace(fusion, direction="backwards" if fusion.direction == "forwards" else "forwards")
