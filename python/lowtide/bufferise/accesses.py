"""Notes on the module what each layer reads and writes, and reads the notes again: what a run is witnessed by."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from lowtide.bufferise.in_place import Place
from lowtide.bufferise.overlap import DIRECTION, DIRECTIONS
from lowtide.bufferise.roots import Root, root_of
from lowtide.graph.nest import LayerBody
from lowtide.ir import ArrayAttr, FlatSymbolRefAttr, IntegerAttr, IntegerType, Module, Operation, StringAttr
from lowtide.network import LayerAccess
from lowtide.normalise.outline import LAYER

ACCESSES = "lowtide.accesses"


def note_accesses(
    module: Module,
    steps: Mapping[Operation, int],
    roots: Sequence[Root],
    bodies: Mapping[str, LayerBody],
    moves: Mapping[int, Place],
) -> None:
    """Note every call's buffers as an attribute of the module, while its operands still are the buffers.

    Args:
        module: bufferised.
        steps: of each call.
        roots: the network's buffers.
        bodies: the layers' loop descriptions by function name.
        moves: as `moves_in_place` gives them.
    """
    buffers = {root.value: root.buffer for root in roots}
    i64 = IntegerType.get_signless(64)
    rows: list[ArrayAttr] = []
    for call, step in ((op, step) for op, step in steps.items() if op.name == "func.call"):
        function = FlatSymbolRefAttr(call.attributes["callee"]).value
        operands = [buffers.get(root_of(operand)) for operand in call.operands]
        output, body = operands[-1], bodies[function]
        assert output is not None
        element = output.size // math.prod(body.destination)
        stored = 0 if step in moves else math.prod(body.result.shape) * element
        inputs = dict.fromkeys(buffer.name for buffer in operands[:-1] if buffer is not None)
        direction = StringAttr(call.attributes[DIRECTION]).value if DIRECTION in call.attributes else DIRECTIONS[0]
        words = [StringAttr(call.attributes[LAYER]).value, function, direction, output.name]
        texts = [StringAttr.get(word) for word in words]
        names = ArrayAttr.get([StringAttr.get(name) for name in inputs])
        numbers = [IntegerAttr.get(i64, number) for number in (stored, *moves.get(step, (0, 0)))]
        rows.append(ArrayAttr.get([*texts, names, *numbers]))
    module.operation.attributes[ACCESSES] = ArrayAttr.get(rows)


def layer_accesses(module: Module) -> tuple[LayerAccess, ...]:
    """What `note_accesses` noted, in the order of execution."""
    found: list[LayerAccess] = []
    for row in ArrayAttr(module.operation.attributes[ACCESSES]):
        *texts, names, stored, first, count = ArrayAttr(row)
        name, function, direction, output = (StringAttr(text).value for text in texts)
        inputs = tuple(StringAttr(item).value for item in ArrayAttr(names))
        numbers = (IntegerAttr(number).value for number in (stored, first, count))
        found.append(LayerAccess(name, function, direction, inputs, output, *numbers))
    return tuple(found)
