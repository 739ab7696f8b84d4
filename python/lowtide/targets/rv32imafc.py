"""RISC-V RV32IMAFC, single-precision FPU."""

from lowtide.targets.target import Target

TARGET = Target(
    name="rv32imafc",
    family="riscv",
    triple="riscv32-unknown-unknown-elf",
    cpu="generic-rv32",
    features="+m,+a,+c,+f",
    float_abi="",
    hard_float=True,
    pointer_bytes=4,
    buffer_alignment=4,
    lanes="risc",
    emulator="rv32",
    qemu_machine="virt",
)
