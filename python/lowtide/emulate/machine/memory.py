"""The emulated machine's memory: which bytes exist, to the byte, and how to tell an access that misses them."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lowtide.emulate.image.image import DATA_BASE, PAGE, Image

Bytes = npt.NDArray[np.uint8]

_STACK_PAGES_END = 0x2008_0000
_ARENA_BASE = 0x2020_0000
_LOADER_BASE = 0x3800_0000
_LOADER_BYTES = 1024
# Where the code returns to; it is never executed, only recognised.
EXIT_ADDRESS = 0x0400_0000
# Accesses are eight bytes wide at most.
_WIDEST = 8


@dataclass(frozen=True)
class Region:
    """Bytes [start, end) of the machine's address space that exist."""

    name: str
    start: int
    size: int

    @property
    def end(self) -> int:
        """The first address behind the region."""
        return self.start + self.size

    def pages(self) -> range:
        """The addresses of the pages that hold at least one byte of the region."""
        return range(self.start // PAGE * PAGE, self.end, PAGE)

    def offsets_in(self, page: int) -> range:
        """The offsets within the page at that address that belong to the region."""
        return range(max(self.start - page, 0), min(self.end - page, PAGE))


@dataclass(frozen=True)
class Layout:
    """Where everything lies. Between any two regions lies unmapped memory.

    Attributes:
        flash: read-only and executable.
        stack: full; its end is the initial stack pointer.
        data: .data and .bss.
        arena: 16-byte aligned and no better, as the header promises.
        loader: the structures of the embedded ELF's loader, or the caller's row; no part of `sram_bytes`.
    """

    flash: Region
    stack: Region
    data: Region
    arena: Region
    loader: Region

    def ram(self) -> tuple[Region, ...]:
        """The writable regions, without empty ones."""
        regions = (self.stack, self.data, self.arena, self.loader)
        return tuple(region for region in regions if region.size)

    def miss(self, address: int, size: int) -> str:
        """How far an access reaches out of the nearest region: "4 bytes past the end of the arena"."""
        regions = (*self.ram(), self.flash)
        region = min(regions, key=lambda region: max(region.start - address, address + size - region.end))
        below, above = region.start - address, address + size - region.end
        if below <= 0 and above <= 0:
            return f"inside the {region.name}"
        if below >= above:
            return f"{_bytes(below)} before the start of the {region.name}"
        return f"{_bytes(above)} past the end of the {region.name}"


def _bytes(count: int) -> str:
    return f"{count} byte" if count == 1 else f"{count:,} bytes"


# IREE's entry of the embedded ELF calls the network in its own frame; the report's claim is for NAME_run of the object.
ENTRY_STACK = 32


def make_layout(image: Image, *, arena_bytes: int, stack_bytes: int, loader: bool, caller_bytes: int = 0) -> Layout:
    """Lay out a machine with exactly that arena and stack, and the image's data.

    Args:
        image: what is run.
        arena_bytes, stack_bytes: as the report claims them.
        loader: there is an embedded ELF's loader, with memory of its own.
        caller_bytes: of what calls the network, such as the row that it hands over.
    """
    start = _ARENA_BASE + 16
    # An unaligned access across pages is emulated by aligned ones that reach a little further.
    if 0 < (start + arena_bytes) % PAGE < _WIDEST:
        start += 32
    entry = ENTRY_STACK if loader else 0
    return Layout(
        flash=Region("flash", image.flash_start, len(image.flash)),
        stack=Region("stack", _STACK_PAGES_END - stack_bytes - entry, stack_bytes + entry),
        data=Region("data", DATA_BASE, len(image.data)),
        arena=Region("arena", start, arena_bytes),
        loader=Region(
            "loader's structures" if loader else "caller's memory",
            _LOADER_BASE,
            _LOADER_BYTES if loader else caller_bytes,
        ),
    )


class Ram:
    """Host memory behind one region: whole pages, of which `view` are the region's bytes."""

    def __init__(self, region: Region) -> None:
        self.region = region
        self._base = region.pages().start
        # One page more than mapped: edge pages are read and written eight bytes wide.
        self._store = np.frombuffer(mmap.mmap(-1, (len(region.pages()) + 1) * PAGE), dtype=np.uint8)
        self.view: Bytes = self._store[region.start - self._base : region.end - self._base]

    def host_address(self, address: int) -> int:
        """Where an address of the machine lies in this process."""
        return self._store.ctypes.data + address - self._base

    def whole_pages(self) -> Iterator[tuple[int, int]]:
        """(address, size) of the run of pages that belong to the region entirely, if there is one."""
        whole = [page for page in self.region.pages() if len(self.region.offsets_in(page)) == PAGE]
        if whole:
            yield whole[0], len(whole) * PAGE

    def edge_pages(self) -> Iterator[int]:
        """Addresses of the pages that belong to the region in part."""
        return (page for page in self.region.pages() if len(self.region.offsets_in(page)) < PAGE)


def garbage(size: int, seed: int, *, inverted: bool = False) -> Bytes:
    """What uninitialised memory holds. A byte that differs neither from it nor from its inverse can't be."""
    noise = np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8)
    return ~noise if inverted else noise
