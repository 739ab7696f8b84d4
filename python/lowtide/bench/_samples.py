"""Measures single layers of networks for the cost model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from lowtide.alloc import solve
from lowtide.bench._figures import LayerFigures, measure_layers
from lowtide.cost.fit import Sample
from lowtide.cost.operation_counts import LOOPS, ExecutedCounts, Work
from lowtide.lower import lower
from lowtide.plan.executed import executed_counts
from lowtide.plan.memory import problem_of
from lowtide.plan.plan import Objective
from lowtide.plan.planners import Cut
from lowtide.plan.untiled import Untiled, plan_untiled
from lowtide.plan.watch import Watch, unwatched
from lowtide.stages import Stages
from lowtide.targets import Target


def samples_of(model: Path, target: Target, objective: Objective, primitive: str | None = None) -> list[Sample]:
    """Every layer of a model that is a layer of its own, in one inference.

    Args:
        model: its file.
        target: the core.
        objective: what the plan is searched for.
        primitive: what to pick for each layer that it may be picked for; then only those layers are given.

    Raises:
        LowtideError: whatever a stage refuses.
        UsageError: there is no emulator that tells what is executed.
    """
    planner = None if primitive is None else partial(_picking, primitive=primitive)
    lowered = lower(model, target, objective=objective, planner=planner, layer_counts=True, stages=Stages())
    assert lowered.plan is not None
    picks = {number: name for name, numbers in lowered.plan.kernels for number in numbers}
    if primitive is not None and not picks:
        return []
    executed = executed_counts(lowered.graph.with_kernels(picks), lowered.plan.fusions)
    _, figures = measure_layers(lowered, target)
    times = Counter(counts.layer for counts in executed)
    name = f"{model.stem} {primitive or objective}"
    found: list[Sample] = []
    for number, counts in enumerate(executed, 1):
        if primitive is not None and number not in picks:
            continue
        parts = [layer for layer in figures if layer.name == counts.layer]
        if parts and times[counts.layer] == 1:
            found.append(_sample(name, counts, parts))
    if primitive is not None:
        return found
    around = [layer for layer in figures if layer.function == f"{lowered.network.name}_run"]
    calls = sum(counts.calls for counts in executed)
    return [*found, _sample(name, ExecutedCounts("", Work(LOOPS), 1.0, calls), around)]


def _picking(
    cut: Cut, alignment: int, *, keep_input: bool = False, watch: Watch = unwatched, primitive: str
) -> Untiled:
    """A planner of whole layers with a primitive wherever it can be."""
    del watch
    found = plan_untiled(cut, alignment, keep_input=keep_input)
    picks = {
        layer.step: primitive
        for layer in found.ordered.layers
        if any(own.kernel == primitive for own in layer.primitives)
    }
    problem = problem_of(found.ordered.with_kernels(picks), alignment, keep_input=keep_input)
    kernels = ((primitive, tuple(picks)),) if picks else ()
    arena_bytes = solve(problem, found.plan.strategy).arena_bytes
    return replace(found, plan=replace(found.plan, kernels=kernels, arena_bytes=arena_bytes))


def _sample(network: str, counts: ExecutedCounts, parts: Sequence[LayerFigures]) -> Sample:
    mixes = [part.mix for part in parts]
    cycles = [part.cycles for part in parts if part.cycles is not None]
    return Sample(
        network,
        counts,
        sum(mix.instructions for mix in mixes),
        sum(mix.loads for mix in mixes),
        sum(mix.stores for mix in mixes),
        sum(cycles) if len(cycles) == len(parts) else None,
    )
