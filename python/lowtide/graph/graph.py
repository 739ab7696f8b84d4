"""The network as plain data: what the planner, the reports and `lowtide inspect` look at."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from types import MappingProxyType

from lowtide.cost.operation_counts import LayerCounts
from lowtide.dtypes import DTYPE_BYTES, DType
from lowtide.graph.program import RowAccess
from lowtide.streaming import SOURCE


@dataclass(frozen=True)
class Tensor:
    """A tensor with a buffer: a network input or a layer's output.

    Attributes:
        index: position in `Graph.tensors`.
        name: the model's name of it.
        shape, dtype: as computed, batch included.
        producer: the step that writes it first; 0 for a network input.
        last_use: the last step that reads it; for a network output the step after the last layer.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: DType
    producer: int
    last_use: int

    @cached_property
    def nbytes(self) -> int:
        """Size in bytes."""
        return math.prod(self.shape) * DTYPE_BYTES[self.dtype]

    @cached_property
    def rows(self) -> int:
        """Extent of the outermost dimension of more than one element."""
        return next((extent for extent in self.shape if extent > 1), 1)

    @cached_property
    def row_bytes(self) -> int:
        """Size of a row in bytes."""
        return self.nbytes // self.rows

    @cached_property
    def columns(self) -> int:
        """Extent of the dimension after the rows where another follows it, else 1."""
        inner = self.shape[next((d for d, extent in enumerate(self.shape) if extent > 1), 0) + 1 :]
        return inner[0] if len(inner) > 1 else 1


@dataclass(frozen=True)
class Overlap:
    """What a layer's kernel allows where the layer is the last to use an input, in bytes (see `lowtide.graph.profile`).

    Attributes:
        tensor: the input.
        forwards: D: run forwards, the output may start at the input's start less D, or lower.
        backwards: D': run backwards, the output may end at the input's end plus D', or higher.
    """

    tensor: int
    forwards: int
    backwards: int


@dataclass(frozen=True)
class Accumulator:
    """The running result of a layer that takes its input by rows.

    Attributes:
        shape, dtype: of the buffer.
        forwards, backwards: D and D' between the accumulator and the output computed from it at the end.
    """

    shape: tuple[int, ...]
    dtype: DType
    forwards: int
    backwards: int

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return math.prod(self.shape) * DTYPE_BYTES[self.dtype]


@dataclass(frozen=True)
class Primitive:
    """A kernel that a plan may pick for a layer, at a price.

    Attributes:
        kernel: its name.
        layer_counts: what the layer's kernels do then.
        flash_bytes: more than the layer's own kernel takes.
        overlaps, workspaces: as a layer's.
    """

    kernel: str
    layer_counts: LayerCounts
    flash_bytes: int
    overlaps: tuple[Overlap, ...]
    workspaces: tuple[tuple[tuple[int, ...], DType], ...]


@dataclass(frozen=True)
class Layer:
    """One layer: what one call computes.

    Attributes:
        step: 1 for the first layer; step 0 is the arrival of the inputs.
        name: the model's name of its output.
        kind: conv, depthwise, dense, pool, gather, concat, reduce, map, loop or source.
        function: the kernel function it calls; equal layers share one.
        inputs: indices of the tensors it reads.
        output: index of the tensor it writes, whole or in part.
        macs: multiply-accumulates, taps in the padding counted as if they ran.
        weights_bytes: constants it reads.
        part: number of the concat's part that the layer writes and could write into a buffer of its own, or copies from
            there; 0 where there is no such choice.
        overlaps: one for each input, which its output may overlap if it dies here; none where the output was begun
            before.
        rows: how it can go by rows of its output or of an input.
        accumulator: of a layer that can take its input by rows.
        channels: how it can go by channels of its output or of an input.
        channel_accumulator: of a layer that can take its input by channels.
        layer_counts: what its kernels do; None where that was not asked for.
        stored_bytes: what it writes, each byte once: a part of the tensor where that is a concat.
        workspaces: shape and type of the elements of each buffer that its code needs for itself.
        primitives: the kernels that may be picked for it; none where that was not asked for.
        copy: where it only moves bytes: the tensor they are of, the first of them there and in its output, their count.
    """

    step: int
    name: str
    kind: str
    function: str
    inputs: tuple[int, ...]
    output: int
    macs: int
    weights_bytes: int
    overlaps: tuple[Overlap, ...] = ()
    rows: RowAccess = field(default_factory=RowAccess)
    accumulator: Accumulator | None = None
    part: int = 0
    channels: RowAccess = field(default_factory=RowAccess)
    channel_accumulator: Accumulator | None = None
    layer_counts: LayerCounts | None = None
    stored_bytes: int = 0
    copy: tuple[int, int, int, int] | None = None
    workspaces: tuple[tuple[tuple[int, ...], DType], ...] = ()
    primitives: tuple[Primitive, ...] = ()

    def primitive(self, kernel: str) -> Primitive:
        """The one of that name."""
        return next(primitive for primitive in self.primitives if primitive.kernel == kernel)

    @property
    def is_source(self) -> bool:
        """Whether it makes an input of the network whose rows the caller brings one after the other."""
        return self.kind == SOURCE

    @property
    def workspace_bytes(self) -> int:
        """Size of all its workspaces in bytes."""
        return sum(math.prod(shape) * DTYPE_BYTES[dtype] for shape, dtype in self.workspaces)


@dataclass(frozen=True)
class Graph:
    """A network in the order of execution.

    Attributes:
        inputs: tensors that are there before the first layer, those that hold state last; an input that arrives row by
            row is none of them, but the output of a source.
        states: of each state the tensor that is there before a run, one of `inputs`, and the one that takes its place
            after it. The former's memory holds the state for ever: it lives through the whole run.
        row_overlap: in its loops a row may be written over the row that it alone is computed from. So it is where an
            input arrives row by row; the arenas of other networks stay what they were.
    """

    layers: tuple[Layer, ...]
    tensors: tuple[Tensor, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    states: tuple[tuple[int, int], ...] = ()
    row_overlap: bool = False

    def with_kernels(self, kernels: Mapping[int, str]) -> Graph:
        """The same network with primitives picked for layers, by their numbers from 1."""
        layers = list(self.layers)
        for number, kernel in kernels.items():
            own = layers[number - 1].primitive(kernel)
            layers[number - 1] = replace(
                layers[number - 1],
                overlaps=own.overlaps,
                workspaces=own.workspaces,
                layer_counts=own.layer_counts,
            )
        return replace(self, layers=tuple(layers))

    def reordered(self, order: Sequence[int]) -> Graph:
        """The same network in another order.

        Args:
            order: each layer's step here, in the new order; a tensor's readers stay between the same writers of it.
        """
        layers = tuple(replace(self.layers[old - 1], step=new) for new, old in enumerate(order, start=1))
        first = {index: 0 for index in self.inputs}
        last = dict(first)
        for layer in layers:
            first.setdefault(layer.output, layer.step)
            last.update(dict.fromkeys((*layer.inputs, layer.output), layer.step))
        last.update(dict.fromkeys((*self.outputs, *chain.from_iterable(self.states)), len(layers) + 1))
        tensors = tuple(replace(t, producer=first[t.index], last_use=last[t.index]) for t in self.tensors)
        return replace(self, layers=layers, tensors=tensors)

    @cached_property
    def in_place_states(self) -> Mapping[int, int]:
        """New states that are computed where the old ones lie: tensor of the new → tensor of the old.

        That is right where nobody reads the old one any more, or where the layer that makes the new one reads each
        byte before it writes there. All other new states are copied when the last layer is done.
        """
        found: dict[int, int] = {}
        copied = {after for _, after in self.states}
        for before, after in self.states:
            # the old state as another's new one: it is read when the last layer is done
            if before in copied:
                continue
            readers = [layer for layer in self.layers if before in layer.inputs]
            begun = self.tensors[after].producer
            last = max((layer.step for layer in readers), default=0)
            maker = self.layers[begun - 1] if begun else None
            alone = maker is not None and any(o.tensor == before and o.forwards <= 0 for o in maker.overlaps)
            is_free = last < begun or (last == begun and alone)
            if begun and after not in found and is_free and self.tensors[before].nbytes == self.tensors[after].nbytes:
                found[after] = before
        return MappingProxyType(found)

    @cached_property
    def sources(self) -> tuple[Layer, ...]:
        """The layers that make inputs which arrive row by row."""
        return tuple(layer for layer in self.layers if layer.is_source)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference."""
        return sum(layer.macs for layer in self.layers)

    def live(self, step: int) -> tuple[Tensor, ...]:
        """The tensors that hold a value during a step."""
        return tuple(t for t in self.tensors if t.producer <= step <= t.last_use)

    def live_bytes(self, step: int) -> int:
        """Their bytes, and those of the workspaces of the step's layer."""
        own = self.layers[step - 1].workspace_bytes if 1 <= step <= len(self.layers) else 0
        return own + sum(t.nbytes for t in self.live(step) if t.index not in self.in_place_states)

    @property
    def baseline_bytes(self) -> int:
        """What executing layer by layer needs with a perfect allocator, no overlap and no tiling."""
        return max(self.live_bytes(step) for step in range(len(self.layers) + 2))

    @property
    def peak_step(self) -> int:
        """The first step at which `baseline_bytes` are live."""
        return max(range(len(self.layers) + 2), key=lambda step: (self.live_bytes(step), -step))

    @property
    def between_bytes(self) -> int:
        """A lower bound for any execution that leaves layers whole, overlap included.

        Before a layer starts all it will read and all that waits must be there, and so must all it wrote when it ends:
        the largest sum over the moments between layers.
        """
        moments = range(len(self.layers) + 1)
        held = [t for t in self.tensors if t.index not in self.in_place_states]
        return max(sum(t.nbytes for t in held if t.producer <= m < t.last_use) for m in moments)
