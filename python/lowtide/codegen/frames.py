"""Stack that a function takes beyond the frame LLVM reports, read off its machine code with a disassembler.

LLVM's stack usage leaves out three things: the bytes lost when the stack pointer is aligned further down, RISC-V
vector registers spilled to the stack, whose size the core decides, and on x86 the return address.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache

import capstone

from lowtide.errors import InternalError

# Bytes of a RISC-V vector register: the targets promise 128 bits (Zvl128b), and the emulated core has no more.
VECTOR_BYTES = 16

_MODES: Mapping[str, tuple[int, int]] = {
    "EM_ARM": (capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS),
    "EM_RISCV": (capstone.CS_ARCH_RISCV, capstone.CS_MODE_RISCV32 | capstone.CS_MODE_RISCVC),
    "EM_X86_64": (capstone.CS_ARCH_X86, capstone.CS_MODE_64),
    "EM_AARCH64": (capstone.CS_ARCH_ARM64, capstone.CS_MODE_LITTLE_ENDIAN),
}
_VLENB = 0xC22
"""Number of the status register that holds the bytes of a vector register."""
_STORES_AND_BRANCHES = re.compile(r"(?:s[bhw](?:sp)?|b(?:eq|ne|lt|gt|le|ge)u?z?)$")
"""RISC-V's instructions that only read their first operand."""
_UNARY: Mapping[str, Callable[[int], int]] = {"li": int.__pos__, "mv": int.__pos__, "neg": int.__neg__}
_BINARY: Mapping[str, Callable[[int, int], int]] = {
    "addi": int.__add__,
    "add": int.__add__,
    "sub": int.__sub__,
    "mul": int.__mul__,
    "slli": int.__lshift__,
}


def extra_stack_bytes(machine: str, code: bytes, reported: int) -> int:
    """Bytes to add to the frame that LLVM reported, an upper bound.

    Args:
        machine: the ELF file's `e_machine`.
        code: the function's instructions (and constants among them: a false match only adds).
        reported: LLVM's figure.

    Raises:
        InternalError: the function spills vectors in a way that isn't known.
    """
    return _EXTRA[machine](_instructions(machine, code), reported)


def _instructions(machine: str, code: bytes) -> Iterator[capstone.CsInsn]:
    """The function's instructions; those that capstone does not know (Helium, RISC-V's vectors) are left out."""
    disassembler = _disassembler(machine)
    at = 0
    while at < len(code):
        for instruction in disassembler.disasm(code[at:], at):
            yield instruction
            at = instruction.address + instruction.size
        at += _unknown_bytes(machine, code[at : at + 2])


@cache
def _disassembler(machine: str) -> capstone.Cs:
    disassembler = capstone.Cs(*_MODES[machine])
    disassembler.detail = True
    return disassembler


def _unknown_bytes(machine: str, start: bytes) -> int:
    """Bytes of an unknown instruction: its first halfword says so, but for x86, where the next byte is tried."""
    first = int.from_bytes(start, "little")
    match machine:
        case "EM_ARM":
            return 4 if first >= 0xE800 else 2
        case "EM_RISCV":
            return 4 if first & 3 == 3 else 2
        case "EM_AARCH64":
            return 4
        case _:
            return 1


def _writes_sp(instruction: capstone.CsInsn) -> bool:
    operands = instruction.operands
    return bool(operands) and _register(instruction, operands[0]) in ("sp", "rsp")


def _register(instruction: capstone.CsInsn, operand: capstone.CsOperand) -> str | None:
    return instruction.reg_name(operand.reg) if operand.type == capstone.CS_OP_REG else None


def _thumb(instructions: Iterator[capstone.CsInsn], reported: int) -> int:  # noqa: ARG001
    lost = pushed = 0
    for one in instructions:
        # bfc rN, #0, #width: the copy of sp loses its low bits. Frames are multiples of 8 otherwise.
        if one.mnemonic.startswith("bfc") and one.operands[1].imm == 0:
            lost = max(lost, (1 << one.operands[2].imm) - 8)
        # str rN, [sp, #-bytes]!: a piece of assembly borrows a register; no two at a time
        if one.mnemonic.startswith("str") and one.writeback and one.reg_name(one.operands[1].mem.base) == "sp":
            pushed = max(pushed, -one.operands[1].mem.disp)
    return lost + pushed


def _riscv(instructions: Iterator[capstone.CsInsn], reported: int) -> int:
    slack = vectors = adjusted = 0
    # what is known to be in registers: numbers, multiples of a vector register's bytes among them
    known: dict[str, int] = {"zero": 0}
    for instruction in instructions:
        name, operands = instruction.mnemonic.removeprefix("c."), instruction.operands
        target = _register(instruction, operands[0]) if operands else None
        if _writes_sp(instruction) and (len(operands) == 2 or _register(instruction, operands[1]) == "sp"):
            last = operands[-1]
            if name == "sub":
                amount = known.get(_register(instruction, last) or "")
                if amount is None:
                    raise InternalError("codegen", "a function takes stack of a size that isn't known")
                vectors += amount
            elif name in ("addi", "addi16sp"):
                adjusted += max(0, -last.imm)
            elif name == "andi":
                slack = max(slack, -last.imm - 16)
        elif target not in (None, "zero") and not _STORES_AND_BRANCHES.match(name):
            made = _riscv_number(instruction, name, known)
            known.pop(target, None)
            if made is not None:
                known[target] = made
    return max(0, adjusted - reported) + vectors + slack


def _riscv_number(instruction: capstone.CsInsn, name: str, known: Mapping[str, int]) -> int | None:
    """What an instruction computes of numbers that are known; None for any other."""
    # capstone has no operand for a status register, only its number in the text
    if name == "csrr" and instruction.op_str.endswith(f", {_VLENB}"):
        return VECTOR_BYTES
    # compressed instructions name the target once, where it is the first of two summands as well
    values = [
        operand.imm if operand.type == capstone.CS_OP_IMM else known.get(_register(instruction, operand) or "")
        for operand in instruction.operands[-2:]
    ]
    left, right = values if len(values) == 2 else (None, None)
    if right is not None and name in _UNARY:
        return _UNARY[name](right)
    return None if left is None or right is None or name not in _BINARY else _BINARY[name](left, right)


def _x86(instructions: Iterator[capstone.CsInsn], reported: int) -> int:  # noqa: ARG001
    # and rsp, -alignment; the call itself pushes eight bytes
    return max([0, *(-i.operands[1].imm for i in instructions if i.mnemonic == "and" and _writes_sp(i))]) + 8


def _aarch64(instructions: Iterator[capstone.CsInsn], reported: int) -> int:  # noqa: ARG001
    # and sp, xN, -alignment
    return max([0, *(-i.operands[2].imm - 16 for i in instructions if i.mnemonic == "and" and _writes_sp(i))])


_EXTRA: dict[str, Callable[[Iterator[capstone.CsInsn], int], int]] = {
    "EM_ARM": _thumb,
    "EM_RISCV": _riscv,
    "EM_X86_64": _x86,
    "EM_AARCH64": _aarch64,
}
