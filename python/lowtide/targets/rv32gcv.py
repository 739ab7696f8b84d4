"""RISC-V RV32GC with the vector extension; Unicorn has no RVV, QEMU has."""

from lowtide.targets.target import Target

TARGET = Target(
    name="rv32gcv",
    family="riscv",
    triple="riscv32-unknown-unknown-elf",
    cpu="generic-rv32",
    features="+m,+a,+c,+f,+d,+zvl128b,+v",
    float_abi="",
    hard_float=True,
    pointer_bytes=4,
    buffer_alignment=4,
    # LLVM's scheduler puts the loads of a block first, and then spills
    compiler_flags=("--enable-misched=false",),
    lanes="rvv",
    emulator="",
    qemu_machine="virt",
)
