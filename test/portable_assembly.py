"""Pieces of assembly of the Cortex-M kernels as plain arithmetic, for the machine that lowtide runs on."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from lowtide.errors import InternalError
from lowtide.ir import DenseI64ArrayAttr, IntegerType, Operation, StringAttr, Type, Value, arith, llvm
from lowtide.kernels.values import made_by

Meaning = Callable[..., Value]
_BORROWED = ("str r7, [sp, #-8]!", "ldr r7, [sp], #8")
"""What saves the frame's pointer around a piece, and gives it back."""
_LOAD = re.compile(r"ldr (\S+), \[(\S+), #(\d+)\]")
_OTHER = re.compile(r"(\w+) (\S+), (\S+?)(?:, (\S+?))?(?:, (\S+?))?(, ror #8)?")


def expand(piece: Operation, meanings: Mapping[str, Meaning]) -> None:
    """Put what a piece of assembly computes in its place, and erase it.

    Args:
        piece: whose first results are the sums, and whose first two operands are addresses.
        meanings: of the instructions, by name.

    Raises:
        InternalError: it has an instruction that is unknown.
    """
    constraints = StringAttr(piece.attributes["constraints"]).value.split(",")
    outputs = sum(one.startswith("=") for one in constraints)
    tied = [int(one) for one in constraints if one.isdigit()]
    operands = list(piece.operands)
    registers = {f"${number}": value for number, value in zip(tied, operands[2:], strict=True)}
    bases = {f"${outputs + place}": _pointer(operands[place]) for place in (0, 1)}
    for line in StringAttr(piece.attributes["asm_string"]).value.split("\n"):
        if line not in _BORROWED:
            _step(line, registers, bases, meanings)
    for use in list(piece.results[0].uses):
        part = use.owner.operation
        (number,) = DenseI64ArrayAttr(part.attributes["position"])
        part.results[0].replace_all_uses_with(registers[f"${number}"])
        part.erase()
    piece.erase()


def _pointer(word: Value) -> Value:
    """The address before it was made a word of the target, which has 32 bits."""
    cast = made_by(word, "arith.index_cast")
    assert cast is not None
    return arith.index_cast(IntegerType.get_signless(64), cast.operands[0])


def _step(line: str, registers: dict[str, Value], bases: Mapping[str, Value], meanings: Mapping[str, Meaning]) -> None:
    i32, i64 = IntegerType.get_signless(32), IntegerType.get_signless(64)
    load = _LOAD.fullmatch(line)
    if load is not None:
        address = arith.addi(bases[load[2]], arith.constant(i64, int(load[3])))
        registers[load[1]] = llvm.load(i32, llvm.inttoptr(Type.parse("!llvm.ptr"), address), alignment=1)
        return
    found = _OTHER.fullmatch(line)
    if found is None or found[1] not in meanings:
        raise InternalError("codegen", f"no arithmetic for '{line}'")
    given = [registers[name] for name in found.groups()[2:5] if name is not None]
    if found[6]:
        given[-1] = llvm.intr_fshr(given[-1], given[-1], arith.constant(i32, 8))
    registers[found[2]] = meanings[found[1]](*given)
