"""The layers of a fused loop, read off their calls."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from lowtide.graph.nest import LayerBody
from lowtide.graph.read import shape_of
from lowtide.graph.row_schedule import Stage, UnschedulableError, stage_of
from lowtide.graph.rows import channel_access, channels_of, extents_of, row_access
from lowtide.ir import FlatSymbolRefAttr, Operation, StringAttr, Value
from lowtide.normalise.analysis import Role, defining, is_constant, role_of
from lowtide.normalise.form import LAYER


@dataclass(frozen=True)
class ChainLayer:
    """One call of an outlined network that takes part in a loop.

    Attributes:
        call: the operation.
        function: the outlined layer that it calls, and its loop description.
        sources: the tensor behind each operand but the destination: reshapes are looked through.
        stage: how it goes by rows; tensors are numbered.
        extents: rows and columns of each tensor that it uses.
    """

    call: Operation
    function: str
    body: LayerBody
    sources: tuple[Value, ...]
    stage: Stage
    extents: Mapping[int, tuple[int, int]]

    @property
    def result(self) -> Value:
        """The tensor that it makes."""
        return self.call.results[0]


def read_chain(
    calls: Sequence[Operation], bodies: Mapping[str, LayerBody], *, channels: bool = False
) -> tuple[ChainLayer, ...]:
    """The layers in the order of the calls, by rows or by channels.

    Raises:
        UnschedulableError: a layer can't go by rows; the message names it.
    """
    numbers: dict[Value, int] = {}
    for call in calls:
        for value in [*map(source_of, call.operands), call.results[0]]:
            numbers.setdefault(value, len(numbers))
    inside = {numbers[call.results[0]] for call in calls}
    return tuple(_layer(call, bodies, numbers, inside, channels=channels) for call in calls)


def _layer(
    call: Operation,
    bodies: Mapping[str, LayerBody],
    numbers: Mapping[Value, int],
    inside: Collection[int],
    *,
    channels: bool,
) -> ChainLayer:
    function = FlatSymbolRefAttr(call.attributes["callee"]).value
    body, sources = bodies[function], tuple(source_of(operand) for operand in list(call.operands)[:-1])
    owner = defining(call.operands[len(call.operands) - 1])
    if owner is None or role_of(owner) is not Role.EMPTY:
        raise UnschedulableError(f"layer '{layer_of(call)}' writes a part of a tensor that others write too")
    activations = {a: value for a, value in enumerate(sources) if not is_constant(value)}
    operands = {a: (numbers[value], shape_of(value)) for a, value in activations.items()}
    output = numbers[call.results[0]]
    shapes = (*operands.values(), (output, shape_of(call.results[0])))
    extents = {tensor: (channels_of(shape), 1) if channels else extents_of(shape) for tensor, shape in shapes}
    access = channel_access(body, operands) if channels else row_access(body, operands)
    stage = stage_of(access, output, extents, inside)
    if stage is None:
        what = "channels" if channels else "rows"
        raise UnschedulableError(f"layer '{layer_of(call)}' ({function}) can't be computed by {what}")
    return ChainLayer(call, function, body, sources, stage, extents)


def layer_of(call: Operation) -> str:
    """The model's name of what a call computes."""
    return StringAttr(call.attributes[LAYER]).value


def source_of(value: Value) -> Value:
    """The tensor that the value is a reshape of."""
    owner = defining(value)
    while owner is not None and role_of(owner) is Role.RESHAPE:
        value = owner.operands[0]
        owner = defining(value)
    return value
