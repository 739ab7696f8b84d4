"""What a timing model is: how many cycles a core takes for each kind of instruction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "simple",
    "multiply add",
    "long multiply",
    "long multiply add",
    "divide",
    "load",
    "store",
    "indexed store",
    "pair",
    "list",
    "table branch",
    "double move",
    "float",
    "float multiply add",
    "float divide",
]
"""Kinds of instructions with a duration of their own; branches are simple ones, their jumps are counted apart.

A "load" or "store" moves one register, an "indexed store" to an address with a register as offset, a "pair" two
(LDRD, STRD, a VLDR of 64 bits) and a "list" any number (LDM, PUSH, VLDM).
"""


@dataclass(frozen=True, kw_only=True)
class Cycles:
    """Cycles of one inference. They are modelled, not measured on silicon.

    Attributes:
        count: cycles.
        model: which model says so, with its conditions.
    """

    count: int
    model: str

    def milliseconds(self, megahertz: float) -> float:
        """How long that takes at a clock."""
        return self.count / megahertz / 1000


@dataclass(frozen=True, kw_only=True)
class TimingModel:
    """Durations on an in-order core of three stages whose memory has no wait states.

    Attributes:
        name: the core.
        durations: cycles of an instruction alone in which control falls through, by kind; of a "list" or "pair" those
            beyond one for each register.
        refill: P, what a jump takes beyond its instruction's own cycles, as the pipeline is filled anew: 1 to 3, by the
            alignment of its target and by how early that is known.
    """

    name: str
    durations: Mapping[Kind, int]
    refill: int = 2

    def title(self, memory: str = "no wait states") -> str:
        """The name with the conditions; `memory` says how fast memory is."""
        return f"{self.name}, P = {self.refill}, {memory}"


DIVIDE = 7
"""Cycles taken for SDIV and UDIV, which take 2 to 12, by the operands."""

_M4: Mapping[Kind, int] = {
    "simple": 1,
    "multiply add": 1,
    "long multiply": 1,
    "long multiply add": 1,
    "divide": DIVIDE,
    "load": 2,
    "store": 1,
    "indexed store": 2,
    "pair": 1,
    "list": 1,
    "table branch": 2,
    "double move": 2,
    "float": 1,
    "float multiply add": 3,
    "float divide": 14,
}

# Long products take 3 to 5 cycles, and 4 to 7 with an addition: fewer where an operand is small, which those of a
# requantisation are not.
_M3: Mapping[Kind, int] = {**_M4, "multiply add": 2, "long multiply": 5, "long multiply add": 7}

TIMINGS: dict[str, TimingModel] = {
    # Arm DDI 0337, Cortex-M3 TRM, "Instruction set summary"
    "cortex-m3": TimingModel(name="cortex-m3", durations=_M3),
    # Arm DDI 0439, Cortex-M4 TRM, "Instruction set summary", "Load/store timings" and the FPU's instructions
    "cortex-m4": TimingModel(name="cortex-m4", durations=_M4),
}
"""The models, by name; a target names its own (`Target.timing`). Arm publishes no such table of newer cores."""
