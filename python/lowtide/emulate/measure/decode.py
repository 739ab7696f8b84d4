"""What kind an instruction is, by a disassembler where it knows it: Thumb-2 with Helium, RV32IMAFDCV."""

from __future__ import annotations

import re
from functools import cache

import capstone

from lowtide.emulate.measure.counting import Isa
from lowtide.emulate.measure.helium import decode_helium
from lowtide.emulate.measure.kinds import Decoded, Kind
from lowtide.emulate.measure.rvv import decode_rvv
from lowtide.errors import InternalError

_CONDITION = "(?:eq|ne|[hc]s|[lc][oc]|mi|pl|v[sc]|hi|ls|ge|lt|gt|le)"
# First match decides; mnemonics are capstone's, conditions included.
_RULES: dict[Isa, tuple[tuple[Kind, re.Pattern[str]], ...]] = {
    "thumb": (
        ("load", re.compile(r"ldr|ldm|lda|pop|vldr|vldm|vpop")),
        ("store", re.compile(r"str|stm|stl|push|vstr|vstm|vpush")),
        ("divide", re.compile(r"[su]div|vdiv")),
        ("multiply", re.compile(r"mul|ml[as]|s?mm[lu]|sm[lmu]|um(?:ul|la|aal)|vn?m(?:ul|l[as])|vfn?m[as]")),
        ("branch", re.compile(rf"(?:b|bl|bx|blx)(?:{_CONDITION})?(?:\.|$)|cbn?z|tb[bh]")),
    ),
    "rv32": (
        ("load", re.compile(r"(?:l[bhw]u?|l[wd]sp|fl[wd](?:sp)?)$|lr\.")),
        ("store", re.compile(r"(?:s[bhwd]|s[wd]sp|fs[wd](?:sp)?)$|sc\.")),
        ("divide", re.compile(r"(?:div|rem)u?$|fdiv\.")),
        ("multiply", re.compile(r"mulh?(?:s?u)?$|fmul\.|fn?m(?:add|sub)\.")),
        ("branch", re.compile(r"b(?:eq|ne|lt|ge)u?z?$|jal$|jalr$|j$|jr$|ret$")),
    ),
}
_LIST = re.compile(r"\{(.*)\}")


@cache
def decode(code: bytes, isa: Isa) -> Decoded:
    """The instruction that these bytes begin with.

    Raises:
        InternalError: it is none that the disassembler knows.
    """
    vector = decode_helium(code) if isa == "thumb" else decode_rvv(code)
    if vector is not None:
        return vector
    found = next(_disassembler(isa).disasm_lite(code, 0, 1), None)
    if found is None:
        raise InternalError("run", f"executed what is no known {isa} instruction: {code.hex(' ')}")
    _, _, mnemonic, operands = found
    word = mnemonic.removeprefix("c.")
    kind = _kind(word, isa)
    return Decoded(kind, _words(word, operands) if kind in ("load", "store") else 0)


def _kind(mnemonic: str, isa: Isa) -> Kind:
    for kind, rule in _RULES[isa]:
        if rule.match(mnemonic):
            return kind
    return "other"


def _words(mnemonic: str, operands: str) -> int:
    """Registers that a load or store moves, in units of 32 bits."""
    listed = _LIST.search(operands)
    if listed is not None:
        registers = [word.strip() for word in listed[1].split(",")]
        return sum(2 if register.startswith("d") else 1 for register in registers)
    if mnemonic.startswith(("ldrd", "strd")) or mnemonic in ("fld", "fsd", "fldsp", "fsdsp"):
        return 2
    return 2 if mnemonic.startswith(("vldr", "vstr")) and operands.startswith("d") else 1


@cache
def _disassembler(isa: Isa) -> capstone.Cs:
    if isa == "thumb":
        return capstone.Cs(capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS)
    return capstone.Cs(capstone.CS_ARCH_RISCV, capstone.CS_MODE_RISCV32 | capstone.CS_MODE_RISCVC)
