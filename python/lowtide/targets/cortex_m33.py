"""Arm Cortex-M33 with DSP extension and FPU."""

from lowtide.targets.target import Target

TARGET = Target(
    name="cortex-m33",
    family="arm",
    triple="thumbv8m.main-unknown-none-eabihf",
    cpu="cortex-m33",
    features="",
    float_abi="hard",
    hard_float=True,
    pointer_bytes=4,
    buffer_alignment=4,
    compiler_flags=(),
    microkernels="dsp",
    emulator="cortex-m33",
    qemu_machine="mps2-an505",
)
