"""What kinds of instructions a run consists of: loads, stores, multiplies, divides, branches and the others."""

from __future__ import annotations

from dataclasses import astuple, dataclass

from lowtide.emulate.measure.counting import Executed, Isa
from lowtide.emulate.measure.decode import decode
from lowtide.emulate.measure.kinds import Kind


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
    for offset, times in zip(executed.offsets.tolist(), executed.times.tolist(), strict=True):
        # the longest instruction has four bytes
        decoded = decode(code[offset : offset + 4], isa)
        counts[decoded.kind] += times
        if decoded.kind in words:
            words[decoded.kind] += times * decoded.words
    return Mix(*counts.values(), *words.values())
