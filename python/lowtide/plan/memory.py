"""The allocator's program of a network with some of its layers in loops.

The planner and bufferisation both take it from here, so that the predicted arena is the realised one.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from lowtide import streaming
from lowtide.alloc import Problem
from lowtide.dtypes import DTYPE_BYTES, DType
from lowtide.graph.conflicts import problem_of as program_problem
from lowtide.graph.fusion import Axis, Fusion
from lowtide.graph.graph import Accumulator, Graph, Layer
from lowtide.graph.loop_schedule import LoopSchedule, schedule_loop
from lowtide.graph.nest import Shape
from lowtide.graph.program import Call, Loop, Program, ProgramBuffer, Read, Run, Window
from lowtide.graph.row_ranges import LineBuffer
from lowtide.graph.rows import extents_of, row_dimension
from lowtide.graph.stages import Stage, UnschedulableError, stage_of
from lowtide.limits import LARGEST_INDEX


def problem_of(
    graph: Graph,
    alignment: int,
    *,
    fusions: Sequence[Fusion] = (),
    keep_input: bool = False,
    overlap: bool = True,
) -> Problem:
    """The problem whose least arena is that of the graph in its order.

    Args:
        graph: layers whole.
        alignment: least alignment of a buffer, in bytes.
        fusions: which layers become loops.
        keep_input: inputs stay intact up to the end.
        overlap: layers may write over what they no longer read of dying inputs.

    Raises:
        UnschedulableError: layers that are to be fused can't be.
    """
    program = program_of(graph, alignment, fusions=fusions, keep_input=keep_input)
    return program_problem(program, overlap=overlap)[0]


def program_of(graph: Graph, alignment: int, *, fusions: Sequence[Fusion] = (), keep_input: bool = False) -> Program:
    """The program of a graph with some of its layers fused; arguments as for `problem_of`."""
    return _Maker(graph, alignment).make({fusion.first: fusion for fusion in fusions}, keep_input=keep_input)


def stages_of(graph: Graph, layers: Sequence[Layer], axis: Axis = "rows") -> list[Stage]:
    """The layers as stages of one loop by rows or channels.

    Raises:
        UnschedulableError: one of them can't go by rows.
    """
    inside = {layer.output for layer in layers}
    stages: list[Stage] = []
    for layer in layers:
        used = (*layer.inputs, layer.output)
        tensors = [graph.tensors[index] for index in used]
        by_channels = axis == "channels"
        extents = {t.index: (t.shape[-1] if t.shape else 1, 1) if by_channels else (t.rows, t.columns) for t in tensors}
        stage = stage_of(layer.channels if by_channels else layer.rows, layer.output, extents, inside)
        if stage is None:
            raise UnschedulableError(f"layer '{layer.name}' ({layer.function}) can't be computed by {axis}")
        stages.append(stage)
    for stage, layer in zip(stages[:-1], layers[:-1], strict=True):
        if stage.accumulates:
            turn = "slice" if axis == "channels" else "row"
            message = f"layer '{layer.name}' is complete only after its last {turn}; it can only be last"
            raise UnschedulableError(message)
    return stages


def escaping(graph: Graph, layers: Sequence[Layer]) -> set[int]:
    """The tensors that these layers make and later ones, or the network's user, need."""
    last = layers[-1].step
    return {layer.output for layer in layers if graph.tensors[layer.output].last_use > last} | {layers[-1].output}


def schedule_of(graph: Graph, fusion: Fusion) -> LoopSchedule:
    """A fusion's schedule.

    Raises:
        UnschedulableError: the layers can't be fused.
    """
    layers = graph.layers[fusion.first - 1 : fusion.last]
    _check_sources(layers, fusion)
    used = {index for layer in layers for index in (*layer.inputs, layer.output)}
    schedule = schedule_loop(
        stages_of(graph, layers, fusion.axis),
        {t.index: (t.rows, t.columns) for t in map(graph.tensors.__getitem__, used)},
        escaping(graph, layers),
        rows=fusion.rows,
        columns=fusion.columns,
        backwards=fusion.direction == "backwards",
        recompute=[position - 1 for position in fusion.recompute],
        floats=graph.tensors[layers[-1].output].dtype == "float32",
    )
    _check_counters(schedule)
    return schedule


def _check_sources(layers: Sequence[Layer], fusion: Fusion) -> None:
    """Refuse a loop that would ask for rows of a streamed input in another order, or twice."""
    for position, layer in enumerate(layers, start=1):
        if not layer.is_source:
            continue
        if fusion.direction == "backwards":
            raise UnschedulableError(f"'{layer.name}' arrives from its first row on: no loop goes through it backwards")
        if position in fusion.recompute:
            raise UnschedulableError(f"the rows of '{layer.name}' arrive once: they can't be asked for again")


def _check_counters(schedule: LoopSchedule) -> None:
    """What the loops calculate has to stay within the 32 bits of a target's index, or they would go astray."""
    for loop in (schedule.rows, schedule.columns):
        if loop is not None and loop.largest_index > LARGEST_INDEX:
            raise UnschedulableError(f"the loop would count up to {loop.largest_index}, beyond a target's 32 bits")


@dataclass
class _Maker:
    graph: Graph
    alignment: int
    stores: list[ProgramBuffer] = field(default_factory=list[ProgramBuffer])
    calls: list[Call] = field(default_factory=list[Call])
    loops: list[Loop] = field(default_factory=list[Loop])
    buffers: dict[int, int] = field(default_factory=dict[int, int])
    names: set[str] = field(default_factory=set[str])
    in_place: dict[int, int] = field(default_factory=dict[int, int])

    def make(self, fusions: dict[int, Fusion], *, keep_input: bool) -> Program:
        self.in_place = {
            new: old for new, old in self.graph.in_place_states.items() if self._is_whole(new, old, fusions)
        }
        for index in self.graph.inputs:
            self._whole(index)
        number = 1
        while number <= len(self.graph.layers):
            if number in fusions:
                self._fused(fusions[number])
                number = fusions[number].last + 1
            else:
                self._layer(self.graph.layers[number - 1])
                number += 1
        states = self._states()
        inputs = tuple(self.buffers[index] for index in self.graph.inputs[: len(self.graph.inputs) - len(states)])
        outputs = tuple(self.buffers[index] for index in self.graph.outputs)
        kept = inputs if keep_input else ()
        mark = self._add("reset mark", (1,), (1,), "int32") if states else None
        sources = tuple(
            number
            for number, call in enumerate(self.calls)
            if not call.part and self.graph.layers[call.layer - self.graph.layers[0].step].is_source
        )
        words = (streaming.words(len(sources)),)
        position = self._add("stream position", words, words, "int32") if sources else None
        return Program(
            tuple(self.stores),
            tuple(self.calls),
            tuple(self.loops),
            inputs,
            outputs,
            kept,
            states,
            mark,
            sources,
            position,
        )

    def _states(self) -> tuple[int, ...]:
        """The buffers of states; those whose new values lie elsewhere get them copied when all layers are done."""
        pairs = {(self.buffers[after], self.buffers[before]): after for before, after in self.graph.states}
        left = [pair for pair in pairs if pair[0] != pair[1]]
        while left:
            # what holds a state that is still to be copied elsewhere waits
            ready = next((pair for pair in left if all(pair[1] != source for source, _ in left)), None)
            if ready is None:
                raise UnschedulableError("states of the network exchange their places")
            left.remove(ready)
            tensor = self.graph.tensors[pairs[ready]]
            read = Read(ready[0], None, None, tensor=tensor.index)
            maker = max(tensor.producer, 1)
            self.calls.append(Call(tensor.name, (read,), ready[1], False, maker, 0, tensor.nbytes, "state"))
        return tuple(self.buffers[before] for before, _ in self.graph.states)

    def _is_whole(self, new: int, old: int, fusions: dict[int, Fusion]) -> bool:
        """Whether no loop cuts a state into rows of which another view of its memory knows nothing.

        What makes the new one stands outside of loops: a later iteration could read the old one. Where the two have
        different shapes, and so different rows, no loop reads either.
        """
        tensors = self.graph.tensors
        cut = (new, old) if tensors[new].shape != tensors[old].shape else ()
        touching = [
            layer.step for layer in self.graph.layers if layer.output == new or not set(cut).isdisjoint(layer.inputs)
        ]
        return not any(f.first <= step <= f.last for f in fusions.values() for step in touching)

    def _whole(self, index: int) -> int:
        """The buffer of all of a tensor: a new one where it has none."""
        if index in self.in_place and index not in self.buffers:
            self.buffers[index] = self.buffers[self.in_place[index]]
        if index not in self.buffers:
            tensor = self.graph.tensors[index]
            name = tensor.name if tensor.producer else f"input_{index}"
            self.buffers[index] = self._add(name, tensor.shape, tensor.shape, tensor.dtype)
        return self.buffers[index]

    def _add(
        self,
        name: str,
        whole: Shape,
        held: Shape,
        dtype: DType,
        *,
        temporary: bool = False,
        backwards: bool = False,
    ) -> int:
        # models may give several tensors one name, and buffers need their own
        numbered = (f"{name or 'buffer'}#{number}" for number in itertools.count(2))
        unique = name if name and name not in self.names else next(n for n in numbered if n not in self.names)
        self.names.add(unique)
        alignment = self.alignment
        self.stores.append(buffer_of(unique, whole, held, dtype, alignment, temporary=temporary, backwards=backwards))
        return len(self.stores) - 1

    def _layer(self, layer: Layer) -> None:
        # how far the output may run into each input; the allocator asks only where the input dies here
        distances = {o.tensor: (o.forwards, o.backwards) for o in layer.overlaps}
        reads = tuple(Read(self.buffers[index], None, distances.get(index), tensor=index) for index in layer.inputs)
        written, name = self._whole(layer.output), f"{layer.name} workspace"
        workspaces = tuple(self._add(name, shape, shape, dtype) for shape, dtype in layer.workspaces)
        sizes = layer.macs, layer.stored_bytes
        self.calls.append(Call(layer.name, reads, written, False, layer.step, *sizes, workspaces=workspaces))

    def _fused(self, fusion: Fusion) -> None:
        layers = self.graph.layers[fusion.first - 1 : fusion.last]
        schedule = schedule_of(self.graph, fusion)
        last = layers[-1]
        by_channels = fusion.axis == "channels"
        summing = last.channel_accumulator if by_channels else last.accumulator
        accumulator = summing if schedule.stages[-1].accumulates else None
        summed = None if accumulator is None else self._start(last, accumulator)
        first_call = len(self.calls)
        for layer, stage in zip(layers, schedule.stages, strict=True):
            into = summed if layer is last else None
            self._stage(layer, stage, schedule, into, fusion)
        runs = tuple(Run(first_call + stage, i, begin, end) for i, stage, begin, end in schedule.rows.runs())
        columns = None if schedule.columns is None else schedule.columns.turns()
        backwards = fusion.direction == "backwards"
        self.loops.append(Loop(first_call, len(self.calls) - 1, runs, columns, backwards, by_channels))
        self._count_macs(self.loops[-1], schedule)
        # a layer that sums up its input is "start" before the loop, a call in it, and "finish" behind it
        if accumulator is not None and summed is not None:
            read = Read(summed, None, (accumulator.forwards, accumulator.backwards))
            written = self._whole(last.output)
            self.calls.append(Call(last.name, (read,), written, False, last.step, 0, last.stored_bytes, "finish"))

    def _start(self, layer: Layer, accumulator: Accumulator) -> int:
        summed = self._add(layer.name, accumulator.shape, accumulator.shape, accumulator.dtype)
        self.calls.append(Call(layer.name, (), summed, False, layer.step, 0, accumulator.nbytes, "start"))
        return summed

    def _stage(self, layer: Layer, stage: Stage, schedule: LoopSchedule, summed: int | None, fusion: Fusion) -> None:
        distances = {o.tensor: (o.forwards, o.backwards) for o in layer.overlaps}
        across = {} if schedule.columns is None else dict(stage.column_inputs)
        stored = layer.stored_bytes
        if summed is None:
            tensor, line_buffer = self.graph.tensors[layer.output], schedule.line_buffers.get(layer.output)
            if line_buffer is None:
                self._whole(layer.output)
            else:
                shape = line_buffer_shape(tensor.shape, line_buffer, fusion)
                self.buffers[layer.output] = self._add(
                    tensor.name,
                    tensor.shape,
                    shape,
                    tensor.dtype,
                    temporary=not line_buffer.carried,
                    backwards=fusion.direction == "backwards",
                )
            # of one pixel: the call makes some of them in each run
            stored //= tensor.rows * tensor.columns
        # a line buffer as large as the tensor is the tensor
        whole = (
            summed is None and self.stores[self.buffers[layer.output]].nbytes == self.graph.tensors[layer.output].nbytes
        )
        reads = tuple(
            Read(
                self.buffers[index],
                window,
                distances.get(index) if whole and index not in schedule.line_buffers else None,
                across.get(index),
                index,
                self._row_overlap(index, window, distances, schedule, fusion),
            )
            for index, window in stage.inputs
        )
        written, name = self.buffers[layer.output] if summed is None else summed, f"{layer.name} workspace"
        # what a call leaves there nobody needs
        spaces = () if summed is not None else layer.workspaces
        workspaces = tuple(self._add(name, shape, shape, dtype, temporary=True) for shape, dtype in spaces)
        stored = stored if summed is None else self.stores[summed].nbytes
        sizes = layer.macs, stored
        self.calls.append(
            Call(layer.name, reads, written, summed is not None, layer.step, *sizes, workspaces=workspaces)
        )

    def _row_overlap(
        self,
        index: int,
        window: Window | None,
        distances: Mapping[int, tuple[int, int]],
        schedule: LoopSchedule,
        fusion: Fusion,
    ) -> int | None:
        """D of a row of a layer's output and the row of an input that it needs, where the loop holds just that row.

        Rows of such a layer are all computed alike, and what a row does is what the first steps of the whole layer do:
        its distance is no larger than the layer's.
        """
        line_buffer = schedule.line_buffers.get(index)
        by_rows = fusion.axis == "rows" and not fusion.columns and fusion.direction == "forwards"
        if not self.graph.row_overlap or not by_rows or line_buffer is None or window != Window(1, 0, 0):
            return None
        single = line_buffer.rows == 1 and not line_buffer.carried and index in distances
        return distances[index][0] if single else None

    def _count_macs(self, loop: Loop, schedule: LoopSchedule) -> None:
        """Set the MACs of a loop's calls: those of as many rows and columns as each goes through."""
        made = Counter[int]()
        for run in loop.runs:
            made[run.call] += run.end - run.begin
        for stage, number in zip(schedule.stages, range(loop.first, loop.last + 1), strict=True):
            # recomputed rows count each time; of a loop over columns each turn has all the rows of its iteration
            rows = made[number]
            turns = ((0, 1),) if loop.columns is None else loop.columns[number - loop.first]
            columns = sum(end - begin for begin, end in turns)
            whole = stage.rows * (1 if loop.columns is None else stage.columns or 1)
            call = self.calls[number]
            self.calls[number] = replace(call, macs=call.macs * rows * columns // whole)


def line_buffer_shape(shape: Shape, line_buffer: LineBuffer, fusion: Fusion) -> Shape:
    """The shape of what exists at a time (rows, pixels or channels) of a tensor inside a loop."""
    if fusion.axis == "channels":
        return (*shape[:-1], line_buffer.rows)
    row = row_dimension(shape)
    if not fusion.columns:
        return (*shape[:row], line_buffer.rows, *shape[row + 1 :])
    block = (1, line_buffer.rows) if line_buffer.columns is None else (line_buffer.rows, line_buffer.columns)
    return (*shape[:row], *block, *shape[row + 2 :])


def buffer_of(
    name: str, whole: Shape, held: Shape, dtype: DType, alignment: int, *, temporary: bool, backwards: bool
) -> ProgramBuffer:
    """A buffer for a tensor of the shape `whole`, or for the rows, pixels or channels of it that exist at a time.

    Args:
        name: the model's name of the tensor.
        whole, held: shapes of all of it, and of what exists at a time.
        dtype: of the elements.
        alignment: least, in bytes.
        temporary: nothing in it outlives an iteration.
        backwards: it fills from its end.
    """
    element = DTYPE_BYTES[dtype]
    rows, columns = extents_of(whole)
    sizes = name, max(alignment, element)
    innermost = whole[-1] if whole else 1
    make = partial(ProgramBuffer, shape=held, dtype=dtype, innermost=innermost)
    if whole and held[-1] < whole[-1] and len(whole) - 1 != row_dimension(whole):
        # a slice: channel c at c modulo what is kept, at each place of the tensor
        places = math.prod(whole) // innermost
        capacity = places * held[-1]
        return make(sizes[0], places, innermost * element, sizes[1], temporary, innermost, capacity, block=held[-1])
    row_bytes = math.prod(whole) * element // rows
    height = held[row_dimension(whole)] if whole else 1
    across = held[row_dimension(whole) + 1] if columns > 1 else 1
    shift = (height - rows) % height * columns if backwards else 0
    # Where a buffer fills from the end, the tensor's last row (or pixel) lies in its last place: hence the shift.
    if height < rows and across != columns:
        capacity, block = height * across, across if height > 1 else 0
        if backwards:
            shift = (capacity - rows * columns) % capacity
            shift = (height - rows) % height * columns + (across - columns) % across if block else shift
        return make(sizes[0], rows, row_bytes, sizes[1], temporary, columns, capacity, shift, block)
    return make(sizes[0], height, row_bytes, sizes[1], temporary, columns, None, shift)
