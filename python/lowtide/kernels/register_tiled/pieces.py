"""Pieces of assembly: instructions whose registers have names, as one operation that the compiler finds registers for.

Between two pieces a compiler moves sums from register to register and to the stack and back, so all blocks of some
pixels are best one piece (`Whole`): a few addresses are all that goes in, and nothing comes out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lowtide.ir import IntegerType, Value, arith, llvm
from lowtide.kernels.register_tiled.memory import MOST_OFFSET, WORD
from lowtide.kernels.register_tiled.microkernel import Sums

REGISTERS = 13
"""Those of a Cortex-M core that are neither the stack's pointer, the frame's nor the program counter."""
_FRAME = "r7"
_OPENS, _CLOSES = f"str {_FRAME}, [sp, #-%d]!", f"ldr {_FRAME}, [sp], #%d"
"""What saves the frame's pointer, which no piece needs, and gives it back."""
_NAME = re.compile(r"\{(\w+)\}")
_SLOT = re.compile(r"slot\((\w+)\)")
MOST_MOVED = 0xFF000
"""Bytes that an address may be moved by, at most."""


def assembled(lines: Sequence[str], sums: Sums, words: Sequence[str], x: Value, w: Value) -> Sums:
    """One piece of assembly in which names in braces are registers; what the sums have become.

    Where they are one more than there are, the frame's pointer waits on the stack meanwhile.

    Args:
        lines: instructions; `sM_N` are the sums, X and W the addresses, which stay.
        sums: before.
        words: registers that are only written.
        x, w: the addresses, index values.
    """
    totals = _totals(sums)
    if len(totals) + len(words) + 2 > REGISTERS:
        *words, last = words
        lines = [_OPENS % 8, *(line.replace(f"{{{last}}}", _FRAME) for line in lines), _CLOSES % 8]
    made = _emitted(lines, dict(zip(totals, _flat(sums), strict=True)), words, {"X": _word(x), "W": _word(w)})
    channels = len(sums[0])
    return [made[m * channels : (m + 1) * channels] for m in range(len(sums))]


def framed(lines: Sequence[str], changed: Mapping[str, Value], words: Sequence[str], slots: Sequence[str]) -> None:
    """One piece of assembly that gives nothing back and has a part of the stack.

    Where its registers are one more than there are, the frame's pointer waits on the stack meanwhile.

    Args:
        lines: instructions, in which names in braces are registers and `slot(name)` is a word's place on the stack.
        changed: the registers that hold addresses at first.
        words: those that are only written; the last may be the frame's pointer.
        slots: names of words on the stack.
    """
    borrows = len(changed) + len(words) > REGISTERS
    places = [*slots, *(["frame"] if borrows else [])]
    nbytes = WORD * len(places)
    # any register: the bound of the stack (`codegen.frames`) knows stores that open it
    opened = [f"str {{{next(iter(changed))}}}, [sp, #{-nbytes}]!"]
    if borrows:
        *words, last = words
        lines = [f"str {_FRAME}, [sp, #slot(frame)]", *(line.replace(f"{{{last}}}", _FRAME) for line in lines)]
        lines.append(f"ldr {_FRAME}, [sp, #slot(frame)]")
    whole = [*opened, *lines, f"add sp, sp, #{nbytes}"]
    whole = [_SLOT.sub(lambda found: str(WORD * places.index(found[1])), line) for line in whole]
    _emitted(whole, {name: _word(value) for name, value in changed.items()}, words, {})


@dataclass(frozen=True)
class Whole:
    """A piece that computes blocks of channels from their addresses alone, which wait on the stack for their turn.

    Attributes:
        totals: registers of the sums.
        words: registers for anything else; the last is the frame's pointer where there are not enough.
        blocks: how many, one after the other.
        rows: the addresses under each row of the windows; the first is X at first.
        weights: what W is at first.
        records, outputs: what X and W are behind the products.
        steps: bytes to the next block's records and outputs; below 0 in a layer that goes backwards.
    """

    totals: Sequence[str]
    words: Sequence[str]
    blocks: int
    rows: Sequence[Value]
    weights: Value
    records: Value
    outputs: Value
    steps: tuple[int, int]

    @property
    def fits(self) -> bool:
        """Whether there are registers in which all addresses can come; one may have been borrowed."""
        return len(self.rows) + 1 < min(len(self.words) + len(self.totals), REGISTERS - 2)

    def emit(self, starts: Sequence[str], products: Sequence[str], weights: int, end: Sequence[str]) -> None:
        """Emit it.

        Args:
            starts: the instructions that load what sums start from, from the first word, the block's records.
            products: those that add up. `slot(name)` in a line is where an address waits, by the name of the field or
                `row0`, `row1`, …; rows but the first lie in order, and a 0 behind them. `next` and `end` are for them.
            weights: bytes from what W is behind the products to the weights of the next block.
            end: those behind, where X is `records` and W is `outputs`.
        """
        borrows = len(self.totals) + len(self.words) + 2 > REGISTERS
        words = self.words[:-1] if borrows else self.words
        own = {"records": self.records, "outputs": self.outputs}
        own |= {f"row{number}": row for number, row in enumerate(self.rows[1:], 1)}
        at = dict(zip(own, [*words, *self.totals], strict=False))
        slots = [name for name in at if name.startswith("row")]
        slots += ["zero"] if slots else []
        slots += ["row0", "weights"] if self.blocks > 1 else []
        slots += ["records", "outputs", *(["last"] if self.blocks > 1 else [])]
        slots += [name for name in ("next", "end") if any(f"slot({name})" in line for line in products)]
        slots += ["frame"] if borrows else []
        registers = {**at, "row0": "X", "weights": "W", "frame": _FRAME}
        # what has no value of its own comes when the register that holds another one is free
        registers |= {"zero": at.get("row1", ""), "last": at["outputs"]}
        nbytes = WORD * len(slots)
        lines = [f"str {_braced(registers[slots[0]])}, [sp, #{-nbytes}]!"]
        for number, name in enumerate(slots[1:], 1):
            if name not in registers:
                continue
            register = _braced(registers[name])
            if name == "zero":
                lines.append(f"mov {register}, #0")
            if name == "last":
                lines += moved(registers[name], self.blocks * self.steps[1])
            lines.append(f"str {register}, [sp, #{WORD * number}]")
        lines += self._turn(starts, products, weights, end)
        lines += [f"ldr {_FRAME}, [sp, #slot(frame)]"] if borrows else []
        lines.append(f"add sp, sp, #{nbytes}")
        if borrows:
            lines = [line.replace(f"{{{self.words[-1]}}}", _FRAME) for line in lines]
        lines = [_SLOT.sub(lambda found: str(WORD * slots.index(found[1])), line) for line in lines]
        changed = {"X": _word(self.rows[0]), "W": _word(self.weights)}
        changed |= {at[name]: _word(value) for name, value in own.items()}
        _emitted(lines, changed, [name for name in (*self.totals, *words) if name not in changed], {})

    def _turn(self, starts: Sequence[str], products: Sequence[str], weights: int, end: Sequence[str]) -> list[str]:
        """The instructions of a block, in a loop where there are several."""
        word = self.words[0]
        load = f"ldr {{{word}}}, [sp, #slot(records)]"
        behind = ["ldr {X}, [sp, #slot(records)]", "ldr {W}, [sp, #slot(outputs)]", *end]
        if self.blocks == 1:
            return [load, *starts, *products, *behind]
        return [
            f"3: @ {self.blocks} turns",
            *("ldr {X}, [sp, #slot(row0)]", "ldr {W}, [sp, #slot(weights)]", load, *starts, *products),
            *(*moved("W", weights), "str {W}, [sp, #slot(weights)]", *behind),
            *(*moved("X", self.steps[0]), "str {X}, [sp, #slot(records)]"),
            *(*moved("W", self.steps[1]), "str {W}, [sp, #slot(outputs)]"),
            *(f"ldr {{{word}}}, [sp, #slot(last)]", f"cmp {{W}}, {{{word}}}", "bne.w 3b"),
        ]


def _braced(register: str) -> str:
    return register if register == _FRAME else f"{{{register}}}"


def moved(register: str, more: int) -> list[str]:
    """Instructions that add a constant to a register: the bits that one takes as they are, and those above."""
    name, low, high = "add" if more > 0 else "sub", abs(more) & MOST_OFFSET, abs(more) & ~MOST_OFFSET
    return [f"{name} {{{register}}}, {{{register}}}, #{part}" for part in (low, high) if part]


def _emitted(
    lines: Sequence[str], changed: Mapping[str, Value], words: Sequence[str], read: Mapping[str, Value]
) -> list[Value]:
    """The piece; what the registers that it changes hold behind it.

    Args:
        lines: instructions.
        changed: registers with a value that the piece changes.
        words: registers that it only writes.
        read: registers that it only reads.
    """
    i32 = IntegerType.get_signless(32)
    names = {name: f"${number}" for number, name in enumerate([*changed, *words, *read])}
    text = "\n".join(_NAME.sub(lambda found: names[found[1]], line) for line in lines)
    results = len(changed) + len(words)
    # early results: none may share a register with what is only read
    constraints = [*["=&r"] * results, *["r"] * len(read), *map(str, range(len(changed))), "~{cc}", "~{memory}"]
    kind = llvm.StructType.get_literal([i32] * results)
    given = [*read.values(), *changed.values()]
    made = llvm.InlineAsmOp(kind, given, text, ",".join(constraints), has_side_effects=True).results[0]
    return [llvm.extractvalue(i32, made, [number]) for number in range(len(changed))]


def _totals(sums: Sums) -> list[str]:
    return [f"s{m}_{n}" for m in range(len(sums)) for n in range(len(sums[0]))]


def _flat(sums: Sums) -> list[Value]:
    return [total for row in sums for total in row]


def _word(address: Value) -> Value:
    return arith.index_cast(IntegerType.get_signless(32), address)
