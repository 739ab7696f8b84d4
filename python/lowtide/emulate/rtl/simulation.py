"""One call of a function on a simulated core: its memory as files, and what came of it."""

from __future__ import annotations

import struct
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lowtide.emulate.rtl.start import BOOT, OWN_INSTRUCTIONS
from lowtide.errors import InternalError

Bytes = npt.NDArray[np.uint8]
MOST_CYCLES = 2_000_000_000
"""After so many there is an end: no network of a microcontroller takes more."""
_RESULT = struct.Struct("<QIIII")
_STRAY, _ENDLESS = 1, 2


@dataclass(frozen=True)
class Memory:
    """A piece of the core's memory: uint8[size] from an address on, and whether it may be written."""

    start: int
    data: Bytes
    writable: bool


@dataclass(frozen=True)
class Simulated:
    """What a call gave.

    Attributes:
        cycles: from the store before the call to the one after it, which makes a handful more than the function's own.
        instructions: of the function, retired, by the core's own counter.
        returned: the word that it returned.
        memories: what was writable, as the call left it.
        stray: the address of an access that met no memory, which ended the simulation; None where there was none.
    """

    cycles: int
    instructions: int
    returned: int
    memories: tuple[Bytes, ...]
    stray: int | None


def simulate(program: Path, memories: Sequence[Memory]) -> Simulated:
    """Run from reset to the end of `start_code`, which is in one of the memories.

    Raises:
        InternalError: there was no end, or the simulator failed.
    """
    with tempfile.TemporaryDirectory(prefix="lowtide-") as scratch:
        given, gave = Path(scratch) / "memory.in", Path(scratch) / "result.out"
        headers = (struct.pack("<III", one.start, len(one.data), one.writable) for one in memories)
        parts = (part for pair in zip(headers, memories, strict=True) for part in (pair[0], pair[1].data.tobytes()))
        given.write_bytes(b"".join((struct.pack("<I", BOOT), *parts)))
        command = [str(program), str(given), str(gave), str(MOST_CYCLES)]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if done.returncode != 0:
            raise InternalError("run", f"the simulator failed (exit code {done.returncode})", where=str(program))
        return _read(gave.read_bytes(), [len(one.data) for one in memories if one.writable])


def _read(result: bytes, sizes: Sequence[int]) -> Simulated:
    cycles, retired, returned, status, address = _RESULT.unpack_from(result)
    if status == _ENDLESS:
        raise InternalError("run", f"the function did not return within {MOST_CYCLES:,} cycles")
    offsets = np.cumsum([_RESULT.size, *sizes]).tolist()
    left = tuple(np.frombuffer(result, np.uint8, size, at) for at, size in zip(offsets[:-1], sizes, strict=True))
    return Simulated(
        cycles=cycles,
        instructions=retired - OWN_INSTRUCTIONS,
        returned=returned - (1 << 32) if returned >= 1 << 31 else returned,
        memories=left,
        stray=address if status == _STRAY else None,
    )
