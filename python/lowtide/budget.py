"""What `--ram` bounds: how much of it the arena may take, and the refusal of what does not fit."""

from __future__ import annotations

from lowtide.errors import InputError
from lowtide.report.memory_map import taken_bytes
from lowtide.report.report import Report

STACK_RESERVE = 256
"""Bytes of `--ram` that objective `fit` leaves to stack and data when it plans first: they are known only once there is
code. Where they turn out larger it plans again with what was measured; where smaller, what is left over is not used."""


def ram_refusal(report: Report, least: Report, ram: int) -> InputError:
    """What to say of a network that does not fit.

    Args:
        report: of the network as it was to be compiled.
        least: of the same network with a plan that fits, or with the one that takes the least.
        ram: bytes that there are.
    """
    if least.sram_bytes <= ram:
        remedy = f"leave the plan to objective {least.objective}, which fits: it takes {least.sram_bytes:,} bytes"
        return _refusal(report, f"the network needs {_parts(report)}, --ram gives {ram:,}", remedy)
    larger = f"; as it was asked for, {report.sram_bytes:,}" if report.sram_bytes > least.sram_bytes else ""
    how = f" with objective {least.objective}" if larger else ""
    remedy = f"the least that fits is --ram {least.sram_bytes}{how}; or take a smaller model"
    return _refusal(least, f"the network needs {_parts(least)}{how}{larger}, --ram gives {ram:,}", remedy)


def _parts(report: Report) -> str:
    parts = f"arena {report.arena_bytes:,} + stack {report.stack_bytes:,} + data {report.data_bytes:,}"
    return f"{report.sram_bytes:,} bytes of RAM ({parts})"


def _refusal(report: Report, message: str, remedy: str) -> InputError:
    """With the place where the arena is fullest, and what holds it there."""
    steps = range(len(report.steps))
    fullest = max(steps, key=lambda step: (taken_bytes(report.buffers, step), -step))
    live = [buffer for buffer in report.buffers if buffer.first <= fullest <= buffer.last]
    held = ", ".join(f"{buffer.size:,} of '{buffer.name}'" for buffer in sorted(live, key=lambda b: -b.size))
    shared = sum(buffer.size for buffer in live) - taken_bytes(live, fullest)
    overlap = f", {shared:,} of them shared" if shared > 0 else ""
    place = f"step {fullest} of {len(steps) - 2}, '{report.steps[fullest]}'"
    where = f"{place}, where the arena is fullest (bytes: {held}{overlap})"
    return InputError("allocate", message, where=where, remedy=remedy)
