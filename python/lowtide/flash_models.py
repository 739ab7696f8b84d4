"""Flash that a core waits for, as a few microcontrollers have it."""

from __future__ import annotations

from dataclasses import dataclass

from lowtide.errors import UsageError

_LINE, _WORD = 16, 4
"""Bytes."""


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
    def waits_a_byte(self) -> float:
        """Cycles that a byte of constants takes beyond what it takes without wait states, read once and in order."""
        return self.wait_states / (_LINE if self.data_bytes else _WORD)

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


def flash_model_named(name: str, stage: str = "run") -> FlashModel:
    """The model of that name; `UsageError` of the stage listing the known ones otherwise."""
    if name not in FLASH_MODELS:
        raise UsageError(stage, f"unknown flash model '{name}'", remedy=f"choose one of {', '.join(FLASH_MODELS)}")
    return FLASH_MODELS[name]
