"""Reads a network that has been cut into layers: its layers and loops in order, and what is said of them."""

from __future__ import annotations

from collections.abc import Iterator

from lowtide.errors import InputError
from lowtide.ir import (
    Attribute,
    Block,
    BoolAttr,
    IntegerAttr,
    IntegerType,
    Module,
    Operation,
    StringAttr,
    Type,
    Value,
)
from lowtide.limits import LARGEST_INDEX
from lowtide.normalise.analysis import Role, defining, is_inline_constant, operands_of, public_functions, role_of
from lowtide.payload.operations import FusedOp, LayerOp, OutputOp, YieldOp
from lowtide.streaming import SOURCE

LAYER, YIELD = LayerOp.OPERATION_NAME, YieldOp.OPERATION_NAME
FUSED, OUTPUT = FusedOp.OPERATION_NAME, OutputOp.OPERATION_NAME
STATES = "lowtide.states"
"""The attribute of a network's function that says how many of its arguments and results are state; none is 0."""
KERNEL = "kernel"
"""The attribute of a layer that names the kernel to compute it, where a script has picked one."""
DIRECTION = "direction"
"""The attribute of a layer outside of loops that says the allocator's choice, one of `DIRECTIONS`; else the first."""
PART = "part"
"""The attribute that numbers a layer which writes a part of a concat that could have a buffer of its own."""


def layers_in(block: Block) -> Iterator[Operation]:
    """The layers of a network's block in the order in which they run, those in loops, too."""
    for view in block.operations:
        op = view.operation
        if op.name == LAYER:
            yield op
        elif op.name == FUSED:
            yield from layers_in(body_of(op))


def states_of(block: Block) -> int:
    """How many of the last arguments of a network, and of its last results, are state from one run to the next."""
    attributes = block.owner.attributes
    if STATES not in attributes:
        return 0
    most = min(len(block.arguments), len(terminator_of(block).operands))
    count = integer_of(attributes[STATES])
    if count is None or not 0 <= count <= most:
        raise InputError("graph", f"the network's {STATES} is {attributes[STATES]}, and it can have {most} at most")
    return count


def is_cut(module: Module) -> bool:
    """Whether `lowtide-outline` has cut the network into layers."""
    return any(next(layers_in(body_of(function.operation)), None) for function in public_functions(module))


def network_block(module: Module, stage: str) -> Block:
    """The block of the network, which has been cut into layers.

    Raises:
        InputError: it has not.
    """
    functions = public_functions(module)
    if len(functions) != 1 or not is_cut(module):
        raise InputError(stage, "the network has not been cut into layers", remedy="run lowtide-outline first")
    return body_of(functions[0].operation)


def network_layers(module: Module, stage: str) -> list[Operation]:
    """`layers_in` of the network; errors as for `network_block`."""
    return list(layers_in(network_block(module, stage)))


def streamed_of(block: Block) -> dict[Value, Operation]:
    """The arguments of a network that arrive row by row, in their order, each with its source."""
    found = {terminator_of(body_of(op)).operands[0]: op for op in layers_in(block) if is_source(op)}
    return {argument: found[argument] for argument in block.arguments if argument in found}


def is_source(layer: Operation) -> bool:
    """Whether a layer makes an input that arrives row by row."""
    return StringAttr(layer.attributes["kind"]).value == SOURCE


def label_of(layer: Operation) -> str:
    """The model's name of what a layer computes."""
    return StringAttr(layer.attributes["label"]).value


def text_in(op: Operation, name: str) -> str | None:
    """An attribute that is a text and need not be there."""
    return StringAttr(op.attributes[name]).value if name in op.attributes else None


def number_in(op: Operation, name: str) -> int:
    """An attribute that is a number and need not be there: 0 then."""
    return IntegerAttr(op.attributes[name]).value if name in op.attributes else 0


def integer_of(attribute: Attribute, most: int = LARGEST_INDEX) -> int | None:
    """The value of an integer attribute of at most 64 bits; None for another kind, a flag, or a value beyond ±most."""
    if isinstance(attribute, BoolAttr) or not isinstance(attribute, IntegerAttr):
        return None
    kind = attribute.type
    # the bindings have no value for a wider one, and a flag's is not its number
    if not isinstance(kind, IntegerType) or not 1 < kind.width <= 64:
        return None
    return attribute.value if -most <= attribute.value <= most else None


def body_of(op: Operation) -> Block:
    """The one block of a layer, a loop or a function."""
    return op.regions[0].blocks[0]


def terminator_of(block: Block) -> Operation:
    """The last operation of a block."""
    return block.operations[len(block.operations) - 1].operation


def create_layer(destination: Value, result: Type, kind: str, label: str) -> Operation:
    """A layer at the current insertion point, whose block is to be filled."""
    attributes = {"kind": StringAttr.get(kind), "label": StringAttr.get(label)}
    layer = Operation.create(LAYER, results=[result], operands=[destination], attributes=attributes, regions=1)
    layer.regions[0].blocks.append()
    return layer


def destination_of(layer: Operation) -> Value:
    """The tensor whose place a layer's result takes."""
    return layer.operands[0]


def inputs_of(layer: Operation) -> list[Value]:
    """What a layer reads, each once, in the order in which operands lead to them from its result.

    So equal layers have their inputs in the same order, whatever moved in the program. Scalars and empty tensors are
    no inputs, also where MLIR's canonicalization or CSE has moved them out of the layer.
    """
    block = body_of(layer)
    found: dict[Value, None] = {}
    seen: set[Value] = set()

    def visit(value: Value) -> None:
        op = defining(value)
        if op is None or not is_within(op, block):
            if not is_copied(value):
                found[value] = None
        elif value not in seen:
            seen.add(value)
            for position, operand in enumerate(operands_of(op)):
                # what a part of a concat is written into is the layer's destination, and no input
                if op.name != "tensor.insert_slice" or position != 1:
                    visit(operand)

    visit(terminator_of(block).operands[0])
    return list(found)


def is_copied(value: Value) -> bool:
    """Whether each layer that takes a value from outside has its own: scalars, and tensors that hold nothing yet."""
    op = defining(value)
    return op is not None and (is_inline_constant(value) or role_of(op) is Role.EMPTY)


def is_within(op: Operation, block: Block) -> bool:
    """Whether an operation is in a block, or in what is nested in it."""
    inside = op
    while inside.block != block:
        parent = inside.parent
        # the bindings crash where the block of a module is asked for, which is in none
        if parent is None or parent.parent is None:
            return False
        inside = parent.operation
    return True


def output_of(op: Operation) -> Value:
    """The tensor that a `lowtide.output` stands for."""
    loop = defining(op.operands[0])
    assert loop is not None, "it is the result of a loop"
    layers = list(layers_in(body_of(loop)))
    return layers[number_in(op, "layer") - 1].results[0]
