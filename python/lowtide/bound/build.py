"""Reads the graph and the fused loops off a network that has been cut into layers; the IR is not changed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import chain

from lowtide.bound.bind import Binder, BoundLayer
from lowtide.bound.check import check_payload
from lowtide.bound.loop_nest import LoopNest
from lowtide.cost.operation_counts import NO_COUNTS, Counted, LayerCounts
from lowtide.dtypes import DTYPE_BYTES
from lowtide.graph.fusion import Axis, Fusion
from lowtide.graph.graph import Graph, Layer, Overlap, Primitive, Tensor
from lowtide.graph.nest import Shape
from lowtide.graph.program import DIRECTIONS, RowAccess
from lowtide.ir import ArrayAttr, Block, BlockArgument, IntegerAttr, Module, Operation, RankedTensorType, Value
from lowtide.kernels.constants import interval_of
from lowtide.kernels.intervals import Interval
from lowtide.kernels.library import KERNELS
from lowtide.kernels.microkernels import microkernels_of
from lowtide.kernels.operation_counts import layer_counts_of, paid_kernels
from lowtide.limits import check_tensor
from lowtide.normalise.analysis import Role, bytes_of, defining, element_dtype, role_of
from lowtide.normalise.form import (
    FUSED,
    KERNEL,
    LAYER,
    OUTPUT,
    PART,
    body_of,
    destination_of,
    inputs_of,
    is_source,
    label_of,
    layers_in,
    network_block,
    number_in,
    output_of,
    states_of,
    streamed_of,
    terminator_of,
    text_in,
)
from lowtide.streaming import SOURCE


@dataclass(frozen=True)
class PlacedLayer:
    """A layer of a network.

    Attributes:
        op: the `lowtide.layer`.
        bound: what it computes.
        inputs: what it reads, in the order of its arguments; the destination comes after them.
    """

    op: Operation
    bound: BoundLayer
    inputs: tuple[Value, ...]


@dataclass(frozen=True)
class BoundNetwork:
    """A network that has been cut into layers, as data, with the operations that it was read off.

    Attributes:
        graph: layers and tensors in the network's order.
        fusions: its fused loops.
        layers: in the same order.
        tensors: number in the graph of the tensor that each value is, or is a view of.
    """

    graph: Graph
    fusions: tuple[Fusion, ...]
    layers: tuple[PlacedLayer, ...]
    tensors: Mapping[Value, int]


def build_graph(module: Module, binder: Binder | None = None, *, layer_counts: Counted | None = None) -> Graph:
    """The graph of a module that `lowtide-outline` has processed; arguments as for `read_network`."""
    return read_network(module, binder, layer_counts=layer_counts).graph


def read_network(
    module: Module,
    binder: Binder | None = None,
    *,
    layer_counts: Counted | None = None,
    kernels: Mapping[int, str] | None = None,
    stage: str = "graph",
) -> BoundNetwork:
    """The network of a module that `lowtide-outline` has processed.

    Args:
        module: stays as it is.
        binder: the target's; a new one for the module's microkernels where there is none.
        layer_counts: what to count of the kernels' loops, but of those that MLIR's own tiling made; as little as will
            do, for it takes longer than all else.
        kernels: the kernel that is to compute a layer, by the layer's number; for others what they say themselves.
        stage: the one to name where the network has not been cut into layers.
    """
    reader = _Reader(binder or Binder(microkernels_of(module)), layer_counts=layer_counts, kernels=kernels or {})
    block = network_block(module, stage)
    check_payload(block, stage)
    return reader.read(block)


class _Reader:
    def __init__(self, binder: Binder, *, layer_counts: Counted | None, kernels: Mapping[int, str]) -> None:
        self._binder = binder
        self._kernels = kernels
        self._layer_counts: Counted | None = layer_counts
        # the tensor that each value is, or is a view of; parts of a concat are one tensor
        self._buffers: dict[Value, int] = {}
        self._tensors: list[Tensor] = []
        self._layers: list[Layer] = []
        self._bound: list[PlacedLayer] = []
        self._fusions: list[Fusion] = []

    def read(self, block: Block) -> BoundNetwork:
        streamed = streamed_of(block)
        for argument in block.arguments:
            # what arrives row by row is there when its source has made it
            if argument not in streamed:
                self._add(argument, f"input {argument.arg_number}", producer=0)
        self._read_block(block)
        ends = tuple(self._buffers[value] for value in terminator_of(block).operands)
        inputs = tuple(self._buffers[argument] for argument in block.arguments if argument not in streamed)
        count = states_of(block)
        outputs, after = ends[: len(ends) - count], ends[len(ends) - count :]
        states = tuple(zip(inputs[len(inputs) - count :], after, strict=True))
        # a new state is read when all layers are done: what makes it in a loop makes it whole
        for index in (*outputs, *chain.from_iterable(states)):
            self._use(index, len(self._layers) + 1)
        graph = Graph(tuple(self._layers), tuple(self._tensors), inputs, outputs, states, bool(streamed))
        return BoundNetwork(graph, tuple(self._fusions), tuple(self._bound), self._buffers)

    def _read_block(self, block: Block) -> None:
        for view in block.operations:
            op = view.operation
            if op.name == LAYER:
                self._layer(op)
            elif op.name == FUSED:
                self._fused(op)
            elif op.name == OUTPUT:
                self._buffers[op.results[0]] = self._buffers[output_of(op)]
            elif role_of(op) is Role.RESHAPE and op.operands[0] in self._buffers:
                self._buffers[op.results[0]] = self._buffers[op.operands[0]]

    def _fused(self, op: Operation) -> None:
        first = len(self._layers) + 1
        self._read_block(body_of(op))
        self._fusions.append(fusion_of(op, first))

    def _add(self, value: Value, name: str, producer: int) -> None:
        check_tensor(bytes_of(value), name)
        kind = RankedTensorType(value.type)
        index = self._buffers[value] = len(self._tensors)
        dtype = element_dtype(kind.element_type)
        self._tensors.append(Tensor(index, name, tuple(kind.shape), dtype, producer, last_use=producer))

    def _use(self, index: int, step: int) -> None:
        self._tensors[index] = replace(self._tensors[index], last_use=step)

    def _layer(self, op: Operation) -> None:
        step, operands = len(self._layers) + 1, [*inputs_of(op), destination_of(op)]
        read = {argument: self._buffers[v] for argument, v in enumerate(operands[:-1]) if v in self._buffers}
        for index in read.values():
            self._use(index, step)
        bound, name = self._binder.bind(op), label_of(op)
        kernel = self._kernels.get(step) or text_in(op, KERNEL)
        # a further part of a concat shares its buffer with other parts: it overlaps nothing and joins no loop
        overlaps: tuple[Overlap, ...] = ()
        access = channels = RowAccess()
        destination, result = operands[-1], op.results[0]
        begun = destination in self._buffers
        if begun:  # another part of a tensor that an earlier layer began
            index = self._buffers[result] = self._buffers[destination]
            self._use(index, step)
        else:
            self._add(result, name, producer=step)
            overlaps = self._overlaps(bound, kernel, operands)
            found = {argument: (index, self._tensors[index].shape) for argument, index in read.items()}
            access, channels = bound.access(found, "rows"), bound.access(found, "channels")
            if is_source(op):
                # the caller brings whole rows
                access, channels = RowAccess(access.windows), RowAccess()
        # what only moves bytes may find its input in place already, and then has no code
        copy = bound.copy
        element = DTYPE_BYTES[element_dtype(RankedTensorType(result.type).element_type)]
        self._bound.append(PlacedLayer(op, bound, tuple(operands[:-1])))
        self._layers.append(
            Layer(
                step=step,
                name=name,
                kind=bound.kind,
                function=bound.name,
                inputs=tuple(dict.fromkeys(read.values())),
                output=self._buffers[result],
                macs=bound.macs,
                weights_bytes=sum(bytes_of(v) for v in operands[:-1] if _is_weight(v)),
                overlaps=overlaps,
                rows=access,
                accumulator=None if access.accumulates is None else bound.accumulator(kernel, list(read), "rows"),
                channels=channels,
                channel_accumulator=None
                if channels.accumulates is None
                else bound.accumulator(kernel, list(read), "channels"),
                layer_counts=self._layer_counts_of(bound, operands, kernel),
                primitives=self._primitives_of(bound, operands, kernel, begun=begun),
                workspaces=bound.workspaces(kernel),
                part=number_in(op, PART),
                stored_bytes=math.prod(_stored(bound)) * element,
                copy=None
                if copy is None or copy.argument not in read
                else (read[copy.argument], copy.source * element, copy.target * element, copy.count * element),
            )
        )

    def _primitives_of(
        self, bound: BoundLayer, operands: list[Value], kernel: str | None, *, begun: bool
    ) -> tuple[Primitive, ...]:
        """Those that a plan may pick for a layer for which no script has picked one."""
        counts = self._layer_counts_of(bound, operands, kernel)
        if self._layer_counts != "all" or kernel is not None or counts is None or isinstance(bound.body, LoopNest):
            return ()
        if bound not in self._binder.paid:
            fixed, constants = _constants(operands)
            self._binder.paid[bound] = tuple(paid_kernels(bound.body, bound.microkernels, constants, fixed))
        return tuple(
            Primitive(
                paid.kernel,
                replace(counts, whole=paid.work, at_once=KERNELS[paid.kernel].at_once, streamed=paid.streamed),
                paid.flash_bytes,
                () if begun else self._overlaps(bound, paid.kernel, operands),
                bound.workspaces(paid.kernel),
            )
            for paid in self._binder.paid[bound]
        )

    def _overlaps(self, bound: BoundLayer, kernel: str | None, operands: list[Value]) -> tuple[Overlap, ...]:
        """What the kernel allows of each tensor that it reads; of one it takes twice, the stricter distances."""
        found: dict[int, Overlap] = {}
        for argument, operand in enumerate(operands[:-1]):
            if operand in self._buffers:
                profile = bound.profile(argument, kernel, bytes_of(operand), bytes_of(operands[-1]))
                index = self._buffers[operand]
                # a kernel may read one tensor through two arguments: what holds for both is the larger distance
                seen = found.get(index, Overlap(index, profile.forwards, profile.backwards))
                distances = max(seen.forwards, profile.forwards), max(seen.backwards, profile.backwards)
                found[index] = Overlap(index, *distances)
        return tuple(found.values())

    def _layer_counts_of(self, bound: BoundLayer, operands: list[Value], kernel: str | None) -> LayerCounts | None:
        """Counted on the loops of its kernels, with the constants of the first layer that is equal."""
        wanted = self._layer_counts
        if wanted is None or isinstance(bound.body, LoopNest):
            return None
        if bound.kind == SOURCE:
            return NO_COUNTS
        # counting emits the kernel's loops, which takes longer than all else: equal layers are counted once
        key = bound, wanted, kernel
        if key not in self._binder.layer_counts:
            fixed, constants = _constants(operands)
            self._binder.layer_counts[key] = layer_counts_of(
                bound.body, bound.microkernels, constants, fixed, wanted, kernel
            )
        return self._binder.layer_counts[key]


def _constants(operands: list[Value]) -> tuple[dict[int, Value], dict[int, Interval]]:
    """A layer's arguments that are constants, and between which values those lie that are known."""
    fixed = {number: value for number, value in enumerate(operands[:-1]) if _is_weight(value)}
    known = {number: interval_of(value) for number, value in fixed.items()}
    return fixed, {number: interval for number, interval in known.items() if interval is not None}


def _stored(bound: BoundLayer) -> Shape:
    """Shape of what a layer writes."""
    return bound.body.destination if isinstance(bound.body, LoopNest) else bound.body.result.shape


def fusion_of(op: Operation, first: int) -> Fusion:
    """What a `lowtide.fused` says, its first layer having this number."""
    rows, columns = number_in(op, "rows"), number_in(op, "columns")
    direction = DIRECTIONS[text_in(op, "direction") == DIRECTIONS[1]]
    axis: Axis = "channels" if text_in(op, "axis") == "channels" else "rows"
    recompute = tuple(IntegerAttr(number).value for number in ArrayAttr(op.attributes["recompute"]))
    last = first + sum(1 for _ in layers_in(body_of(op))) - 1
    return Fusion(first, last, rows, columns, direction, axis, recompute)


def _is_weight(value: Value) -> bool:
    """A constant, or a view of one."""
    while not isinstance(value, BlockArgument):
        op = defining(value)
        assert op is not None
        if role_of(op) is not Role.RESHAPE:
            return role_of(op) is Role.CONSTANT
        value = op.operands[0]
    return False
