"""Unicorn's hot callbacks, compiled to machine code when a session opens (see native.mlir).

Counting blocks this way costs less than a nanosecond a block, and a checked access to an edge page about ten.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import unicorn
from unicorn.unicorn_py3.unicorn import uclib

from lowtide.errors import InternalError
from lowtide.ir import ExecutionEngine, make_context, parse_module


class BlockCounter(ctypes.Structure):
    """What `count_block` gets: the lowest code address, and one int64 per halfword from there."""

    _fields_ = (("base", ctypes.c_int64), ("counts", ctypes.c_void_p))


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


@dataclass(frozen=True)
class _Callbacks:
    engine: ExecutionEngine
    count_block: int
    read_edge: int
    write_edge: int


def hook_blocks(uc: unicorn.Uc, counter: BlockCounter) -> None:
    """Count every executed block into `counter`, which must outlive the engine."""
    handle = ctypes.c_size_t()
    status = uclib.uc_hook_add(
        hook_handle(uc),
        ctypes.byref(handle),
        unicorn.UC_HOOK_BLOCK,
        _callbacks().count_block,
        ctypes.addressof(counter),
        1,
        0,
    )
    _check(status)


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
    stop = ctypes.cast(uclib.uc_emu_stop, ctypes.c_void_p).value
    edge = EdgePage(host, valid.start, valid.stop, stop, 0, 0)
    user = ctypes.addressof(edge)
    callbacks = _callbacks()
    _check(uclib.uc_mmio_map(hook_handle(uc), address, size, callbacks.read_edge, user, callbacks.write_edge, user))
    return edge


@cache
def _callbacks() -> _Callbacks:
    engine, addresses = compiled_callbacks("native.mlir")
    return _Callbacks(engine, *addresses)


def compiled_callbacks(name: str) -> tuple[ExecutionEngine, list[int]]:
    """Callbacks for Unicorn that are written in MLIR, so that none of them goes through Python.

    Args:
        name: of a file beside this one, whose function `addresses` gives those of its three callbacks.

    Returns:
        what has compiled them, which must outlive their use, and the addresses.
    """
    source = Path(__file__).with_name(name)
    with make_context() as context:
        engine = ExecutionEngine(parse_module(source.read_text(encoding="utf-8"), context, source.name), opt_level=2)
    addresses = (ctypes.c_uint64 * 3)()
    argument = ctypes.c_void_p(ctypes.addressof(addresses))
    packed = (ctypes.c_void_p * 1)(ctypes.addressof(argument))
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(engine.raw_lookup("addresses"))(ctypes.addressof(packed))
    return engine, list(addresses)


def hook_handle(uc: unicorn.Uc) -> ctypes.c_void_p:
    """The engine as Unicorn's C interface takes it: its binding would wrap every callback in Python."""
    return uc._uch  # pyright: ignore[reportPrivateUsage]


def _check(status: int) -> None:
    if status != unicorn.UC_ERR_OK:
        raise InternalError("run", f"Unicorn refused a hook or a mapping (error {status})")
