"""What of a Thumb instruction decides how long it takes, by a disassembler."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

import capstone

from lowtide.emulate.timing.model import Kind
from lowtide.errors import InternalError

Names = frozenset[str]
_MEMORY: frozenset[Kind] = frozenset({"load", "store", "indexed store", "pair", "list"})

_CONDITION = "(?:eq|ne|[hc]s|[lc]o|cc|mi|pl|v[sc]|hi|ls|ge|lt|gt|le)?"
_END = rf"{_CONDITION}(?:\.|$)"
# First match decides; mnemonics are capstone's, conditions included.
_RULES: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("list", re.compile(r"v?(?:ldm|stm|push|pop)")),
    ("pair", re.compile(rf"(?:ldrd|strd){_END}")),
    ("load", re.compile(r"v?ldr|lda")),
    ("store", re.compile(r"v?str|stl")),
    ("divide", re.compile(r"[su]div")),
    ("multiply add", re.compile(rf"ml[as]s?{_END}")),
    ("long multiply", re.compile(rf"[su]mulls?{_END}")),
    ("long multiply add", re.compile(rf"(?:[su]mlals?|umaal){_END}")),
    ("table branch", re.compile(r"tb[bh]")),
    ("float divide", re.compile(r"vdiv|vsqrt")),
    ("float multiply add", re.compile(r"vfn?m[as]|vn?ml[as]")),
    # to or from the core's registers, or between the FPU's: a move, no arithmetic
    ("simple", re.compile(r"vmov|vmrs|vmsr|vcmp")),
    ("float", re.compile(r"v")),
)


@dataclass(frozen=True)
class Timed:
    """An instruction as a timing model sees it.

    Attributes:
        kind: which duration it has.
        words: registers of 32 bits that it moves, 0 where it is no load or store.
        loads: whether it reads memory.
        reads, writes: registers; those of 64 bits are pairs of `sN`.
        address: those that its address is computed from.
    """

    kind: Kind
    words: int
    loads: bool
    reads: Names
    writes: Names
    address: Names


@cache
def timed(code: bytes) -> Timed:
    """The instruction that these bytes begin with.

    Raises:
        InternalError: it is none that the disassembler knows.
    """
    found = next(_disassembler().disasm(code, 0, 1), None)
    if found is None:
        raise InternalError("run", f"executed what is no known thumb instruction: {code.hex(' ')}")
    kind = _kind(found.mnemonic)
    read, written = (_names(found, some) for some in found.regs_access())
    operands = [_names(found, [one.reg]) for one in found.operands if one.type == capstone.CS_OP_REG]
    if kind == "list":
        return _list(found, operands)
    if kind in _MEMORY:
        return _single(found, kind, operands, read, written)
    if found.mnemonic.startswith("vmov") and len(operands) > 2:
        kind = "double move"
    return Timed(kind, 0, False, read, written, frozenset())


def _kind(mnemonic: str) -> Kind:
    for kind, rule in _RULES:
        if rule.match(mnemonic):
            return kind
    return "simple"


def _single(found: capstone.CsInsn, kind: Kind, operands: Sequence[Names], read: Names, written: Names) -> Timed:
    """A load or store of one register or of a pair."""
    memory = next(one.mem for one in found.operands if one.type == capstone.CS_OP_MEM)
    words = 2 if kind == "pair" else len(operands[0])
    if words == 2:
        kind = "pair"
    elif kind == "store" and memory.index:
        kind = "indexed store"
    loads = "ld" in found.mnemonic[:3]
    return Timed(kind, words, loads, read, written, _names(found, [memory.base, memory.index]))


def _list(found: capstone.CsInsn, operands: Sequence[Names]) -> Timed:
    """A load or store of several registers. The disassembler does not tell all of those that VLDM writes."""
    loads = "ld" in found.mnemonic[:3] or "pop" in found.mnemonic
    on_stack = "pop" in found.mnemonic or "push" in found.mnemonic
    base, moved = (frozenset({"sp"}), operands) if on_stack else (operands[0], operands[1:])
    listed = frozenset[str]().union(*moved)
    reads, writes = (base, listed) if loads else (base | listed, frozenset[str]())
    return Timed("list", len(listed), loads, reads, writes, base)


def _names(found: capstone.CsInsn, registers: Iterable[int]) -> Names:
    """What registers are called; one of 64 bits is two of 32."""
    names = (found.reg_name(register) for register in registers if register)
    words: set[str] = set()
    for name in names:
        if name is not None and (wide := re.fullmatch(r"d(\d+)", name)) is not None:
            words |= {f"s{2 * int(wide[1])}", f"s{2 * int(wide[1]) + 1}"}
        elif name is not None:
            words.add(name)
    return frozenset(words)


@cache
def _disassembler() -> capstone.Cs:
    found = capstone.Cs(capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS)
    found.detail = True
    return found
