"""The form that a module is in between `lowtide-outline` and `lowtide-kernels`, and refusals of modules in another.

The network's function only calls layers, on tensors first and on buffers from `lowtide-bufferise` on. The nested module
`@layers` holds the layers' bodies, on tensors throughout.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lowtide.errors import InputError
from lowtide.ir import (
    ArrayAttr,
    FlatSymbolRefAttr,
    IntegerAttr,
    IntegerType,
    MemRefType,
    Module,
    Operation,
    RankedTensorType,
    StringAttr,
    func,
)
from lowtide.normalise.analysis import network_function

LAYERS = "layers"
LAYER = "lowtide.layer"
KERNEL = "lowtide.kernel"
"""On a layer's call: which kernel computes it, where a script has picked one."""
PART = "lowtide.part"
ARENA = "lowtide.arena_bytes"
BODY = "lowtide.body"
"""On a declaration: which function of `@layers` it stands for, where the name is another."""
REDUCTION = "lowtide.reduction"
BACKWARDS = "lowtide.from_the_end"
"""On a declaration: rings fill from their end, in a fused loop that goes backwards."""
CHANNELS = "lowtide.by_channels"
"""On a declaration: its last two operands cut channels, in a fused loop by channels."""
FLAT = "lowtide.flat"
"""On a declaration: see `Reduction`."""
_BEFORE = {"tensors": "lowtide-outline", "buffers": "lowtide-bufferise"}


def layers_of(module: Module, stage: str) -> Operation:
    """The nested module with the layers' bodies.

    Raises:
        InputError: there is none.
    """
    for op in (view.operation for view in module.body.operations):
        if _is_layers(op):
            return op
    raise InputError(stage, "the module has no outlined layers", remedy="run lowtide-outline first, and this pass once")


def body_name(declaration: func.FuncOp) -> str:
    """The function of `@layers` that a declaration at the top level stands for."""
    attributes = declaration.operation.attributes
    return FlatSymbolRefAttr(attributes[BODY]).value if BODY in attributes else declaration.name.value


@dataclass(frozen=True)
class Reduction:
    """How an accumulating call of a fused loop cuts its reduction.

    Attributes:
        dimensions: of the body's iteration space: that of the input's rows, and that of its columns; none for a call
            that does not accumulate.
        flat: columns and channels of the input, where one dimension goes over all of its elements.
    """

    dimensions: tuple[int, ...] = ()
    flat: tuple[int, int] | None = None


def note_reduction(declaration: func.FuncOp, reduction: Reduction) -> None:
    """Note it on the declaration."""
    i64 = IntegerType.get_signless(64, declaration.operation.context)
    for name, numbers in ((REDUCTION, reduction.dimensions), (FLAT, reduction.flat)):
        if numbers:
            attribute = ArrayAttr.get([IntegerAttr.get(i64, n) for n in numbers], declaration.operation.context)
            declaration.operation.attributes[name] = attribute


def reduction_of(declaration: func.FuncOp) -> Reduction:
    """What `note_reduction` noted."""
    attributes = declaration.operation.attributes
    if REDUCTION not in attributes:
        return Reduction()
    dimensions = tuple(IntegerAttr(n).value for n in ArrayAttr(attributes[REDUCTION]))
    if FLAT not in attributes:
        return Reduction(dimensions)
    columns, channels = (IntegerAttr(n).value for n in ArrayAttr(attributes[FLAT]))
    return Reduction(dimensions, (columns, channels))


def picked_kernel(call: Operation) -> str | None:
    """The kernel that a script has picked for a layer's call."""
    return StringAttr(call.attributes[KERNEL]).value if KERNEL in call.attributes else None


def body_names(module: Module) -> dict[str, str]:
    """`body_name` of every declaration, by its own name."""
    return {f.name.value: body_name(f) for f in module.body.operations if isinstance(f, func.FuncOp)}


def outlined_network(module: Module, stage: str, on: Literal["tensors", "buffers"]) -> func.FuncOp:
    """The network's function, which calls layers on tensors or on buffers.

    Raises:
        InputError: the module is in another form.
    """
    layers_of(module, stage)
    function = network_function(module, stage)
    kind = RankedTensorType if on == "tensors" else MemRefType
    if ARENA in module.operation.attributes and stage == "allocate":
        raise InputError(stage, "the arena is allocated already", remedy="run this pass once")
    types = (*function.type.inputs, *function.type.results)
    if not all(isinstance(type_, kind) for type_ in types):
        raise InputError(stage, f"the network's function is not on {on}", remedy=f"run this pass after {_BEFORE[on]}")
    return function


def is_outlined(module: Module) -> bool:
    """Whether `lowtide-outline` has been over the module."""
    return any(_is_layers(view.operation) for view in module.body.operations)


def network_calls(module: Module, stage: str) -> list[Operation]:
    """The calls of whole layers in the network's function, in its order."""
    operations = network_function(module, stage).regions[0].blocks[0].operations
    return [view.operation for view in operations if view.operation.name == "func.call"]


def _is_layers(op: Operation) -> bool:
    named = op.name == "builtin.module" and "sym_name" in op.attributes
    return named and StringAttr(op.attributes["sym_name"]).value == LAYERS
