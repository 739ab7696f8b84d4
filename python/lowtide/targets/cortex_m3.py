"""Arm Cortex-M3: no DSP extension, no FPU."""

from lowtide.targets.target import Target

TARGET = Target(
    name="cortex-m3",
    family="arm",
    triple="thumbv7m-unknown-none-eabi",
    cpu="cortex-m3",
    float_abi="soft",
    hard_float=False,
    microkernels="scalar",
    emulator="cortex-m3",
    timing="cortex-m3",
    qemu_machine="mps2-an385",
)
