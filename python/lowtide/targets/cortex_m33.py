"""Arm Cortex-M33 with DSP extension and FPU."""

from lowtide.targets.target import Target

TARGET = Target(
    name="cortex-m33",
    family="arm",
    triple="thumbv8m.main-unknown-none-eabihf",
    cpu="cortex-m33",
    float_abi="hard",
    hard_float=True,
    microkernels="dsp",
    emulator="cortex-m33",
    # Arm publishes no table of this core: that of the M4 stands in, whose pipeline has three stages, too.
    timing="cortex-m4",
    qemu_machine="mps2-an505",
)
