"""Measures single layers of networks for the cost model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from lowtide.bench._figures import LayerFigures, measure_layers
from lowtide.cost.fit import Sample
from lowtide.cost.operation_counts import LOOPS, ExecutedCounts, Work
from lowtide.lower import lower
from lowtide.plan.executed import executed_counts
from lowtide.plan.plan import Objective
from lowtide.stages import Stages
from lowtide.targets import Target


def samples_of(model: Path, target: Target, objective: Objective) -> list[Sample]:
    """Every layer of a model that is a layer of its own, in one inference.

    Args:
        model: its file.
        target: the core.
        objective: what the plan is searched for.

    Raises:
        LowtideError: whatever a stage refuses.
        UsageError: there is no emulator that tells what is executed.
    """
    lowered = lower(model, target, objective=objective, layer_counts=True, stages=Stages())
    assert lowered.plan is not None
    executed = executed_counts(lowered.graph, lowered.plan.fusions)
    _, figures = measure_layers(lowered, target)
    times = Counter(counts.layer for counts in executed)
    name = f"{model.stem} {objective}"
    found: list[Sample] = []
    for counts in executed:
        parts = [layer for layer in figures if layer.name == counts.layer]
        if parts and times[counts.layer] == 1:
            found.append(_sample(name, counts, parts))
    around = [layer for layer in figures if layer.function == f"{lowered.network.name}_run"]
    calls = sum(counts.calls for counts in executed)
    return [*found, _sample(name, ExecutedCounts("", Work(LOOPS), 1.0, calls), around)]


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
