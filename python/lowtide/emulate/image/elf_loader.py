"""Loads IREE's embedded ELF the way a firmware's loader does, and calls it by IREE's convention."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, cast

from elftools.common.exceptions import ELFError
from elftools.elf.dynamic import DynamicSegment
from elftools.elf.elffile import ELFFile

from lowtide.emulate.artifact import ArtifactView
from lowtide.emulate.image.image import FLASH_BASE, MOST_FLASH, PAGE, Image, functions_of
from lowtide.emulate.machine.machine import Machine
from lowtide.errors import InputError, InternalError

_QUERY = "iree_hal_executable_library_query"
_QUERY_VERSION = 6
# R_ARM_RELATIVE and R_RISCV_RELATIVE: add the load address, nothing else.
_RELATIVE = {"EM_ARM": 23, "EM_RISCV": 3}
# What pyelftools raises, besides its own error, where offsets and types are nonsense.
DAMAGED = (
    ELFError, struct.error, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, AssertionError,
    StopIteration, RuntimeError, MemoryError,
)  # fmt: skip
# Offsets in the loader's memory: environment, dispatch state, workgroup state, binding table, 16-byte aligned.
_ENVIRONMENT, _DISPATCH, _WORKGROUP, _BINDINGS = 0, 256, 384, 448
# Words of iree_hal_executable_library_v0_t.
_IMPORT_COUNT, _EXPORT_COUNT, _EXPORT_POINTERS = 1, 3, 4


def load_elf(artifact: ArtifactView) -> Image:
    """Place NAME.elf in flash, relocated, so that it ends at a page's end, less alignment.

    Raises:
        InputError: the file is missing or no such ELF.
        InternalError: it needs a relocation that a microcontroller's loader doesn't have.
    """
    path = artifact.file(".elf")
    try:
        with path.open("rb") as stream:
            return _place(ELFFile(stream), path)
    except DAMAGED as error:
        message = f"damaged ELF: {str(error) or 'its parts make no sense'}"
        raise InputError("run", message, where=str(path), remedy="compile again") from error


def call_elf(machine: Machine, query: int) -> int:
    """Ask the library for its first export, the network, and dispatch it on the arena; returns the export's status.

    `machine.instructions()` then counts the dispatch alone.
    """
    layout = machine.layout
    memory = machine.bytes_of(layout.loader)
    memory[:] = 0
    base = layout.loader.start
    library = machine.call(query, [_QUERY_VERSION, base + _ENVIRONMENT])
    if _word(machine, library, _IMPORT_COUNT) != 0 or _word(machine, library, _EXPORT_COUNT) not in (1, 2):
        raise InternalError("run", "the embedded ELF wants imports, or exports more than the network and its reset")
    function = _word(machine, _word(machine, library, _EXPORT_POINTERS), 0)
    arena = layout.arena
    memory[_BINDINGS : _BINDINGS + 8] = list(struct.pack("<II", arena.start, arena.size))
    memory[_DISPATCH : _DISPATCH + 36] = list(
        # Workgroup size x, y, z; constants; workgroup count x, y, z; concurrency; bindings; then the three tables.
        struct.pack("<IIHHIIHBBIII", 1, 1, 1, 0, 1, 1, 1, 1, 1, 0, base + _BINDINGS, base + _BINDINGS + 4)
    )
    machine.clear_counts()
    return machine.call(function & ~1, [base + _ENVIRONMENT, base + _DISPATCH, base + _WORKGROUP])


def _place(elf: ELFFile, path: Path) -> Image:
    loads = [segment for segment in elf.iter_segments() if segment["p_type"] == "PT_LOAD"]
    dynamic = next((segment for segment in elf.iter_segments() if isinstance(segment, DynamicSegment)), None)
    if not loads or dynamic is None or elf["e_machine"] not in _RELATIVE:
        raise InputError("run", "not an embedded ELF for Arm or RISC-V", where=str(path), remedy="compile again")
    size = max(segment["p_vaddr"] + segment["p_memsz"] for segment in loads)
    if size > MOST_FLASH:
        raise InputError("run", f"the ELF spans {size:,} bytes", where=str(path), remedy="compile again")
    alignment = max(1, *(segment["p_align"] for segment in loads))
    if alignment > MOST_FLASH:
        raise ValueError(f"a segment is to be aligned to {alignment:,} bytes")
    bias = FLASH_BASE + -size % PAGE // alignment * alignment
    flash = bytearray(size)
    for segment in loads:
        content = segment.data()
        if len(content) != segment["p_filesz"] or len(content) > segment["p_memsz"]:
            raise ValueError("a segment reaches past the end of the file, or of its memory")
        flash[segment["p_vaddr"] : segment["p_vaddr"] + len(content)] = content
    _relocate(flash, dynamic, bias, _RELATIVE[elf["e_machine"]])
    query = next((symbol for symbol in dynamic.iter_symbols() if symbol.name == _QUERY), None)
    if query is None:
        raise InputError("run", f"the ELF doesn't export {_QUERY}", where=str(path), remedy="compile again")
    return Image(bias, bytes(flash), b"", (query["st_value"] & ~1) + bias, functions_of(elf, bias))


def _relocate(flash: bytearray, dynamic: DynamicSegment, bias: int, relative: int) -> None:
    tables = cast("dict[str, Any]", dynamic.get_relocation_tables())
    for table in tables.values():
        for relocation in table.iter_relocations():
            offset: int = relocation["r_offset"]
            if relocation["r_info_type"] != relative:
                raise InternalError("run", f"the embedded ELF has a relocation of type {relocation['r_info_type']}")
            if not 0 <= offset <= len(flash) - 4:
                raise ValueError(f"a relocation at 0x{offset:x} is outside of all segments")
            addend = relocation["r_addend"] if table.is_RELA() else struct.unpack_from("<I", flash, offset)[0]
            struct.pack_into("<I", flash, offset, (addend + bias) & 0xFFFF_FFFF)


def _word(machine: Machine, address: int, index: int) -> int:
    """The 32-bit word at that index behind a flash address."""
    offset = address + 4 * index - machine.image.flash_start
    if not 0 <= offset <= len(machine.image.flash) - 4:
        raise InternalError("run", f"the embedded ELF points to 0x{address:08x}, which is not in flash")
    return struct.unpack_from("<I", machine.image.flash, offset)[0]
