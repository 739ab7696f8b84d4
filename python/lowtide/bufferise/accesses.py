"""Notes on the module what each layer reads and writes, and reads the notes again: what a run is witnessed by."""

from __future__ import annotations

from collections.abc import Mapping

from lowtide.bufferise.directions import DIRECTION, DIRECTIONS
from lowtide.bufferise.in_place import Place
from lowtide.bufferise.program import Bufferised
from lowtide.ir import ArrayAttr, FlatSymbolRefAttr, IntegerAttr, IntegerType, Module, StringAttr
from lowtide.network import LayerAccess

ACCESSES = "lowtide.accesses"


def note_accesses(module: Module, read: Bufferised, moves: Mapping[int, Place]) -> None:
    """Note every call's buffers as an attribute of the module, while its operands still are the buffers.

    Args:
        module: bufferised.
        read: its program.
        moves: as `moves_in_place` gives them.
    """
    names = [store.name for store in read.program.buffers]
    i64 = IntegerType.get_signless(64)
    rows: list[ArrayAttr] = []
    for number, (call, op) in enumerate(zip(read.program.calls, read.calls, strict=True)):
        direction = StringAttr(op.attributes[DIRECTION]).value if DIRECTION in op.attributes else DIRECTIONS[0]
        function = FlatSymbolRefAttr(op.attributes["callee"]).value
        texts = [StringAttr.get(word) for word in (call.name, function, direction, names[call.writes])]
        inputs = ArrayAttr.get([StringAttr.get(names[item.buffer]) for item in call.reads])
        stored = 0 if number in moves else read.stored_bytes[number]
        numbers = [IntegerAttr.get(i64, value) for value in (stored, *moves.get(number, (0, 0)))]
        rows.append(ArrayAttr.get([*texts, inputs, *numbers]))
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
