"""QEMU's log of blocks, taken apart."""

from __future__ import annotations

import io

import pytest

from lowtide.emulate.measure.blocks import BlockLog
from lowtide.emulate.measure.counting import executed_instructions
from lowtide.errors import InternalError

# ldr; then a vector load that QEMU's disassembler has no word for; then a block of one branch.
LOG = b"""----------------
IN: net_run
0x70000b40:  6808       ldr      r0, [r1]
0x70000b42:  ed90 1e00  .byte    0x90, 0xed, 0x00, 0x1e

Trace 0: 0x7f9fe8000100 [0080044a/70000b40/00000150/ff000200] net_run
----------------
IN:
0x70000b46:  e7fb       b        #0x70000b40

Trace 0: 0x7f9fe8000340 [0080044a/70000b46/00000050/ff000200]
Trace 0: 0x7f9fe8000100 [0080044a/70000b40/00000150/ff000200] net_run
hello
Trace 0: 0x7f9fe8000340 [0080044a/70000b46/00000050/ff000200]
Trace 0: 0x7f9fe8000100 [0080044a/70000b40/00000150/ff000200] net_run"""
CODE = bytes.fromhex("086890ed001efbe7")


class _Dribble(io.BytesIO):
    """Gives a few bytes at a time, so that lines are torn."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(7)


@pytest.mark.parametrize("stream", [io.BytesIO, _Dribble])
def test_blocks_become_counts_of_instructions(stream: type[io.BytesIO]) -> None:
    log = BlockLog()
    log.read(stream(LOG))
    executed = executed_instructions(CODE, log.marks(0x7000_0B40, len(CODE)), "thumb")
    assert dict(zip(executed.offsets.tolist(), executed.times.tolist(), strict=True)) == {0: 3, 2: 3, 6: 2}
    assert log.said == ["hello"]


def test_blocks_elsewhere_do_not_count() -> None:
    log = BlockLog()
    log.read(io.BytesIO(LOG))
    executed = executed_instructions(CODE[6:], log.marks(0x7000_0B46, 2), "thumb")
    assert (executed.offsets.tolist(), executed.times.tolist()) == ([0], [2])


def test_a_block_that_was_not_translated_is_refused() -> None:
    log = BlockLog()
    log.read(io.BytesIO(b"Trace 0: 0x7f9fe8000340 [0080044a/70000b46/00000050/ff000200] \n"))
    with pytest.raises(InternalError, match="did not translate"):
        log.marks(0x7000_0B40, 8)
