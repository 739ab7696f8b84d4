"""How many instructions the counted blocks were."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt


def count_instructions(code: bytes, marks: npt.NDArray[np.int64], isa: Literal["thumb", "rv32"]) -> int:
    """Instructions executed, as `native.mlir`'s `count_block` marked them.

    Args:
        code: the flash from the address that `marks` begins at.
        marks: per halfword, blocks begun there minus blocks ended before it.
        isa: the rule that tells four-byte instructions from two-byte ones.
    """
    halfwords = np.frombuffer(code[: len(code) // 2 * 2], dtype="<u2")
    executed = np.cumsum(marks[: len(halfwords)])
    wide = halfwords >> 11 >= 0b11101 if isa == "thumb" else halfwords & 0b11 == 0b11
    where = np.flatnonzero(executed)
    total, behind = 0, 0
    # Executed stretches consist of whole blocks, so that each begins with an instruction.
    for index, times, four in zip(where.tolist(), executed[where].tolist(), wide[where].tolist(), strict=True):
        if index >= behind:
            total += times
            behind = index + (2 if four else 1)
    return total
