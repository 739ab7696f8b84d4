"""Which primitives compute which layers: least predicted time within the flash and the arena that there are.

One integer program, solved by CP-SAT: for each layer at most one of its primitives (0-1 variables), the flash that they
take more within what is left, and least time. A primitive's workspace, and the distance that its code keeps to its
input, can make the arena larger; what fits only the allocator knows. So of picks that take no memory alone too much is
told to the program as it comes up: a set of picks whose arena is too large is excluded, with all that contain it, and
the program solved again. The first solution whose arena fits is the best: each set that was excluded, none fits.

Source: Anderson, Gregg: Optimal DNN Primitive Selection with Partitioned Boolean Quadratic Programming (CGO 2018), and
Wen et al., TASO (arXiv 2005.10709), section 4, which puts the bound on memory into an integer program.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lowtide.alloc import solve
from lowtide.cost.model import CostModel
from lowtide.graph.fusion import Fusion
from lowtide.graph.graph import Graph, Overlap, Primitive
from lowtide.plan.executed import executed_counts
from lowtide.plan.memory import problem_of
from lowtide.plan.plan import Plan

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

SEED = 1
MOST_CUTS = 200
"""Sets of picks that are excluded one by one at most, before all picks that take memory are."""
Picks = Mapping[int, str]
"""The name of the primitive that is picked for a layer, by the layer's number from 1."""
Fits = Callable[[Picks], bool]


@dataclass(frozen=True)
class Option:
    """A primitive for a layer: what it gains and takes.

    Attributes:
        layer: its number from 1 in the plan's order.
        kernel: the primitive's name.
        gain: predicted cycles (or instructions) less than the layer's own kernel takes, more than 0.
        flash_bytes: more than that one.
        takes_memory: it has a workspace, or keeps its output further from its input.
    """

    layer: int
    kernel: str
    gain: int
    flash_bytes: int
    takes_memory: bool


@dataclass(frozen=True)
class Chosen:
    """What was chosen.

    Attributes:
        picks: the primitives.
        arena_bytes: of the plan with them.
        time: predicted cycles (or instructions) of one inference, waiting for weights included.
        flash_bytes: that they take more.
        gap: by how much the bound that was proven is lower than the time, as a share of it; 0 for an optimum.
    """

    picks: Picks
    arena_bytes: int
    time: float
    flash_bytes: int
    gap: float = 0.0

    @property
    def kernels(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """The picks as `Plan` has them."""
        names = sorted(set(self.picks.values()))
        return tuple((name, tuple(sorted(n for n, own in self.picks.items() if own == name))) for name in names)


@dataclass(frozen=True)
class Chooser:
    """Chooses primitives for plans.

    Attributes:
        model: of the core.
        spare_flash: bytes of flash that they may take together.
        alignment: least alignment of a buffer, in bytes.
        keep_input: inputs stay intact up to the end.
        waits: cycles that a byte of weights takes longer for flash with wait states (`FlashModel.waits_a_byte`).
    """

    model: CostModel
    spare_flash: int
    alignment: int
    keep_input: bool = False
    waits: float = 0.0

    def choose(self, graph: Graph, plan: Plan, most_arena: int) -> Chosen:
        """The best primitives for a plan.

        Args:
            graph: layers in the plan's order.
            plan: its loops.
            most_arena: bytes that its arena may have; never less than it has.
        """

        def arena(picks: Picks) -> int:
            return self._arena(graph.with_kernels(picks), plan)

        limit = max(most_arena, arena({}))
        options = self.options(graph, plan.fusions)
        picks, unproven = choose(options, self.spare_flash, lambda found: arena(found) <= limit)
        return self._chosen(graph, plan, picks, unproven)

    def _chosen(self, graph: Graph, plan: Plan, picks: Picks, unproven: int) -> Chosen:
        chosen = graph.with_kernels(picks)
        executed = executed_counts(chosen, plan.fusions)
        time = self.model.total(executed).time
        for counts, layer in zip(executed, chosen.layers, strict=True):
            if layer.layer_counts is not None and counts.work == layer.layer_counts.whole:
                time += self.waits * counts.part * layer.layer_counts.streamed
        flash = sum(graph.layers[number - 1].primitive(kernel).flash_bytes for number, kernel in picks.items())
        return Chosen(picks, self._arena(chosen, plan), time, flash, unproven / time if time else 0.0)

    def greedy(self, graph: Graph, plan: Plan, most_arena: int) -> Chosen:
        """For each layer in turn the primitive that gains most of those that still fit; arguments as for `choose`."""
        picks: dict[int, str] = {}
        spare, limit = self.spare_flash, max(most_arena, self._arena(graph, plan))
        for one in sorted(self.options(graph, plan.fusions), key=lambda one: (one.layer, -one.gain)):
            more = {**picks, one.layer: one.kernel}
            fits = not one.takes_memory or self._arena(graph.with_kernels(more), plan) <= limit
            if one.layer not in picks and one.flash_bytes <= spare and fits:
                picks, spare = more, spare - one.flash_bytes
        return self._chosen(graph, plan, picks, 0)

    def options(self, graph: Graph, fusions: Sequence[Fusion]) -> list[Option]:
        """The primitives that gain something, for each layer that goes by rows or is whole."""
        cut = {n for f in fusions if f.columns or f.axis == "channels" for n in range(f.first, f.last + 1)}
        plain = executed_counts(graph, fusions)
        found: list[Option] = []
        for layer, counts in zip(graph.layers, plain, strict=True):
            if layer.step in cut or layer.layer_counts is None or counts.work != layer.layer_counts.whole:
                # what goes by pixels or channels, or adds up, has kernels of its own
                continue
            for primitive in layer.primitives:
                own = executed_counts(graph.with_kernels({layer.step: primitive.kernel}), fusions)[layer.step - 1]
                waited = counts.part * layer.layer_counts.streamed - own.part * primitive.layer_counts.streamed
                gain = round(self.model.of(counts).time - self.model.of(own).time + self.waits * waited)
                if gain > 0 and primitive.flash_bytes <= self.spare_flash:
                    takes = bool(primitive.workspaces) or _is_stricter(primitive, layer.overlaps)
                    found.append(Option(layer.step, primitive.kernel, gain, primitive.flash_bytes, takes))
        return found

    def _arena(self, graph: Graph, plan: Plan) -> int:
        problem = problem_of(
            graph, self.alignment, fusions=plan.fusions, keep_input=self.keep_input, overlap=plan.overlap
        )
        return solve(problem, plan.strategy).arena_bytes


def _is_stricter(primitive: Primitive, overlaps: tuple[Overlap, ...]) -> bool:
    """Whether its output keeps further from an input than that of the layer's own kernel."""
    pairs = zip(primitive.overlaps, overlaps, strict=True)
    return any(own.forwards > plain.forwards or own.backwards > plain.backwards for own, plain in pairs)


def choose(options: Sequence[Option], spare_flash: int, fits: Fits) -> tuple[Picks, int]:
    """The options with the largest sum of gains whose flash is there and whose picks fit; and what is not proven of it.

    Args:
        options: at most one is picked for a layer.
        spare_flash: bytes.
        fits: whether the arena with some picks is small enough; what fits does so with fewer picks too.

    Returns:
        picks, and by how much the best may be better.
    """
    from ortools.sat.python import cp_model

    # one that does not fit by itself is in no solution
    options = [one for one in options if not one.takes_memory or fits({one.layer: one.kernel})]
    program = cp_model.CpModel()
    taken = {one: program.new_bool_var(f"{one.kernel} {one.layer}") for one in options}
    weighted = cp_model.LinearExpr.weighted_sum

    def most(ones: Sequence[Option], count: int) -> None:
        program.add(weighted([taken[one] for one in ones], [1] * len(ones)) <= count)

    for layer in dict.fromkeys(one.layer for one in options):
        most([one for one in options if one.layer == layer], 1)
    program.add(weighted(list(taken.values()), [one.flash_bytes for one in options]) <= spare_flash)
    program.maximize(weighted(list(taken.values()), [one.gain for one in options]))
    bound: int | None = None
    for _ in range(MOST_CUTS):
        picked = _solved(program, taken)
        gain = sum(one.gain for one in picked)
        bound = gain if bound is None else bound
        heavy = [one for one in picked if one.takes_memory]
        if not heavy or fits({one.layer: one.kernel for one in heavy}):
            return {one.layer: one.kernel for one in picked}, 0
        # with each set that is excluded the optimum of those that are left falls, or stays
        bound = min(bound, gain)
        core = _core(heavy, fits)
        most(core, len(core) - 1)
    most([one for one in options if one.takes_memory], 0)
    picked = _solved(program, taken)
    return {one.layer: one.kernel for one in picked}, (bound or 0) - sum(one.gain for one in picked)


def _solved(program: cp_model.CpModel, taken: Mapping[Option, cp_model.IntVar]) -> list[Option]:
    """The options of an optimum: the same every time."""
    from ortools.sat.python import cp_model

    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = SEED
    # it would leave Ctrl-C ending the process on the spot, files and all
    solver.parameters.catch_sigint_signal = False
    status = solver.solve(program)
    assert status == cp_model.OPTIMAL, "nothing picked is a solution, and the program is small"
    return [one for one, pick in taken.items() if solver.value(pick)]


def _core(options: Sequence[Option], fits: Fits) -> list[Option]:
    """A smallest part of options that do not fit together: without any of them the rest does."""
    core = list(options)
    for one in options:
        fewer = [other for other in core if other is not one]
        if not fits({other.layer: other.kernel for other in fewer}):
            core = fewer
    return core
