"""RISC-V RV32GC with the vector extension, whose registers have 128 bits or more; Unicorn has no RVV, QEMU has.

Integer convolutions go in vectors of a fixed length, so that longer registers are used as far as 128 bits reach.
"""

from lowtide.targets.target import Target

TARGET = Target(
    name="rv32gcv",
    family="riscv",
    triple="riscv32-unknown-unknown-elf",
    cpu="generic-rv32",
    features="+m,+a,+c,+f,+d,+zvl128b,+v",
    hard_float=True,
    # LLVM's scheduler puts the loads of a block first, and then spills
    compiler_flags=("--enable-misched=false",),
    microkernels="rvv",
    qemu_machine="virt",
)
