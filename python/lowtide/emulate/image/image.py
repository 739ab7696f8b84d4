"""A program as it lies in the emulated machine's memory."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

PAGE = 4096
# Far apart: a stray access meets unmapped memory first. Below 0x40000000, where M-profile cores have their peripherals.
FLASH_BASE = 0x0800_0000
DATA_BASE = 0x2010_0000
MOST_FLASH = 256 << 20


@dataclass(frozen=True)
class Function:
    """A function's name, first address and size in bytes."""

    name: str
    address: int
    size: int


@dataclass(frozen=True)
class Image:
    """Flash contents and initial data.

    Attributes:
        flash_start: address of the first byte of `flash`.
        flash: code and constants, in one piece.
        data: initial contents of .data and .bss, at `DATA_BASE`.
        entry: address of the function to call, without a Thumb bit.
        functions: in order of address.
    """

    flash_start: int
    flash: bytes
    data: bytes
    entry: int
    functions: tuple[Function, ...]

    def address_of(self, name: str) -> int:
        """Address of a function, without a Thumb bit."""
        return next(function.address for function in self.functions if function.name == name)

    def place(self, address: int) -> str:
        """`function+0x1c` for a code address, as precisely as the symbols tell."""
        index = bisect_right([function.address for function in self.functions], address) - 1
        if index < 0 or not self.flash_start <= address < self.flash_start + len(self.flash):
            return "no function"
        function = self.functions[index]
        return f"{function.name}+0x{address - function.address:x}"


def functions_of(elf: ELFFile, bias: int = 0) -> tuple[Function, ...]:
    """The functions in the symbol tables, Thumb bits off, `bias` added to their addresses."""
    found: set[tuple[int, str, int]] = set()
    for section in elf.iter_sections():
        if not isinstance(section, SymbolTableSection):
            continue
        for symbol in section.iter_symbols():
            if symbol["st_info"]["type"] == "STT_FUNC" and symbol["st_shndx"] != "SHN_UNDEF":
                found.add(((symbol["st_value"] & ~1) + bias, symbol.name, symbol["st_size"]))
    return tuple(Function(name, address, size) for address, name, size in sorted(found))
