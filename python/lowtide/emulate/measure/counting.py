"""How often each instruction was executed, from the counted blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Isa = Literal["thumb", "rv32"]


@dataclass(frozen=True)
class Executed:
    """The instructions that were executed at least once, by address.

    Attributes:
        offsets: of their first bytes, from the code's start; int64, ascending.
        times: how often each was executed, int64. Under an IT block what was skipped counts, too: the core fetches it.
        jumps: how often something else than the instruction behind it came next, int64: the branches taken, calls and
            returns. None where the emulator does not tell.
    """

    offsets: npt.NDArray[np.int64]
    times: npt.NDArray[np.int64]
    jumps: npt.NDArray[np.int64] | None = None

    @property
    def total(self) -> int:
        """Instructions executed."""
        return int(self.times.sum())

    def between(self, first: int, end: int) -> Executed:
        """Those whose offsets are in [first, end)."""
        part = slice(*np.searchsorted(self.offsets, (first, end)).tolist())
        return Executed(self.offsets[part], self.times[part], None if self.jumps is None else self.jumps[part])


def executed_instructions(
    code: bytes, marks: npt.NDArray[np.int64], isa: Isa, jumps: npt.NDArray[np.int64] | None = None
) -> Executed:
    """The instructions executed, as `native.mlir`'s `count_block` marked them.

    Args:
        code: the flash from the address that `marks` begins at.
        marks: per halfword, blocks begun there minus blocks ended before it.
        isa: the rule that tells four-byte instructions from two-byte ones.
        jumps: per halfword, how often the block that ended before it was left for elsewhere; None where unknown.
    """
    halfwords = np.frombuffer(code[: len(code) // 2 * 2], dtype="<u2")
    executed = np.cumsum(marks[: len(halfwords)])
    wide = halfwords >> 11 >= 0b11101 if isa == "thumb" else halfwords & 0b11 == 0b11
    where = np.flatnonzero(executed)
    begun: list[int] = []
    ends: list[int] = []
    behind = 0
    # Executed stretches consist of whole blocks, so that each begins with an instruction.
    for index, four in zip(where.tolist(), wide[where].tolist(), strict=True):
        if index >= behind:
            begun.append(index)
            behind = index + (2 if four else 1)
            ends.append(behind)
    starts = np.array(begun, dtype=np.int64)
    left = None if jumps is None else jumps[np.array(ends, dtype=np.int64)]
    return Executed(2 * starts, executed[starts], left)
