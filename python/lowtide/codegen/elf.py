"""What codegen reads from ELF files, through pyelftools."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection
from elftools.elf.sections import SymbolTableSection

from lowtide.errors import InternalError

SHF_WRITE, SHF_ALLOC, SHF_EXECINSTR = 1, 2, 4


@dataclass(frozen=True)
class Symbol:
    """A symbol table's entry; `section` is None where it is undefined or absolute."""

    name: str
    kind: str
    binding: str
    section: int | None
    value: int
    undefined: bool


@dataclass(frozen=True)
class Relocation:
    """A relocation: where in which section, its type's number, the symbol's index, and the addend where it has one."""

    section: int
    offset: int
    kind: int
    symbol: int
    addend: int | None


def read_elf(data: bytes) -> ELFFile:
    """Open an ELF file held in memory."""
    return ELFFile(io.BytesIO(data))


def symbol_table(elf: ELFFile) -> SymbolTableSection:
    """The .symtab; `InternalError` where there is none."""
    table = elf.get_section_by_name(".symtab")
    if not isinstance(table, SymbolTableSection):
        raise InternalError("codegen", "the object file has no symbol table")
    return table


def symbols(elf: ELFFile) -> list[Symbol]:
    """All symbols, by index."""
    return [_symbol(entry) for entry in symbol_table(elf).iter_symbols()]


def _symbol(entry: Any) -> Symbol:
    section: int | str = entry["st_shndx"]
    return Symbol(
        name=entry.name,
        kind=entry["st_info"]["type"],
        binding=entry["st_info"]["bind"],
        section=section if isinstance(section, int) else None,
        value=entry["st_value"],
        undefined=section == "SHN_UNDEF",
    )


def undefined_symbols(data: bytes) -> tuple[str, ...]:
    """Names of what an object file calls and does not hold, sorted."""
    return tuple(sorted({symbol.name for symbol in symbols(read_elf(data)) if symbol.undefined and symbol.name}))


def relocations(elf: ELFFile) -> Iterator[Relocation]:
    """All relocations of an object file."""
    for section in elf.iter_sections():
        if isinstance(section, RelocationSection):
            place: int = section["sh_info"]
            has_addend = section.is_RELA()
            for entry in section.iter_relocations():
                addend = entry["r_addend"] if has_addend else None
                yield Relocation(place, entry["r_offset"], entry["r_info_type"], entry["r_info_sym"], addend)
