"""Bounds of what lowtide takes: beyond them it takes minutes and gigabytes for what no microcontroller could run."""

from __future__ import annotations

from lowtide.errors import InputError, UsageError

MOST_MEMORY = 1 << 32
"""Bytes of RAM or flash that can be asked for: more than a 32-bit core addresses."""
MOST_TENSOR = 32 << 20
"""Bytes of one activation: as much RAM as stands beside the largest microcontrollers."""
MOST_ARENA = 64 << 20
"""Bytes of an arena."""
LARGEST_INDEX = (1 << 31) - 1
"""Largest number that a loop of the code counts to (32 bits), and so most rows, columns, channels or layers."""
MOST_SEED = (1 << 64) - 1
MOST_RUNS = 10_000
"""Runs of one `verify`, and processes of one `explore`."""


def check_number(stage: str, value: object, option: str, least: int, most: int) -> None:
    """Refuse what is no whole number from `least` to `most`; None, which leaves the option out, passes.

    Args:
        stage: to name in the error.
        value: what the option was given.
        option: its name on the command line, without the dashes.
        least, most: both included.
    """
    if value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        shown = str(value) if not isinstance(value, int) or abs(value) < 1 << 80 else "far too large a number"
        remedy = f"give --{option} a whole number from {least:,} to {most:,}"
        raise UsageError(stage, f"--{option} is {shown[:60]}", remedy=remedy)


def check_tensor(nbytes: int, name: str) -> None:
    """Refuse an activation that no microcontroller has room for."""
    if nbytes > MOST_TENSOR:
        message = f"the tensor takes {nbytes:,} bytes, the most that lowtide takes are {MOST_TENSOR:,}"
        raise InputError(
            "graph", message, where=f"'{name}'", remedy="take a smaller input, or cut the network: --until"
        )


def check_arena(nbytes: int, where: str | None = None) -> None:
    """Refuse an arena, or a part of one, that no microcontroller has room for.

    Raises:
        InputError: it is larger than `MOST_ARENA`.
    """
    if nbytes > MOST_ARENA:
        message = f"the network needs an arena of {nbytes:,} bytes, the most that lowtide makes are {MOST_ARENA:,}"
        raise InputError("allocate", message, where=where, remedy="take a smaller input or model, or --objective ram")
