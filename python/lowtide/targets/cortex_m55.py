"""Arm Cortex-M55 with Helium (MVE); Unicorn has no MVE, QEMU has."""

from lowtide.targets.target import Target

TARGET = Target(
    name="cortex-m55",
    family="arm",
    triple="thumbv8.1m.main-unknown-none-eabihf",
    cpu="cortex-m55",
    float_abi="hard",
    hard_float=True,
    microkernels="mve",
    qemu_machine="mps3-an547",
)
