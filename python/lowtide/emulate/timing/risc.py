"""Cycles of RV32 cores whose pipelines are short: what stalls them are loads, jumps and long products."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from lowtide.emulate.measure.counting import Executed
from lowtide.emulate.timing.model import RiscTimingModel
from lowtide.emulate.timing.risc_instructions import RiscTimed, risc_timed
from lowtide.errors import InternalError

_WORD = 4


def risc_cycles(code: bytes, executed: Executed, model: RiscTimingModel) -> npt.NDArray[np.int64]:
    """The cycles that each instruction took in all, int64, in the order of `executed`.

    Args:
        code: what the offsets of `executed` are in; its first byte's address is a multiple of four.
        executed: how often each instruction was executed, with its jumps.
        model: the core.

    Raises:
        InternalError: an instruction is none that the disassembler knows, or the jumps are not known.
    """
    if executed.jumps is None:
        raise InternalError("run", "cycles need the jumps, which this emulator does not tell")
    offsets = executed.offsets
    found = [risc_timed(code[offset : offset + 4]) for offset in offsets.tolist()]
    cycles = executed.times * np.array([model.durations[one.kind] for one in found], np.int64)
    taken = np.array([model.taken if one.kind == "branch" else 0 for one in found], np.int64)
    cycles += executed.jumps * taken
    sizes = np.array([one.size for one in found], np.int64)
    adjacent = np.diff(offsets) == sizes[:-1]
    # how often control came from the instruction in front; from elsewhere it came all other times
    followed = np.where(adjacent, (executed.times - executed.jumps)[:-1], 0)
    stalls = np.array([_stall(before, one, model) for before, one in pairwise(found)], np.int64)
    cycles[1:] += stalls * followed
    arrivals = executed.times.copy()
    arrivals[1:] -= followed
    # of an instruction of four bytes behind the middle of a word a jump fetches the second half later
    split = (offsets % _WORD != 0) & (sizes == _WORD)
    return cycles + np.where(split, arrivals * model.split_target, 0)


def _stall(before: RiscTimed, one: RiscTimed, model: RiscTimingModel) -> int:
    """Cycles that an instruction waits for the one directly in front of it."""
    if before.loaded and before.loaded in one.reads:
        return model.load_use
    return 0
