"""Unicorn's hot callbacks, compiled to machine code when a session opens (see native.mlir).

Counting blocks this way costs less than a nanosecond a block, and a checked access to an edge page about ten.
"""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path

import unicorn
from unicorn.unicorn_py3.unicorn import uclib

from lowtide.errors import InternalError
from lowtide.ir import ExecutionEngine, make_context, parse_module


class BlockCounter(ctypes.Structure):
    """What `count_block` gets: the lowest code address, two lists of one int64 per halfword from there, and an address.

    `counts` has blocks begun at a halfword minus blocks ended before it, `jumps` how often control left the block that
    ended there for elsewhere, and `end` is where the last block ended: set it to where the next one begins.
    """

    _fields_ = (
        ("base", ctypes.c_int64),
        ("counts", ctypes.c_void_p),
        ("jumps", ctypes.c_void_p),
        ("end", ctypes.c_int64),
    )
    base: int
    end: int


class EdgePage(ctypes.Structure):
    """What `read_edge` and `write_edge` get: a page's bytes on the host, of which only [low, high) exists.

    The bytes must be followed by 7 more: values are read and written eight bytes wide.
    """

    _fields_ = (
        ("bytes", ctypes.c_void_p),
        ("low", ctypes.c_int64),
        ("high", ctypes.c_int64),
        ("stop", ctypes.c_void_p),
        ("strays", ctypes.c_int64),
        ("halves", ctypes.c_int64),
    )
    strays: int
    halves: int


def hook_blocks(uc: unicorn.Uc, counter: BlockCounter) -> None:
    """Count every executed block into `counter`, which must outlive the engine."""
    count_block, _, _ = compiled_callbacks("native.mlir")
    # An empty range, from 1 to 0: Unicorn takes that for every address.
    add_hook(uc, unicorn.UC_HOOK_BLOCK, count_block, counter, 1, 0)


def map_edge(uc: unicorn.Uc, address: int, size: int, host: int, valid: range) -> EdgePage:
    """Map one page of which only the offsets in `valid` exist.

    Args:
        uc: the engine.
        address, size: the page.
        host: address of its bytes in this process.
        valid: offsets within the page.

    Returns:
        the page's record, which must outlive the engine; `halves` counts loads that begin inside `valid` and end
        outside, which may be the second half of one that need not be aligned; `strays` counts other accesses outside,
        and the first one stops the engine.
    """
    edge = EdgePage(host, valid.start, valid.stop, address_of_stop(), 0, 0)
    _, read_edge, write_edge = compiled_callbacks("native.mlir")
    map_device(uc, address, size, read_edge, write_edge, edge)
    return edge


@cache
def compiled_callbacks(name: str) -> tuple[int, int, int]:
    """Callbacks for Unicorn that are written in MLIR, so that none of them goes through Python.

    Args:
        name: of a file beside this one, whose function `addresses` gives those of its callbacks, three at most.

    Returns:
        the addresses, 0 where there are fewer.
    """
    source = Path(__file__).with_name(name)
    with make_context() as context:
        engine = ExecutionEngine(parse_module(source.read_text(encoding="utf-8"), context, source.name), opt_level=2)
    addresses = (ctypes.c_uint64 * 3)()
    argument = ctypes.c_void_p(ctypes.addressof(addresses))
    packed = (ctypes.c_void_p * 1)(ctypes.addressof(argument))
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(engine.raw_lookup("addresses"))(ctypes.addressof(packed))
    # The code lives as long as what has compiled it.
    _ENGINES.append(engine)
    first, second, third = addresses
    return first, second, third


_ENGINES: list[ExecutionEngine] = []


def address_of_stop() -> int | None:
    """The address of Unicorn's `uc_emu_stop`, for callbacks that end the emulation."""
    return ctypes.cast(uclib.uc_emu_stop, ctypes.c_void_p).value


def add_hook(uc: unicorn.Uc, kind: int, callback: int, user: ctypes.Structure, begin: int, end: int) -> None:
    """Have native code called for what happens at the addresses `begin` to `end`, both included.

    Args:
        uc: the engine.
        kind: one of `UC_HOOK_…`.
        callback: address of the code.
        user: what the callback gets; it must outlive the engine.
        begin, end: the addresses.
    """
    handle, first, last = ctypes.c_size_t(), ctypes.c_uint64(begin), ctypes.c_uint64(end)
    code, data = ctypes.c_void_p(callback), ctypes.c_void_p(ctypes.addressof(user))
    _check(uclib.uc_hook_add(_handle(uc), ctypes.byref(handle), kind, code, data, first, last))


def map_device(uc: unicorn.Uc, address: int, size: int, read: int, write: int, user: ctypes.Structure) -> None:
    """Map pages as a device whose loads and stores are the native callbacks `read` and `write`.

    Args:
        uc: the engine.
        address, size: the pages.
        read, write: addresses of the code.
        user: what the callbacks get; it must outlive the engine.
    """
    data = ctypes.addressof(user)
    _check(uclib.uc_mmio_map(_handle(uc), address, size, read, data, write, data))


def _handle(uc: unicorn.Uc) -> ctypes.c_void_p:
    """The engine as Unicorn's C interface takes it: its binding would wrap every callback in Python."""
    return uc._uch  # pyright: ignore[reportPrivateUsage]


def _check(status: int) -> None:
    if status != unicorn.UC_ERR_OK:
        raise InternalError("run", f"Unicorn refused a hook or a mapping (error {status})")
