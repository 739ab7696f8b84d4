"""What of an RV32 instruction decides how long it takes, by a disassembler."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import capstone

from lowtide.emulate.timing.model import RiscKind
from lowtide.errors import InternalError

_KINDS: Mapping[RiscKind, str] = {
    "load": "lb lbu lh lhu lw lwsp",
    "store": "sb sh sw swsp",
    "multiply": "mul",
    "multiply high": "mulh mulhu mulhsu",
    "divide": "div divu rem remu",
    "jump": "j jal jr jalr ret",
    "branch": "beq bne blt bge bltu bgeu beqz bnez blez bgez bltz bgtz",
}
_KIND_OF: Mapping[str, RiscKind] = {word: kind for kind, words in _KINDS.items() for word in words.split()}
# capstone numbers the operands of this architecture by itself
_MEMORY = 3
# compressed instructions whose first operand is written only; all others that write it read it as well
_FRESH = frozenset(("c.mv", "c.li", "c.lui", "c.lw", "c.lwsp", "c.addi4spn"))


@dataclass(frozen=True)
class RiscTimed:
    """An instruction as a timing model sees it.

    Attributes:
        kind: which duration it has.
        size: in bytes.
        loaded: the register that a load writes, "" of all others.
        reads: the registers that it needs.
    """

    kind: RiscKind
    size: int
    loaded: str
    reads: frozenset[str]


@cache
def risc_timed(code: bytes) -> RiscTimed:
    """The instruction that these bytes begin with.

    Raises:
        InternalError: it is none that the disassembler knows.
    """
    found = next(_disassembler().disasm(code, 0, 1), None)
    if found is None:
        raise InternalError("run", f"executed what is no known rv32 instruction: {code.hex(' ')}")
    word = found.mnemonic.removeprefix("c.")
    kind = _KIND_OF.get(word, "simple")
    named = [_name(found, one) for one in found.operands]
    registers = [name for name in named if name]
    loaded = registers[0] if kind == "load" else ""
    indirect = registers[-1] if word in ("jr", "jalr") and registers else "ra" if word == "ret" else ""
    writes_first = bool(named) and bool(named[0]) and kind not in ("store", "branch", "jump")
    reads_first = found.mnemonic.startswith("c.") and found.mnemonic not in _FRESH
    reads = registers[1:] if writes_first and not reads_first else registers
    if kind == "jump":
        reads = [indirect] if indirect else []
    return RiscTimed(kind, found.size, loaded, frozenset(reads) - {"zero"})


def _name(found: capstone.CsInsn, operand: capstone.CsOperand) -> str:
    """The register of an operand, "" of a number."""
    if operand.type == capstone.CS_OP_REG:
        return found.reg_name(operand.reg) or ""
    return found.reg_name(operand.mem.base) or "" if operand.type == _MEMORY else ""


@cache
def _disassembler() -> capstone.Cs:
    found = capstone.Cs(capstone.CS_ARCH_RISCV, capstone.CS_MODE_RISCV32 | capstone.CS_MODE_RISCVC)
    found.detail = True
    return found
