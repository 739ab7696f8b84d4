"""Gives every buffer of a network an offset in one arena: `lowtide.arena`."""

from __future__ import annotations

from collections.abc import Mapping

from lowtide.alloc import Solution, solve
from lowtide.bound.bind import Binder
from lowtide.bound.build import read_network
from lowtide.budget import arena_refusal
from lowtide.bufferise.placement import Placement, place
from lowtide.errors import InputError, UsageError
from lowtide.graph.conflicts import problem_of
from lowtide.graph.program import DIRECTIONS
from lowtide.ir import (
    ArrayAttr,
    Attribute,
    BoolAttr,
    DictAttr,
    InsertionPoint,
    IntegerAttr,
    IntegerType,
    Module,
    Operation,
    StringAttr,
)
from lowtide.kernels.lanes import lanes_of
from lowtide.limits import check_arena
from lowtide.normalise.form import DIRECTION, text_in
from lowtide.passes import Pass
from lowtide.payload.operations import ArenaOp
from lowtide.placement import step_names
from lowtide.plan.memory import program_of

STAGE = "allocate"
STRATEGY = "lowtide.strategy"
KEEP_INPUT = "lowtide.keep_input"
ALIGNMENT = "lowtide.buffer_alignment"
OVERLAP = "lowtide.overlap"
BUDGET = "lowtide.budget"


def run(module: Module, options: Mapping[str, str]) -> None:
    """Allocate the arena; see `allocate`."""
    allocate(module, Binder(lanes_of(module)), options)


PASS = Pass(
    "lowtide-allocate",
    "give every buffer an offset in one arena",
    run,
    options=("strategy", "alignment", "keep-input", "overlap", "budget"),
)


def allocate(module: Module, binder: Binder, options: Mapping[str, str]) -> Placement:
    """Place the buffers of a network that has been cut into layers, and note where on the module.

    Args:
        module: gets a `lowtide.arena`; its layers are told their directions.
        binder: of the target.
        options: which override the module's attributes: `strategy`; `alignment` in bytes; `keep-input` (0 or 1);
            `overlap` (1: a layer may write over the part of a dying input that it no longer reads; 0: buffers share no
            byte at any step); `budget`, the bytes that the arena must fit in (0: none).

    Raises:
        UsageError: a value that is none for its option.
        InputError: the network has not been cut into layers, an attribute of the module is wrong, or the arena is
            larger than its budget.
    """
    if arena_of(module) is not None:
        raise InputError(STAGE, "the arena is allocated already", remedy="run this pass once")
    alignment = _number(module, options, "alignment", ALIGNMENT, 4)
    if alignment < 1:
        raise UsageError(STAGE, f"an alignment of {alignment} bytes", remedy="give 1 or more")
    keep = bool(_number(module, options, "keep-input", KEEP_INPUT, 0))
    strategy = options.get("strategy", _strategy(module))
    overlap = bool(_number(module, options, "overlap", OVERLAP, 1))
    budget = _number(module, options, "budget", BUDGET, 0)
    network = read_network(module, binder, stage=STAGE)
    program = program_of(network.graph, alignment, fusions=network.fusions, keep_input=keep)
    problem, calls = problem_of(program, overlap=overlap)
    solution = solve(problem, strategy)
    check_arena(solution.arena_bytes)
    lives = [(buffer.first, buffer.last) for buffer in problem.buffers]
    choices = zip(calls, solution.choices, strict=True)
    placement = place(network, program, lives, solution, {call: pick for call, pick in choices if call is not None})
    if 0 < budget < solution.arena_bytes:
        steps = step_names([call.name for call in program.calls])
        bytes_ = solution.arena_bytes, solution.bound_bytes
        raise arena_refusal(*bytes_, budget, placement.buffers, steps, overlap=overlap)
    _note(module, placement, alignment, keep=keep)
    return placement


def arena_of(module: Module) -> Operation | None:
    """The module's `lowtide.arena`."""
    operations = (view.operation for view in module.body.operations)
    return next((op for op in operations if op.name == ArenaOp.OPERATION_NAME), None)


def placement_of(module: Module, binder: Binder) -> Placement:
    """What `allocate` gave, read off a module that it has been over.

    Raises:
        InputError: it has not.
    """
    arena = arena_of(module)
    if arena is None:
        raise InputError("kernels", "the network has no arena", remedy="run lowtide-allocate first")
    network = read_network(module, binder)
    keep = BoolAttr(arena.attributes["keep_input"]).value
    alignment = IntegerAttr(arena.attributes["alignment"]).value
    program = program_of(network.graph, alignment, fusions=network.fusions, keep_input=keep)
    rows = [DictAttr(row) for row in ArrayAttr(arena.attributes["buffers"])]
    offsets, firsts, lasts = ([IntegerAttr(row[name]).value for row in rows] for name in ("offset", "first", "last"))
    size, bound = (IntegerAttr(arena.attributes[name]).value for name in ("bytes", "bound"))
    chosen = {
        number: DIRECTIONS.index(DIRECTIONS[text_in(network.layers[call.layer - 1].op, DIRECTION) == DIRECTIONS[1]])
        for number, call in enumerate(program.calls)
        if program.loop_of(number) is None and call.part != "start"
    }
    solution = Solution(tuple(offsets), (), size, bound, "")
    return place(network, program, list(zip(firsts, lasts, strict=True)), solution, chosen)


def _note(module: Module, placement: Placement, alignment: int, *, keep: bool) -> None:
    """Make the `lowtide.arena`, and tell the layers their directions."""
    with module.context, module.operation.location, InsertionPoint.at_block_begin(module.body):
        i64 = IntegerType.get_signless(64)

        def number(value: int) -> IntegerAttr:
            return IntegerAttr.get(i64, value)

        rows: list[Attribute] = []
        for buffer in placement.buffers:
            sizes = {"offset": buffer.offset, "bytes": buffer.size, "first": buffer.first, "last": buffer.last}
            words = {name: number(value) for name, value in sizes.items()}
            rows.append(DictAttr.get({"name": StringAttr.get(buffer.name), **words}))
        attributes = {
            "bytes": number(placement.arena_bytes),
            "bound": number(placement.bound_bytes),
            "alignment": number(alignment),
            "keep_input": BoolAttr.get(keep),
            "buffers": ArrayAttr.get(rows),
        }
        Operation.create(ArenaOp.OPERATION_NAME, attributes=attributes)
        for call, direction in zip(placement.program.calls, placement.directions, strict=True):
            if direction == DIRECTIONS[1]:
                layer = placement.network.layers[call.layer - 1].op
                layer.attributes[DIRECTION] = StringAttr.get(direction)


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
