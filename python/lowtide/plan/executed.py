"""How much of each layer's work a plan runs, and in how many calls; rows that are recomputed count each time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lowtide.cost.operation_counts import SUMS, ExecutedCounts, LayerCounts
from lowtide.errors import InternalError
from lowtide.graph.fusion import Fusion
from lowtide.graph.graph import Graph, Layer
from lowtide.graph.loop_schedule import LoopSchedule
from lowtide.plan.memory import schedule_of


def executed_counts(graph: Graph, fusions: Sequence[Fusion] = ()) -> list[ExecutedCounts]:
    """The executed counts of each layer, in the order in which they run.

    Args:
        graph: layers in that order.
        fusions: which layers become loops.

    Raises:
        UnschedulableError: layers that are to be fused can't be.
    """
    inside = {fusion.first: fusion for fusion in fusions}
    found: list[ExecutedCounts] = []
    while len(found) < len(graph.layers):
        number = len(found) + 1
        if number in inside:
            found += loop_executed_counts(graph, inside[number])
        else:
            layer = graph.layers[number - 1]
            found.append(ExecutedCounts(layer.name, _layer_counts(layer).whole))
    return found


def loop_executed_counts(graph: Graph, fusion: Fusion) -> list[ExecutedCounts]:
    """The executed counts of the layers of one loop."""
    layers = graph.layers[fusion.first - 1 : fusion.last]
    schedule = schedule_of(graph, fusion)
    made = [_rows_made(layer, schedule, stage) for stage, layer in enumerate(layers)]
    turns = schedule.rows.stop - schedule.rows.start
    turns *= 1 if schedule.columns is None else schedule.columns.stop - schedule.columns.start
    return [_share(layer, fusion, schedule, number, made[number], turns) for number, layer in enumerate(layers)]


def _rows_made(layer: Layer, schedule: LoopSchedule, stage: int) -> int:
    """The rows that the layer's calls make; those that a kernel makes together count even where they are not wanted."""
    at_once = 1 if layer.layer_counts is None else layer.layer_counts.at_once
    if at_once == 1 or schedule.columns is not None or schedule.stages[stage].accumulates:
        return schedule.rows.rows_made(stage)
    begins, ends = schedule.rows.bounds(stage)
    return int((-(-np.maximum(ends - begins, 0) // at_once) * at_once).sum())


def _share(layer: Layer, fusion: Fusion, schedule: LoopSchedule, number: int, rows: int, turns: int) -> ExecutedCounts:
    stage = schedule.stages[number]
    part = rows / stage.rows
    if schedule.columns is not None and stage.columns:
        part *= sum(end - begin for begin, end in schedule.columns.turns()[number]) / stage.columns
    layer_counts = _layer_counts(layer)
    if stage.accumulates:
        own = layer_counts.summed if fusion.axis == "rows" else None
        return ExecutedCounts(layer.name, own or layer_counts.general, part, turns).of_form(SUMS)
    if schedule.columns is not None:
        if layer_counts.pixels is None:
            raise InternalError("plan", "what the kernels do by columns has not been counted", where=layer.name)
        return ExecutedCounts(layer.name, layer_counts.pixels, part, turns)
    return ExecutedCounts(
        layer.name, layer_counts.whole if fusion.axis == "rows" else layer_counts.general, part, turns
    )


def _layer_counts(layer: Layer) -> LayerCounts:
    if layer.layer_counts is None:
        raise InternalError("plan", "what the kernels do has not been counted", where=layer.name)
    return layer.layer_counts
