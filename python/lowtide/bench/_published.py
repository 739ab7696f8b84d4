"""What a hand-written library needs for the same files, to set beside ours."""

from __future__ import annotations

from dataclasses import dataclass

SOURCE = "LiteRT Micro + CMSIS-NN, -O3 class build, counted on the same emulated core"
TARGET = "cortex-m4"


@dataclass(frozen=True)
class Published:
    """One inference: instructions, and the bytes of the whole arena (head, tail and persistent buffers)."""

    instructions: int
    arena_bytes: int


LITERT_MICRO: dict[str, Published] = {
    "kws_ref_model": Published(7_700_000, 22_916),
    "vww_96_int8": Published(24_100_000, 100_804),
    "pretrainedResnet_quant": Published(29_860_000, 55_092),
    "ad01_int8": Published(583_000, 2_676),
    "person_detect": Published(22_930_000, 82_420),
    "micro_speech_quantized": Published(1_500_000, 6_932),
}
"""The library's figures by the model file's stem; instructions to three or four digits, as they were noted."""


def published(model: str, target: str) -> Published | None:
    """The library's figures for that model on that core, or None."""
    return LITERT_MICRO.get(model) if target == TARGET else None
