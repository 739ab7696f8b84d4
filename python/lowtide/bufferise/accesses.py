"""Notes on the module what each layer reads and writes, and reads the notes again: what a run is witnessed by."""

from __future__ import annotations

from collections.abc import Mapping

from lowtide.bufferise.directions import DIRECTION
from lowtide.bufferise.in_place import Place
from lowtide.bufferise.program import Bufferised
from lowtide.graph.program import DIRECTIONS, Call, Loop, Run, Window
from lowtide.ir import (
    ArrayAttr,
    DenseI64ArrayAttr,
    FlatSymbolRefAttr,
    IntegerAttr,
    IntegerType,
    Module,
    StringAttr,
)
from lowtide.placement import LayerAccess

ACCESSES = "lowtide.accesses"
LOOPS = "lowtide.loops"


def note_accesses(module: Module, read: Bufferised, moves: Mapping[int, Place]) -> None:
    """Note every call's buffers, and the loops' runs, on the module, while the operands still are the buffers.

    Args:
        module: bufferised.
        read: its program.
        moves: as `moves_in_place` gives them.
    """
    names = [store.name for store in read.program.buffers]
    i64 = IntegerType.get_signless(64)
    rows: list[ArrayAttr] = []
    for number, (call, op) in enumerate(zip(read.actual.calls, read.calls, strict=True)):
        direction = StringAttr(op.attributes[DIRECTION]).value if DIRECTION in op.attributes else DIRECTIONS[0]
        function = FlatSymbolRefAttr(op.attributes["callee"]).value
        texts = [StringAttr.get(word) for word in (call.name, function, direction, names[call.writes])]
        inputs = ArrayAttr.get([StringAttr.get(names[item.buffer]) for item in call.reads])
        stored = 0 if number in moves else read.stored_bytes[number]
        numbers = [stored, *moves.get(number, (0, 0)), int(call.accumulates), read.macs[number]]
        integers = [IntegerAttr.get(i64, value) for value in numbers]
        rows.append(ArrayAttr.get([*texts, inputs, *integers, _windows(call)]))
    module.operation.attributes[ACCESSES] = ArrayAttr.get(rows)
    module.operation.attributes[LOOPS] = ArrayAttr.get([_loop(loop) for loop in read.actual.loops])


def layer_accesses(module: Module) -> tuple[LayerAccess, ...]:
    """What `note_accesses` noted of the calls, in their order."""
    found: list[LayerAccess] = []
    for row in ArrayAttr(module.operation.attributes[ACCESSES]):
        *texts, names, stored, first, count, accumulates, macs, windows = ArrayAttr(row)
        name, function, direction, output = (StringAttr(text).value for text in texts)
        inputs = tuple(StringAttr(item).value for item in ArrayAttr(names))
        sizes = [IntegerAttr(number).value for number in (stored, first, count)]
        pairs = [[_read_window(DenseI64ArrayAttr(item)) for item in ArrayAttr(pair)] for pair in ArrayAttr(windows)]
        reach = tuple((rows, columns) for rows, columns in pairs)
        words = name, function, direction, inputs, output
        sums, products = bool(IntegerAttr(accumulates).value), IntegerAttr(macs).value
        found.append(LayerAccess(*words, sizes[0], sizes[1], sizes[2], reach, sums, products))
    return tuple(found)


def loops_of(module: Module) -> tuple[Loop, ...]:
    """What `note_accesses` noted of the loops, in their order."""
    found: list[Loop] = []
    for noted in ArrayAttr(module.operation.attributes[LOOPS]):
        bounds, runs, *columns = (list(DenseI64ArrayAttr(item)) for item in ArrayAttr(noted))
        first, last, by_channels = bounds
        rows = tuple(Run(*runs[at : at + 4]) for at in range(0, len(runs), 4))
        turns = tuple(tuple(zip(of_one[::2], of_one[1::2], strict=True)) for of_one in columns)
        found.append(Loop(first, last, rows, turns or None, by_channels=bool(by_channels)))
    return tuple(found)


def _loop(loop: Loop) -> ArrayAttr:
    runs = [number for run in loop.runs for number in (run.call, run.iteration, run.begin, run.end)]
    columns = [[bound for pair in of_one for bound in pair] for of_one in loop.columns or ()]
    return ArrayAttr.get(
        [DenseI64ArrayAttr.get(numbers) for numbers in ([loop.first, loop.last, int(loop.by_channels)], runs, *columns)]
    )


def _windows(call: Call) -> ArrayAttr:
    pairs = [ArrayAttr.get([_window(read.window), _window(read.columns)]) for read in call.reads]
    return ArrayAttr.get(pairs)


def _window(window: Window | None) -> DenseI64ArrayAttr:
    return DenseI64ArrayAttr.get([] if window is None else [window.stride, window.first, window.last])


def _read_window(numbers: DenseI64ArrayAttr) -> Window | None:
    values = list(numbers)
    return Window(*values) if values else None
