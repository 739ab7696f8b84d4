"""The operands of a network's calls: views of the arena at the buffers' offsets, and the constants."""

from __future__ import annotations

import math

from lowtide.bound.build import PlacedLayer
from lowtide.bufferise.placement import Placement
from lowtide.graph.fusion import Fusion
from lowtide.graph.nest import Shape
from lowtide.graph.program import Call, ProgramBuffer
from lowtide.graph.rows import extents_of, row_dimension
from lowtide.ir import (
    ArrayAttr,
    Attribute,
    DenseElementsAttr,
    IndexType,
    InsertionPoint,
    IntegerAttr,
    MemRefType,
    Module,
    Operation,
    OpView,
    RankedTensorType,
    Type,
    TypeAttr,
    Value,
    arith,
    memref,
)
from lowtide.normalise.analysis import ELEMENT_NAMES, defining, is_constant

ALIGNMENT = 64
"""What constants are aligned to, in bytes."""


class Operands:
    """Makes each view and each constant once.

    Args:
        placement: the network on its arena.
        module: gets the constants.
        arena: the function's argument.
        anchor: what everything is made in front of, at the function's beginning.
    """

    def __init__(self, placement: Placement, module: Module, arena: Value, anchor: OpView) -> None:
        self._placement = placement
        self._program = placement.program
        self._network = placement.network
        self._module = module
        self._arena = arena
        self._anchor = anchor
        self._constants: dict[Attribute, str] = {}
        self._views: dict[tuple[int, Shape], Value] = {}
        self._loaded: dict[Value, Value] = {}

    def of_call(self, call: Call, layer: PlacedLayer, fusion: Fusion | None = None) -> list[Value]:
        """What a layer's call takes: what it reads, the buffer that it writes, its workspaces."""
        read = [self.operand(operand, call, fusion) for operand in layer.inputs]
        return [*read, self.destination(call), *map(self.buffer, call.workspaces)]

    def operand(self, operand: Value, call: Call, fusion: Fusion | None = None) -> Value:
        """What a call takes for a value that its layer reads: in a loop, the part of it that there is at a time."""
        if operand not in self._network.tensors:
            return self._constant(operand)
        tensor = self._network.tensors[operand]
        shape = tuple(RankedTensorType(operand.type).shape)
        found = [read.buffer for read in call.reads if read.tensor == tensor]
        if not found:
            # a loop's layer that multiplies what it reads by 0 reads nothing of it, so that any place will do
            with InsertionPoint(self._anchor):
                kind = MemRefType.get(shape, RankedTensorType(operand.type).element_type)
                return memref.view(kind, self._arena, arith.constant(IndexType.get(), 0), [])
        buffer = found[0]
        return self._view(
            buffer, _viewed(shape, self._network.graph.tensors[tensor].shape, self._buffer(buffer), fusion)
        )

    def _buffer(self, buffer: int) -> ProgramBuffer:
        return self._program.buffers[buffer]

    def destination(self, call: Call) -> Value:
        """The buffer that a call writes."""
        if call.writes not in self._program.states:
            return self.buffer(call.writes)
        # a state's buffer has the shape of the old state, and the new one that is computed there may have another
        return self.whole(call.writes, self._network.graph.layers[call.layer - 1].output)

    def whole(self, buffer: int, tensor: int) -> Value:
        """A buffer that holds all of a tensor, in the tensor's shape."""
        return self._view(buffer, self._network.graph.tensors[tensor].shape)

    def buffer(self, buffer: int) -> Value:
        """A buffer of the program as it is."""
        return self._view(buffer, self._buffer(buffer).shape)

    def _view(self, buffer: int, shape: Shape) -> Value:
        """The buffer as a memref of that shape, which has its elements."""
        key = buffer, shape
        if key not in self._views:
            element = Type.parse(ELEMENT_NAMES[self._buffer(buffer).dtype])
            with InsertionPoint(self._anchor):
                offset = arith.constant(IndexType.get(), self._placement.buffers[buffer].offset)
                self._views[key] = memref.view(MemRefType.get(shape, element), self._arena, offset, [])
        return self._views[key]

    def _constant(self, value: Value) -> Value:
        """A constant of the network, or a view of one."""
        if value not in self._loaded:
            op = defining(value)
            assert op is not None, "what is no tensor of the network is a constant"
            with InsertionPoint(self._anchor):
                self._loaded[value] = self._global(op) if is_constant(value) else self._reshaped(op)
        return self._loaded[value]

    def _global(self, op: Operation) -> Value:
        values = DenseElementsAttr(op.attributes["value"])
        tensor = RankedTensorType(op.results[0].type)
        kind = MemRefType.get(tensor.shape, tensor.element_type)
        # constants of equal content are one, also where the model has several
        if values not in self._constants:
            self._constants[values] = f"__constant_{len(self._constants)}"
            with InsertionPoint.at_block_begin(self._module.body), op.location:
                memref.GlobalOp(
                    self._constants[values],
                    TypeAttr.get(kind),
                    sym_visibility="private",
                    initial_value=values,
                    constant=True,
                    alignment=ALIGNMENT,
                )
        return memref.get_global(kind, self._constants[values])

    def _reshaped(self, op: Operation) -> Value:
        source, tensor = self._constant(op.operands[0]), RankedTensorType(op.results[0].type)
        kind = MemRefType.get(tensor.shape, tensor.element_type)
        groups = [[IntegerAttr(i).value for i in ArrayAttr(g)] for g in ArrayAttr(op.attributes["reassociation"])]
        if op.name == "tensor.collapse_shape":
            return memref.collapse_shape(kind, source, groups)
        return memref.expand_shape(kind, source, groups, [], list(tensor.shape))


def _viewed(shape: Shape, tensor: Shape, buffer: ProgramBuffer, fusion: Fusion | None) -> Shape:
    """The shape of what there is at a time (rows, pixels or channels) of a view of a tensor."""
    # a line buffer as large as its tensor holds all of it, and so any view of it; so does a state's buffer, whose
    # shape may be another view of what is put there
    if fusion is None or math.prod(buffer.shape) == math.prod(tensor):
        return shape
    if fusion.axis == "channels":
        return (*shape[:-1], buffer.shape[-1])
    elements, row = math.prod(buffer.shape), row_dimension(shape)
    if shape == tensor:
        return buffer.shape
    if not fusion.columns or shape[row] != extents_of(tensor)[0]:
        return (*shape[:row], elements * shape[row] // math.prod(shape), *shape[row + 1 :])
    return (*shape[:row], 1, elements // math.prod(shape[row + 2 :]), *shape[row + 2 :])
