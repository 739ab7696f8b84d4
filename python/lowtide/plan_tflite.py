"""`lowtide plan-tflite`: the best memory layout for those who stay with LiteRT Micro, written into the model's file.

LiteRT Micro places tensors greedily when it starts, unless the file has the metadata `OfflineMemoryAllocation`: then it
takes the offsets from there. No tensor overlaps another one that is live at the same time, so any build of the runtime
runs the planned file, and the results are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lowtide.alloc import Buffer, Problem, solve
from lowtide.importer.tflite import contents
from lowtide.importer.tflite.metadata import int32s, with_metadata
from lowtide.importer.tflite.micro import ALIGNMENT, MicroTensor, MicroTensors, micro_tensors
from lowtide.output import write_file

STAGE = "plan-tflite"
METADATA = "OfflineMemoryAllocation"
_VERSION = 1
_SUBGRAPH = 0
_NOT_PLANNED = -1


@dataclass(frozen=True)
class OfflinePlan:
    """A layout for LiteRT Micro.

    Attributes:
        offsets: bytes from the arena's start, one for each tensor of the file; −1 for constants and variables.
        arena_bytes: end of the last tensor; what LiteRT Micro reports as its non-persistent memory when no operator
            asks for scratch memory.
        bound_bytes: no layout is smaller.
        greedy_bytes: what LiteRT Micro's own planner makes of the same tensors.
    """

    offsets: tuple[int, ...]
    arena_bytes: int
    bound_bytes: int
    greedy_bytes: int

    def to_bytes(self) -> bytes:
        """The metadata's content: format version, subgraph, number of tensors, offsets; little-endian int32."""
        return int32s([_VERSION, _SUBGRAPH, len(self.offsets), *self.offsets])


def plan_tflite(model: str | Path, out: str | Path) -> OfflinePlan:
    """Plan a `.tflite` file for LiteRT Micro and write it with the plan; an existing plan is replaced.

    Args:
        model: any model of one subgraph with static shapes, whatever its operators.
        out: the file to write; may be `model` itself.

    Raises:
        InputError: the model cannot be read or planned, or `out` cannot be written.
    """
    data = contents(Path(model))
    plan = offline_plan(micro_tensors(data, str(model)))
    write_file(Path(out), with_metadata(data, str(model), METADATA, plan.to_bytes()), STAGE)
    return plan


def offline_plan(tensors: MicroTensors) -> OfflinePlan:
    """The smallest layout that the exact solver finds, and never one above LiteRT Micro's own."""
    buffers = [Buffer(f"tensor {t.index}", t.size, ALIGNMENT, t.first, t.last) for t in tensors.planned]
    solution = solve(Problem(tuple(buffers)), "exact")
    greedy = greedy_offsets(tensors.planned)
    ends = [offset + tensor.size for offset, tensor in zip(greedy, tensors.planned, strict=True)]
    greedy_bytes = max(ends, default=0)
    chosen: Sequence[int] = solution.offsets if solution.arena_bytes <= greedy_bytes else greedy
    offsets = [_NOT_PLANNED] * tensors.count
    for tensor, offset in zip(tensors.planned, chosen, strict=True):
        offsets[tensor.index] = offset
    return OfflinePlan(tuple(offsets), min(solution.arena_bytes, greedy_bytes), solution.bound_bytes, greedy_bytes)


def greedy_offsets(tensors: Sequence[MicroTensor]) -> tuple[int, ...]:
    """Where LiteRT Micro's `GreedyMemoryPlanner` puts tensors: the largest first, each in the lowest gap.

    Of equal ones the last comes first, as there.
    """
    placed: dict[int, int] = {}
    for number in sorted(range(len(tensors)), key=lambda number: (-tensors[number].size, -number)):
        tensor, offset = tensors[number], 0
        for other in sorted(placed, key=lambda other: placed[other]):
            neighbour = tensors[other]
            if neighbour.last < tensor.first or tensor.last < neighbour.first:
                continue
            if placed[other] - offset >= tensor.size:
                break
            offset = max(offset, placed[other] + neighbour.size)
        placed[number] = offset
    return tuple(placed[number] for number in range(len(tensors)))
