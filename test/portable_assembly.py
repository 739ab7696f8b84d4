"""Pieces of assembly of the Cortex-M kernels as plain arithmetic, for the machine that lowtide runs on."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from lowtide.errors import InternalError
from lowtide.ir import DenseI64ArrayAttr, IntegerType, Operation, StringAttr, Type, Value, arith, llvm
from lowtide.kernels.values import made_by

Meaning = Callable[..., Value]
_OPENS = re.compile(r"str (\S+), \[sp, #-(\d+)\]!")
_CLOSES = re.compile(r"ldr (\S+), \[sp\], #(\d+)")
_MEMORY = re.compile(r"(ldr|str|strb) (\S+), \[(\S+?)(?:, #(\d+))?\]")
_OTHER = re.compile(r"(\w+) (\S+?), (\S+?)(?:, (\S+?))?(?:, (\S+?))?(?:, (ror|asr|lsl) #(\d+))?")
_ADDRESS_BITS = 64


def expand(piece: Operation, meanings: Mapping[str, Meaning]) -> None:
    """Put what a piece of assembly computes in its place, and erase it.

    Args:
        piece: of assembly; its operands are addresses (made by `arith.index_cast`) and words.
        meanings: of the instructions that have intrinsics, by name.

    Raises:
        InternalError: it has an instruction that is unknown.
    """
    Piece(piece, meanings).run()
    for use in list(piece.results[0].uses):
        part = use.owner.operation
        part.erase()
    piece.erase()


class Piece:
    """A piece that is being gone through: registers and its part of the stack hold values."""

    def __init__(self, piece: Operation, meanings: Mapping[str, Meaning]) -> None:
        self._piece = piece
        self._meanings = {**_MEANINGS, **meanings}
        self._text = StringAttr(piece.attributes["asm_string"]).value
        self._registers: dict[str, Value] = {}
        self._stack: dict[int, Value] = {}
        constraints = StringAttr(piece.attributes["constraints"]).value.split(",")
        outputs = sum(one.startswith("=") for one in constraints)
        inputs = [one for one in constraints if one.isdigit() or one == "r"]
        for number, (constraint, value) in enumerate(zip(inputs, piece.operands, strict=True)):
            name = constraint if constraint.isdigit() else str(outputs + number)
            self._registers[f"${name}"] = _pointer(value)

    def run(self) -> None:
        """Emit what the piece computes, and give that to who takes its results."""
        for line in self._text.split("\n"):
            self._step(line)
        for use in list(self._piece.results[0].uses):
            part = use.owner.operation
            (number,) = DenseI64ArrayAttr(part.attributes["position"])
            part.results[0].replace_all_uses_with(self._registers[f"${number}"])

    def _step(self, line: str) -> None:
        opens, closes, memory = _OPENS.fullmatch(line), _CLOSES.fullmatch(line), _MEMORY.fullmatch(line)
        if opens is not None or closes is not None:
            return  # the frame's pointer, which nothing here knows of
        if memory is not None:
            self._move(memory[1], memory[2], memory[3], int(memory[4] or 0))
            return
        found = _OTHER.fullmatch(line)
        if found is None or found[1] not in self._meanings:
            raise InternalError("codegen", f"no arithmetic for '{line}'")
        given = [self._operand(name) for name in found.groups()[2:5] if name is not None]
        if found[6]:
            i32 = IntegerType.get_signless(32)
            amount = arith.constant(i32, int(found[7]))
            last = given[-1]
            shifted = {
                "ror": lambda: llvm.intr_fshr(last, last, amount),
                "asr": lambda: arith.shrsi(last, amount),
                "lsl": lambda: arith.shli(last, amount),
            }
            given[-1] = shifted[found[6]]()
        self._registers[found[2]] = self._meanings[found[1]](*given)

    def _operand(self, name: str) -> Value:
        if name.startswith("#"):
            return arith.constant(IntegerType.get_signless(32), int(name[1:]))
        return self._registers[name]

    def _move(self, name: str, register: str, base: str, offset: int) -> None:
        if base == "sp":
            if name == "ldr":
                self._registers[register] = self._stack[offset]
            else:
                self._stack[offset] = self._registers[register]
            return
        i64, i8 = IntegerType.get_signless(_ADDRESS_BITS), IntegerType.get_signless(8)
        address = arith.addi(self._registers[base], arith.constant(i64, offset))
        place = llvm.inttoptr(Type.parse("!llvm.ptr"), address)
        if name == "ldr":
            self._registers[register] = llvm.load(IntegerType.get_signless(32), place, alignment=1)
        else:
            llvm.store(arith.trunci(i8, self._registers[register]), place, alignment=1)


def _pointer(value: Value) -> Value:
    """An address before it was made a word of the target, which has 32 bits; any other word as it is."""
    cast = made_by(value, "arith.index_cast")
    return value if cast is None else arith.index_cast(IntegerType.get_signless(_ADDRESS_BITS), cast.operands[0])


def _sum(left: Value, right: Value) -> Value:
    """A sum of words, or of an address and a word."""
    if left.type != right.type:
        right = arith.extsi(left.type, right)
    return arith.addi(left, right)


def _high_product(a: Value, b: Value, total: Value) -> Value:
    """SMMLAR: (total·2^32 + a·b + 2^31) >> 32."""
    i32, i64 = IntegerType.get_signless(32), IntegerType.get_signless(64)
    product = arith.muli(arith.extsi(i64, a), arith.extsi(i64, b))
    high = arith.shrsi(arith.addi(product, arith.constant(i64, 1 << 31)), arith.constant(i64, 32))
    return arith.addi(total, arith.trunci(i32, high))


def _saturated(low: int, high: int) -> Meaning:
    def meaning(_: Value, value: Value) -> Value:
        i32 = IntegerType.get_signless(32)
        return arith.minsi(arith.maxsi(value, arith.constant(i32, low)), arith.constant(i32, high))

    return meaning


_MEANINGS: Mapping[str, Meaning] = {
    "lsl": arith.shli,
    "asr": arith.shrsi,
    "add": _sum,
    "smmlar": _high_product,
    "ssat": _saturated(-128, 127),
    "usat": _saturated(0, 255),
}
