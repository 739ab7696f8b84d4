"""Cycles of an inference: a table of durations applied to the instructions that an emulator executed."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from lowtide.emulate.measure.counting import Executed
from lowtide.emulate.timing.instructions import Timed, timed
from lowtide.emulate.timing.model import RiscTimingModel, Timing
from lowtide.emulate.timing.risc import risc_cycles
from lowtide.errors import InternalError

_FLOAT = ("float", "float multiply add", "float divide")
"""Their result comes a cycle late for an instruction directly behind that needs it."""


def cycles_of(code: bytes, executed: Executed, model: Timing) -> npt.NDArray[np.int64]:
    """The cycles that each instruction took in all, int64, in the order of `executed`.

    What an instruction takes depends on the one executed directly before it. That is the one in front of it in memory,
    except for as often as that one jumped.

    Args:
        code: what the offsets of `executed` are in; its first byte's address is a multiple of four.
        executed: how often each instruction was executed, with its jumps.
        model: the core.

    Raises:
        InternalError: an instruction is none that the disassembler knows, or the jumps are not known.
    """
    if isinstance(model, RiscTimingModel):
        return risc_cycles(code, executed, model)
    if executed.jumps is None:
        raise InternalError("run", "cycles need the jumps, which this emulator does not tell")
    offsets = executed.offsets.tolist()
    # the longest instruction has four bytes
    found = [timed(code[offset : offset + 4]) for offset in offsets]
    # of loads and stores of several registers, one cycle for each
    alone = [model.durations[one.kind] + (one.words if one.kind in ("list", "pair") else 0) for one in found]
    cycles = executed.times * np.array(alone, np.int64)
    cycles += executed.jumps * model.refill
    # how often an instruction was followed by the one behind it in memory
    followed = executed.times - executed.jumps
    changes = [_change(before, after) for before, after in pairwise(found)]
    adjacent = np.diff(executed.offsets) <= 4
    cycles[1:] += np.where(adjacent, np.array(changes, np.int64) * followed[:-1], 0)
    return cycles


def _change(before: Timed, one: Timed) -> int:
    """Cycles that an instruction takes more, or less, directly behind another one."""
    if one.address & before.writes:
        # a load behind one that makes its address does not overlap with it, and waits for any other
        return 0 if before.kind == "load" or not one.loads else 1
    if before.kind == "load" and one.kind in ("load", "indexed store"):
        return -1
    return 1 if before.kind in _FLOAT and before.writes & one.reads else 0
