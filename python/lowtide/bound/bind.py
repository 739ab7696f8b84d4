"""Binds layers to what they compute: equal ones are one object, read and matched once for all plans of a target."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from lowtide.bound.loop_nest import LoopNest, nest_of
from lowtide.cost.operation_counts import Counted, LayerCounts
from lowtide.dtypes import DTYPE_BYTES
from lowtide.errors import InputError, InternalError
from lowtide.graph.copies import Copy, copy_of
from lowtide.graph.fusion import Axis
from lowtide.graph.graph import Accumulator
from lowtide.graph.macs import macs_of
from lowtide.graph.nest import LayerBody, Shape
from lowtide.graph.profile import Profile
from lowtide.graph.program import RowAccess, Windows
from lowtide.graph.read import read_layer
from lowtide.graph.rows import accumulation_of, channel_access, finishing_body, row_access
from lowtide.ir import (
    FunctionType,
    InsertionPoint,
    Location,
    Module,
    Operation,
    RankedTensorType,
    StringAttr,
    Value,
    func,
    run_pipeline,
    text_of,
)
from lowtide.kernels.kernel import Workspace
from lowtide.kernels.library import kernel_for, kernel_for_part, kernel_name
from lowtide.kernels.microkernels import PLAIN
from lowtide.kernels.operation_counts import Paid
from lowtide.normalise.analysis import defining, element_dtype, operands_of
from lowtide.normalise.form import body_of, destination_of, inputs_of, is_copied
from lowtide.normalise.outline import remap

_Asked = tuple[int, str | None, int, int]
"""Argument, kernel, bytes of the argument, bytes of the output."""
_Operands = tuple[Axis, tuple[tuple[int, tuple[int, Shape]], ...]]
"""Axis, and by argument the first one that is the same tensor, and that tensor's shape."""
_Summed = tuple[str | None, tuple[int, ...], Axis]
"""Kernel, arguments that are activations, axis."""
LOOP = "loop"
"""The kind of a layer that is a loop of MLIR's own tiling."""
LOOPS = "loops"
"""What its kernel is called."""
# Scalar operands inlined, so that kernels see zero points and fill values as the constants they are.
_GENERALISE = "func.func(linalg-generalize-named-ops,linalg-inline-scalar-operands)"


@dataclass(frozen=True, eq=False)
class BoundLayer:
    """What a layer computes, for one target.

    Attributes:
        name: the name of its function in the code; equal layers share one.
        kind: conv, depthwise, dense, pool, gather, concat, reduce, map or loop.
        body: its loop description; where MLIR's own tiling has made a loop of it, that loop's code.
        microkernels: how the target multiplies.
        module: what the operations behind the body are in; they go with it.
    """

    name: str
    kind: str
    body: LayerBody | LoopNest
    microkernels: str
    module: Module
    _profiles: dict[_Asked, Profile] = field(default_factory=dict["_Asked", Profile])
    _accesses: dict[_Operands, RowAccess] = field(default_factory=dict["_Operands", RowAccess])
    _accumulators: dict[_Summed, Accumulator] = field(default_factory=dict["_Summed", Accumulator])

    @cached_property
    def macs(self) -> int:
        """Multiply-accumulates, taps in the padding counted as if they ran."""
        return self.body.macs if isinstance(self.body, LoopNest) else macs_of(self.body.result)

    @property
    def description(self) -> LayerBody:
        """The loop description, of a layer that can go by rows or channels: it has one."""
        assert not isinstance(self.body, LoopNest), "the code of a loop says nothing of rows"
        return self.body

    @cached_property
    def copy(self) -> Copy | None:
        """Which bytes it moves, where it does nothing else; None for a layer that computes."""
        return None if isinstance(self.body, LoopNest) else copy_of(self.body)

    def kernel(self, picked: str | None = None) -> str:
        """The name of the kernel that computes it; arguments and errors as for `kernel_name`."""
        if not isinstance(self.body, LoopNest):
            return kernel_name(self.body, picked)
        if picked is not None:
            message = f"kernel '{picked}' does not accept this layer, a loop of MLIR's own tiling"
            raise InputError("kernels", message, remedy="pick none: MLIR makes its code")
        return LOOPS

    def workspaces(self, kernel: str | None) -> tuple[Workspace, ...]:
        """What its code needs for itself, with the kernel picked for it or its own."""
        if isinstance(self.body, LoopNest):
            return self.body.workspaces
        return kernel_for(self.body, kernel).workspaces(self.body, self.microkernels)

    def profile(self, argument: int, kernel: str | None, input_bytes: int, output_bytes: int) -> Profile:
        """How far the output may run into an argument, with the kernel picked for it or its own; bytes."""
        if isinstance(self.body, LoopNest):
            # nothing is known of the order of its loads and stores, so that the two share no byte
            return Profile(output_bytes, output_bytes)
        key = argument, kernel, input_bytes, output_bytes
        if key not in self._profiles:
            found = kernel_for(self.body, kernel)
            self._profiles[key] = found.profile(self.body, argument, input_bytes, output_bytes, self.microkernels)
        return self._profiles[key]

    def access(self, operands: Mapping[int, tuple[int, Shape]], axis: Axis) -> RowAccess:
        """How it can go by rows (and columns), or by channels, of the tensors behind its arguments.

        Args:
            operands: by number of the argument (activations only) the tensor behind it, and that tensor's shape.
            axis: rows or channels.
        """
        if isinstance(self.body, LoopNest):
            return RowAccess()
        # what counts is which arguments are one tensor: the first of them stands for it
        first: dict[int, int] = {}
        for argument, (tensor, _) in operands.items():
            first.setdefault(tensor, argument)
        alike = {argument: (first[tensor], shape) for argument, (tensor, shape) in operands.items()}
        key = axis, tuple(alike.items())
        if key not in self._accesses:
            find = row_access if axis == "rows" else channel_access
            self._accesses[key] = find(self.body, alike)
        tensors = {argument: tensor for tensor, argument in first.items()}
        return _renumbered(self._accesses[key], tensors)

    def accumulator(self, kernel: str | None, activations: Sequence[int], axis: Axis) -> Accumulator:
        """What is kept between the rows (or channels) of its one activation, where it can take it by those.

        Args:
            kernel: the one picked for the layer, if any.
            activations: numbers of the arguments that are tensors of the network.
            axis: rows or channels.
        """
        key = kernel, tuple(activations), axis
        if key not in self._accumulators:
            self._accumulators[key] = self._accumulator(kernel, activations, axis)
        return self._accumulators[key]

    def _accumulator(self, kernel: str | None, activations: Sequence[int], axis: Axis) -> Accumulator:
        body = self.description
        accumulation = accumulation_of(body, activations, axis)
        assert accumulation is not None
        kind = RankedTensorType(accumulation.node.op.results[0].type)
        finish, destination = finishing_body(body, accumulation), RankedTensorType(body.arguments[-1])
        sizes = [math.prod(t.shape) * DTYPE_BYTES[element_dtype(t.element_type)] for t in (kind, destination)]
        # the accumulator dies in the call that makes the output of it, which may lie over it as over any input
        found = kernel_for(finish, kernel_for_part(finish, kernel))
        profile = found.profile(finish, accumulation.argument, sizes[0], sizes[1], self.microkernels)
        dtype = element_dtype(kind.element_type)
        return Accumulator(tuple(kind.shape), dtype, profile.forwards, profile.backwards)


def _renumbered(access: RowAccess, tensors: Mapping[int, int]) -> RowAccess:
    """The access with the tensors that stand behind arguments."""

    def windows(found: Windows) -> Windows:
        return None if found is None else tuple((tensors[argument], window) for argument, window in found)

    accumulates = None if access.accumulates is None else tensors[access.accumulates]
    return RowAccess(windows(access.windows), accumulates, windows(access.columns), access.by_columns)


class Binder:
    """The distinct layers of the networks that are lowered for one target, whatever the plan.

    Args:
        microkernels: how the target multiplies.
    """

    def __init__(self, microkernels: str = PLAIN) -> None:
        self.microkernels = microkernels
        self.layer_counts: dict[tuple[BoundLayer, Counted, str | None], LayerCounts] = {}
        """What their kernels do, the picked one where one was, of those of which that was asked."""
        self.paid: dict[BoundLayer, tuple[Paid, ...]] = {}
        """The kernels that a plan may pay flash for, of layers of which that was asked."""
        self._bound: dict[str, BoundLayer] = {}
        self._kinds: dict[str, int] = {}
        self._module: Module | None = None

    def bind(self, layer: Operation) -> BoundLayer:
        """The layer as a kernel sees it; equal ones give the same object.

        Args:
            layer: a `lowtide.layer`; it stays as it is. All of a binder's are of one context.

        Raises:
            InputError: as for `nest_of`.
        """
        if self._module is None:
            with layer.context, Location.unknown():
                self._module = Module.create()
        kind = StringAttr(layer.attributes["kind"]).value
        function = _function_of(layer, self._module)
        # the text has neither names nor places of the model: equal text is an equal layer
        text = f"{kind}: {text_of([function.operation])}"
        if text in self._bound:
            function.operation.erase()
            return self._bound[text]
        # no loop description covers a loop of MLIR's own tiling: MLIR makes its code
        if kind == LOOP:
            body = nest_of(function)
        else:
            run_pipeline(function, _GENERALISE, stage="graph", error=InternalError)
            body = read_layer(function)
        number = self._kinds[kind] = self._kinds.get(kind, -1) + 1
        self._bound[text] = BoundLayer(f"{kind}_{number}", kind, body, self.microkernels, self._module)
        return self._bound[text]

    @property
    def layers(self) -> tuple[BoundLayer, ...]:
        """Those seen so far, in that order."""
        return tuple(self._bound.values())


def _function_of(layer: Operation, module: Module) -> func.FuncOp:
    """A function that computes what the layer does; reading it is to leave the network as it is."""
    operands = [*inputs_of(layer), destination_of(layer)]
    with layer.context, InsertionPoint(module.body), layer.location:
        kind = FunctionType.get([value.type for value in operands], [layer.results[0].type])
        function = func.FuncOp("layer", kind, visibility="private")
        block = function.add_entry_block()
        mapping: dict[Value, Value] = dict(zip(operands[:-1], list(block.arguments)[:-1], strict=True))
        # cloned, as the layer itself stays in the network; what it takes from outside becomes arguments
        operations = [view.operation for view in body_of(layer).operations]
        with InsertionPoint(block):
            for op in operations[:-1]:
                inserts = op.name == "tensor.insert_slice" and op.operands[1] == operands[-1]
                for position, value in enumerate(operands_of(op)):
                    owner = None if inserts and position == 1 else defining(value)
                    if owner is not None and value not in mapping and is_copied(value):
                        mapping[value] = owner.clone(InsertionPoint.current).results[0]
                copy = op.clone(InsertionPoint.current)
                remap(copy, mapping)
                if inserts:
                    copy.operands[1] = block.arguments[-1]
                mapping.update(zip(op.results, copy.results, strict=True))
            func.ReturnOp([mapping[operations[-1].operands[0]]])
    return function
