"""The cores that Unicorn emulates: registers, calling convention, instruction lengths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import unicorn
from unicorn import arm_const as arm, riscv_const as riscv

from lowtide.errors import UsageError
from lowtide.targets import Target


@dataclass(frozen=True)
class Core:
    """One core model.

    Attributes:
        isa: "thumb" or "rv32", the rule by which instruction lengths are read.
        arch, mode, model: Unicorn's constants.
        arguments: registers of the first four arguments; the first one also returns the result.
        scratch: all other integer registers, which hold garbage when a function is entered.
        link, stack, pc: return address, stack pointer, program counter.
        stack_alignment: of the stack pointer at a call, in bytes.
        setup: register values that switch the FPU on, as start-up code does.
    """

    isa: Literal["thumb", "rv32"]
    arch: int
    mode: int
    model: int
    arguments: tuple[int, ...]
    scratch: tuple[int, ...]
    link: int
    stack: int
    pc: int
    stack_alignment: int
    setup: tuple[tuple[int, int], ...] = ()

    def code_address(self, address: int) -> int:
        """The address as branches want it: with the Thumb bit on Arm."""
        return address | 1 if self.isa == "thumb" else address


# Unicorn's MCLASS mode would turn every model into a Cortex-M33; the models alone are M-profile already, FPU on.
def _thumb(model: int) -> Core:
    return Core(
        isa="thumb",
        arch=unicorn.UC_ARCH_ARM,
        mode=unicorn.UC_MODE_THUMB,
        model=model,
        arguments=(arm.UC_ARM_REG_R0, arm.UC_ARM_REG_R1, arm.UC_ARM_REG_R2, arm.UC_ARM_REG_R3),
        scratch=tuple(range(arm.UC_ARM_REG_R4, arm.UC_ARM_REG_R12 + 1)),
        link=arm.UC_ARM_REG_LR,
        stack=arm.UC_ARM_REG_SP,
        pc=arm.UC_ARM_REG_PC,
        stack_alignment=8,
    )


def _rv32(model: int, setup: tuple[tuple[int, int], ...]) -> Core:
    arguments = tuple(range(riscv.UC_RISCV_REG_X10, riscv.UC_RISCV_REG_X13 + 1))
    others = range(riscv.UC_RISCV_REG_X3, riscv.UC_RISCV_REG_X31 + 1)
    return Core(
        isa="rv32",
        arch=unicorn.UC_ARCH_RISCV,
        mode=unicorn.UC_MODE_RISCV32,
        model=model,
        arguments=arguments,
        scratch=tuple(register for register in others if register not in arguments),
        link=riscv.UC_RISCV_REG_X1,
        stack=riscv.UC_RISCV_REG_X2,
        pc=riscv.UC_RISCV_REG_PC,
        stack_alignment=16,
        setup=setup,
    )


_ARM_MODELS = {
    "cortex-m3": arm.UC_CPU_ARM_CORTEX_M3,
    "cortex-m4": arm.UC_CPU_ARM_CORTEX_M4,
    "cortex-m7": arm.UC_CPU_ARM_CORTEX_M7,
    "cortex-m33": arm.UC_CPU_ARM_CORTEX_M33,
}
_MSTATUS_FS_INITIAL = 0x2000


def core_of(target: Target) -> Core:
    """The core that runs this target's code; `UsageError` where Unicorn has none."""
    if target.emulator in _ARM_MODELS:
        return _thumb(_ARM_MODELS[target.emulator])
    if target.emulator == "rv32" and target.hard_float:
        return _rv32(riscv.UC_CPU_RISCV32_SIFIVE_U34, ((riscv.UC_RISCV_REG_MSTATUS, _MSTATUS_FS_INITIAL),))
    if target.emulator == "rv32":
        return _rv32(riscv.UC_CPU_RISCV32_SIFIVE_E31, ())
    remedy = f"use --backend {'qemu or --backend host' if target.qemu_machine else 'host'}"
    raise UsageError("run", f"Unicorn can't emulate {target.name}", remedy=remedy)
