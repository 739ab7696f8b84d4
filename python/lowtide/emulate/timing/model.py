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
    """Cycles of one inference. None are measured on silicon.

    Attributes:
        count: cycles.
        model: which model says so, or which core's code, with its conditions.
        source: modelled from the instructions executed, or simulated from a core's register-transfer code.
    """

    count: int
    model: str
    source: Literal["modelled", "simulated"] = "modelled"

    @property
    def title(self) -> str:
        """Where the number comes from, for a reader of it."""
        return f"{self.source}: {self.model}"

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


RiscKind = Literal["simple", "multiply", "multiply high", "divide", "load", "store", "branch", "jump"]
"""Kinds of RV32 instructions with a duration of their own."""


@dataclass(frozen=True, kw_only=True)
class RiscTimingModel:
    """Durations on an RV32 core of two to four stages whose memory answers in the next cycle.

    Attributes:
        name: the core, with its options.
        durations: cycles of an instruction alone, by kind; of a branch that is not taken.
        taken: what a branch takes more when it is taken.
        load_use: what an instruction waits for the load directly in front of it.
        split_target: what a jump takes more to an instruction of four bytes that does not begin with a word.
    """

    name: str
    durations: Mapping[RiscKind, int]
    taken: int
    load_use: int
    split_target: int

    def title(self, memory: str = "memory of one cycle") -> str:
        """The name with the conditions; `memory` says how fast memory is."""
        return f"{self.name}, {memory}"


Timing = TimingModel | RiscTimingModel
"""A model of either kind."""

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

_IBEX: Mapping[RiscKind, int] = {
    "simple": 1,
    "multiply": 1,
    "multiply high": 2,
    "divide": 37,
    "load": 1,
    "store": 1,
    "branch": 1,
    "jump": 2,
}
# The divider takes 3 to 35 cycles, by the operands.
_CV32E40P: Mapping[RiscKind, int] = {**_IBEX, "multiply high": 5, "divide": 35}

TIMINGS: dict[str, Timing] = {
    # Arm DDI 0337, Cortex-M3 TRM, "Instruction set summary"
    "cortex-m3": TimingModel(name="cortex-m3", durations=_M3),
    # Arm DDI 0439, Cortex-M4 TRM, "Instruction set summary", "Load/store timings" and the FPU's instructions
    "cortex-m4": TimingModel(name="cortex-m4", durations=_M4),
    # lowRISC, Ibex Reference Guide, "Pipeline Details", held to the core's own code
    "ibex": RiscTimingModel(
        name="ibex, single-cycle multiplier, writeback stage", durations=_IBEX, taken=2, load_use=1, split_target=1
    ),
    # OpenHW, CV32E40P User Manual, "Pipeline Details", likewise
    "cv32e40p": RiscTimingModel(name="cv32e40p", durations=_CV32E40P, taken=2, load_use=1, split_target=1),
}
"""The models, by name; a target names its own (`Target.timing`). Of newer cores Arm publishes no such table."""
