"""Inputs that arrive row by row: `lowtide.layer` operations of the kind `source`, which make what was an argument.

Before: layers read an argument of the network, which lies in the arena whole before the first of them. After: a source
makes that tensor and all others read it, so that to every later stage it is a layer like any other: in a fused loop its
tensor is a line buffer. What it computes is its argument; its code is the caller's, who brings the rows in order.
"""

from __future__ import annotations

from lowtide.errors import InputError
from lowtide.ir import (
    ArrayAttr,
    Block,
    InsertionPoint,
    Module,
    Operation,
    RankedTensorType,
    Value,
    tensor,
)
from lowtide.normalise.form import YIELD, body_of, create_layer, integer_of, states_of
from lowtide.streaming import SOURCE

STAGE = "stream"
STREAMED = "lowtide.streamed"
"""The attribute of a module that numbers the arguments, from 0, that arrive row by row."""


def add_sources(module: Module, block: Block) -> None:
    """Make a source of each argument that the module's attribute, removed here, names.

    Args:
        module: where the attribute is.
        block: of its network, which has been cut into layers.

    Raises:
        InputError: the attribute is no list of arguments, or one of them can't arrive row by row.
    """
    attributes = module.operation.attributes
    if STREAMED not in attributes:
        return
    numbers = _numbers(module)
    del attributes[STREAMED]
    inputs = len(block.arguments) - states_of(block)
    for number in reversed(numbers):
        if number >= inputs:
            raise InputError(STAGE, f"input {number} is to arrive row by row, the network has {inputs} inputs")
        _add_source(block, number)


def _numbers(module: Module) -> list[int]:
    noted = module.operation.attributes[STREAMED]
    found = [integer_of(element) for element in noted] if isinstance(noted, ArrayAttr) else [None]
    numbers = [number for number in found if number is not None and number >= 0]
    if len(numbers) < len(found) or len(set(numbers)) < len(numbers):
        raise InputError(STAGE, f"the module's attribute {STREAMED} is no list of inputs: {noted}")
    return sorted(numbers)


def _add_source(block: Block, number: int) -> None:
    argument: Value = block.arguments[number]
    kind = RankedTensorType(argument.type)
    _check_rows(kind, number)
    readers = list(argument.uses)
    if not readers:
        raise InputError(STAGE, f"input {number} is to arrive row by row, and nothing reads it")
    with InsertionPoint.at_block_begin(block), block.owner.location:
        destination = tensor.empty(kind.shape, kind.element_type)
        source = create_layer(destination, argument.type, SOURCE, f"input {number}")
    for use in readers:
        use.owner.operands[use.operand_number] = source.results[0]
    with InsertionPoint(body_of(source)), source.location:
        Operation.create(YIELD, operands=[argument])


def _check_rows(kind: RankedTensorType, number: int) -> None:
    if not any(extent > 1 for extent in kind.shape):
        shape = "x".join(map(str, kind.shape))
        raise InputError(
            STAGE,
            f"input {number} ({shape}) has a single element: there are no rows in which it could arrive",
            remedy="leave out --stream-input for this input",
        )
