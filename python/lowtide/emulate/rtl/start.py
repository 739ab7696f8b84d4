"""The start-up code of a simulated core: calls a function between two stores, which tell when it began and ended."""

from __future__ import annotations

import struct

BOOT = 0x0010_0000
"""Where both cores are told to begin: Ibex begins 128 bytes behind that."""
_NOPS = 32
_COMMANDS = 0xFFFF_0000
"""Stores there are words to the simulator, in the order of `simulator.cpp`."""
_BEGIN, _END, _BEFORE, _AFTER = 0, 4, 8, 12
_ZERO, _RA, _SP, _T0, _S0, _S1, _A0 = 0, 1, 2, 5, 8, 9, 10
_MINSTRET, _MCOUNTINHIBIT = 0xB02, 0x320
OWN_INSTRUCTIONS = 5
"""Of the start-up code, between the two readings of the counter of instructions."""


def start_code(function: int, argument: int, stack: int) -> bytes:
    """Machine code, to lie at `BOOT`, that calls a function and then stays where it is.

    Args:
        function: address of the function.
        argument: its first one.
        stack: the stack pointer.
    """
    words = [
        *[_addi(_ZERO, _ZERO, 0)] * _NOPS,
        *_load(_SP, stack),
        *_load(_A0, argument),
        *_load(_T0, function),
        *_load(_S0, _COMMANDS),
        _csr(1, _ZERO, _ZERO, _MCOUNTINHIBIT),
        _csr(2, _S1, _ZERO, _MINSTRET),
        _store(_S1, _S0, _BEFORE),
        _store(_ZERO, _S0, _BEGIN),
        _jump_to(_RA, _T0),
        _store(_A0, _S0, _END),
        _csr(2, _S1, _ZERO, _MINSTRET),
        _store(_S1, _S0, _AFTER),
        0x0000_006F,  # a jump to itself
    ]
    return struct.pack(f"<{len(words)}I", *words)


def _load(register: int, value: int) -> tuple[int, int]:
    """LUI and ADDI: the lower half is signed."""
    upper = (value + 0x800) & 0xFFFF_F000
    return upper | register << 7 | 0x37, _addi(register, register, value - upper)


def _addi(to: int, register: int, value: int) -> int:
    return (value & 0xFFF) << 20 | register << 15 | to << 7 | 0x13


def _csr(operation: int, to: int, register: int, number: int) -> int:
    """CSRRW is operation 1, CSRRS 2."""
    return number << 20 | register << 15 | operation << 12 | to << 7 | 0x73


def _store(value: int, base: int, offset: int) -> int:
    return (offset >> 5) << 25 | value << 20 | base << 15 | 2 << 12 | (offset & 31) << 7 | 0x23


def _jump_to(link: int, register: int) -> int:
    return register << 15 | link << 7 | 0x67
