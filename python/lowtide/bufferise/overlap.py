"""What the allocator learns of layers: the overlaps that each one's kernel allows between dying inputs and output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lowtide.alloc import Choice, Forbidden
from lowtide.bufferise.roots import Root, root_of
from lowtide.graph.nest import LayerBody
from lowtide.graph.profile import Profile
from lowtide.ir import FlatSymbolRefAttr, Operation, StringAttr
from lowtide.kernels.library import kernel_for

DIRECTION = "lowtide.direction"
DIRECTIONS = ("forwards", "backwards")
"""Of a layer's loops; the position is the number of the alternative in its `Choice`."""


def overlap_choices(
    steps: Mapping[Operation, int], roots: Sequence[Root], bodies: Mapping[str, LayerBody]
) -> tuple[tuple[Operation, ...], tuple[Choice, ...]]:
    """The layers that can write over an input they are the last to use, and what each direction allows.

    Args:
        steps: step of each call (and of whatever else uses buffers).
        roots: the network's buffers.
        bodies: the layers' loop descriptions by function name.

    Returns:
        calls and their choices, in the order of `DIRECTIONS` each.
    """
    by_value = {root.value: root.buffer for root in roots}
    calls: list[Operation] = []
    choices: list[Choice] = []
    profiles: dict[tuple[str, int], Profile] = {}
    for op, step in steps.items():
        if op.name != "func.call":
            continue
        name = FlatSymbolRefAttr(op.attributes["callee"]).value
        operands = list(op.operands)
        output = by_value[root_of(operands[-1])]
        forwards: dict[str, Forbidden] = {}
        backwards: dict[str, Forbidden] = {}
        for argument, operand in enumerate(operands[:-1]):
            source = by_value.get(root_of(operand))
            if source is None or source.last != step or output.first != step:
                continue
            if (name, argument) not in profiles:
                body = bodies[name]
                profiles[name, argument] = kernel_for(body).profile(body, argument, source.size, output.size)
            profile = profiles[name, argument]
            low, high = -profile.forwards, source.size - output.size + profile.backwards
            if source.name in forwards:  # an input that the layer takes twice: the stricter of both
                low, high = min(low, forwards[source.name].low), max(high, backwards[source.name].high)
            forwards[source.name] = Forbidden(source.name, output.name, low, source.size)
            backwards[source.name] = Forbidden(source.name, output.name, -output.size, high)
        if forwards:
            calls.append(op)
            choices.append(Choice(f"step {step}", (tuple(forwards.values()), tuple(backwards.values()))))
    return tuple(calls), tuple(choices)


def note_directions(calls: Sequence[Operation], chosen: Sequence[int]) -> None:
    """Tell the kernels which way each of these layers runs."""
    for call, choice in zip(calls, chosen, strict=True):
        if choice:
            call.attributes[DIRECTION] = StringAttr.get(DIRECTIONS[choice])
