"""The form that a module is in between `lowtide-outline` and `lowtide-kernels`, and refusals of modules in another.

The network's function only calls layers, on tensors first and on buffers from `lowtide-bufferise` on. The nested module
`@layers` holds the layers' bodies, on tensors throughout.
"""

from __future__ import annotations

from typing import Literal

from lowtide.errors import InputError
from lowtide.ir import MemRefType, Module, Operation, RankedTensorType, StringAttr, func
from lowtide.normalise.analysis import network_function

LAYERS = "layers"
LAYER = "lowtide.layer"
PART = "lowtide.part"
ARENA = "lowtide.arena_bytes"
_BEFORE = {"tensors": "lowtide-outline", "buffers": "lowtide-bufferise"}


def layers_of(module: Module, stage: str) -> Operation:
    """The nested module with the layers' bodies.

    Raises:
        InputError: there is none.
    """
    for op in (view.operation for view in module.body.operations):
        named = op.name == "builtin.module" and "sym_name" in op.attributes
        if named and StringAttr(op.attributes["sym_name"]).value == LAYERS:
            return op
    raise InputError(stage, "the module has no outlined layers", remedy="run lowtide-outline first, and this pass once")


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
