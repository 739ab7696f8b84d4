"""Rows and columns of a program as they lie in memory, whichever way its loops go."""

from __future__ import annotations

from dataclasses import replace

from lowtide.graph.graph import Graph
from lowtide.graph.program import Program, Read, mirrored


def counted_from_the_start(program: Program, graph: Graph) -> Program:
    """The program with rows, columns and windows counted from the start in loops that go backwards, too.

    Reports and the witness take it: they look at memory, where row 0 comes first whatever the direction.
    """
    calls, loops = list(program.calls), list(program.loops)
    for position, loop in enumerate(program.loops):
        if not loop.backwards:
            continue
        numbers = range(loop.first, loop.last + 1)
        extents = {number: _extents(program, number, graph) for number in numbers}
        for number in numbers:
            calls[number] = replace(calls[number], reads=_turned(program, number, graph))
        runs = (r._replace(begin=extents[r.call][0] - r.end, end=extents[r.call][0] - r.begin) for r in loop.runs)
        columns = loop.columns and tuple(
            tuple((extents[number][1] - end, extents[number][1] - begin) for begin, end in turns)
            for number, turns in zip(numbers, loop.columns, strict=True)
        )
        loops[position] = replace(loop, runs=tuple(runs), columns=columns, backwards=False)
    return replace(program, calls=tuple(calls), loops=tuple(loops))


def _extents(program: Program, number: int, graph: Graph) -> tuple[int, int]:
    """Rows and columns that a call of a loop goes through in all: of its output, or of its input."""
    call = program.calls[number]
    layer = graph.layers[call.layer - 1]
    tensor = graph.tensors[layer.inputs[0] if call.accumulates else layer.output]
    return tensor.rows, tensor.columns


def _turned(program: Program, number: int, graph: Graph) -> tuple[Read, ...]:
    call = program.calls[number]
    if call.accumulates:
        return call.reads
    layer = graph.layers[call.layer - 1]
    output = graph.tensors[layer.output]
    inputs = [(read, graph.tensors[read.tensor]) for read in call.reads]
    return tuple(
        replace(
            read,
            window=mirrored(read.window, tensor.rows, output.rows),
            columns=mirrored(read.columns, tensor.columns, output.columns),
        )
        for read, tensor in inputs
    )
