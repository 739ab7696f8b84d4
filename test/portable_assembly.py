"""Pieces of assembly of the Cortex-M kernels as plain arithmetic, for the machine that lowtide runs on."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from lowtide.errors import InternalError
from lowtide.ir import DenseI64ArrayAttr, IntegerType, Operation, StringAttr, Type, Value, arith, llvm
from lowtide.kernels.operation_kinds import LOOP
from lowtide.kernels.values import made_by

Meaning = Callable[..., Value]
_OPENS = re.compile(r"str (\S+), \[sp, #-\d+\]!")
_CLOSES = re.compile(r"ldr (\S+), \[sp\], #\d+|add sp, sp, #\d+|tst .*")
_HIGH_HALF = re.compile(r"movt (\S+), #(\d+)")
_PLACE = re.compile(r"add (\S+), sp, #(\d+)")
_MEMORY = re.compile(r"(ldr|ldrb|ldrsb|ldrsh|str|strb) (\S+), \[(\S+?)(?:, (?:#(\d+)|(\$\d+|r7)))?\](?:, #(\d+))?")
_COMPARED = re.compile(r"cmp (\S+), (\S+)")
_CHOSEN = re.compile(r"mov(lt|gt) (\S+), #(-?\d+)")
_OTHER = re.compile(r"(\w+) (\S+?), (\S+?)(?:, (\S+?))?(?:, (\S+?))?(?:, (ror|asr|lsl) #(\d+))?")
_ADDRESS_BITS = 64
_LOADED = {"ldr": (32, False), "ldrb": (8, False), "ldrsb": (8, True), "ldrsh": (16, True)}
"""Bits of what is loaded, and whether it has a sign."""
_FRAME = "r7"


def expand(piece: Operation, meanings: Mapping[str, Meaning]) -> None:
    """Put what a piece of assembly computes in its place, and erase it.

    Args:
        piece: of assembly; its operands are addresses (made by `arith.index_cast`) and words.
        meanings: of the instructions that have intrinsics, by name.

    Raises:
        InternalError: it has an instruction that is unknown.
    """
    _Piece(piece, meanings).run()
    for use in list(piece.results[0].uses):
        use.owner.operation.erase()
    piece.erase()


class _Piece:
    """A piece that is being gone through: registers and its part of the stack hold values, or a place on the stack."""

    def __init__(self, piece: Operation, meanings: Mapping[str, Meaning]) -> None:
        self._piece = piece
        self._meanings = {**_MEANINGS, **meanings}
        self._registers: dict[str, Value | int] = {}
        self._stack: dict[int, Value | int] = {}
        self._compared: tuple[Value, Value] | None = None
        constraints = StringAttr(piece.attributes["constraints"]).value.split(",")
        outputs = sum(one.startswith("=") for one in constraints)
        inputs = [one for one in constraints if one.isdigit() or one == "r"]
        for number, (constraint, value) in enumerate(zip(inputs, piece.operands, strict=True)):
            name = constraint if constraint.isdigit() else str(outputs + number)
            self._registers[f"${name}"] = _pointer(value)

    def run(self) -> None:
        """Emit what the piece computes, and give that to who takes its results."""
        self._lines(StringAttr(self._piece.attributes["asm_string"]).value.split("\n"))
        for use in list(self._piece.results[0].uses):
            part = use.owner.operation
            (number,) = DenseI64ArrayAttr(part.attributes["position"])
            part.results[0].replace_all_uses_with(self._value(f"${number}"))

    def _lines(self, lines: Sequence[str]) -> None:
        """Go through lines; a loop turn by turn, as their number is known."""
        at = 0
        while at < len(lines):
            loop = LOOP.fullmatch(lines[at])
            if loop is None:
                self._step(lines[at])
                at += 1
                continue
            end = next(n for n in range(at, len(lines)) if lines[n].endswith(f" {loop[1]}b"))
            for _ in range(int(loop[2])):
                self._lines(lines[at + 1 : end])
            at = end + 1

    def _step(self, line: str) -> None:
        memory, compared, place = _MEMORY.fullmatch(line), _COMPARED.fullmatch(line), _PLACE.fullmatch(line)
        opens, chosen, high = _OPENS.fullmatch(line), _CHOSEN.fullmatch(line), _HIGH_HALF.fullmatch(line)
        if opens is not None:
            self._store(opens[1], 0)
        elif place is not None:
            self._registers[place[1]] = int(place[2])
        elif memory is not None:
            self._move(*memory.groups())
        elif compared is not None:
            left, right = self._value(compared[1]), self._operand(compared[2])
            # addresses are compared for loops alone, whose turns are known
            self._compared = (left, right) if left.type == right.type else None
        elif high is not None:
            self._registers[high[1]] = _with_high_half(self._value(high[1]), int(high[2]))
        elif chosen is not None:
            self._choose(chosen[1], chosen[2], int(chosen[3]))
        elif _CLOSES.fullmatch(line) is None and not line.startswith("it "):
            self._compute(line)

    def _compute(self, line: str) -> None:
        found = _OTHER.fullmatch(line)
        if found is None or found[1] not in self._meanings:
            raise InternalError("codegen", f"no arithmetic for '{line}'")
        given = [self._operand(name) for name in found.groups()[2:5] if name is not None]
        if found[6]:
            i32, last = IntegerType.get_signless(32), given[-1]
            amount = arith.constant(i32, int(found[7]))
            shifted = {
                "ror": lambda: llvm.intr_fshr(last, last, amount),
                "asr": lambda: arith.shrsi(last, amount),
                "lsl": lambda: arith.shli(last, amount),
            }
            given[-1] = shifted[found[6]]()
        self._registers[found[2]] = self._meanings[found[1]](*given)

    def _choose(self, condition: str, register: str, number: int) -> None:
        assert self._compared is not None
        predicate = arith.CmpIPredicate.slt if condition == "lt" else arith.CmpIPredicate.sgt
        other = arith.constant(IntegerType.get_signless(32), number)
        self._registers[register] = arith.select(arith.cmpi(predicate, *self._compared), other, self._value(register))

    def _value(self, name: str) -> Value:
        value = self._registers[name]
        assert not isinstance(value, int)
        return value

    def _operand(self, name: str) -> Value:
        if name.startswith("#"):
            return arith.constant(IntegerType.get_signless(32), int(name[1:]))
        return self._value(name)

    def _store(self, register: str, place: int) -> None:
        # the frame's pointer is nothing that the piece was given
        if register != _FRAME or register in self._registers:
            self._stack[place] = self._registers[register]

    def _move(
        self, name: str, register: str, base: str, offset: str | None, index: str | None, more: str | None
    ) -> None:
        """A load or store; with `more` the address moves on behind it."""
        at = 0 if base == "sp" else self._registers[base]
        if isinstance(at, int):
            if name == "str":
                self._store(register, at + int(offset or 0))
            elif at + int(offset or 0) in self._stack:
                self._registers[register] = self._stack[at + int(offset or 0)]
            if more is not None:
                self._registers[base] = at + int(more)
            return
        i64 = IntegerType.get_signless(_ADDRESS_BITS)
        moved = arith.constant(i64, int(offset or 0)) if index is None else arith.extsi(i64, self._value(index))
        place = llvm.inttoptr(Type.parse("!llvm.ptr"), arith.addi(at, moved))
        if name == "strb":
            llvm.store(arith.trunci(IntegerType.get_signless(8), self._value(register)), place, alignment=1)
        elif name == "str":
            llvm.store(self._value(register), place, alignment=1)
        else:
            self._registers[register] = _loaded(place, *_LOADED[name])
        if more is not None:
            self._registers[base] = arith.addi(at, arith.constant(i64, int(more)))


def _loaded(place: Value, bits: int, signed: bool) -> Value:
    i32 = IntegerType.get_signless(32)
    loaded = llvm.load(IntegerType.get_signless(bits), place, alignment=1)
    if bits == i32.width:
        return loaded
    return arith.extsi(i32, loaded) if signed else arith.extui(i32, loaded)


def _pointer(value: Value) -> Value:
    """An address before it was made a word of the target, which has 32 bits; any other word as it is."""
    cast = made_by(value, "arith.index_cast")
    return value if cast is None else arith.index_cast(IntegerType.get_signless(_ADDRESS_BITS), cast.operands[0])


def _with_high_half(word: Value, high: int) -> Value:
    i32 = IntegerType.get_signless(32)
    low = arith.andi(word, arith.constant(i32, 0xFFFF))
    return arith.ori(low, arith.shli(arith.constant(i32, high), arith.constant(i32, 16)))


def _by_halves(operation: Callable[[Value, Value], Value]) -> Meaning:
    """An operation on both halves of two words, without carries between them."""

    def meaning(left: Value, right: Value) -> Value:
        i32 = IntegerType.get_signless(32)
        ones, sixteen = arith.constant(i32, 0xFFFF), arith.constant(i32, 16)
        low = arith.andi(operation(left, right), ones)
        high = operation(arith.shrui(left, sixteen), arith.shrui(right, sixteen))
        return arith.ori(low, arith.shli(high, sixteen))

    return meaning


def _sum(left: Value, right: Value) -> Value:
    """A sum of words, or of an address and a word."""
    return arith.addi(left, right if left.type == right.type else arith.extsi(left.type, right))


def _difference(left: Value, right: Value) -> Value:
    return arith.subi(left, right if left.type == right.type else arith.extsi(left.type, right))


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


def _same(value: Value) -> Value:
    return value


_MEANINGS: Mapping[str, Meaning] = {
    "lsl": arith.shli,
    "asr": arith.shrsi,
    "add": _sum,
    "sub": _difference,
    "mov": _same,
    "movw": _same,
    "sadd16": _by_halves(arith.addi),
    "ssub16": _by_halves(arith.subi),
    "smmlar": _high_product,
    "ssat": _saturated(-128, 127),
    "usat": _saturated(0, 255),
}
