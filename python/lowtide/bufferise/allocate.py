"""Gives every buffer of a network an offset in one arena: `lowtide.arena`."""

from __future__ import annotations

from collections.abc import Mapping

from lowtide.alloc import Solution, solve
from lowtide.alloc.validate import validate
from lowtide.bound.bind import Binder
from lowtide.bound.build import BoundNetwork, read_network
from lowtide.bound.check import number_of
from lowtide.budget import arena_refusal
from lowtide.bufferise.placement import Placement, place
from lowtide.errors import InputError, InternalError, UsageError
from lowtide.graph.conflicts import problem_of
from lowtide.graph.program import DIRECTIONS, Program
from lowtide.graph.stages import UnschedulableError
from lowtide.ir import (
    ArrayAttr,
    Attribute,
    BoolAttr,
    DictAttr,
    InsertionPoint,
    IntegerAttr,
    Module,
    Operation,
    StringAttr,
    i64,
)
from lowtide.kernels.microkernels import microkernels_of
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
_SIZES = ("alignment", "bytes", "bound")
_FLAGS = ("keep_input", "overlap")


def run(module: Module, options: Mapping[str, str]) -> None:
    """Allocate the arena; see `allocate`."""
    allocate(module, Binder(microkernels_of(module)), options)


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
        binder: the target's.
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
    program = _program(network, alignment, keep=keep)
    # `calls` says which call each choice of the allocator, forwards or backwards, is about
    problem, calls = problem_of(program, overlap=overlap)
    solution = solve(problem, strategy)
    check_arena(solution.arena_bytes)
    choices = zip(calls, solution.choices, strict=True)
    placement = place(network, program, solution, {call: pick for call, pick in choices if call is not None})
    if 0 < budget < solution.arena_bytes:
        steps = step_names([call.name for call in program.calls])
        sizes = solution.arena_bytes, solution.bound_bytes, budget
        raise arena_refusal(*sizes, placement.buffers, steps, overlap=overlap)
    _note(module, placement, alignment, keep=keep, overlap=overlap)
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
    network = read_network(module, binder, stage="kernels")
    alignment, size, bound = (number_of(arena.attributes[name]) for name in _SIZES)
    flags = [arena.attributes[name] for name in _FLAGS if name in arena.attributes]
    kept = [BoolAttr(flag).value for flag in flags if isinstance(flag, BoolAttr)]
    if not alignment or size is None or bound is None or len(kept) < len(_FLAGS):
        raise InputError("kernels", f"an arena needs numbers {', '.join(_SIZES)} and flags {', '.join(_FLAGS)}")
    program = _program(network, alignment, keep=kept[0])
    problem, calls = problem_of(program, overlap=kept[1])
    rows = [DictAttr(row) for row in ArrayAttr(arena.attributes["buffers"]) if isinstance(row, DictAttr)]
    offsets = [number_of(row["offset"]) if "offset" in row else None for row in rows]
    # the offsets may have been edited: the validator sees to it that no two buffers get in each other's way
    places = tuple(offset for offset in offsets if offset is not None)
    # calls in loops go the way of their loop, and a sum is started before it: the allocator has no choice there
    chosen = {
        number: int(text_in(network.layers[call.layer - 1].op, DIRECTION) == DIRECTIONS[1])
        for number, call in enumerate(program.calls)
        if program.loop_of(number) is None and call.part != "start"
    }
    choices = tuple(0 if call is None else chosen[call] for call in calls)
    solution = Solution(places, choices, size, bound, "given")
    try:
        validate(problem, solution)
    except InternalError as error:
        raise InputError("kernels", f"the arena is none for this network: {error.message}") from None
    return place(network, program, solution, chosen)


def _program(network: BoundNetwork, alignment: int, *, keep: bool) -> Program:
    try:
        return program_of(network.graph, alignment, fusions=network.fusions, keep_input=keep)
    except UnschedulableError as error:
        raise InputError(STAGE, f"a loop of the network is none: {error}") from None


def _note(module: Module, placement: Placement, alignment: int, *, keep: bool, overlap: bool) -> None:
    """Make the `lowtide.arena`, and tell the layers their directions."""
    with module.context, module.operation.location, InsertionPoint.at_block_begin(module.body):
        rows: list[Attribute] = []
        for buffer in placement.buffers:
            sizes = {"offset": buffer.offset, "bytes": buffer.size, "first": buffer.first, "last": buffer.last}
            numbers = {name: i64(value) for name, value in sizes.items()}
            rows.append(DictAttr.get({"name": StringAttr.get(buffer.name), **numbers}))
        attributes = {
            "bytes": i64(placement.arena_bytes),
            "bound": i64(placement.bound_bytes),
            "alignment": i64(alignment),
            "keep_input": BoolAttr.get(keep),
            "overlap": BoolAttr.get(overlap),
            "buffers": ArrayAttr.get(rows),
        }
        Operation.create(ArenaOp.OPERATION_NAME, attributes=attributes)
        for call, direction in zip(placement.program.calls, placement.directions, strict=True):
            # a layer about which nothing is said goes forwards
            if direction == DIRECTIONS[1]:
                layer = placement.network.layers[call.layer - 1].op
                layer.attributes[DIRECTION] = StringAttr.get(direction)


def _number(module: Module, options: Mapping[str, str], option: str, attribute: str, default: int) -> int:
    """An option's value, else the attribute's, else the default; a flag may be `true` or `false`."""
    if option in options:
        # a flag without a value, as in `overlap`, comes as `true`
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
