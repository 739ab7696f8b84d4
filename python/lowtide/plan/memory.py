"""A graph and a plan's fusions as the program that bufferisation will find, buffer for buffer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from lowtide.alloc import Problem
from lowtide.graph.conflicts import problem_of as program_problem
from lowtide.graph.graph import Accumulator, Graph, Layer, Tensor
from lowtide.graph.loop_schedule import LoopSchedule, schedule_loop
from lowtide.graph.program import Call, Loop, Program, Read, Run, Store
from lowtide.graph.row_schedule import Kept, Stage, UnschedulableError, stage_of
from lowtide.network import DTYPE_BYTES
from lowtide.plan.plan import Axis, Fusion


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
    if any(stage.accumulates for stage in stages[:-1]):
        raise UnschedulableError("a layer that is complete only after its last row can only be last")
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
    used = {index for layer in layers for index in (*layer.inputs, layer.output)}
    return schedule_loop(
        stages_of(graph, layers, fusion.axis),
        {t.index: (t.rows, t.columns) for t in map(graph.tensors.__getitem__, used)},
        escaping(graph, layers),
        rows=fusion.rows,
        columns=fusion.columns,
        backwards=fusion.direction == "backwards",
        again=[position - 1 for position in fusion.again],
        floats=graph.tensors[layers[-1].output].dtype == "float32",
    )


@dataclass
class _Maker:
    graph: Graph
    alignment: int
    stores: list[Store] = field(default_factory=list[Store])
    calls: list[Call] = field(default_factory=list[Call])
    loops: list[Loop] = field(default_factory=list[Loop])
    buffers: dict[int, int] = field(default_factory=dict[int, int])

    def make(self, fusions: dict[int, Fusion], *, keep_input: bool) -> Program:
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
        inputs = tuple(self.buffers[index] for index in self.graph.inputs)
        outputs = tuple(self.buffers[index] for index in self.graph.outputs)
        kept = inputs if keep_input else ()
        return Program(tuple(self.stores), tuple(self.calls), tuple(self.loops), inputs, outputs, kept)

    def _whole(self, index: int) -> int:
        if index not in self.buffers:
            self.buffers[index] = self._kept(self.graph.tensors[index], None)
        return self.buffers[index]

    def _kept(self, tensor: Tensor, kept: Kept | None, *, pixels: bool = False) -> int:
        """A buffer for the tensor, or for the rows or pixels of it that exist at a time."""
        name = f"{'tensor' if kept is None else 'ring' if kept.carried else 'rows'} {len(self.stores)}"
        rows = tensor.rows if kept is None or pixels else kept.rows
        alignment = max(self.alignment, DTYPE_BYTES[tensor.dtype])
        capacity = kept.rows * (kept.columns or 1) if kept is not None and pixels else None
        temporary = kept is not None and not kept.carried
        self.stores.append(Store(name, rows, tensor.row_bytes, alignment, temporary, tensor.columns, capacity))
        return len(self.stores) - 1

    def _slice(self, tensor: Tensor, kept: Kept) -> int:
        """A buffer for some channels of the tensor."""
        nbytes = tensor.nbytes // tensor.shape[-1] * kept.rows
        alignment = max(self.alignment, DTYPE_BYTES[tensor.dtype])
        self.stores.append(Store(f"slice {len(self.stores)}", 1, nbytes, alignment, not kept.carried))
        return len(self.stores) - 1

    def _layer(self, layer: Layer) -> None:
        distances = {o.tensor: (o.forwards, o.backwards) for o in layer.overlaps}
        reads = tuple(Read(self.buffers[index], None, distances.get(index)) for index in layer.inputs)
        self.calls.append(Call(layer.name, reads, self._whole(layer.output)))

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
            self._stage(layer, stage, schedule, summed if layer is last else None, by_channels=by_channels)
        runs = tuple(Run(first_call + stage, i, begin, end) for i, stage, begin, end in schedule.rows.runs())
        columns = None if schedule.columns is None else schedule.columns.turns()
        self.loops.append(
            Loop(first_call, len(self.calls) - 1, runs, columns, fusion.direction == "backwards", by_channels)
        )
        if accumulator is not None and summed is not None:
            read = Read(summed, None, (accumulator.forwards, accumulator.backwards))
            self.calls.append(Call(last.name, (read,), self._whole(last.output)))

    def _start(self, layer: Layer, accumulator: Accumulator) -> int:
        summed = len(self.stores)
        alignment = max(self.alignment, accumulator.alignment)
        self.stores.append(Store(f"sum {summed}", 1, accumulator.nbytes, alignment))
        self.calls.append(Call(layer.name, (), summed))
        return summed

    def _stage(
        self,
        layer: Layer,
        stage: Stage,
        schedule: LoopSchedule,
        summed: int | None,
        *,
        by_channels: bool,
    ) -> None:
        distances = {o.tensor: (o.forwards, o.backwards) for o in layer.overlaps}
        across = {} if schedule.columns is None else dict(stage.column_inputs)
        if summed is None:
            kept = schedule.kept.get(layer.output)
            tensor = self.graph.tensors[layer.output]
            if kept is None:
                self._whole(layer.output)
            else:
                self.buffers[layer.output] = (
                    self._slice(tensor, kept)
                    if by_channels
                    else self._kept(tensor, kept, pixels=schedule.columns is not None)
                )
        # a line buffer as large as the tensor is the tensor
        whole = (
            summed is None and self.stores[self.buffers[layer.output]].nbytes == self.graph.tensors[layer.output].nbytes
        )
        reads = tuple(
            Read(
                self.buffers[index],
                None if by_channels else window,
                distances.get(index) if whole and index not in schedule.kept else None,
                across.get(index),
            )
            for index, window in stage.inputs
        )
        self.calls.append(
            Call(layer.name, reads, self.buffers[layer.output] if summed is None else summed, summed is not None)
        )
