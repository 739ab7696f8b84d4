"""Records in what order a machine executes its code."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import unicorn

from lowtide.emulate.machine.machine import Machine
from lowtide.emulate.machine.native import add_hook, address_of_stop, compiled_callbacks

CAPACITY = 1 << 27
"""Blocks at most; what is not used of the list takes no memory."""


@dataclass(frozen=True)
class Spans:
    """Stretches of bytes, in the order in which they were fetched or loaded.

    Attributes:
        starts, ends: offsets from the code's start, int64[n]; the ends are not included.
    """

    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]


class _List(ctypes.Structure):
    """What the callback gets; see order.mlir."""

    _fields_ = (
        ("entries", ctypes.c_void_p),
        ("count", ctypes.c_int64),
        ("capacity", ctypes.c_int64),
        ("base", ctypes.c_int64),
        ("stop", ctypes.c_void_p),
    )
    count: int


class BlockOrder:
    """Keeps every executed block of a machine; must outlive the machine's runs.

    Args:
        machine: made without `explain` and without `count`.
        capacity: blocks after which the run is stopped.
    """

    def __init__(self, machine: Machine, capacity: int = CAPACITY) -> None:
        self._entries = np.empty(capacity, np.int64)
        place, base = self._entries.ctypes.data, machine.image.flash_start
        self._list = _List(place, 0, capacity, base, address_of_stop())
        note_block, _, _ = compiled_callbacks("order.mlir")
        # An empty range, from 1 to 0: Unicorn takes that for every address.
        add_hook(machine.uc, unicorn.UC_HOOK_BLOCK, note_block, self._list, 1, 0)

    @property
    def full(self) -> bool:
        """Whether the run was stopped because the list is full."""
        return self._list.count > len(self._entries)

    def spans(self) -> Spans:
        """The blocks; an entry is `size << 32 | offset`."""
        entries = self._entries[: self._list.count]
        starts = entries & 0xFFFF_FFFF
        return Spans(starts, starts + (entries >> 32))
