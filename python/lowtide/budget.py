"""What `--ram`, `--flash` and the budget of an arena bound, and the refusals of what does not fit."""

from __future__ import annotations

from collections.abc import Sequence

from lowtide.errors import InputError
from lowtide.placement import PlacedBuffer, taken_bytes
from lowtide.report.report import Report

CODE_RESERVE = 8 << 10
"""Bytes of code beyond what a file holds beside its weights, before the code is there to be measured."""
STACK_RESERVE = 256
"""Bytes of `--ram` that objective `fit` leaves to stack and data when it plans first: they are known only once there is
code. Where they turn out larger it plans again with what was measured; where smaller, what is left over is not used."""


def ram_refusal(report: Report, least: Report, ram: int) -> InputError:
    """What to say of a network that does not fit.

    Args:
        report: the report of the network as it was to be compiled.
        least: the report of the same network with a plan that fits, or with the one that takes the least.
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
    return InputError("allocate", message, where=_fullest(report.buffers, report.steps), remedy=remedy)


def flash_refusal(report: Report, flash: int) -> InputError:
    """What to say of a network that does not fit.

    Args:
        report: the report of the network.
        flash: bytes that there are.
    """
    parts = f"code {report.code_bytes:,} + constants {report.weights_bytes:,}"
    message = f"the network needs {report.flash_bytes:,} bytes of flash ({parts}), --flash gives {flash:,}"
    remedy = f"give --flash {report.flash_bytes}, or take a smaller model"
    return InputError("codegen", message, where=report.model, remedy=remedy)


def arena_refusal(
    arena_bytes: int,
    bound_bytes: int,
    budget: int,
    buffers: Sequence[PlacedBuffer],
    steps: Sequence[str],
    *,
    overlap: bool,
) -> InputError:
    """What to say of an arena that does not fit its budget.

    Args:
        arena_bytes: bytes of the best placement that was found.
        bound_bytes: what no placement of these buffers can be under.
        budget: bytes that there are.
        buffers: at their places.
        steps: names of the steps in which they live.
        overlap: layers could write over what they no longer read.
    """
    message = f"the arena takes {arena_bytes:,} bytes, the budget gives {budget:,}"
    if bound_bytes > budget:
        message += f", and no placement of these buffers takes less than {bound_bytes:,}"
        other = "a plan with more layers fused (lowtide compile --objective ram looks for the least)"
    else:
        other = f"another strategy (all that is proven to be needed is {bound_bytes:,})"
    overlapping = "" if overlap else "let buffers overlap, or "
    remedy = f"{overlapping}take {other}, or give a budget of {arena_bytes}"
    return InputError("allocate", message, where=_fullest(buffers, steps), remedy=remedy)


def _fullest(buffers: Sequence[PlacedBuffer], steps: Sequence[str]) -> str:
    """The place where the arena is fullest, and what holds it there."""
    fullest = max(range(len(steps)), key=lambda step: (taken_bytes(buffers, step), -step))
    live = [buffer for buffer in buffers if buffer.first <= fullest <= buffer.last]
    held = ", ".join(f"{buffer.size:,} of '{buffer.name}'" for buffer in sorted(live, key=lambda b: -b.size))
    shared = sum(buffer.size for buffer in live) - taken_bytes(live, fullest)
    overlap = f", {shared:,} of them shared" if shared > 0 else ""
    place = f"step {fullest} of {len(steps) - 2}, '{steps[fullest]}'"
    return f"{place}, where the arena is fullest (bytes: {held}{overlap})"
