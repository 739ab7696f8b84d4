"""RISC-V RV32IMAC, no FPU."""

from lowtide.targets.target import Target

TARGET = Target(
    name="rv32imac",
    family="riscv",
    triple="riscv32-unknown-unknown-elf",
    # an in-order core whose loads take longer than other instructions: its schedules suit those that are like that
    cpu="sifive-e31",
    features="+m,+a,+c",
    hard_float=False,
    microkernels="risc",
    emulator="rv32",
    qemu_machine="virt",
)
