"""The machine lowtide runs on, for quick checks of the same IR."""

import platform

from lowtide.targets.target import Target

TARGET = Target(
    name="host",
    family="host",
    triple=f"{platform.machine()}-unknown-linux-gnu",
    cpu="generic",
    hard_float=True,
    pointer_bytes=8,
    buffer_alignment=8,
    microkernels="scalar",
    emulator="host",
)
