"""Where everything of a network lies and what each of its calls does there: for code, reports and the witness."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from lowtide.alloc import Solution
from lowtide.bound.build import BoundNetwork
from lowtide.bound.loop_nest import LoopNest
from lowtide.dtypes import DTYPE_BYTES
from lowtide.graph.program import DIRECTIONS, Direction, Program
from lowtide.ir import BlockArgument
from lowtide.placement import LayerAccess, PlacedBuffer
from lowtide.plan.counting import counted_from_the_start

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
        directions: which way the loops of each call go.
        in_place: the calls that have nothing to do, since what they move lies there already, each with the bytes of
            its output for which that is so.
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

    @property
    def position(self) -> int | None:
        """Offset of the words that say how far a run has got whose rows arrive from outside."""
        return None if self.program.position is None else self.buffers[self.program.position].offset

    @cached_property
    def streamed(self) -> tuple[int, ...]:
        """The numbers of the network's inputs, from 0, that arrive row by row, in the order of their sources."""
        layers = [self.network.layers[self.program.calls[call].layer - 1] for call in self.program.sources]
        return tuple(BlockArgument(value).arg_number for layer in layers for value in layer.inputs)

    @cached_property
    def sites(self) -> tuple[tuple[int, int], ...]:
        """First call and end of each loop with sources, and of each source in no loop, in the order of the code."""
        found: dict[int, int] = {}
        for number in self.program.sources:
            loop = self.program.loop_of(number)
            found[number if loop is None else loop.first] = 1 + (number if loop is None else loop.last)
        return tuple(sorted(found.items()))

    def stream_of(self, call: int) -> int:
        """The number of a source among all, in the order of the network's inputs."""
        own = self.streamed[self.program.sources.index(call)]
        return sorted(self.streamed).index(own)

    @cached_property
    def actual(self) -> Program:
        """The program with rows and columns as they lie in memory."""
        return counted_from_the_start(self.program, self.network.graph)

    def accesses(self, functions: tuple[str, ...]) -> tuple[LayerAccess, ...]:
        """What each call reads and writes; `functions` are those that the code calls."""
        # a call that finds its output in place stores nothing; the witness takes it as a move that has happened
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
                    tuple(names[buffer] for buffer in call.workspaces),
                )
            )
        return tuple(found)


def place(
    network: BoundNetwork,
    program: Program,
    solution: Solution,
    chosen: Mapping[int, int],
) -> Placement:
    """The network with the allocator's answer.

    Args:
        network, program: as in `Placement`.
        solution: offsets and sizes.
        chosen: by number of the call, which of `DIRECTIONS` the allocator picked for those that may run both ways.
    """
    numbers = range(len(program.calls))
    return Placement(
        network,
        program,
        placed_buffers(program, solution),
        solution.arena_bytes,
        solution.bound_bytes,
        tuple(DIRECTIONS[1] if chosen.get(number) else DIRECTIONS[0] for number in numbers),
        _in_place(network, program, solution.offsets),
    )


def placed_buffers(program: Program, solution: Solution) -> tuple[PlacedBuffer, ...]:
    """The buffers of a program where the allocator puts them; arguments as for `place`."""
    return tuple(
        PlacedBuffer(
            name=buffer.name,
            size=buffer.nbytes,
            offset=offset,
            first=first,
            last=last,
            pixels=buffer.pixels,
            columns=buffer.columns,
            shift=buffer.shift,
            block=buffer.block,
            channels=buffer.innermost,
            element=DTYPE_BYTES[buffer.dtype],
        )
        for buffer, (first, last), offset in zip(program.buffers, program.lives(), solution.offsets, strict=True)
    )


def _in_place(network: BoundNetwork, program: Program, offsets: tuple[int, ...]) -> dict[int, Place]:
    """The calls, outside loops, that would move bytes onto themselves."""
    found: dict[int, Place] = {}
    for number, call in enumerate(program.calls):
        # calls inside loops, and those that start or finish a sum, have code in any case
        copy = network.graph.layers[call.layer - 1].copy
        if copy is None or program.loop_of(number) is not None or call.part:
            continue
        tensor, source, target, count = copy
        read = next((read for read in call.reads if read.tensor == tensor), None)
        if read is not None and offsets[read.buffer] + source == offsets[call.writes] + target:
            found[number] = target, count
    return found
