"""Gives every buffer an offset in one arena: `memref.alloc` becomes `memref.view`, arguments become views too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lowtide.alloc import Problem, Solution, solve
from lowtide.budget import arena_refusal
from lowtide.bufferise.accesses import note_accesses
from lowtide.bufferise.directions import note_directions
from lowtide.bufferise.in_place import erase_calls, moves_in_place
from lowtide.bufferise.program import Bufferised, read_program
from lowtide.errors import InputError, UsageError
from lowtide.graph.conflicts import problem_of
from lowtide.graph.read import layer_bodies
from lowtide.ir import (
    ArrayAttr,
    BoolAttr,
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
from lowtide.limits import check_arena
from lowtide.normalise.form import ARENA, outlined_network
from lowtide.passes import Pass
from lowtide.placement import PlacedBuffer, step_names

STAGE = "allocate"
BOUND = "lowtide.allocation_bound_bytes"
INPUTS = "lowtide.input_offsets"
OUTPUTS = "lowtide.output_offsets"
BUFFERS = "lowtide.buffers"
MACS = "lowtide.macs"
STRATEGY = "lowtide.strategy"
KEEP_INPUT = "lowtide.keep_input"
ALIGNMENT = "lowtide.buffer_alignment"
OVERLAP = "lowtide.overlap"
BUDGET = "lowtide.budget"


def run(module: Module, options: Mapping[str, str]) -> None:
    """Allocate the arena.

    Options, which override the module's attributes: `strategy`; `alignment` in bytes; `keep-input` (0 or 1); `overlap`
    (1: a layer may write over the part of a dying input that it no longer reads; 0: buffers share no byte at any step);
    `budget`, the bytes that the arena must fit in (0: none).

    Raises:
        UsageError: a value that is none for its option.
        InputError: the module is not what `lowtide-bufferise` gives, an attribute of it is wrong, or the arena is
            larger than its budget.
    """
    with module.context, module.operation.location:
        function = outlined_network(module, STAGE, on="buffers")
        alignment = _number(module, options, "alignment", ALIGNMENT, 4)
        if alignment < 1:
            raise UsageError(STAGE, f"an alignment of {alignment} bytes", remedy="give 1 or more")
        keep = bool(_number(module, options, "keep-input", KEEP_INPUT, 0))
        strategy = options.get("strategy", _strategy(module))
        overlap = bool(_number(module, options, "overlap", OVERLAP, 1))
        budget = _number(module, options, "budget", BUDGET, 0)
        bodies = layer_bodies(module, STAGE)
        read = read_program(module, function, bodies, alignment, keep_input=keep)
        problem, layers = problem_of(read.program, overlap=overlap)
        solution = solve(problem, strategy)
        check_arena(solution.arena_bytes)
        if 0 < budget < solution.arena_bytes:
            steps = step_names([call.name for call in read.program.calls])
            placed = placed_in(problem, solution)
            raise arena_refusal(solution.arena_bytes, solution.bound_bytes, budget, placed, steps, overlap=overlap)
        note_directions(read.calls, layers, solution.choices)
        moves = moves_in_place(read, bodies, solution.offsets)
        note_accesses(module, read, moves)
        erase_calls(read, moves)
        apply_solution(module, function, read, problem, solution)


PASS = Pass(
    "lowtide-allocate",
    "give every buffer an offset in one arena",
    run,
    options=("strategy", "alignment", "keep-input", "overlap", "budget"),
)


def _number(module: Module, options: Mapping[str, str], option: str, attribute: str, default: int) -> int:
    """An option's value, else the attribute's, else the default; a flag may be `true` or `false`."""
    if option in options:
        text = {"true": "1", "false": "0"}.get(options[option], options[option])
        if not text.isdecimal():
            raise UsageError(STAGE, f"{option} is a number, not '{options[option]}'")
        return int(text)
    if attribute not in module.operation.attributes:
        return default
    value = module.operation.attributes[attribute]
    if not isinstance(value, BoolAttr | IntegerAttr):
        raise InputError(STAGE, f"the module's attribute {attribute} is no number: {value}")
    return int(value.value)


def _strategy(module: Module) -> str:
    if STRATEGY not in module.operation.attributes:
        return "auto"
    value = module.operation.attributes[STRATEGY]
    if not isinstance(value, StringAttr):
        raise InputError(STAGE, f"the module's attribute {STRATEGY} is no name: {value}")
    return value.value


def placed_in(problem: Problem, solution: Solution) -> tuple[PlacedBuffer, ...]:
    """Each buffer of a problem at the place that a solution gives it."""
    pairs = zip(problem.buffers, solution.offsets, strict=True)
    return tuple(PlacedBuffer(b.name, b.size, offset, b.first, b.last) for b, offset in pairs)


def apply_solution(
    module: Module, function: func.FuncOp, read: Bufferised, problem: Problem, solution: Solution
) -> None:
    """Rewrite the function to take the arena alone, and note offsets and sizes as attributes of the module."""
    block = function.regions[0].blocks[0]
    terminator = block.operations[len(block.operations) - 1].operation
    _note(module, read, problem, solution)
    arena = block.add_argument(MemRefType.get([solution.arena_bytes], IntegerType.get_signless(8)), function.location)
    with InsertionPoint.at_block_begin(block):
        for value, place in zip(read.values, solution.offsets, strict=True):
            offset = arith.constant(IndexType.get(), place)
            value.replace_all_uses_with(memref.view(value.type, arena, offset, []))
    for value in read.values:
        if isinstance(value, OpResult):
            OpResult(value).owner.operation.erase()
    with InsertionPoint(terminator), function.location:
        func.ReturnOp([])
    terminator.erase()
    for _ in read.program.inputs:
        block.erase_argument(0)
    function.operation.attributes["function_type"] = TypeAttr.get(FunctionType.get([arena.type], []))
    for name in ("arg_attrs", "res_attrs"):
        if name in function.operation.attributes:
            del function.operation.attributes[name]


def _note(module: Module, read: Bufferised, problem: Problem, solution: Solution) -> None:
    i64 = IntegerType.get_signless(64)
    attributes = module.operation.attributes

    def numbers(values: Iterable[int]) -> ArrayAttr:
        return ArrayAttr.get([IntegerAttr.get(i64, value) for value in values])

    attributes[MACS] = IntegerAttr.get(i64, sum(read.macs))
    attributes[ARENA] = IntegerAttr.get(i64, solution.arena_bytes)
    attributes[BOUND] = IntegerAttr.get(i64, solution.bound_bytes)
    attributes[INPUTS] = numbers(solution.offsets[buffer] for buffer in read.program.inputs)
    attributes[OUTPUTS] = numbers(solution.offsets[buffer] for buffer in read.program.outputs)
    rows: list[ArrayAttr | StringAttr] = []
    stores = zip(read.program.buffers, read.innermost, strict=True)
    for (store, innermost), b, offset in zip(stores, problem.buffers, solution.offsets, strict=True):
        values = [b.size, offset, b.first, b.last, store.pixels, store.columns, store.shift, store.block, *innermost]
        rows.append(ArrayAttr.get([StringAttr.get(b.name), numbers(values)]))
    attributes[BUFFERS] = ArrayAttr.get(rows)
