"""Gives every buffer an offset in one arena: `memref.alloc` becomes `memref.view`, arguments become views too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lowtide.alloc import Problem, Solution, solve
from lowtide.bufferise.overlap import note_directions, overlap_choices
from lowtide.bufferise.roots import Root, buffer_roots, root_of, steps_of
from lowtide.graph.read import layer_bodies
from lowtide.ir import (
    ArrayAttr,
    FunctionType,
    IndexType,
    InsertionPoint,
    IntegerAttr,
    IntegerType,
    MemRefType,
    Module,
    OpResult,
    StringAttr,
    TypeAttr,
    arith,
    func,
    memref,
)
from lowtide.normalise.analysis import network_function
from lowtide.passes import Pass

STAGE = "allocate"
ARENA = "lowtide.arena_bytes"
BOUND = "lowtide.allocation_bound_bytes"
INPUTS = "lowtide.input_offsets"
OUTPUTS = "lowtide.output_offsets"
BUFFERS = "lowtide.buffers"
STRATEGY = "lowtide.strategy"
KEEP_INPUT = "lowtide.keep_input"
ALIGNMENT = "lowtide.buffer_alignment"
OVERLAP = "lowtide.overlap"


def run(module: Module, options: Mapping[str, str]) -> None:
    """Allocate the arena.

    Options, which override the module's attributes: `strategy`; `alignment` in bytes; `keep-input` (0 or 1); `overlap`
    (1: a layer may write over the part of a dying input that it no longer reads; 0: buffers share no byte at any step).
    """
    with module.context, module.operation.location:
        function = network_function(module, STAGE)
        alignment = int(options.get("alignment", _integer(module, ALIGNMENT, 4)))
        keep = bool(int(options.get("keep-input", _integer(module, KEEP_INPUT, 0))))
        strategy = options.get("strategy", _strategy(module))
        overlap = bool(int(options.get("overlap", _integer(module, OVERLAP, 1))))
        steps = steps_of(function)
        roots = buffer_roots(function, steps, alignment, keep)
        calls, choices = overlap_choices(steps, roots, layer_bodies(module)) if overlap else ((), ())
        solution = solve(Problem(tuple(root.buffer for root in roots), choices), strategy)
        note_directions(calls, solution.choices)
        apply_solution(module, function, roots, solution)


PASS = Pass("lowtide-allocate", "give every buffer an offset in one arena", run)


def _integer(module: Module, name: str, default: int) -> int:
    attributes = module.operation.attributes
    return IntegerAttr(attributes[name]).value if name in attributes else default


def _strategy(module: Module) -> str:
    attributes = module.operation.attributes
    return StringAttr(attributes[STRATEGY]).value if STRATEGY in attributes else "auto"


def apply_solution(module: Module, function: func.FuncOp, roots: list[Root], solution: Solution) -> None:
    """Rewrite the function to take the arena alone, and note offsets and sizes as attributes of the module."""
    block = function.regions[0].blocks[0]
    offsets = {root.value: offset for root, offset in zip(roots, solution.offsets, strict=True)}
    terminator = block.operations[len(block.operations) - 1].operation
    outputs = [offsets[root_of(value)] for value in terminator.operands]
    inputs = [offsets[argument] for argument in block.arguments]
    _note(module, roots, solution, inputs, outputs)
    arena = block.add_argument(MemRefType.get([solution.arena_bytes], IntegerType.get_signless(8)), function.location)
    with InsertionPoint.at_block_begin(block):
        for root in roots:
            offset = arith.constant(IndexType.get(), offsets[root.value])
            root.value.replace_all_uses_with(memref.view(root.value.type, arena, offset, []))
    for root in roots:
        if isinstance(root.value, OpResult):
            OpResult(root.value).owner.operation.erase()
    with InsertionPoint(terminator), function.location:
        func.ReturnOp([])
    terminator.erase()
    for _ in inputs:
        block.erase_argument(0)
    function.operation.attributes["function_type"] = TypeAttr.get(FunctionType.get([arena.type], []))
    for name in ("arg_attrs", "res_attrs"):
        if name in function.operation.attributes:
            del function.operation.attributes[name]


def _note(module: Module, roots: list[Root], solution: Solution, inputs: list[int], outputs: list[int]) -> None:
    i64 = IntegerType.get_signless(64)
    attributes = module.operation.attributes

    def numbers(values: Iterable[int]) -> ArrayAttr:
        return ArrayAttr.get([IntegerAttr.get(i64, value) for value in values])

    attributes[ARENA] = IntegerAttr.get(i64, solution.arena_bytes)
    attributes[BOUND] = IntegerAttr.get(i64, solution.bound_bytes)
    attributes[INPUTS] = numbers(inputs)
    attributes[OUTPUTS] = numbers(outputs)
    rows: list[ArrayAttr | StringAttr] = []
    for root, offset in zip(roots, solution.offsets, strict=True):
        b = root.buffer
        rows.append(ArrayAttr.get([StringAttr.get(b.name), numbers([b.size, offset, b.first, b.last])]))
    attributes[BUFFERS] = ArrayAttr.get(rows)
