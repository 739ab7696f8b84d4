"""Cuts a network into layers: `lowtide.layer` operations, whose regions hold what they compute.

Before: linalg on tensors in one function. After: the network's function holds only layers, reshapes, constants and one
`tensor.empty` for each buffer. The operations move into the layers, so that a transform script's handles to them stay
what they were; what several layers need is copied. What only a concat uses is written straight into its place there,
but for the parts that the plan has noted on the module (`lowtide.copied`): they get a buffer and are copied.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lowtide.errors import InputError
from lowtide.ir import (
    ArrayAttr,
    Block,
    InsertionPoint,
    IntegerAttr,
    Module,
    Operation,
    RankedTensorType,
    Value,
    i64,
    tensor,
)
from lowtide.normalise.analysis import Role, defining, is_inline_constant, network_function, operands_of, role_of
from lowtide.normalise.check import check_network
from lowtide.normalise.form import LAYER, PART, YIELD, body_of, create_layer, destination_of, is_cut
from lowtide.normalise.materialise import Cut, cut, numbered_parts
from lowtide.normalise.naming import kind_of, layer_name
from lowtide.normalise.own import separate
from lowtide.normalise.stream import add_sources
from lowtide.passes import Pass

STAGE = "outline"
COPIED = "lowtide.copied"


def run(module: Module, _: Mapping[str, str]) -> None:
    """Outline, unless a transform script already had to: see `outline_once`."""
    outline_once(module)


def outline_once(module: Module, erase: Callable[[Operation], None] = Operation.erase) -> None:
    """Outline every layer of the module's function; nothing is left to do where that has been done.

    Args:
        module: the network.
        erase: removes an operation that nobody needs; a script's handles may mean it.

    Raises:
        InputError: the function holds what no layer can; `lowtide-normalise` says the same, or removes it. A part to be
            copied that no concat has.
    """
    if is_cut(module):
        return
    with module.context, module.operation.location:
        # what tiling has copied into its loops is still there, and nobody reads it
        _erase_dead(network_function(module, STAGE).regions[0].blocks[0], erase)
        block = check_network(module, STAGE, loops=True).regions[0].blocks[0]
        separate(block)
        _cut_apart(cut(block, _copied(module, block)))
        add_sources(module, block)
        _erase_dead(block, erase)


PASS = Pass("lowtide-outline", "move what each layer computes into an operation of its own", run)


def _copied(module: Module, block: Block) -> list[int]:
    """The parts to be copied, which the module's attribute, removed here, names."""
    attributes = module.operation.attributes
    if COPIED not in attributes:
        return []
    noted = attributes[COPIED]
    if not isinstance(noted, ArrayAttr) or not all(isinstance(number, IntegerAttr) for number in noted):
        raise InputError(STAGE, f"the module's attribute {COPIED} is no list of numbers: {noted}")
    copied = [IntegerAttr(number).value for number in noted]
    del attributes[COPIED]
    count = len(numbered_parts(block))
    beyond = [number for number in copied if not 1 <= number <= count]
    if beyond:
        raise InputError(STAGE, f"part {beyond[0]} is to be copied, the network's concats have {count} parts")
    return copied


_Slice = dict[Operation, None]
"""The operations that one buffered tensor is computed from, in the order in which operands lead to them.

So equal layers read equal, whatever moved in the program.
"""


def _cut_apart(network: Cut) -> None:
    """Make a layer of each buffered tensor."""
    buffered = set(network.buffered)
    slices = {value: _slice(value, buffered) for value in network.buffered}
    # an operation moves into the last layer that needs it; the others get copies (an operation's hash changes with its
    # operands, its result's does not)
    owners: dict[Value, Value] = {op.results[0]: value for value, part in slices.items() for op in part}
    for value, part in slices.items():
        layer = _layer(value, part)
        if value in network.parts:
            layer.attributes[PART] = i64(network.parts[value])
        value.replace_all_uses_with(layer.results[0])
        _fill(layer, value, part, owners)


def _layer(value: Value, part: _Slice) -> Operation:
    """An empty layer in the place of the operation that computes `value`."""
    root = defining(value)
    assert root is not None
    with InsertionPoint(root), root.location:
        destination = root.operands[1] if root.name == "tensor.insert_slice" else None
        owner = None if destination is None else defining(destination)
        if destination is None or (owner is not None and role_of(owner) is Role.EMPTY):
            # an empty tensor of its own: one that others use too may move into one of them
            kind = RankedTensorType(value.type)
            destination = tensor.empty(kind.shape, kind.element_type)
        return create_layer(destination, value.type, kind_of(list(part)), layer_name(root))


def _fill(layer: Operation, value: Value, part: _Slice, owners: Mapping[Value, Value]) -> None:
    """Move the operations that are the layer's own into it, and copy the others."""
    block = body_of(layer)
    copies: dict[Value, Value] = {}
    for op in part:
        result = op.results[0]
        # moved rather than copied where that is possible, so that a script's handles still mean it
        held = op
        if owners[result] == value:
            block.append(op)
        else:
            held = op.clone(InsertionPoint(block))
            copies[result] = held.results[0]
        remap(held, copies)
        if held.name == "tensor.insert_slice":
            held.operands[1] = destination_of(layer)
    with InsertionPoint(block), layer.location:
        Operation.create(YIELD, operands=[value])


def _slice(value: Value, buffered: set[Value]) -> _Slice:
    """The backward slice from `value` to buffered tensors, arguments and constants that are tables."""
    part: _Slice = {}
    boundary = buffered - {value}

    def visit(value: Value) -> None:
        op = defining(value)
        if op is None or op in part or _is_input(value, op, boundary):
            return
        for position, operand in enumerate(operands_of(op)):
            # what an insertion writes into is the layer's destination, and no input
            if op.name != "tensor.insert_slice" or position != 1:
                visit(operand)
        part[op] = None

    visit(value)
    return part


def _is_input(value: Value, op: Operation, boundary: set[Value]) -> bool:
    """True for a tensor in memory, a view of one and a table."""
    table = role_of(op) is Role.CONSTANT and not is_inline_constant(value)
    return table or value in boundary or _is_view(op, boundary)


def _is_view(op: Operation, boundary: set[Value]) -> bool:
    """True for a reshape of something in memory, which stays outside of layers: it costs nothing there."""
    if role_of(op) is not Role.RESHAPE:
        return False
    source = op.operands[0]
    owner = defining(source)
    return owner is None or source in boundary or _is_view(owner, boundary)


def remap(op: Operation, mapping: Mapping[Value, Value]) -> None:
    """Replace operands, and what regions take from outside."""
    for i, operand in enumerate(op.operands):
        if operand in mapping:
            op.operands[i] = mapping[operand]
    for region in op.regions:
        for block in region.blocks:
            for view in block.operations:
                remap(view.operation, mapping)


def _erase_dead(block: Block, erase: Callable[[Operation], None]) -> None:
    """Erase what the layers have made unused, last first."""
    for view in reversed(list(block.operations)):
        op = view.operation
        unused = all(next(iter(result.uses), None) is None for result in op.results)
        if unused and len(op.results) and op.name != LAYER:
            erase(op)
