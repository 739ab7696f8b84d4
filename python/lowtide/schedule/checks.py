"""What a schedule's steps are asked before they are taken, and the refusals: stage, layer and remedy."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import replace

from lowtide.errors import InputError
from lowtide.graph.fusion import Fusion
from lowtide.graph.graph import Graph
from lowtide.graph.stages import UnschedulableError
from lowtide.limits import LARGEST_INDEX
from lowtide.plan.memory import schedule_of

STAGE = "schedule"
LayerRef = int | str
"""A layer by its number, from 1 in the schedule's order, or by its name."""
_SHOWN = 80
"""Characters of a name or a list in a message."""


def layer_number(graph: Graph, layer: LayerRef) -> int:
    """The number of a layer.

    Raises:
        InputError: there is none, or several have the name.
    """
    if isinstance(layer, str):
        return _number_of_name(graph, layer)
    count = len(graph.layers)
    if isinstance(layer, bool) or not 1 <= layer <= count:
        remedy = f"the layers have the numbers 1 to {count}"
        raise InputError(STAGE, "there is no layer of this number", where=f"layer {layer}", remedy=remedy)
    return layer


def _number_of_name(graph: Graph, name: str) -> int:
    names = [layer.name for layer in graph.layers]
    found = [number for number, other in enumerate(names, start=1) if other == name]
    if len(found) == 1:
        return found[0]
    where = f"layer '{name[:_SHOWN]}'"
    if found:
        remedy = f"say which by its number: {', '.join(map(str, found))}"
        raise InputError(STAGE, "several layers have this name", where=where, remedy=remedy)
    near = [f"'{one}'" for one in dict.fromkeys(difflib.get_close_matches(name, names, cutoff=0.3))]
    remedy = f"give {' or '.join(near) or f'a number from 1 to {len(names)}'}"
    raise InputError(STAGE, "there is no layer of this name", where=where, remedy=remedy)


def place_of_layer(graph: Graph, number: int) -> str:
    """How messages name a layer."""
    return f"layer {number} '{graph.layers[number - 1].name}'"


def place_of_chain(graph: Graph, first: int, last: int) -> str:
    """How messages name layers `first` to `last`."""
    return f"{place_of_layer(graph, first)} to {place_of_layer(graph, last)}"


def chain_of(graph: Graph, first: LayerRef, last: LayerRef) -> tuple[int, int]:
    """The numbers of a loop's first and last layer.

    Raises:
        InputError: there are no such layers, or the last does not come after the first.
    """
    begin, end = layer_number(graph, first), layer_number(graph, last)
    if begin >= end:
        remedy = "give the first layer of the loop, then its last"
        where = place_of_chain(graph, begin, end)
        raise InputError(STAGE, "a loop has two layers or more", where=where, remedy=remedy)
    return begin, end


def check_count(value: int, least: int, what: str, where: str) -> None:
    """Raises InputError where a number is none of `what`, such as rows, that a loop can have."""
    if isinstance(value, bool) or not least <= value <= LARGEST_INDEX:
        raise InputError(STAGE, f"{value} {what}", where=where, remedy=f"give {least} to {LARGEST_INDEX:,}")


def check_word(word: str, words: Sequence[str], what: str, where: str) -> None:
    """Raises InputError where a word is not one of those there are."""
    if word not in words:
        remedy = f"choose one of {', '.join(words)}"
        raise InputError(STAGE, f"unknown {what} '{word[:_SHOWN]}'", where=where, remedy=remedy)


def check_loop(graph: Graph, fusion: Fusion, others: Sequence[Fusion]) -> None:
    """Whether layers can become a loop beside others.

    Raises:
        InputError: a layer is in a loop already, or they can't go together like that.
    """
    taken = next((one for one in others if one.first <= fusion.last and fusion.first <= one.last), None)
    if taken is not None:
        where = place_of_layer(graph, max(taken.first, fusion.first))
        remedy = f"undo() that step, or leave out layers {taken.first} to {taken.last}"
        raise InputError(STAGE, "the layer is in a loop already", where=where, remedy=remedy)
    try:
        schedule_of(graph, fusion)
    except UnschedulableError as reason:
        where = place_of_chain(graph, fusion.first, fusion.last)
        raise InputError(STAGE, str(reason), where=where, remedy=_possible(graph, fusion)) from None


def _possible(graph: Graph, fusion: Fusion) -> str:
    """The longest part of a chain that can go like that: from its first layer on, or else up to its last."""
    heads = [replace(fusion, last=last) for last in range(fusion.last - 1, fusion.first, -1)]
    tails = [replace(fusion, first=first) for first in range(fusion.first + 1, fusion.last)]
    for part in heads + tails if not fusion.recompute else ():
        try:
            schedule_of(graph, part)
        except UnschedulableError:
            continue
        return f"layers {part.first} to {part.last} can be fused like that"
    return "fuse other layers, or by other rows, columns or channels"


def check_order(graph: Graph, numbers: Sequence[int], loops: Sequence[Fusion]) -> None:
    """Whether layers can run in another order.

    Raises:
        InputError: a layer is missing or comes before one that it needs, or some are in loops.
    """
    if loops:
        where, remedy = place_of_chain(graph, loops[0].first, loops[0].last), "undo() the loops, and fuse afterwards"
        raise InputError(STAGE, "layers in a loop can't be put into another order", where=where, remedy=remedy)
    count = len(graph.layers)
    if sorted(numbers) != list(range(1, count + 1)):
        shown = str(list(numbers))[:_SHOWN]
        remedy = f"name each of the layers 1 to {count} once"
        raise InputError(STAGE, "the order does not have every layer once", where=shown, remedy=remedy)
    for place, number in enumerate(numbers):
        needed = next((late for late in numbers[place + 1 :] if _needs(graph, number, late)), None)
        if needed is not None:
            message, remedy = f"it comes before layer {needed}, which it needs", f"put {needed} before {number}"
            raise InputError(STAGE, message, where=place_of_layer(graph, number), remedy=remedy)


def _needs(graph: Graph, number: int, other: int) -> bool:
    """Whether a layer reads what the other one makes, or goes on with a tensor that it has begun."""
    layer = graph.layers[number - 1]
    return other < number and graph.layers[other - 1].output in (*layer.inputs, layer.output)
