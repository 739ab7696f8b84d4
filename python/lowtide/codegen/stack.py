"""`stack_bytes`: a bound on the stack of NAME_run, from each function's frame and the calls in the object file."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from elftools.elf.elffile import ELFFile

from lowtide.codegen.elf import SHF_ALLOC, Relocation, Symbol, read_elf, relocations, symbols
from lowtide.codegen.frames import extra_stack_bytes
from lowtide.errors import InternalError

# Numbers of the relocations on calls and jumps, tail calls among them.
_CALLS = {
    "EM_ARM": {10, 28, 29, 30, 51},  # THM_CALL, CALL, JUMP24, THM_JUMP24, THM_JUMP19
    "EM_RISCV": {16, 17, 18, 19, 44, 45},  # BRANCH, JAL, CALL, CALL_PLT, RVC_BRANCH, RVC_JUMP
    "EM_X86_64": {4},  # PLT32
    "EM_AARCH64": {280, 282, 283},  # CONDBR19, JUMP26, CALL26
}
# PC32, PLT32: the addend counts from the end of the four bytes.
_FROM_END = {"EM_X86_64": {2, 4}}
_UNWINDING = (".ARM.exidx", ".ARM.extab", ".eh_frame")


@dataclass(frozen=True)
class CallGraph:
    """Who calls whom in an object file.

    Attributes:
        callees: the functions that each function calls, by name.
        code: each function's bytes.
        external: names of undefined functions; their stack is the firmware's to know.
        machine: the ELF file's `e_machine`.
    """

    callees: Mapping[str, frozenset[str]]
    code: Mapping[str, bytes]
    external: tuple[str, ...]
    machine: str


def stack_bound(data: bytes, frames: Mapping[str, int], root: str) -> int:
    """Most bytes of stack that a call of `root` takes, its callees included, external functions not.

    Args:
        data: an object file with one function a section.
        frames: bytes by function, as `parse_stack_usage` gives them.
        root: the function's name.

    Raises:
        InternalError: recursion, a function whose address is taken (it may be called from anywhere), an unknown frame.
    """
    graph = call_graph(data)
    full: dict[str, int] = {}
    for name, code in graph.code.items():
        if name not in frames:
            raise InternalError("codegen", f"the stack frame of {name} is not known")
        full[name] = frames[name] + extra_stack_bytes(graph.machine, code, frames[name])
    return deepest(full, graph.callees, root)


def deepest(frames: Mapping[str, int], callees: Mapping[str, frozenset[str]], root: str) -> int:
    """The greatest sum of frames along a chain of calls from `root`; `InternalError` for a chain with a cycle."""
    known: dict[str, int] = {}

    def visit(name: str, chain: tuple[str, ...]) -> int:
        if name in chain:
            raise InternalError("codegen", f"functions call themselves: {' -> '.join((*chain, name))}")
        if name not in known:
            below = [visit(callee, (*chain, name)) for callee in sorted(callees[name])]
            known[name] = frames[name] + max(below, default=0)
        return known[name]

    return visit(root, ())


def call_graph(data: bytes) -> CallGraph:
    """Read the calls off an object file's relocations.

    Raises:
        InternalError: two functions share a section (calls between them would need no relocation), or the address of a
            function is taken.
    """
    elf = read_elf(data)
    machine: str = elf["e_machine"]
    table = symbols(elf)
    functions = _functions_by_section(table)
    starts = {section: function.value & ~1 for section, function in functions.items()}
    callees: dict[str, set[str]] = {function.name: set() for function in functions.values()}
    for relocation in relocations(elf):
        target = _target(elf, relocation, table[relocation.symbol], starts)
        if target is None or not _is_loaded(elf, relocation.section):
            continue
        callee = functions[target].name
        caller = functions.get(relocation.section)
        if caller is None or relocation.kind not in _CALLS[machine]:
            raise InternalError("codegen", f"the address of {callee} is taken: it may be called from anywhere")
        callees[caller.name].add(callee)
    code = {function.name: elf.get_section(section).data() for section, function in functions.items()}
    external = tuple(sorted({symbol.name for symbol in table if symbol.undefined and symbol.name}))
    return CallGraph({name: frozenset(found) for name, found in callees.items()}, code, external, machine)


def _functions_by_section(table: list[Symbol]) -> dict[int, Symbol]:
    found: dict[int, Symbol] = {}
    for symbol in table:
        if symbol.kind == "STT_FUNC" and symbol.section is not None:
            if symbol.section in found:
                raise InternalError("codegen", f"{found[symbol.section].name} and {symbol.name} share a section")
            found[symbol.section] = symbol
    return found


def _target(elf: ELFFile, relocation: Relocation, symbol: Symbol, starts: Mapping[int, int]) -> int | None:
    """The section of the function whose first byte the relocation points to, if it does."""
    if symbol.section is None or symbol.section not in starts:
        return None
    if symbol.kind == "STT_FUNC":
        return symbol.section
    if symbol.kind != "STT_SECTION":
        return None
    addend = relocation.addend
    if addend is None:
        (addend,) = struct.unpack_from("<i", elf.get_section(relocation.section).data(), relocation.offset)
    elif relocation.kind in _FROM_END.get(elf["e_machine"], ()):
        addend += 4
    return symbol.section if addend & ~1 == starts[symbol.section] else None


def _is_loaded(elf: ELFFile, index: int) -> bool:
    section = elf.get_section(index)
    return bool(section["sh_flags"] & SHF_ALLOC) and not section.name.startswith(_UNWINDING)
