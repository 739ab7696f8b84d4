"""RISC-V RV32IMAC, no FPU."""

from lowtide.targets.target import Target

TARGET = Target(
    name="rv32imac",
    family="riscv",
    triple="riscv32-unknown-unknown-elf",
    cpu="generic-rv32",
    features="+m,+a,+c",
    hard_float=False,
    # LLVM's scheduler puts the loads of a block first, and then spills
    compiler_flags=("--enable-misched=false",),
    microkernels="risc",
    emulator="rv32",
    timing="ibex",
    qemu_machine="virt",
)
