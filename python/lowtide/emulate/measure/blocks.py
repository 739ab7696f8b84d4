"""Reads QEMU's log of translated and executed blocks (`-d in_asm,exec,nochain`)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import IO

import numpy as np
import numpy.typing as npt

from lowtide.errors import InternalError

# "Trace 0: 0x7f…340 [0080044a/70000b52/00000050/ff000200] name": the place of the translation, the address, flags.
_TRACE = re.compile(rb"Trace \d+: 0x[0-9a-f]+ \[[0-9a-f]+/([0-9a-f]+)/")
# "0x70000b44:  f441 0170  orr …": an address, and bytes in groups. What QEMU can't disassemble has groups, too.
_LINE = re.compile(rb"0x([0-9a-f]+):  ((?:[0-9a-f]{2,8} )+)")
_CHUNK = 1 << 22


class BlockLog:
    """The blocks of one run of QEMU.

    Attributes:
        said: lines that are none of the log.
    """

    def __init__(self) -> None:
        self.said: list[str] = []
        self._traces: Counter[bytes] = Counter()
        self._ends: dict[int, int] = {}
        self._block: int | None = None

    def read(self, stream: IO[bytes]) -> None:
        """Take all of the log, as QEMU writes it."""
        rest = b""
        while chunk := stream.read(_CHUNK):
            *lines, rest = (rest + chunk).split(b"\n")
            self._take(lines)
        self._take([rest])

    def _take(self, lines: Sequence[bytes]) -> None:
        """Most lines are of few executed blocks again and again; the order matters only to the others."""
        self._traces.update(line for line in lines if line.startswith(b"Trace "))
        for line in lines:
            if line.startswith(b"Trace ") or not line:
                continue
            if line.startswith(b"IN:") or line.startswith(b"----"):
                self._block = None
            elif (found := _LINE.match(line)) is not None:
                self._translated(int(found[1], 16), len(found[2].replace(b" ", b"")) // 2)
            else:
                self.said.append(line.decode(errors="replace"))

    def _translated(self, address: int, size: int) -> None:
        if self._block is None:
            self._block = address
        self._ends[self._block] = max(self._ends.get(self._block, 0), address + size)

    def marks(self, start: int, size: int) -> npt.NDArray[np.int64]:
        """Per halfword of the code in [start, start + size), blocks begun there minus blocks ended before it.

        Raises:
            InternalError: a block was executed and never translated.
        """
        marks = np.zeros(size // 2 + 2, dtype=np.int64)
        for line, times in self._traces.items():
            found = _TRACE.match(line)
            address = -1 if found is None else int(found[1], 16)
            if address not in self._ends:
                raise InternalError("run", f"QEMU executed what it did not translate: {line.decode(errors='replace')}")
            if start <= address < start + size:
                marks[(address - start) // 2] += times
                marks[(self._ends[address] - start) // 2] -= times
        return marks
