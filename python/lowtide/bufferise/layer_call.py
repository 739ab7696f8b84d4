"""A call of a layer in a bufferised network, with all that is known of the layer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from lowtide.graph.nest import LayerBody, Shape
from lowtide.ir import FlatSymbolRefAttr, MemRefType, Module, Operation, OpResult, ShapedType, StringAttr, Value, func
from lowtide.normalise.analysis import type_bytes
from lowtide.normalise.form import BACKWARDS, CHANNELS, LAYER, body_names, picked_kernel, reduction_of

_VIEWS = {"memref.expand_shape", "memref.collapse_shape", "memref.cast", "memref.reshape", "memref.reinterpret_cast"}


@dataclass(frozen=True)
class LayerCall:
    """One call.

    Attributes:
        op: the operation.
        function: of `@layers`, behind the function that is called.
        body: that layer's loop description.
        declared: the function that is called.
    """

    op: Operation
    function: str
    body: LayerBody
    declared: func.FuncOp

    @property
    def name(self) -> str:
        """The model's name of what it computes; empty where none was noted."""
        return StringAttr(self.op.attributes[LAYER]).value if LAYER in self.op.attributes else ""

    @property
    def kernel(self) -> str | None:
        """The kernel that was picked for it."""
        return picked_kernel(self.op)

    @property
    def inputs(self) -> list[Value]:
        """The buffers behind its arguments, constants included."""
        return [root_of(value) for value in memrefs_of(self.op)[:-1]]

    @property
    def destination(self) -> Value:
        """The buffer that it writes."""
        return root_of(memrefs_of(self.op)[-1])

    @cached_property
    def accumulates(self) -> bool:
        """In its loop it goes by the rows (or channels) of its input."""
        return bool(reduction_of(self.declared).dimensions)

    @cached_property
    def by_channels(self) -> bool:
        """Its loop goes by channels."""
        return CHANNELS in self.declared.operation.attributes

    @cached_property
    def backwards(self) -> bool:
        """Its loop goes from the end."""
        return BACKWARDS in self.declared.operation.attributes

    def shape(self, argument: int) -> Shape:
        """Of an argument, whole."""
        return tuple(ShapedType(self.body.arguments[argument]).shape)

    def nbytes(self, argument: int) -> int:
        """Size of an argument, whole, in bytes; the destination is the last."""
        return type_bytes(self.body.arguments[argument])

    @property
    def stored_bytes(self) -> int:
        """What the whole layer stores, each byte once: a part of the destination where that is a concat."""
        return math.prod(self.body.result.shape) * (self.nbytes(-1) // math.prod(self.body.destination))


def layer_calls(module: Module, calls: list[Operation], bodies: Mapping[str, LayerBody]) -> tuple[LayerCall, ...]:
    """The calls of a network.

    Args:
        module: holds the layers' declarations.
        calls: `func.call`s of it.
        bodies: the layers' loop descriptions by function name in `@layers`.
    """
    names = body_names(module)
    declared = {f.name.value: f for f in module.body.operations if isinstance(f, func.FuncOp)}
    found: list[LayerCall] = []
    for op in calls:
        callee = FlatSymbolRefAttr(op.attributes["callee"]).value
        found.append(LayerCall(op, names[callee], bodies[names[callee]], declared[callee]))
    return tuple(found)


def root_of(value: Value) -> Value:
    """The buffer that the value is a view of."""
    while isinstance(value, OpResult) and OpResult(value).owner.operation.name in _VIEWS:
        value = OpResult(value).owner.operation.operands[0]
    return value


def memrefs_of(call: Operation) -> list[Value]:
    """The operands of a call that are buffers, the destination last."""
    return [operand for operand in call.operands if isinstance(operand.type, MemRefType)]
