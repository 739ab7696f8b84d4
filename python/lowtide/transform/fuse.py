"""Makes a fused loop of a chain of layers: `lowtide.fused` with the layers inside.

Before: layers of the network. After: one `lowtide.fused` in the place of the last of them, which gives what others
need. What an iteration makes, and how large the line buffers are, follows from its attributes alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from lowtide.bound.bind import Binder
from lowtide.bound.build import BoundNetwork, read_network
from lowtide.graph.fusion import Fusion
from lowtide.graph.stages import UnschedulableError
from lowtide.ir import Block, InsertionPoint, Module, NoneType, Operation, StringAttr, Value, i64, i64_array
from lowtide.normalise.analysis import Role, defining, role_of, users_of
from lowtide.normalise.form import FUSED, OUTPUT, body_of, destination_of, inputs_of, is_within, label_of
from lowtide.plan.memory import schedule_of

STAGE = "transform"


def fuse(module: Module, layers: Sequence[Operation], wanted: Fusion, binder: Binder) -> Operation:
    """Put layers into one loop.

    Args:
        module: its network has been cut into layers.
        layers: layers of the network's block, in its order.
        wanted: how the loop goes; which layers it has is not looked at.
        binder: the target's.

    Returns:
        the `lowtide.fused`.

    Raises:
        UnschedulableError: they can't go together like that; nothing has been changed.
    """
    _check(read_network(module, binder), layers, wanted)
    return _build(layers, wanted)


def _check(network: BoundNetwork, layers: Sequence[Operation], wanted: Fusion) -> None:
    """Whether there is such a loop: layers between the first and the last that are not in it then come before it."""
    steps = {layer.op: step for step, layer in enumerate(network.layers, start=1)}
    chain = [steps[layer] for layer in layers]
    between = [step for step in range(chain[0], chain[-1]) if step not in set(chain)]
    _check_between(network, chain, between)
    for layer in layers:
        owner = defining(destination_of(layer))
        if owner is None or role_of(owner) is not Role.EMPTY:
            raise UnschedulableError(f"layer '{label_of(layer)}' writes a part of a tensor that others write too")
    # judged on the graph as it will be: data alone, so that a refusal has changed nothing
    order = [*range(1, chain[0]), *between, *chain, *range(chain[-1] + 1, len(steps) + 1)]
    first = chain[0] + len(between)
    schedule_of(network.graph.reordered(order), replace(wanted, first=first, last=first + len(chain) - 1))


def _check_between(network: BoundNetwork, chain: Sequence[int], between: Sequence[int]) -> None:
    """Nothing else between the layers may take what they make: it would come before the loop."""
    graph = network.graph
    made = {graph.layers[step - 1].output for step in chain}
    for step in between:
        layer = graph.layers[step - 1]
        begun = {graph.layers[earlier - 1].output for earlier in chain if earlier < step}
        if made & begun & {*layer.inputs, layer.output}:
            raise UnschedulableError(f"layer '{layer.name}', which is not in the chain, comes before its end")


def _build(layers: Sequence[Operation], wanted: Fusion) -> Operation:
    block, own = layers[0].block, set(layers)
    outside = [any(user not in own for user in _users(layer.results[0], block)) for layer in layers]
    # reshapes of what the layers make: those that only the loop needs move into it, the others stay behind it
    views = _views(layers, block)
    with layers[0].context, layers[-1].location, InsertionPoint(layers[-1]):
        attributes = {
            "rows": i64(wanted.rows),
            "columns": i64(wanted.columns),
            "axis": StringAttr.get(wanted.axis),
            "direction": StringAttr.get(wanted.direction),
            "recompute": i64_array(wanted.recompute),
        }
        fused = Operation.create(FUSED, results=[NoneType.get()], attributes=attributes, regions=1)
        inside = fused.regions[0].blocks.append()
        made: dict[Value, Value] = {layer.results[0]: layer.results[0] for layer in layers}
        inner = [view for view in views if all(user in own for user in _users(view.results[0], block))]
        # none is erased: a script may have a handle to it
        for layer in layers:
            _move(layer, inside, made)
            for view in [view for view in inner if _root(view.results[0]) == layer.results[0]]:
                inside.append(view)
                made[view.results[0]] = view.results[0]
    for view in reversed([view for view in views if view.results[0] not in made or view.block != inside]):
        view.move_after(fused)
    # last first, as each is inserted right behind the loop: they end up in the layers' order
    for number, (layer, needed) in reversed(list(enumerate(zip(layers, outside, strict=True), start=1))):
        if needed:
            with layer.location, InsertionPoint.after(fused):
                kind, attribute = layer.results[0].type, {"layer": i64(number)}
                output = Operation.create(OUTPUT, results=[kind], operands=[fused.results[0]], attributes=attribute)
            _replace(layer.results[0], output.results[0], lambda user: not is_within(user, inside))
    return fused


def _move(layer: Operation, inside: Block, made: dict[Value, Value]) -> None:
    """Move a layer into the loop, with copies of the reshapes through which it takes what is made there."""
    for value in inputs_of(layer):
        if _root(value) in made:
            _replace(value, _viewed(value, inside, made), lambda user: is_within(user, body_of(layer)))
    owner = defining(destination_of(layer))
    # the empty tensor that stands for the layer's buffer belongs to the layer alone
    if owner is not None and owner.name == "tensor.empty" and len(list(owner.results[0].uses)) == 1:
        inside.append(owner)
    inside.append(layer)


def _viewed(value: Value, inside: Block, made: dict[Value, Value]) -> Value:
    if value not in made:
        op = defining(value)
        assert op is not None
        source = _viewed(op.operands[0], inside, made)
        copy = op.clone(InsertionPoint(inside))
        copy.operands[0] = source
        made[value] = copy.results[0]
    return made[value]


def _root(value: Value) -> Value:
    """The tensor that the value is a reshape of."""
    owner = defining(value)
    while owner is not None and role_of(owner) is Role.RESHAPE:
        value = owner.operands[0]
        owner = defining(value)
    return value


def _users(value: Value, block: Block) -> list[Operation]:
    """The operations of a block that take a tensor, or a reshape of it."""
    found: list[Operation] = []
    for user in users_of(value, block):
        found.extend(_users(user.results[0], block) if role_of(user) is Role.RESHAPE else [user])
    return found


def _views(layers: Sequence[Operation], block: Block) -> list[Operation]:
    """The reshapes of what the layers make, in their order."""
    results = {layer.results[0] for layer in layers}
    operations = (view.operation for view in block.operations)
    return [op for op in operations if role_of(op) is Role.RESHAPE and _root(op.results[0]) in results]


def _replace(value: Value, other: Value, where: Callable[[Operation], bool]) -> None:
    """Let the operations for which `where` holds take another value."""
    for use in list(value.uses):
        user = use.owner.operation
        if value != other and where(user):
            user.operands[use.operand_number] = other
