"""Stack that a function takes beyond the frame LLVM reports, read off its machine code.

LLVM's stack usage leaves out three things: the bytes lost when the stack pointer is aligned further down, RISC-V
vector registers spilled to the stack, whose size the core decides, and on x86 the return address.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise

from lowtide.errors import InternalError

# Bytes of a RISC-V vector register: the targets promise 128 bits (Zvl128b), and the emulated core has no more.
VECTOR_BYTES = 16

_SP = 2
_WRITES = {0x03, 0x13, 0x17, 0x33, 0x37, 0x73}
"""Opcodes of RISC-V's instructions that write a register of integers, those of jumps left out."""
_OPERATIONS: Mapping[int, Callable[[int, int], int]] = {
    0x0000_0033: int.__add__,
    0x4000_0033: int.__sub__,
    0x0200_0033: int.__mul__,
}
"""Of two registers, by opcode and functions."""


def extra_stack_bytes(machine: str, code: bytes, reported: int) -> int:
    """Bytes to add to the frame that LLVM reported, an upper bound.

    Args:
        machine: the ELF file's `e_machine`.
        code: the function's instructions (and constants among them: a false match only adds).
        reported: LLVM's figure.

    Raises:
        InternalError: the function spills vectors in a way that isn't known.
    """
    return _EXTRA[machine](code, reported)


def _thumb(code: bytes, reported: int) -> int:  # noqa: ARG001
    # bfc rN, #0, #width: the copy of sp loses its low bits. Frames are multiples of 8 otherwise.
    slack = 0
    for first, second in _halfwords(code):
        if first == 0xF36F and second & 0xF0E0 == 0:
            slack = max(slack, (2 << (second & 0x1F)) - 8)
    return slack


def _riscv(code: bytes, reported: int) -> int:
    slack = vectors = adjusted = 0
    # what is known to be in registers: numbers, multiples of a vector register's bytes among them
    known: dict[int, int] = {0: 0}
    for word in _riscv_words(code):
        rd, rs1, rs2 = word >> 7 & 31, word >> 15 & 31, word >> 20 & 31
        immediate = (word >> 20) - (word >> 31 << 12)
        if word & 0xFE00_707F == 0x4000_0033 and rd == rs1 == _SP:  # sub sp, sp, rs2
            if rs2 not in known:
                raise InternalError("codegen", "a function takes stack of a size that isn't known")
            vectors += known[rs2]
        elif word & 0x707F == 0x0013 and rd == rs1 == _SP:  # addi sp, sp, immediate
            adjusted += max(0, -immediate)
        elif word & 0x707F == 0x7013 and rd == rs1 == _SP:  # andi sp, sp, -alignment
            slack = max(slack, -immediate - 16)
        elif rd and word & 0x7F in _WRITES:
            made = _riscv_number(word, known)
            known.pop(rd, None)
            if made is not None:
                known[rd] = made
    return max(0, adjusted - reported) + vectors + slack


def _riscv_number(word: int, known: Mapping[int, int]) -> int | None:
    """What an instruction computes of numbers that are known; None for any other."""
    rs1, rs2 = word >> 15 & 31, word >> 20 & 31
    if word & 0xFFF0_707F == 0xC220_2073 and rs1 == 0:  # csrr rd, vlenb
        return VECTOR_BYTES
    if rs1 not in known:
        return None
    if word & 0x707F == 0x0013:  # addi
        return known[rs1] + (word >> 20) - (word >> 31 << 12)
    if word & 0xFE00_707F == 0x1013:  # slli
        return known[rs1] << rs2
    operation = _OPERATIONS.get(word & 0xFE00_707F)
    return None if operation is None or rs2 not in known else operation(known[rs1], known[rs2])


def _riscv_words(code: bytes) -> Iterator[int]:
    """Instructions, compressed ones that make numbers as their long forms, other compressed ones left out."""
    at = 0
    while at + 2 <= len(code):
        (half,) = struct.unpack_from("<H", code, at)
        if half & 3 == 3 and at + 4 <= len(code):
            yield struct.unpack_from("<I", code, at)[0]
        elif half & 0xEF83 == 0x6101:  # c.addi16sp
            low = (half >> 6 & 1) << 4 | (half >> 2 & 1) << 5 | (half >> 5 & 1) << 6 | (half >> 3 & 3) << 7
            yield ((low - (half >> 12 & 1) * 512) & 0xFFF) << 20 | _SP << 15 | _SP << 7 | 0x13
        elif half & 0xEF83 == 0x0101:  # c.addi sp, immediate
            low = (half >> 2 & 31) - (half >> 12 & 1) * 32
            yield (low & 0xFFF) << 20 | _SP << 15 | _SP << 7 | 0x13
        elif half & 0xF003 == 0x0002:  # c.slli
            register = half >> 7 & 31
            yield (half >> 2 & 31) << 20 | register << 15 | 1 << 12 | register << 7 | 0x13
        elif half & 0xE003 == 0x4001:  # c.li
            low = (half >> 2 & 31) - (half >> 12 & 1) * 32
            yield (low & 0xFFF) << 20 | (half >> 7 & 31) << 7 | 0x13
        elif half & 0xE003 == 0x8002 and half >> 2 & 31:  # c.mv, c.add
            register = half >> 7 & 31
            yield (half >> 2 & 31) << 20 | (register if half >> 12 & 1 else 0) << 15 | register << 7 | 0x33
        elif half & 0xFC63 == 0x8C01:  # c.sub
            register = 8 + (half >> 7 & 7)
            yield 0x20 << 25 | 8 + (half >> 2 & 7) << 20 | register << 15 | register << 7 | 0x33
        at += 4 if half & 3 == 3 else 2


def _x86(code: bytes, reported: int) -> int:  # noqa: ARG001
    slack = 0
    at = code.find(b"\x48\x83\xe4")  # and rsp, -alignment
    while at >= 0 and at + 3 < len(code):
        slack = max(slack, 256 - code[at + 3])
        at = code.find(b"\x48\x83\xe4", at + 1)
    # The call itself pushes eight bytes.
    return slack + 8


def _aarch64(code: bytes, reported: int) -> int:  # noqa: ARG001
    slack = 0
    for at in range(0, len(code) - 3, 4):
        (word,) = struct.unpack_from("<I", code, at)
        if word & 0xFFC0_001F == 0x9240_001F:  # and sp, xN, -alignment
            slack = max(slack, (1 << (64 - (word >> 16 & 63)) % 64) - 16)
    return slack


def _halfwords(code: bytes) -> Iterator[tuple[int, int]]:
    count = len(code) // 2
    values: tuple[int, ...] = struct.unpack(f"<{count}H", code[: 2 * count])
    return pairwise(values)


_EXTRA: dict[str, Callable[[bytes, int], int]] = {
    "EM_ARM": _thumb,
    "EM_RISCV": _riscv,
    "EM_X86_64": _x86,
    "EM_AARCH64": _aarch64,
}
