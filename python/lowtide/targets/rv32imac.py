"""RISC-V RV32IMAC, no FPU."""

from lowtide.targets.target import Target

TARGET = Target(
    name="rv32imac",
    family="riscv",
    triple="riscv32-unknown-unknown-elf",
    # its scheduling model, of an in-order core whose loads take two cycles, holds for small cores in general
    cpu="sifive-e31",
    features="+m,+a,+c,+use-postra-scheduler",
    hard_float=False,
    microkernels="risc",
    emulator="rv32",
    timing="ibex",
    qemu_machine="virt",
)
