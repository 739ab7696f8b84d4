"""One run, instruction by instruction; the emulators that tell it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lowtide.emulate.backend import RunResult
from lowtide.emulate.image.image import Image
from lowtide.emulate.measure.counting import Executed, Isa
from lowtide.emulate.timing.cycles import cycles_of
from lowtide.emulate.timing.model import Timing


@dataclass(frozen=True)
class Profile:
    """What was executed.

    Attributes:
        result: what the run gave.
        image: the code; offsets of `executed` are in its flash.
        executed: how often each instruction was executed.
        isa: what the code is.
        timing: the model of the core's cycles, if there is one.
    """

    result: RunResult
    image: Image
    executed: Executed
    isa: Isa
    timing: Timing | None = None

    def cycles(self) -> npt.NDArray[np.int64] | None:
        """The cycles that each instruction took in all, int64, in the order of `executed`; None without a model."""
        return None if self.timing is None else cycles_of(self.image.flash, self.executed, self.timing)
