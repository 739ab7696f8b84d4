"""What of each layer's work a plan runs, and in how many calls."""

from __future__ import annotations

from collections.abc import Sequence

from lowtide.cost.work import SUMS, Share, Works
from lowtide.errors import InternalError
from lowtide.graph.fusion import Fusion
from lowtide.graph.graph import Graph, Layer
from lowtide.graph.loop_schedule import LoopSchedule
from lowtide.plan.memory import schedule_of


def shares_of(graph: Graph, fusions: Sequence[Fusion] = ()) -> list[Share]:
    """A share for each layer, in the order in which they run.

    Args:
        graph: layers in that order.
        fusions: which layers become loops.

    Raises:
        UnschedulableError: layers that are to be fused can't be.
    """
    inside = {fusion.first: fusion for fusion in fusions}
    found: list[Share] = []
    while len(found) < len(graph.layers):
        number = len(found) + 1
        if number in inside:
            found += loop_shares(graph, inside[number])
        else:
            layer = graph.layers[number - 1]
            found.append(Share(layer.name, _works(layer).whole))
    return found


def loop_shares(graph: Graph, fusion: Fusion) -> list[Share]:
    """The shares of the layers of one loop."""
    layers = graph.layers[fusion.first - 1 : fusion.last]
    schedule = schedule_of(graph, fusion)
    made = [schedule.rows.rows_made(stage) for stage in range(len(layers))]
    turns = schedule.rows.stop - schedule.rows.start
    turns *= 1 if schedule.columns is None else schedule.columns.stop - schedule.columns.start
    return [_share(layer, fusion, schedule, number, made[number], turns) for number, layer in enumerate(layers)]


def _share(layer: Layer, fusion: Fusion, schedule: LoopSchedule, number: int, rows: int, turns: int) -> Share:
    stage = schedule.stages[number]
    part = rows / stage.rows
    if schedule.columns is not None and stage.columns:
        part *= sum(end - begin for begin, end in schedule.columns.turns()[number]) / stage.columns
    works = _works(layer)
    if stage.accumulates:
        own = works.summed if fusion.axis == "rows" else None
        return Share(layer.name, own or works.pulled, part, turns).of_form(SUMS)
    if schedule.columns is not None:
        if works.pixels is None:
            raise InternalError("plan", "what the kernels do by columns has not been counted", where=layer.name)
        return Share(layer.name, works.pixels, part, turns)
    return Share(layer.name, works.whole if fusion.axis == "rows" else works.pulled, part, turns)


def _works(layer: Layer) -> Works:
    if layer.works is None:
        raise InternalError("plan", "what the kernels do has not been counted", where=layer.name)
    return layer.works
