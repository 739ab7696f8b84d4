"""Checks the payload operations of a network before they are read: scripts and people may have written them.

IRDL has seen to it that each has its attributes, operands and results; here their values are looked at.
"""

from __future__ import annotations

from lowtide.errors import InputError
from lowtide.graph.program import DIRECTIONS
from lowtide.ir import ArrayAttr, Attribute, Block, Operation, StringAttr, place_of
from lowtide.normalise.analysis import defining
from lowtide.normalise.form import (
    FUSED,
    LAYER,
    OUTPUT,
    YIELD,
    body_of,
    integer_of,
    is_source,
    layers_in,
    terminator_of,
    text_in,
)

AXES = ("rows", "channels")


def check_payload(block: Block, stage: str) -> None:
    """Look at every layer, loop and output of a network's block.

    Raises:
        InputError: one says what has no meaning; its place is told.
    """
    for view in block.operations:
        op = view.operation
        objection = _objection(op)
        if objection:
            raise InputError(stage, f"'{op.name}': {objection}", where=place_of(op.location))
        if op.name == FUSED:
            check_payload(body_of(op), stage)


def number_of(attribute: Attribute) -> int | None:
    """`integer_of`, from 0 on."""
    number = integer_of(attribute)
    return number if number is not None and number >= 0 else None


def _objection(op: Operation) -> str:
    """What is wrong with an operation; empty where nothing is."""
    if op.name not in (LAYER, FUSED, OUTPUT):
        return ""
    if op.name == OUTPUT:
        return _of_output(op)
    if len(op.regions[0].blocks) != 1:
        return f"a body of {len(op.regions[0].blocks)} blocks, one is wanted"
    return _of_layer(op) if op.name == LAYER else _of_loop(op)


def _of_layer(op: Operation) -> str:
    body = body_of(op)
    if not len(body.operations) or terminator_of(body).name != YIELD:
        return "the body does not end in lowtide.yield"
    yielded = terminator_of(body).operands[0]
    result = op.results[0].type
    if not result == yielded.type == op.operands[0].type:
        return f"it yields {yielded.type} into {op.operands[0].type} for {result}: they are one type"
    if is_source(op) and (len(body.operations) > 1 or not isinstance(yielded.owner, Block)):
        return "a source yields an argument of the network as it is"
    for name in ("direction", "kernel"):
        if name in op.attributes and not isinstance(op.attributes[name], StringAttr):
            return f"unknown {name} {op.attributes[name]}; a name is wanted"
    # the kernel library itself refuses a name that it has not
    direction = text_in(op, "direction")
    if direction is not None and direction not in DIRECTIONS:
        return f"unknown direction '{direction}'; choose one of {', '.join(DIRECTIONS)}"
    return ""


def _of_loop(op: Operation) -> str:
    attributes, count = op.attributes, sum(1 for _ in layers_in(body_of(op)))
    if any(view.operation.name == FUSED for view in body_of(op).operations):
        return "a loop inside of a loop"
    if not count:
        return "it has no layer"
    for name, words in (("axis", AXES), ("direction", DIRECTIONS)):
        word = StringAttr(attributes[name]).value
        if word not in words:
            return f"unknown {name} '{word}'; choose one of {', '.join(words)}"
    rows, columns = (number_of(attributes[name]) for name in ("rows", "columns"))
    if not rows or columns is None:
        return f"rows = {attributes['rows']}, columns = {attributes['columns']}; 1 or more and 0 or more are wanted"
    recompute = [number_of(number) for number in ArrayAttr(attributes["recompute"])]
    wrong = [number for number in recompute if number is None or not 1 <= number < count]
    return f"recompute = {attributes['recompute']}: of {count} layers, 1 to {count - 1} may be" if wrong else ""


def _of_output(op: Operation) -> str:
    loop = defining(op.operands[0])
    if loop is None or loop.name != FUSED:
        return "its operand is no loop"
    layers, number = list(layers_in(body_of(loop))), number_of(op.attributes["layer"])
    if number is None or not 1 <= number <= len(layers):
        return f"there is no layer {op.attributes['layer']} in the loop, which has {len(layers)}"
    made = layers[number - 1].results[0].type
    return "" if made == op.results[0].type else f"layer {number} makes {made}, not {op.results[0].type}"
