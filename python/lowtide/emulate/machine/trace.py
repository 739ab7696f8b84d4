"""Records every load and store of the arena while a machine runs."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import unicorn

from lowtide.emulate.image.image import PAGE
from lowtide.emulate.machine.machine import Machine
from lowtide.emulate.machine.memory import Region
from lowtide.emulate.machine.native import add_hook, address_of_stop, compiled_callbacks, map_device
from lowtide.errors import InternalError, UsageError

CAPACITY = 1 << 28
"""Accesses at most; what is not used of the list takes no memory."""
_OFFSETS = 1 << 27


@dataclass(frozen=True)
class Trace:
    """The accesses of one run, in order.

    Attributes:
        offsets: int64[n], of the first byte in the arena.
        sizes: int64[n], bytes.
        stores: bool[n], False for a load.
    """

    offsets: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]
    stores: npt.NDArray[np.bool_]

    @property
    def ambiguous(self) -> bool:
        """Whether loads may be halves of one at an address that is no multiple of its size.

        A device of Unicorn's sees such a load as two, at the multiples below and above; stores it sees byte by byte.
        """
        loads = ~self.stores[:-1] & ~self.stores[1:] & (self.sizes[:-1] == self.sizes[1:]) & (self.sizes[1:] > 1)
        return bool((loads & (self.offsets[:-1] + self.sizes[:-1] == self.offsets[1:])).any())

    def between(self, begin: int, end: int) -> Trace:
        """The accesses from one number up to another."""
        return Trace(self.offsets[begin:end], self.sizes[begin:end], self.stores[begin:end])

    def without(self, first: int, count: int) -> Trace:
        """The same but for accesses that begin within these bytes."""
        return self.only((self.offsets < first) | (self.offsets >= first + count))

    def only(self, kept: npt.NDArray[np.bool_]) -> Trace:
        """Those of the accesses."""
        return Trace(self.offsets[kept], self.sizes[kept], self.stores[kept])

    def resolved(self, loads: Trace) -> Trace:
        """The trace with loads as the code makes them, not in halves as a device sees them.

        Args:
            loads: those of another run of the same code, as a hook sees them.

        Raises:
            InternalError: they are not these loads.
        """
        past = loads.offsets % loads.sizes
        parts = np.where(past == 0, 1, 2)
        ends = np.cumsum(parts)
        halves = np.repeat(loads.offsets - past, parts)
        halves[ends[past != 0] - 1] += loads.sizes[past != 0]
        own = np.flatnonzero(~self.stores)
        same = len(own) == len(halves) and np.array_equal(self.offsets[own], halves)
        if not same or not np.array_equal(self.sizes[own], np.repeat(loads.sizes, parts)):
            raise InternalError("run", "the code loads otherwise when its loads are watched")
        keep = np.ones(len(self.offsets), np.bool_)
        keep[own[ends[past != 0] - 1]] = False
        offsets, sizes = self.offsets.copy(), self.sizes.copy()
        offsets[own[ends - parts]] = loads.offsets
        return Trace(offsets[keep], sizes[keep], self.stores[keep])


class _List(ctypes.Structure):
    """What the callbacks get; see trace.mlir."""

    _fields_ = (
        ("entries", ctypes.c_void_p),
        ("count", ctypes.c_int64),
        ("capacity", ctypes.c_int64),
        ("low", ctypes.c_int64),
        ("bytes", ctypes.c_int64),
        ("host", ctypes.c_void_p),
        ("stop", ctypes.c_void_p),
    )
    count: int


class _AccessList:
    """Room for the accesses that callbacks note, and what tells them where.

    Args:
        capacity: accesses after which the run is stopped.
        low: where the region begins, as the callbacks get addresses.
        region: what is watched.
        host: address of the region's bytes in this process, where the callbacks serve them.
    """

    def __init__(self, capacity: int, low: int, region: Region, host: int | None = None) -> None:
        self._entries = np.empty(capacity, dtype=np.uint32)
        place = self._entries.ctypes.data
        self._list = _List(place, 0, capacity, low, region.size, host, address_of_stop())

    @property
    def full(self) -> bool:
        """Whether the run was stopped because the list is full."""
        return self._list.count > len(self._entries)

    def trace(self) -> Trace:
        """What was recorded; an entry is `offset << 5 | (size - 1) << 1 | store`."""
        entries = self._entries[: self._list.count]
        sizes = (entries >> np.uint32(1) & np.uint32(15)).astype(np.int64) + 1
        return Trace((entries >> np.uint32(5)).astype(np.int64), sizes, (entries & np.uint32(1)).astype(np.bool_))


class LoadHook(_AccessList):
    """Keeps every load from one region of a machine; must outlive the machine's runs.

    Unicorn 2.1.4 miscomputes Thumb code under hooks on memory accesses: see `Trace.resolved`.

    Args:
        machine: made without `explain`.
        region: what to watch.
        capacity: loads after which the run is stopped.
    """

    def __init__(self, machine: Machine, region: Region, capacity: int = CAPACITY) -> None:
        super().__init__(capacity, region.start, region)
        _, _, loaded = compiled_callbacks("trace.mlir")
        add_hook(machine.uc, unicorn.UC_HOOK_MEM_READ, loaded, self._list, region.start, region.end - 1)


class Recorder(_AccessList):
    """Takes the place of one region of a machine and keeps what is done to it; must outlive the machine's runs.

    The region becomes a device: Unicorn 2.1.4 miscomputes Thumb code under hooks on memory accesses.

    Args:
        machine: made without `explain`.
        region: what to watch.
        capacity: accesses after which the run is stopped.
    """

    def __init__(self, machine: Machine, region: Region, capacity: int = CAPACITY) -> None:
        if region.size >= _OFFSETS:
            raise UsageError("run", f"an arena of {region.size:,} bytes is too large to be witnessed")
        pages = region.pages()
        super().__init__(capacity, region.start - pages.start, region, machine.bytes_of(region).ctypes.data)
        read, write, _ = compiled_callbacks("trace.mlir")
        machine.uc.mem_unmap(pages.start, len(pages) * PAGE)
        map_device(machine.uc, pages.start, len(pages) * PAGE, read, write, self._list)
