"""Which layers take flash for speed: the most predicted instructions saved within a number of bytes."""

from __future__ import annotations

from dataclasses import replace

from lowtide.cost.model import CostModel
from lowtide.cost.operation_counts import LayerCounts
from lowtide.graph.graph import Graph
from lowtide.plan.executed import executed_counts
from lowtide.plan.plan import Plan

SEED = 1


def prepacked_layers(graph: Graph, plan: Plan, model: CostModel, spare: int) -> tuple[int, ...]:
    """The layers that get weights of 16 bits.

    A 0-1 knapsack, solved exactly by CP-SAT: the same answer every time.

    Args:
        graph: layers in the plan's order, with what their kernels do.
        plan: how they run.
        model: of the core.
        spare: bytes of flash that there are for it.

    Returns:
        their numbers, from 1 in the plan's order.
    """
    gains: dict[int, tuple[int, int]] = {}
    for number, (layer, counts) in enumerate(zip(graph.layers, executed_counts(graph, plan.fusions), strict=True), 1):
        layer_counts = layer.layer_counts
        # what goes by pixels, or adds up, has kernels of its own
        if (
            not isinstance(layer_counts, LayerCounts)
            or layer_counts.prepacked is None
            or counts.work != layer_counts.whole
        ):
            continue
        # by instructions: a load beside others takes less than the cycles that loads take on average
        gain = model.of(counts).instructions - model.of(replace(counts, work=layer_counts.prepacked)).instructions
        if gain >= 1 and layer_counts.prepacked_bytes <= spare:
            gains[number] = round(gain), layer_counts.prepacked_bytes
    return most_gain(gains, spare)


def most_gain(gains: dict[int, tuple[int, int]], spare: int) -> tuple[int, ...]:
    """The numbers with the largest sum of gains whose bytes fit."""
    from ortools.sat.python import cp_model

    program = cp_model.CpModel()
    picks = [program.new_bool_var(str(number)) for number in gains]
    weighted = cp_model.LinearExpr.weighted_sum
    program.add(weighted(picks, [nbytes for _, nbytes in gains.values()]) <= spare)
    program.maximize(weighted(picks, [gain for gain, _ in gains.values()]))
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = SEED
    # it would leave Ctrl-C ending the process on the spot, files and all
    solver.parameters.catch_sigint_signal = False
    solver.solve(program)
    return tuple(number for number, pick in zip(gains, picks, strict=True) if solver.value(pick))
