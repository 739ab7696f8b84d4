"""An emulated microcontroller that has exactly the bytes its layout says."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import unicorn

from lowtide.emulate.image.image import PAGE, Image
from lowtide.emulate.machine.cores import Core
from lowtide.emulate.machine.memory import EXIT_ADDRESS, Bytes, Layout, Ram, Region, garbage
from lowtide.emulate.machine.native import BlockCounter, EdgePage, hook_blocks, map_edge
from lowtide.emulate.machine.stray import StrayWatch
from lowtide.emulate.measure.counting import Executed, executed_instructions
from lowtide.errors import InternalError

_SEED = 0x10E7
SECONDS = 600
"""How long a call may take: only code that does not return takes minutes."""
_READ_WRITE = unicorn.UC_PROT_READ | unicorn.UC_PROT_WRITE
_READ_EXECUTE = unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC


class StrayAccessError(Exception):
    """The program left its memory; run it again on a machine with `explain=True` to learn where."""


class Machine:
    """One core with its memory. Reset it, write the inputs, call, read the outputs.

    Args:
        core: the core model.
        image: what flash and .data hold.
        layout: which bytes exist.
        explain: slower, but a stray access raises an `InternalError` that names it, where otherwise it raises
            `StrayAccessError`.
        count: count blocks, for `instructions`.

    Attributes:
        uc: the engine, open to further hooks.
        counts: whether blocks are counted.
        unsure: the last call may have loaded a few bytes behind its memory; with `explain` that is known.
    """

    def __init__(self, core: Core, image: Image, layout: Layout, *, explain: bool, count: bool) -> None:
        self.core = core
        self.unsure = False
        self.image = image
        self.layout = layout
        self.uc = unicorn.Uc(core.arch, core.mode, core.model)
        for register, value in core.setup:
            self.uc.reg_write(register, value)
        self._rams = {region.name: Ram(region) for region in layout.ram()}
        self._edges: list[EdgePage] = []
        self._map_flash()
        for ram in self._rams.values():
            self._map_ram(ram, whole=explain)
        self._watch = StrayWatch(self.uc, core, image, layout) if explain else None
        self._marks, self._jumps = np.zeros((2, len(image.flash) // 2 + 2), dtype=np.int64)
        marks, jumps = self._marks.ctypes.data, self._jumps.ctypes.data
        self._counter = BlockCounter(image.flash_start, marks, jumps, image.flash_start)
        self.counts = count
        if count:
            hook_blocks(self.uc, self._counter)

    def bytes_of(self, region: Region) -> Bytes:
        """The region's memory itself, uint8[size]; writing to the view writes to the machine."""
        return self._rams[region.name].view if region.size else np.empty(0, dtype=np.uint8)

    def reset(self, *, inverted: bool = False) -> None:
        """Fill RAM and registers with garbage, or with its inverse, load .data, clear the counts."""
        for ram in self._rams.values():
            ram.view[:] = self.initial(ram.region, inverted=inverted)
        self.bytes_of(self.layout.data)[:] = np.frombuffer(self.image.data, dtype=np.uint8)
        noise = garbage(4 * len(self.core.scratch), _SEED, inverted=inverted).view("<u4")
        for register, value in zip(self.core.scratch, noise.tolist(), strict=True):
            self.uc.reg_write(register, value)
        self.clear_counts()

    def initial(self, region: Region, *, inverted: bool) -> Bytes:
        """What `reset` filled the region with, uint8[size] (.data aside)."""
        return garbage(region.size, _SEED, inverted=inverted)

    def clear_counts(self) -> None:
        """Forget the blocks executed so far."""
        self._marks[:] = 0
        self._jumps[:] = 0

    def instructions(self) -> int:
        """Instructions executed since the last reset."""
        return self.executed().total

    def executed(self) -> Executed:
        """How often each instruction in flash was executed since the last reset."""
        return executed_instructions(self.image.flash, self._marks, self.core.isa, self._jumps)

    def call(self, function: int, arguments: Sequence[int]) -> int:
        """Call a function on an empty stack.

        Args:
            function: its address, without a Thumb bit.
            arguments: up to four 32-bit words.

        Returns:
            what it returned, unsigned.

        Raises:
            StrayAccessError: it left its memory or executed what is no instruction (without `explain`).
            InternalError: the same, explained.
        """
        core = self.core
        self.uc.reg_write(core.stack, self.layout.stack.end // core.stack_alignment * core.stack_alignment)
        self.uc.reg_write(core.link, core.code_address(EXIT_ADDRESS))
        for register, value in zip(core.arguments, arguments, strict=False):
            self.uc.reg_write(register, value)
        self._counter.end = function
        failure = self._emulate(core.code_address(function))
        if self._watch:
            self._watch.check(failure)
        strays = sum(edge.strays for edge in self._edges)
        self.unsure = any(edge.halves for edge in self._edges)
        for edge in self._edges:
            edge.strays = edge.halves = 0
        if failure or strays:
            raise StrayAccessError
        if self.uc.reg_read(core.pc) & ~1 != EXIT_ADDRESS:
            raise InternalError("run", f"the emulation stopped before the function returned, within {SECONDS} s")
        # the return is a jump, too, to where nothing is counted
        self._jumps[(self._counter.end - self._counter.base) // 2] += 1
        return self.uc.reg_read(core.arguments[0])

    def _emulate(self, begin: int) -> unicorn.UcError | None:
        # On a thread of its own, so that Ctrl-C reaches this one.
        with ThreadPoolExecutor(max_workers=1) as pool:
            running = pool.submit(self.uc.emu_start, begin, EXIT_ADDRESS, SECONDS * 1_000_000)
            try:
                running.result()
            except unicorn.UcError as error:
                return error
            except KeyboardInterrupt:
                self.uc.emu_stop()
                raise
        return None

    def _map_flash(self) -> None:
        pages = self.layout.flash.pages()
        self.uc.mem_map(pages.start, len(pages) * PAGE, _READ_EXECUTE)
        self.uc.mem_map(EXIT_ADDRESS, PAGE, unicorn.UC_PROT_EXEC)
        self.uc.mem_write(self.image.flash_start, self.image.flash)

    def _map_ram(self, ram: Ram, *, whole: bool) -> None:
        if whole:
            pages = ram.region.pages()
            self.uc.mem_map_ptr(pages.start, len(pages) * PAGE, _READ_WRITE, ram.host_address(pages.start))
            return
        for address, size in ram.whole_pages():
            self.uc.mem_map_ptr(address, size, _READ_WRITE, ram.host_address(address))
        for page in ram.edge_pages():
            host = ram.host_address(page)
            self._edges.append(map_edge(self.uc, page, PAGE, host, ram.region.offsets_in(page)))
