"""How many bytes of flash and RAM a linked network takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lowtide.codegen.elf import SHF_ALLOC, SHF_EXECINSTR, SHF_WRITE, read_elf
from lowtide.codegen.iree import link

# Written by the loader before the program starts, if at all: a firmware keeps it in flash.
_CONSTANT_AFTER_LINKING = ".data.rel.ro"


@dataclass(frozen=True)
class Sizes:
    """Bytes of instructions, of constants (weights, tables), and of .data and .bss."""

    code_bytes: int
    rodata_bytes: int
    data_bytes: int


def sizes(data: bytes, names: Sequence[str], scratch: Path) -> Sizes:
    """Link an object file as a firmware does, unused sections dropped, and count.

    Args:
        data: NAME.o; functions that it leaves undefined are not counted.
        names: the functions that the firmware calls.
        scratch: a folder for intermediate files.
    """
    (scratch / "sized.o").write_bytes(data)
    roots = ["-e", names[0], *(word for name in names for word in ("-u", name))]
    arguments = ["--gc-sections", *roots, "--unresolved-symbols=ignore-all", "sized.o", "-o", "sized.elf"]
    link(arguments, scratch)
    return count_bytes((scratch / "sized.elf").read_bytes())


def count_bytes(linked: bytes) -> Sizes:
    """Add up an ELF file's loaded sections by what they are."""
    code = rodata = data = 0
    for section in read_elf(linked).iter_sections():
        flags, size = section["sh_flags"], section["sh_size"]
        if not flags & SHF_ALLOC:
            continue
        if flags & SHF_EXECINSTR:
            code += size
        elif flags & SHF_WRITE and not section.name.startswith(_CONSTANT_AFTER_LINKING):
            data += size
        else:
            rodata += size
    return Sizes(code, rodata, data)
