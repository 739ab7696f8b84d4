"""What a target is: the flags IREE needs, and how the emulators name it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Target:
    """A core that lowtide compiles for.

    Attributes:
        name: the word after `--target`.
        family: "arm" (Thumb), "riscv" (RV32) or "host" (x86-64 or AArch64, the machine lowtide runs on).
        triple, cpu, features, float_abi: LLVM's words; an empty string leaves the flag out.
        hard_float: single-precision arithmetic is in hardware. Where False, a float network yields the `.o` alone.
        pointer_bytes: 4 or 8.
        buffer_alignment: least alignment in bytes of any buffer in the arena.
        compiler_flags: further flags of the compiler.
        microkernels: how its kernels multiply bytes: a name of `lowtide.kernels.microkernels.MICROKERNELS`.
        emulator: Unicorn's CPU model ("cortex-m4", "rv32", "host"), or "" where Unicorn can't run its code.
        timing: the model of its cycles, a name of `lowtide.emulate.timing.model.TIMINGS`, or "" where there is none.
        qemu_machine: QEMU's board ("mps2-an386", …), or "" where there is none.
    """

    name: str
    family: Literal["arm", "riscv", "host"]
    triple: str
    cpu: str
    features: str = ""
    float_abi: Literal["hard", "soft", ""] = ""
    hard_float: bool
    pointer_bytes: int = 4
    buffer_alignment: int = 4
    compiler_flags: tuple[str, ...] = ()
    microkernels: str
    emulator: str = ""
    timing: str = ""
    qemu_machine: str = ""
