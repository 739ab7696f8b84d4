"""Checks a network's body and prepares it for IREE: what IREE would accept and miscompile is refused here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from lowtide.errors import InputError, InternalError
from lowtide.ir import (
    Attribute,
    InsertionPoint,
    Module,
    Operation,
    OpView,
    StringAttr,
    WalkResult,
    declarations_of,
    func,
    has_value,
    llvm,
    make_context,
    memref,
    parse_module,
    text_of,
)
from lowtide.network import Network

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Body:
    """A network's body as generic MLIR text.

    Attributes:
        own: for the target.
        portable: the same for any machine, without instructions of the target's.
    """

    own: str
    portable: str


def prepare_body(network: Network) -> Body:
    """The body, its functions internal and after what they call, and nothing to move from layer to layer.

    Internal functions lose the parts of a memref that they don't use (all but one pointer): less code, less stack.

    IREE's pass `iree-codegen-resolve-workgroup-count-hints` keeps a reference into a hash map while it goes from a
    function into one that it calls. Where the map grows on the way, it writes to memory that was freed, and takes
    functions for recursive, or dies of it: it depends on how many functions there are. It visits functions in the order
    of the module, so that where callees come first it never adds one to the map on the way.

    Raises:
        InternalError: the name is no C identifier, the text doesn't parse, the entry is missing or of the wrong type,
            a function has no body or calls itself, memory is allocated, or an input or output leaves the arena.
    """
    _check_places(network)
    # the constants are large: where the code is looked at only what they are called, and of which type
    declared, constants, code = _prepared(network, f"{network.declared}\n{network.body}")
    constants = f"{network.constants}\n{constants}"
    own = f"{constants}\n{code}"
    if not network.portable:
        return Body(own, own)
    _, _, code = _prepared(network, f"{declared}\n{network.portable}")
    return Body(own, f"{constants}\n{code}")


def _prepared(network: Network, text: str) -> tuple[str, str, str]:
    """Declarations of the constants; then as generic MLIR text those that have values here, and all else."""
    context = make_context()
    try:
        module = parse_module(f"module {{\n{text}\n}}", context, f"{network.name}_body", stage="codegen")
    except InputError as error:
        raise InternalError("codegen", f"the body is not valid IR\n{error.message}", where=error.where) from None
    functions = _functions(module)
    _check_entry(network, functions)
    _check_calls(functions)
    _check_memory(module)
    _fence(functions[f"{network.name}_body"])
    internal = Attribute.parse("#llvm.linkage<internal>", context)
    for function in functions.values():
        function.attributes["llvm.linkage"] = internal
    operations = [view.operation for view in module.body.operations]
    constants = [op for op in operations if op.name == "memref.global"]
    code = [op for op in operations if op.name not in ("memref.global", "func.func")]
    code += _callees_first(functions)
    here = [op for op in constants if has_value(op)]
    # Generic form: IREE's MLIR is of another day, and its short forms differ in places (memref.alloca's alignment).
    return declarations_of(constants), text_of(here, generic=True), text_of(code, generic=True)


def _check_places(network: Network) -> None:
    if not _IDENTIFIER.fullmatch(network.name):
        raise InternalError("codegen", f"the network's name '{network.name}' is not a C identifier")
    if not network.outputs:
        raise InternalError("codegen", "the network has no output")
    for slot in (*network.inputs, *network.outputs):
        if slot.offset < 0 or slot.offset + slot.tensor.nbytes > network.arena_bytes:
            place = f"bytes {slot.offset} to {slot.offset + slot.tensor.nbytes}"
            raise InternalError("codegen", f"{slot.tensor.name} ({place}) leaves the arena of {network.arena_bytes}")


def _functions(module: Module) -> dict[str, Operation]:
    operations = [operation.operation for operation in module.body.operations]
    named = {_name(operation): operation for operation in operations if operation.name == "func.func"}
    for name, operation in named.items():
        if not operation.regions[0].blocks:
            raise InternalError("codegen", f"the function @{name} has no body")
    return named


def _name(function: Operation) -> str:
    return StringAttr(function.attributes["sym_name"]).value


def _check_entry(network: Network, functions: Mapping[str, Operation]) -> None:
    entry = f"{network.name}_body"
    expected = f"(memref<{network.arena_bytes}xi8>) -> ()"
    found = str(functions[entry].attributes["function_type"]) if entry in functions else "no such function"
    if found != expected:
        raise InternalError("codegen", f"@{entry} must be {expected}; it is {found}")


def _check_calls(functions: Mapping[str, Operation]) -> None:
    """Refuse recursion: it has no bound on the stack, and IREE's compiler doesn't end on it."""
    try:
        TopologicalSorter({name: _callees(function) for name, function in functions.items()}).prepare()
    except CycleError as error:
        raise InternalError("codegen", f"functions call themselves: {' -> '.join(error.args[1])}") from None


def _callees(function: Operation) -> list[str]:
    return [str(call.attributes["callee"]).removeprefix("@") for call in _operations(function, func.CallOp)]


def _callees_first(functions: Mapping[str, Operation]) -> list[Operation]:
    """The functions, which are not recursive, each behind all that it calls; otherwise as they stand."""
    placed: dict[str, Operation] = {}

    def place(name: str) -> None:
        if name in placed:
            return
        for callee in _callees(functions[name]):
            place(callee)
        placed[name] = functions[name]

    for name in functions:
        place(name)
    return list(placed.values())


def _check_memory(module: Module) -> None:
    for kind in (memref.AllocOp, memref.DeallocOp):
        for operation in _operations(module.operation, kind):
            raise InternalError("codegen", f"{operation.name} is left after allocation", where=str(operation.location))


def _fence(entry: Operation) -> None:
    """Keep every load and store in the layer that it is of: layers share memory in ways that no compiler may undo.

    LLVM would move a load into the layer before and drop a store that the next layer overwrites. An empty piece of
    assembly that may touch any memory stops it, and is no instruction.
    """
    for call in _operations(entry, func.CallOp):
        with InsertionPoint(call), call.location:
            llvm.InlineAsmOp(None, [], "", "~{memory}", has_side_effects=True)


def _operations(root: Operation, kind: type[OpView]) -> list[Operation]:
    found: list[Operation] = []

    def visit(operation: Operation) -> WalkResult:
        found.append(operation)
        return WalkResult.ADVANCE

    root.walk(visit, op_class=kind)
    return found
