"""Records every load and store of the arena while a machine runs."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import unicorn
from unicorn.unicorn_py3.unicorn import uclib

from lowtide.emulate.memory import Region
from lowtide.emulate.native import hook_handle
from lowtide.errors import InternalError, UsageError
from lowtide.ir import ExecutionEngine, make_context, parse_module

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


class _List(ctypes.Structure):
    """What `record` gets; see trace.mlir."""

    _fields_ = (
        ("entries", ctypes.c_void_p),
        ("count", ctypes.c_int64),
        ("capacity", ctypes.c_int64),
        ("base", ctypes.c_int64),
        ("bytes", ctypes.c_int64),
        ("stop", ctypes.c_void_p),
    )
    count: int


class Recorder:
    """Hooks an engine and keeps what it does to one region; must outlive the engine's runs."""

    def __init__(self, uc: unicorn.Uc, region: Region, capacity: int = CAPACITY) -> None:
        if region.size >= _OFFSETS:
            raise UsageError("run", f"an arena of {region.size:,} bytes is too large to be witnessed")
        self._entries = np.empty(capacity, dtype=np.uint32)
        stop = ctypes.cast(uclib.uc_emu_stop, ctypes.c_void_p).value
        self._list = _List(self._entries.ctypes.data, 0, capacity, region.start, region.size, stop)
        handle = ctypes.c_size_t()
        status = uclib.uc_hook_add(
            hook_handle(uc),
            ctypes.byref(handle),
            unicorn.UC_HOOK_MEM_READ | unicorn.UC_HOOK_MEM_WRITE,
            _callback().address,
            ctypes.addressof(self._list),
            # A hook on a range of addresses makes Unicorn 2.1.4 miscompute Thumb code: watch all of them.
            1,
            0,
        )
        if status != unicorn.UC_ERR_OK:
            raise InternalError("run", f"Unicorn refused a hook (error {status})")

    @property
    def full(self) -> bool:
        """Whether the run was stopped because the list is full."""
        return self._list.count > len(self._entries)

    def trace(self) -> Trace:
        """What was recorded."""
        entries = self._entries[: self._list.count]
        sizes = (entries >> np.uint32(1) & np.uint32(15)).astype(np.int64) + 1
        return Trace((entries >> np.uint32(5)).astype(np.int64), sizes, (entries & np.uint32(1)).astype(np.bool_))


@dataclass(frozen=True)
class _Callback:
    engine: ExecutionEngine
    address: int


@cache
def _callback() -> _Callback:
    source = Path(__file__).with_name("trace.mlir")
    with make_context() as context:
        engine = ExecutionEngine(parse_module(source.read_text(encoding="utf-8"), context, source.name), opt_level=2)
    address = ctypes.c_uint64()
    argument = ctypes.c_void_p(ctypes.addressof(address))
    packed = (ctypes.c_void_p * 1)(ctypes.addressof(argument))
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(engine.raw_lookup("address"))(ctypes.addressof(packed))
    return _Callback(engine, address.value)
