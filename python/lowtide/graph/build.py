"""Reads the graph off an outlined network; the IR is not changed."""

from __future__ import annotations

import math
from collections.abc import Mapping

from lowtide.cost.work import Counted, Works
from lowtide.graph.graph import Accumulator, Graph, Layer, Overlap, Tensor
from lowtide.graph.macs import macs_of
from lowtide.graph.nest import LayerBody, Shape
from lowtide.graph.profile import Profile
from lowtide.graph.program import RowAccess
from lowtide.graph.read import layer_bodies
from lowtide.graph.rows import Axis, accumulation_of, channel_access, finishing_body, row_access
from lowtide.ir import Block, BlockArgument, IntegerAttr, Module, Operation, RankedTensorType, StringAttr, Value
from lowtide.kernels.constants import interval_of
from lowtide.kernels.library import kernel_for, lanes_of
from lowtide.kernels.work import works_of
from lowtide.limits import check_tensor
from lowtide.network import DTYPE_BYTES
from lowtide.normalise.analysis import Role, bytes_of, defining, element_dtype, is_constant, network_function, role_of
from lowtide.normalise.form import LAYER, PART


def build_graph(module: Module, *, works: Counted | None = None) -> Graph:
    """The graph of a module that `lowtide-outline` has processed.

    Args:
        module: stays as it is.
        works: what to count of the kernels' loops; as little as will do, for it takes longer than all else.
    """
    builder = _Builder(layer_bodies(module), lanes_of(module), works=works)
    return builder.build(network_function(module, "graph").regions[0].blocks[0])


class _Builder:
    def __init__(self, bodies: Mapping[str, LayerBody], lanes: str, *, works: Counted | None) -> None:
        self._bodies = bodies
        self._lanes = lanes
        self._counted: Counted | None = works
        self._works: dict[str, Works] = {}
        self._macs = {name: macs_of(body.result) for name, body in bodies.items()}
        self._profiles: dict[tuple[str, int], Profile] = {}
        self._buffers: dict[Value, int] = {}
        self._rows: list[dict[str, int]] = []
        self._values: list[tuple[Value, str]] = []
        self._layers: list[Layer] = []

    def build(self, block: Block) -> Graph:
        for argument in block.arguments:
            self._add(argument, f"input {argument.arg_number}", producer=0)
        terminator: Operation | None = None
        for view in block.operations:
            op = view.operation
            if op.name == "func.call":
                self._call(op)
            elif op.name == "func.return":
                terminator = op
            elif role_of(op) is Role.RESHAPE and not is_constant(op.operands[0]):
                self._buffers[op.results[0]] = self._buffers[op.operands[0]]
        assert terminator is not None
        outputs = tuple(self._buffers[value] for value in terminator.operands)
        for index in outputs:
            self._rows[index]["last_use"] = len(self._layers) + 1
        return Graph(tuple(self._layers), self._tensors(), tuple(range(len(block.arguments))), outputs)

    def _add(self, value: Value, name: str, producer: int) -> None:
        check_tensor(bytes_of(value), name)
        self._buffers[value] = len(self._rows)
        self._rows.append({"producer": producer, "last_use": producer})
        self._values.append((value, name))

    def _call(self, op: Operation) -> None:
        step = len(self._layers) + 1
        operands = list(op.operands)
        activations = [v for v in operands[:-1] if v in self._buffers]
        for value in activations:
            self._rows[self._buffers[value]]["last_use"] = step
        name = StringAttr(op.attributes[LAYER]).value
        function = str(op.attributes["callee"]).removeprefix("@")
        overlaps: tuple[Overlap, ...] = ()
        access = channels = RowAccess()
        destination = operands[-1]
        if destination in self._buffers:  # another part of a tensor that an earlier layer began
            index = self._buffers[destination]
            self._buffers[op.results[0]] = index
            self._rows[index]["last_use"] = step
        else:
            self._add(op.results[0], name, producer=step)
            overlaps = self._overlaps(function, operands)
            found = self._tensors_read(operands)
            access = row_access(self._bodies[function], found)
            channels = channel_access(self._bodies[function], found)
        self._layers.append(
            Layer(
                step=step,
                name=name,
                kind=function.rsplit("_", 1)[0],
                function=function,
                inputs=tuple(dict.fromkeys(self._buffers[v] for v in activations)),
                output=self._buffers[op.results[0]],
                macs=self._macs[function],
                weights_bytes=sum(bytes_of(v) for v in operands[:-1] if _is_weight(v)),
                overlaps=overlaps,
                rows=access,
                accumulator=None if access.accumulates is None else self._accumulator(function, operands, "rows"),
                channels=channels,
                channel_accumulator=(
                    None if channels.accumulates is None else self._accumulator(function, operands, "channels")
                ),
                works=self._works_of(function, operands),
                part=IntegerAttr(op.attributes[PART]).value if PART in op.attributes else 0,
            )
        )

    def _tensors_read(self, operands: list[Value]) -> dict[int, tuple[int, Shape]]:
        """By number of the argument the tensor behind it, and that tensor's shape."""
        return {
            argument: (self._buffers[value], tuple(RankedTensorType(self._values[self._buffers[value]][0].type).shape))
            for argument, value in enumerate(operands[:-1])
            if value in self._buffers
        }

    def _accumulator(self, function: str, operands: list[Value], axis: Axis) -> Accumulator:
        """What is kept between the rows, and how far the output may run into it at the end."""
        activations = [a for a, value in enumerate(operands[:-1]) if value in self._buffers]
        body = self._bodies[function]
        accumulation = accumulation_of(body, activations, axis)
        assert accumulation is not None
        kind = RankedTensorType(accumulation.node.op.results[0].type)
        element = DTYPE_BYTES[element_dtype(kind.element_type)]
        size = math.prod(kind.shape) * element
        finish = finishing_body(body, accumulation)
        profile = kernel_for(finish).profile(finish, accumulation.argument, size, bytes_of(operands[-1]), self._lanes)
        return Accumulator(size, element, profile.forwards, profile.backwards)

    def _overlaps(self, function: str, operands: list[Value]) -> tuple[Overlap, ...]:
        """What the kernel allows of each tensor that it reads; of one it takes twice, the stricter distances."""
        found: dict[int, Overlap] = {}
        for argument, operand in enumerate(operands[:-1]):
            if operand in self._buffers:
                profile = self._profile(function, argument, bytes_of(operand), bytes_of(operands[-1]))
                index = self._buffers[operand]
                seen = found.get(index, Overlap(index, profile.forwards, profile.backwards))
                distances = max(seen.forwards, profile.forwards), max(seen.backwards, profile.backwards)
                found[index] = Overlap(index, *distances)
        return tuple(found.values())

    def _profile(self, function: str, argument: int, input_bytes: int, output_bytes: int) -> Profile:
        """The kernel's profile: the same for every call of the function, and it takes its time."""
        key = function, argument
        if key not in self._profiles:
            body = self._bodies[function]
            self._profiles[key] = kernel_for(body).profile(body, argument, input_bytes, output_bytes, self._lanes)
        return self._profiles[key]

    def _works_of(self, function: str, operands: list[Value]) -> Works | None:
        """Counted on the loops of its kernels, with the constants of the function's first call."""
        if self._counted is None:
            return None
        if function not in self._works:
            fixed = {number: value for number, value in enumerate(operands[:-1]) if _is_weight(value)}
            known = {number: interval_of(value) for number, value in fixed.items()}
            constants = {number: interval for number, interval in known.items() if interval is not None}
            self._works[function] = works_of(self._bodies[function], self._lanes, constants, fixed, self._counted)
        return self._works[function]

    def _tensors(self) -> tuple[Tensor, ...]:
        found: list[Tensor] = []
        for index, ((value, name), row) in enumerate(zip(self._values, self._rows, strict=True)):
            tensor = RankedTensorType(value.type)
            dtype = element_dtype(tensor.element_type)
            found.append(Tensor(index, name, tuple(tensor.shape), dtype, row["producer"], row["last_use"]))
        return tuple(found)


def _is_weight(value: Value) -> bool:
    """A constant, or a view of one."""
    while not isinstance(value, BlockArgument):
        op = defining(value)
        assert op is not None
        if role_of(op) is not Role.RESHAPE:
            return role_of(op) is Role.CONSTANT
        value = op.operands[0]
    return False
