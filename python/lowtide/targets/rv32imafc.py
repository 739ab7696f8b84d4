"""RISC-V RV32IMAFC, single-precision FPU."""

from lowtide.targets.target import Target

TARGET = Target(
    name="rv32imafc",
    family="riscv",
    triple="riscv32-unknown-unknown-elf",
    # an in-order core whose loads take longer than other instructions: its schedules suit those that are like that
    cpu="sifive-e31",
    features="+m,+a,+c,+f",
    hard_float=True,
    microkernels="risc-fpu",
    emulator="rv32",
    qemu_machine="virt",
)
