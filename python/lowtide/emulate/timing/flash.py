"""Flash slower than the core: the cycles that a run waits for it, beyond those of memory without wait states."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lowtide.emulate.machine.order import Spans
from lowtide.emulate.measure.profile import Profile
from lowtide.emulate.timing.model import TimingModel
from lowtide.errors import InternalError, UsageError


@dataclass(frozen=True, kw_only=True)
class FlashModel:
    """Flash that is read in lines of 16 bytes, with a cache for instructions and one for data.

    Attributes:
        name: of microcontrollers that are like it.
        wait_states: cycles that a line takes beyond one, at the highest clock.
        instruction_bytes, data_bytes: what the caches hold.
        prefetches: while instructions of a line are executed the line behind it is read.
    """

    name: str
    wait_states: int
    instruction_bytes: int
    data_bytes: int
    prefetches: bool

    @property
    def title(self) -> str:
        """The name with the conditions."""
        return f"flash {self.name} with {self.wait_states} wait states"


FLASH_MODELS: dict[str, FlashModel] = {
    # ST RM0090, "Adaptive real-time memory accelerator": 64 and 8 lines of 128 bits
    "f4": FlashModel(name="f4", wait_states=5, instruction_bytes=1024, data_bytes=128, prefetches=True),
    # ST RM0351: 1 KiB and 256 bytes
    "l4": FlashModel(name="l4", wait_states=4, instruction_bytes=1024, data_bytes=256, prefetches=True),
    # Nordic's cache is on the instruction bus alone
    "nrf52840": FlashModel(name="nrf52840", wait_states=2, instruction_bytes=2048, data_bytes=0, prefetches=False),
}
"""The models, by name."""


def flash_model_named(name: str) -> FlashModel:
    """The model of that name; `UsageError` listing the known ones otherwise."""
    if name not in FLASH_MODELS:
        raise UsageError("run", f"unknown flash model '{name}'", remedy=f"choose one of {', '.join(FLASH_MODELS)}")
    return FLASH_MODELS[name]


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
