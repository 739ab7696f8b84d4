"""RISC-V RV32IMAFC, single-precision FPU."""

from lowtide.targets.target import Target

TARGET = Target(
    name="rv32imafc",
    family="riscv",
    triple="riscv32-unknown-unknown-elf",
    cpu="generic-rv32",
    features="+m,+a,+c,+f",
    hard_float=True,
    # LLVM's scheduler puts the loads of a block first, and then spills
    compiler_flags=("--enable-misched=false",),
    microkernels="risc-fpu",
    emulator="rv32",
    qemu_machine="virt",
)
