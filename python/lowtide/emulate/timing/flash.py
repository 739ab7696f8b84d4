"""Flash slower than the core: the cycles that a run waits for it, beyond those of memory without wait states."""

from __future__ import annotations

import numpy as np

from lowtide.emulate.machine.order import Spans
from lowtide.emulate.measure.profile import Profile
from lowtide.emulate.timing.model import TimingModel
from lowtide.errors import InternalError
from lowtide.flash_models import FlashModel


def flash_stalls(profile: Profile, fetched: Spans, loaded: Spans, flash: FlashModel) -> int:
    """The cycles that a run waits for flash.

    Args:
        profile: of a run on the same inputs; what its instructions take on average says how long a line lasts.
        fetched: the blocks of the run, in order.
        loaded: its loads from flash, in order.
        flash: the flash.
    """
    # numba takes a second to load
    from lowtide.emulate.timing.cache import stall_cycles

    elapsed = _elapsed(profile) if flash.prefetches else None
    waits = flash.wait_states
    return stall_cycles(
        fetched.starts, fetched.ends, elapsed, cache_bytes=flash.instruction_bytes, wait_states=waits
    ) + stall_cycles(loaded.starts, loaded.ends, None, cache_bytes=flash.data_bytes, wait_states=waits)


def _elapsed(profile: Profile) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """What the code before each halfword takes when each instruction is executed once and none jumps."""
    cycles, executed = profile.cycles(), profile.executed
    if not isinstance(profile.timing, TimingModel) or cycles is None or executed.jumps is None:
        raise InternalError("run", "what flash makes wait is not known without a timing model")
    alone = np.zeros(len(profile.image.flash) // 2 + 1, np.float64)
    alone[executed.offsets // 2] = (cycles - profile.timing.refill * executed.jumps) / executed.times
    return np.concatenate([np.zeros(1), np.cumsum(alone)])
