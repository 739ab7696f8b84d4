"""Finds and explains the access that left the memory."""

from __future__ import annotations

import unicorn

from lowtide.emulate.image.image import PAGE, Image
from lowtide.emulate.machine.cores import Core
from lowtide.emulate.machine.memory import Layout, Region
from lowtide.errors import InternalError

_WIDEST = 8
_WRITES = (unicorn.UC_MEM_WRITE, unicorn.UC_MEM_WRITE_UNMAPPED, unicorn.UC_MEM_WRITE_PROT)
_FETCHES = (unicorn.UC_MEM_FETCH, unicorn.UC_MEM_FETCH_UNMAPPED, unicorn.UC_MEM_FETCH_PROT)


class StrayWatch:
    """Watches everything around the regions of a machine; keeps the first access that misses them."""

    def __init__(self, uc: unicorn.Uc, core: Core, image: Image, layout: Layout) -> None:
        self._uc = uc
        self._core = core
        self._image = image
        self._layout = layout
        self._message: str | None = None
        uc.hook_add(unicorn.UC_HOOK_MEM_INVALID, self._on_invalid)
        for region in layout.ram():
            self._watch_edges(region)

    def check(self, failure: unicorn.UcError | None) -> None:
        """`InternalError` if the call that has just ended left its memory or failed otherwise."""
        message, self._message = self._message, None
        if message is None and failure is None:
            return
        stack = self._layout.stack
        if message is None:
            pc = self._uc.reg_read(self._core.pc)
            message = f"{self._image.place(pc)} (pc 0x{pc:08x}) stopped: {failure}"
        remedy = f"the stack has {stack.size} bytes, the arena {self._layout.arena.size}; report this with the model"
        raise InternalError("run", message, remedy=remedy)

    def _watch_edges(self, region: Region) -> None:
        pages = region.pages()
        hooks = unicorn.UC_HOOK_MEM_READ | unicorn.UC_HOOK_MEM_WRITE
        if region.start > pages.start:
            self._uc.hook_add(hooks, self._on_edge, None, pages.start, region.start - 1)
        behind = pages.start + len(pages) * PAGE
        if region.end < behind:
            first = max(region.end - _WIDEST + 1, region.start)
            self._uc.hook_add(hooks, self._on_edge, None, first, behind - 1)

    def _on_edge(self, _uc: unicorn.Uc, access: int, address: int, size: int, _value: int, _data: object) -> None:
        inside = any(region.start <= address and address + size <= region.end for region in self._layout.ram())
        if not inside:
            self._note(access, address, size)
            self._uc.emu_stop()

    def _on_invalid(self, _uc: unicorn.Uc, access: int, address: int, size: int, _value: int, _data: object) -> bool:
        self._note(access, address, size)
        return False

    def _note(self, access: int, address: int, size: int) -> None:
        if self._message:
            return
        pc = self._uc.reg_read(self._core.pc)
        did = "writes" if access in _WRITES else "executes" if access in _FETCHES else "reads"
        stack = self._layout.stack
        overflow = "stack overflow: " if stack.end - 16 * PAGE <= address < stack.start else ""
        self._message = (
            f"{overflow}{self._image.place(pc)} (pc 0x{pc:08x}) {did} {size} byte{'s' if size > 1 else ''} at "
            f"0x{address:08x}, {self._layout.miss(address, size)}"
        )
