"""What kinds of instructions a run consists of: loads, stores, multiplies, divides, branches and the others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from functools import cache
from typing import Literal

import capstone

from lowtide.emulate.counting import Executed, Isa
from lowtide.errors import InternalError

Kind = Literal["load", "store", "multiply", "divide", "branch", "other"]


@dataclass(frozen=True)
class Mix:
    """Instructions executed, by kind.

    An instruction that moves several registers is one load or store. A load into the program counter is a load.
    Multiplies are the integer and float ones, with or without an addition; divides are remainders, too.

    Attributes:
        loaded_words, stored_words: registers of 32 bits that the loads and stores moved.
    """

    loads: int = 0
    stores: int = 0
    multiplies: int = 0
    divides: int = 0
    branches: int = 0
    others: int = 0
    loaded_words: int = 0
    stored_words: int = 0

    def __add__(self, other: Mix) -> Mix:
        return Mix(*(one + two for one, two in zip(astuple(self), astuple(other), strict=True)))

    @property
    def instructions(self) -> int:
        """All of them."""
        return self.loads + self.stores + self.multiplies + self.divides + self.branches + self.others


@dataclass(frozen=True)
class Decoded:
    """An instruction's kind, and how many registers of 32 bits it loads or stores."""

    kind: Kind
    words: int = 0


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


def mix_of(code: bytes, executed: Executed, isa: Isa) -> Mix:
    """Count what was executed by kind.

    Args:
        code: what the offsets of `executed` are in.
        executed: how often each instruction was executed.
        isa: what the code is.

    Raises:
        InternalError: an instruction is none that the disassembler knows.
    """
    counts: dict[Kind, int] = {"load": 0, "store": 0, "multiply": 0, "divide": 0, "branch": 0, "other": 0}
    words: dict[Kind, int] = {"load": 0, "store": 0}
    for decoded, times in zip(_decoded(code, executed, isa), executed.times.tolist(), strict=True):
        counts[decoded.kind] += times
        if decoded.kind in words:
            words[decoded.kind] += times * decoded.words
    return Mix(*counts.values(), *words.values())


def _decoded(code: bytes, executed: Executed, isa: Isa) -> Iterator[Decoded]:
    for offset in executed.offsets.tolist():
        # the longest instruction has four bytes
        yield decode(code[offset : offset + 4], isa)


@cache
def decode(code: bytes, isa: Isa) -> Decoded:
    """The instruction that these bytes begin with.

    Raises:
        InternalError: it is none that the disassembler knows.
    """
    found = next(_disassembler(isa).disasm_lite(code, 0, 1), None)
    if found is None:
        raise InternalError("run", f"executed what is no known {isa} instruction: {code.hex(' ')}")
    _, _, mnemonic, operands = found
    word = mnemonic.removeprefix("c.")
    other: Kind = "other"
    kind = next((kind for kind, rule in _RULES[isa] if rule.match(word)), other)
    return Decoded(kind, _words(word, operands) if kind in ("load", "store") else 0)


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
