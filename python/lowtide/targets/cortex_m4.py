"""Arm Cortex-M4F: DSP extension, single-precision FPU."""

from lowtide.targets.target import Target

TARGET = Target(
    name="cortex-m4",
    family="arm",
    triple="thumbv7em-unknown-none-eabihf",
    cpu="cortex-m4",
    float_abi="hard",
    hard_float=True,
    microkernels="dsp",
    emulator="cortex-m4",
    timing="cortex-m4",
    qemu_machine="mps2-an386",
)
