"""Measures single layers of networks for the cost model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from lowtide.bench._figures import LayerFigures, measure_layers
from lowtide.cost.fit import Sample
from lowtide.cost.work import LOOPS, Share, Work
from lowtide.lower import lower
from lowtide.plan.plan import Objective
from lowtide.plan.shares import shares_of
from lowtide.stages import Stages
from lowtide.targets import Target


def samples_of(model: Path, target: Target, objective: Objective) -> list[Sample]:
    """Every layer of a model that is a layer of its own, in one inference.

    Args:
        model: its file.
        target: the core.
        objective: of the plan.

    Raises:
        LowtideError: whatever a stage refuses.
        UsageError: there is no emulator that tells what is executed.
    """
    lowered = lower(model, target, objective=objective, works=True, stages=Stages())
    assert lowered.plan is not None
    shares = shares_of(lowered.graph, lowered.plan.fusions)
    _, figures = measure_layers(lowered, target)
    times = Counter(share.layer for share in shares)
    name = f"{model.stem} {objective}"
    found: list[Sample] = []
    for share in shares:
        parts = [layer for layer in figures if layer.name == share.layer]
        if parts and times[share.layer] == 1:
            found.append(_sample(name, share, parts))
    around = [layer for layer in figures if layer.function == f"{lowered.network.name}_run"]
    calls = sum(share.calls for share in shares)
    return [*found, _sample(name, Share("", Work(LOOPS), 1.0, calls), around)]


def _sample(network: str, share: Share, parts: Sequence[LayerFigures]) -> Sample:
    mixes = [part.mix for part in parts]
    return Sample(
        network,
        share,
        sum(mix.instructions for mix in mixes),
        sum(mix.loads for mix in mixes),
        sum(mix.stores for mix in mixes),
    )
