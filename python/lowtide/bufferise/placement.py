"""Where everything of a network lies and what each of its calls does there: for code, reports and the witness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

from lowtide.alloc import Solution
from lowtide.bound.build import BoundNetwork
from lowtide.bound.loop_nest import LoopNest
from lowtide.dtypes import DTYPE_BYTES
from lowtide.graph.program import DIRECTIONS, Direction, Program, ProgramBuffer
from lowtide.placement import LayerAccess, PlacedBuffer
from lowtide.plan.memory import counted_from_the_start

Place = tuple[int, int]
"""First byte and number of bytes."""


@dataclass(frozen=True)
class Placement:
    """A network with its buffers in the arena.

    Attributes:
        network: the layers.
        program: what the allocator saw.
        buffers: each buffer of the program at its place.
        arena_bytes: what they take in all.
        bound_bytes: what the allocator proved no arena for this plan can be under.
        directions: of each call: which way its loops go.
        in_place: of the calls that have nothing to do, since what they move lies there already, which bytes of their
            output that is.
    """

    network: BoundNetwork
    program: Program
    buffers: tuple[PlacedBuffer, ...]
    arena_bytes: int
    bound_bytes: int
    directions: tuple[Direction, ...]
    in_place: Mapping[int, Place]

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference, recomputation included."""
        return sum(call.macs for call in self.program.calls)

    @property
    def inputs(self) -> tuple[int, ...]:
        """Offsets of the network's inputs in bytes."""
        return tuple(self.buffers[buffer].offset for buffer in self.program.inputs)

    @property
    def outputs(self) -> tuple[int, ...]:
        """Offsets of its outputs in bytes."""
        return tuple(self.buffers[buffer].offset for buffer in self.program.outputs)

    @property
    def states(self) -> tuple[int, ...]:
        """Offsets of the states in bytes."""
        return tuple(self.buffers[buffer].offset for buffer in self.program.states)

    @property
    def mark(self) -> int | None:
        """Offset of the word that says that the states hold something."""
        return None if self.program.mark is None else self.buffers[self.program.mark].offset

    @cached_property
    def actual(self) -> Program:
        """The program with rows and columns as they lie in memory."""
        return counted_from_the_start(self.program, self.network.graph)

    def accesses(self, functions: tuple[str, ...]) -> tuple[LayerAccess, ...]:
        """What each call reads and writes; `functions` are those that the code calls."""
        names, found = [buffer.name for buffer in self.program.buffers], list[LayerAccess]()
        for number, (call, function) in enumerate(zip(self.actual.calls, functions, strict=True)):
            first, count = self.in_place.get(number, (0, 0))
            found.append(
                LayerAccess(
                    call.name,
                    function,
                    self.directions[number],
                    tuple(names[read.buffer] for read in call.reads),
                    names[call.writes],
                    0 if number in self.in_place else call.stored_bytes,
                    first,
                    count,
                    tuple((read.window, read.columns) for read in call.reads),
                    call.accumulates,
                    call.macs,
                    isinstance(self.network.layers[call.layer - 1].bound.body, LoopNest),
                )
            )
        return tuple(found)


def place(
    network: BoundNetwork,
    program: Program,
    lives: Sequence[tuple[int, int]],
    solution: Solution,
    chosen: Mapping[int, int],
) -> Placement:
    """The network with the allocator's answer.

    Args:
        network, program: as in `Placement`.
        lives: first and last step of each buffer.
        solution: offsets and sizes.
        chosen: of the calls that may run both ways, the alternative picked.
    """
    buffers = placed_buffers(program, lives, solution)
    numbers = range(len(program.calls))
    directions = tuple[Direction, ...](DIRECTIONS[1] if chosen.get(number) else DIRECTIONS[0] for number in numbers)
    in_place = _in_place(network, program, solution.offsets)
    return Placement(
        network, program, buffers, solution.arena_bytes, solution.bound_bytes, directions, MappingProxyType(in_place)
    )


def placed_buffers(program: Program, lives: Sequence[tuple[int, int]], solution: Solution) -> tuple[PlacedBuffer, ...]:
    """The buffers of a program where the allocator puts them; arguments as for `place`."""
    rows = zip(program.buffers, solution.offsets, lives, strict=True)
    return tuple(_placed(buffer, offset, *steps) for buffer, offset, steps in rows)


def _placed(buffer: ProgramBuffer, offset: int, first: int, last: int) -> PlacedBuffer:
    pixels = buffer.pixels, buffer.columns, buffer.shift, buffer.block
    element = DTYPE_BYTES[buffer.dtype]
    return PlacedBuffer(buffer.name, buffer.nbytes, offset, first, last, *pixels, buffer.innermost, element)


def _in_place(network: BoundNetwork, program: Program, offsets: tuple[int, ...]) -> dict[int, Place]:
    """The calls, outside loops, that would move bytes onto themselves."""
    found: dict[int, Place] = {}
    for number, call in enumerate(program.calls):
        copy = network.graph.layers[call.layer - 1].copy
        if copy is None or program.loop_of(number) is not None or call.part:
            continue
        tensor, source, target, count = copy
        read = next((read for read in call.reads if read.tensor == tensor), None)
        if read is not None and offsets[read.buffer] + source == offsets[call.writes] + target:
            found[number] = target, count
    return found
