"""The kinds of the instructions that Armv8.1-M added: Helium, low-overhead loops, conditional selects.

The disassembler does not know them, or takes them for coprocessor instructions. The encodings are those of the Armv8-M
Architecture Reference Manual (DDI 0553), as an assembler was seen to write them.
"""

from __future__ import annotations

import struct

from lowtide.emulate.measure.kinds import OTHER, Decoded

_MULTIPLY = Decoded("multiply")
_VECTOR_WORDS = 4

# CLRM, VSCCLRM, the shifts of register pairs and conditional selects, moves of P0 and FPSCR: mask and value of each
# halfword.
_OTHERS = (
    (0xFFFF, 0xE89F, 0, 0),
    (0xFFBF, 0xEC9F, 0x0E00, 0x0A00),
    (0xFFF0, 0xEA50, 0x8000, 0x8000),
    (0xFFF0, 0xEA50, 0x000D, 0x000D),
    (0xFFE0, 0xEEE0, 0x0F10, 0x0A10),
)
# VMUL, VMUL.F, VFMA and VFMS, VQ(R)DMULH of vectors, VCMLA.
_MULTIPLIES = (
    (0xFF80, 0xEF00, 0x0F50, 0x0950),
    (0xFFA0, 0xFF00, 0x0F50, 0x0D50),
    (0xFF80, 0xEF00, 0x0F50, 0x0C50),
    (0xEF80, 0xEF00, 0x0F50, 0x0B40),
    (0xFE20, 0xFC20, 0x0F50, 0x0840),
)


def decode_helium(code: bytes) -> Decoded | None:
    """The instruction that these bytes begin with, or None where it is none of Armv8.1-M's own."""
    if len(code) < 4:
        return None
    first, second = struct.unpack_from("<HH", code)
    for rules, found in ((_OTHERS, OTHER), (_MULTIPLIES, _MULTIPLY)):
        if any(_matches(rule, first, second) for rule in rules):
            return found
    if first & 0xF800 == 0xF000 and second & 0xD000 == 0xC000:
        # loops: WLS and LE branch, DLS, LCTP and VCTP don't
        return OTHER if second & 0x2000 else Decoded("branch")
    return _vector(first, second)


def _vector(first: int, second: int) -> Decoded | None:
    if first & 0xEF00 == 0xEF00:
        return OTHER
    if second & 0x0E00 == 0x0E00 and first & 0xEE00 == 0xEC00:
        return _move(first, second)
    if second & 0x0E00 == 0x0E00 and first & 0xEF00 == 0xEE00:
        return _MULTIPLY if _multiplies(first, second) else OTHER
    return None


def _matches(rule: tuple[int, int, int, int], first: int, second: int) -> bool:
    return first & rule[0] == rule[1] and second & rule[2] == rule[3]


def _move(first: int, second: int) -> Decoded:
    """Loads and stores of vectors, and of the system registers; moves between lanes and two registers."""
    if first & 0xFFA0 == 0xEC00:
        return OTHER
    system = first & 0xFE00 == 0xEC00 and second & 0x0F80 == 0x0F80
    return Decoded("load" if first & 0x0010 else "store", 1 if system else _VECTOR_WORDS)


def _multiplies(first: int, second: int) -> bool:
    """Whether an instruction with bits 11 to 9 of the second halfword set multiplies."""
    odd, size = bool(first & 1), first >> 4 & 3
    wide = bool(second & 0x0100)
    if first & 0x0080:  # V(R)MLxDAV, VMLALDAV; beside them VADDV, VADDLV, VABAV, VMAXV, shifts and moves
        if second & 0x00D0:
            return False
        return not wide or not (odd or second & 1 or first & 0x0070 == 0x0060)
    if wide:  # VQDMULL; beside it VADD, VSUB, VCMP, VPSEL, VIDUP, VADC
        return size == 3 and not odd and (second & 0x0051 == 0x0001 or second & 0x0070 == 0x0060)
    if second & 0x0040:  # a vector and a register: VMLA, VQDMLAH, VMUL, …; beside them VSHL, VBRSR
        return not (odd and second & 0x1060 == 0x1060 and (size == 3 or bool(first & 0x1000)))
    return not (size == 3 and odd and second & 1)  # VMULL, VMULH, VQDMLADH; beside them VQMOVN, VMOVN, VMAXA
