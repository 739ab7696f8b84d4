"""Puts the layers of an outlined network into another order.

Before: calls in the model's order. After: calls in the order asked for, each buffer allocated just before the layer
that begins it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lowtide.errors import InputError
from lowtide.ir import Module, Operation
from lowtide.normalise.analysis import defining, network_function, operands_of
from lowtide.normalise.form import LAYER, label_of
from lowtide.passes import Pass

STAGE = "schedule"


def run(module: Module, options: Mapping[str, str]) -> None:
    """Reorder the calls.

    Options: `order`, the layers' numbers from 1 with commas between.

    Raises:
        InputError: the order is not one of all layers, or a layer comes before what it needs.
    """
    if "order" in options:
        reorder(module, _numbers(options["order"]))


def reorder(module: Module, order: Sequence[int]) -> None:
    """Put the calls of an outlined network into another order: the layers' numbers, from 1.

    Raises:
        InputError: the order is not one of all layers, or a layer comes before what it needs.
    """
    with module.context:
        block = network_function(module, STAGE).regions[0].blocks[0]
        operations = [view.operation for view in block.operations]
        calls = [op for op in operations if op.name == LAYER]
        if sorted(order) != list(range(1, len(calls) + 1)):
            message = f"the order is not one of the network's {len(calls)} layers"
            raise InputError(STAGE, message, where=str(list(order)))
        _check(calls, order)
        *rest, terminator = operations
        placed: set[Operation] = set()
        # what no layer needs, such as views of the results, comes after the last layer
        for op in [*(calls[number - 1] for number in order), *rest]:
            _place(op, terminator, placed)


PASS = Pass("lowtide-schedule", "put the layers of an outlined network into another order", run, ("order",))


def _numbers(text: str) -> list[int]:
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() for word in words):
        raise InputError(STAGE, f"'{text}' is not a list of layers' numbers", remedy="write order=2,1,3")
    return [int(word) for word in words]


def _check(calls: Sequence[Operation], order: Sequence[int]) -> None:
    """Every layer comes after those whose results it takes."""
    numbers = {call.results[0]: number for number, call in enumerate(calls, start=1)}
    done: set[int] = set()
    for number in order:
        for op in _computed_from(calls[number - 1]):
            needed = numbers.get(op.results[0])
            if needed is not None and needed not in done:
                message = f"layer {number} comes before layer {needed}, which it needs"
                raise InputError(STAGE, message, where=f"'{label_of(calls[number - 1])}'")
        done.add(number)


def _computed_from(op: Operation) -> list[Operation]:
    """The operation's operands' operations, and what those that are no layers take themselves."""
    found: list[Operation] = []
    pending = [op]
    while pending:
        for operand in operands_of(pending.pop()):
            owner = defining(operand)
            if owner is not None:
                found.append(owner)
                if owner.name != LAYER:
                    pending.append(owner)
    return found


def _place(op: Operation, terminator: Operation, placed: set[Operation]) -> None:
    """Move the operation to the end of what is placed, after what it takes.

    Buffers, reshapes and constants come just before the first layer that takes them.
    """
    if op in placed:
        return
    placed.add(op)
    for operand in operands_of(op):
        owner = defining(operand)
        if owner is not None:
            _place(owner, terminator, placed)
    op.move_before(terminator)
