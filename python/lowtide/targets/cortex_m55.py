"""Arm Cortex-M55 with Helium (MVE); Unicorn has no MVE, QEMU has."""

from lowtide.targets.target import Target

TARGET = Target(
    name="cortex-m55",
    family="arm",
    triple="thumbv8.1m.main-unknown-none-eabihf",
    cpu="cortex-m55",
    features="",
    float_abi="hard",
    hard_float=True,
    pointer_bytes=4,
    buffer_alignment=4,
    compiler_flags=(),
    microkernels="mve",
    emulator="",
    qemu_machine="mps3-an547",
)
