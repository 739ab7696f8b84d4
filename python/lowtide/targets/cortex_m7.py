"""Arm Cortex-M7 with FPU."""

from lowtide.targets.target import Target

TARGET = Target(
    name="cortex-m7",
    family="arm",
    triple="thumbv7em-unknown-none-eabihf",
    cpu="cortex-m7",
    float_abi="hard",
    hard_float=True,
    microkernels="dsp",
    emulator="cortex-m7",
    qemu_machine="mps2-an500",
)
