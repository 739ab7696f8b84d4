"""From IREE's object file to the NAME.o that a firmware links: NAME_run global, and nothing that it doesn't need."""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

from elftools.elf.elffile import ELFFile

from lowtide.codegen.elf import Symbol, read_elf, symbol_table, symbols, undefined_symbols
from lowtide.codegen.iree import compile_module, link
from lowtide.codegen.module import object_module
from lowtide.errors import InternalError
from lowtide.network import Network
from lowtide.targets import Target

_STB_GLOBAL = 1
# Tables beside relocations that hold symbol indices; IREE's compiler writes none of them.
_INDEXED = {"SHT_GROUP", "SHT_SYMTAB_SHNDX", "SHT_LLVM_ADDRSIG", "SHT_LLVM_CALL_GRAPH_PROFILE"}
_DISCARD = "SECTIONS { /DISCARD/ : { *(.debug_* .rel.debug_* .rela.debug_* .eh_frame .comment) } }\n"
# What the compiler's own library (libgcc, compiler-rt) and C's mathematical library hold for a core without FPU.
_SUPPLIED = re.compile(r"__\w+|(?:sqrt|exp|exp2|log|log2|log10|pow|fmod|sin|cos|tan|tanh|erf|ldexp|scalbn)f")


@dataclass(frozen=True)
class ObjectFile:
    """What IREE makes of a network.

    Attributes:
        data: the bytes of NAME.o: NAME_run and what it calls.
        library: an object file with the same code, and the executable library that NAME_library_query gives.
        frames: the stack frame of each function in bytes, as LLVM reports it.
    """

    data: bytes
    library: bytes
    frames: dict[str, int]


def build_object(network: Network, target: Target, body: str, scratch: Path) -> ObjectFile:
    """Compile a network.

    Args:
        network: what to compile.
        target: the core.
        body: as `prepare_body` gives it.
        scratch: a folder for intermediate files.

    Raises:
        InternalError: IREE refused the module, or the object needs functions that no firmware has.
    """
    flags = (
        "--compile-mode=hal-executable",
        "--iree-llvmcpu-link-embedded=false",
        "--iree-llvmcpu-link-static",
        "--iree-llvmcpu-static-library-output-path=static.o",
        "--stack-usage-file=static.su",
    )
    compile_module(object_module(network, target, body), target, flags, scratch, name=network.name)
    library = (scratch / "static.o").read_bytes()
    data = keep_only(reduce(globalise, network.functions, library), network.functions, scratch)
    _check_undefined(undefined_symbols(data), target)
    return ObjectFile(data, library, parse_stack_usage((scratch / "static.su").read_text(encoding="utf-8")))


def parse_stack_usage(text: str) -> dict[str, int]:
    """Frame bytes by function from LLVM's `--stack-usage-file`; `InternalError` where a frame's size isn't fixed."""
    frames: dict[str, int] = {}
    for line in text.splitlines():
        place, size, kind = line.rsplit("\t", 2)
        function = place.rsplit(":", 1)[-1]
        if kind != "static":
            raise InternalError("codegen", f"the stack frame of {function} has no fixed size ({kind})")
        frames[function] = int(size)
    return frames


def globalise(data: bytes, name: str) -> bytes:
    """The object file with a local symbol made global.

    IREE makes every symbol local but that of its library query. Locals stand before globals in a symbol table, so the
    symbol changes places with the last local; nothing else moves.

    Raises:
        InternalError: no such function, or a table other than relocations refers to symbols by index.
    """
    elf = read_elf(data)
    table = symbol_table(elf)
    index = _function_index(symbols(elf), name)
    locals_end: int = table["sh_info"]
    if index >= locals_end:
        return data
    _check_sections(elf)
    out = bytearray(data)
    last = locals_end - 1
    entry_bytes: int = table["sh_entsize"]
    at, at_last = (table["sh_offset"] + position * entry_bytes for position in (index, last))
    moved = bytearray(out[at : at + entry_bytes])
    info = 12 if elf.elfclass == 32 else 4
    moved[info] = moved[info] & 0xF | _STB_GLOBAL << 4
    out[at : at + entry_bytes] = out[at_last : at_last + entry_bytes]
    out[at_last : at_last + entry_bytes] = moved
    _set_section_info(out, elf, _table_index(elf), last)
    _swap_in_relocations(out, elf, index, last)
    return bytes(out)


def _function_index(table: list[Symbol], name: str) -> int:
    found = [index for index, symbol in enumerate(table) if symbol.name == name and symbol.kind == "STT_FUNC"]
    if len(found) != 1:
        raise InternalError("codegen", f"the object file has {len(found)} functions {name}, not one")
    return found[0]


def _check_sections(elf: ELFFile) -> None:
    for section in elf.iter_sections():
        if section["sh_type"] in _INDEXED:
            raise InternalError("codegen", f"the section {section.name} refers to symbols by index")


def _table_index(elf: ELFFile) -> int:
    return next(index for index, section in enumerate(elf.iter_sections()) if section["sh_type"] == "SHT_SYMTAB")


def _set_section_info(out: bytearray, elf: ELFFile, section: int, value: int) -> None:
    header = elf["e_shoff"] + section * elf["e_shentsize"]
    struct.pack_into(_order(elf) + "I", out, header + (28 if elf.elfclass == 32 else 44), value)


def _swap_in_relocations(out: bytearray, elf: ELFFile, first: int, second: int) -> None:
    table = _table_index(elf)
    word, shift, info = ("I", 8, 4) if elf.elfclass == 32 else ("Q", 32, 8)
    swapped = {first: second, second: first}
    for section in elf.iter_sections():
        if section["sh_type"] not in ("SHT_REL", "SHT_RELA") or section["sh_link"] != table:
            continue
        start, size, step = section["sh_offset"], section["sh_size"], section["sh_entsize"]
        for at in range(start + info, start + size, step):
            (value,) = struct.unpack_from(_order(elf) + word, out, at)
            symbol = swapped.get(value >> shift)
            if symbol is not None:
                struct.pack_into(_order(elf) + word, out, at, symbol << shift | value & (1 << shift) - 1)


def _order(elf: ELFFile) -> str:
    return "<" if elf.little_endian else ">"


def keep_only(data: bytes, names: Sequence[str], scratch: Path) -> bytes:
    """The object file with what these need and nothing else: no unused functions, no debug information."""
    (scratch / "global.o").write_bytes(data)
    # --strip-debug does nothing where the output is an object file again.
    (scratch / "keep.ld").write_text(_DISCARD, encoding="ascii")
    wanted = [word for name in names for word in ("-u", name)]
    link(["-r", "--gc-sections", *wanted, "-T", "keep.ld", "global.o", "-o", "kept.o"], scratch)
    return (scratch / "kept.o").read_bytes()


def _check_undefined(names: tuple[str, ...], target: Target) -> None:
    missing = names if target.hard_float else tuple(name for name in names if not _SUPPLIED.fullmatch(name))
    if missing:
        raise InternalError("codegen", f"the code for {target.name} calls {', '.join(missing)}, which nothing supplies")
