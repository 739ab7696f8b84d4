"""The kinds of RISC-V's vector instructions (V extension 1.0), which the disassembler does not know."""

from __future__ import annotations

from lowtide.emulate.measure.kinds import OTHER, Decoded

_LOAD_FP, _STORE_FP, _OP_V = 0x07, 0x27, 0x57
_VECTOR_WIDTHS = (0, 5, 6, 7)
# funct6 by funct3: integers with one another and with scalars (OPIVV, OPIVX), integers widened and multiplied (OPMVV,
# OPMVX), floats (OPFVV, OPFVF).
_INTEGER, _WIDE, _FLOAT = (0, 4), (2, 6), (1, 5)
_MULTIPLIES = {
    **dict.fromkeys(_INTEGER, frozenset({0b100111})),
    **dict.fromkeys(
        _WIDE,
        frozenset({*range(0b100100, 0b101000), 0b101001, 0b101011, 0b101101, 0b101111, *range(0b111000, 0b1000000)}),
    ),
    **dict.fromkeys(_FLOAT, frozenset({0b100100, *range(0b101000, 0b110000), 0b111000, *range(0b111100, 0b1000000)})),
}
_DIVIDES = {
    **dict.fromkeys(_WIDE, frozenset(range(0b100000, 0b100100))),
    **dict.fromkeys(_FLOAT, frozenset({0b100000, 0b100001})),
}
_NONE: frozenset[int] = frozenset()


def decode_rvv(code: bytes) -> Decoded | None:
    """The instruction that these bytes begin with, or None where it is no vector instruction.

    Its words are 0: how many elements it moves is known when it runs.
    """
    if len(code) < 4:
        return None
    word = int.from_bytes(code[:4], "little")
    opcode, funct3, funct6 = word & 0x7F, word >> 12 & 7, word >> 26
    if opcode in (_LOAD_FP, _STORE_FP) and funct3 in _VECTOR_WIDTHS:
        return Decoded("load" if opcode == _LOAD_FP else "store")
    if opcode != _OP_V:
        return None
    if funct6 in _MULTIPLIES.get(funct3, _NONE):
        return Decoded("multiply")
    return Decoded("divide") if funct6 in _DIVIDES.get(funct3, _NONE) else OTHER
