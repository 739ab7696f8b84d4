"""One run, instruction by instruction; the emulators that tell it."""

from __future__ import annotations

from dataclasses import dataclass

from lowtide.emulate.backend import RunResult
from lowtide.emulate.image.image import Image
from lowtide.emulate.measure.counting import Executed, Isa


@dataclass(frozen=True)
class Profile:
    """What was executed.

    Attributes:
        result: what the run gave.
        image: the code; offsets of `executed` are in its flash.
        executed: how often each instruction was executed.
        isa: what the code is.
    """

    result: RunResult
    image: Image
    executed: Executed
    isa: Isa
