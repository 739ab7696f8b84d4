"""Bufferises an outlined network: every buffer an explicit allocation, every layer a call on memrefs.

One-shot bufferization sees, in the place of each layer, a body that reads every input and writes the destination, and
so finds no reason to copy. The real bodies (module `@layers`) stay tensors until the kernels take them.
"""

from __future__ import annotations

from collections.abc import Mapping

from lowtide.errors import InternalError
from lowtide.ir import (
    Attribute,
    FloatAttr,
    FloatType,
    IndexType,
    InsertionPoint,
    IntegerAttr,
    IntegerType,
    Module,
    Operation,
    RankedTensorType,
    Type,
    Value,
    arith,
    func,
    run_pipeline,
    tensor,
)
from lowtide.normalise.analysis import calls_in, network_function, operations_in
from lowtide.normalise.form import (
    BACKWARDS,
    BODY,
    CHANNELS,
    FLAT,
    KERNEL,
    LAYER,
    REDUCTION,
    layers_of,
    outlined_network,
)
from lowtide.passes import Pass

STAGE = "bufferise"
PIPELINE = (
    "builtin.module("
    "one-shot-bufferize{bufferize-function-boundaries=1 function-boundary-type-conversion=identity-layout-map},"
    "drop-equivalent-buffer-results,canonicalize)"
)


def run(module: Module, _: Mapping[str, str]) -> None:
    """Bufferise the module's function.

    Raises:
        InputError: the module is not what `lowtide-outline` gives.
        InternalError: a copy or a second allocation appeared.
    """
    with module.context, module.operation.location:
        main = outlined_network(module, STAGE, on="tensors")
        wanted = _count(main, "bufferization.alloc_tensor")
        notes = [_notes(call.operation) for call in calls_in(main)]
        layers = detach_layers(module, STAGE)
        declared = [view for view in module.body.operations if isinstance(view, func.FuncOp) and view.is_external]
        for function in declared:
            _give_placeholder(function)
        run_pipeline(module, PIPELINE, stage="bufferise")
        for function in declared_functions(module):
            _make_declaration(function)
        module.body.append(layers)
        # bufferization makes new calls, in the same order, without our attributes
        main = network_function(module, STAGE)
        for call, noted in zip(calls_in(main), notes, strict=True):
            for name, attribute in noted:
                call.operation.attributes[name] = attribute
        made, copies = _count(main, "memref.alloc"), _count(main, "memref.copy")
        if made != wanted or copies:
            raise InternalError(
                "bufferise", f"{made} allocations and {copies} copies where the plan has {wanted} buffers and no copy"
            )


PASS = Pass("lowtide-bufferise", "turn tensors into buffers, one allocation each and no copies", run)


def detach_layers(module: Module, stage: str) -> Operation:
    """Take the nested module with the layers' bodies out of the module."""
    return layers_of(module, stage).detach_from_parent().operation


def declared_functions(module: Module) -> list[func.FuncOp]:
    """The layers' functions at the top level."""
    functions = [view for view in module.body.operations if isinstance(view, func.FuncOp)]
    return [function for function in functions if "sym_visibility" in function.operation.attributes]


def _notes(call: Operation) -> list[tuple[str, Attribute]]:
    """What a call says of its layer."""
    return [(name, call.attributes[name]) for name in (LAYER, KERNEL) if name in call.attributes]


def _count(function: func.FuncOp, name: str) -> int:
    return sum(op.name == name for op in operations_in(function.regions[0].blocks[0]))


def _zero(element: Type) -> Value:
    if isinstance(element, IntegerType):
        return arith.constant(element, IntegerAttr.get(element, 0))
    assert isinstance(element, FloatType)
    return arith.constant(element, FloatAttr.get(element, 0.0))


def _give_placeholder(function: func.FuncOp) -> None:
    """A body that reads each input, writes the destination and returns it."""
    with function.location:
        block = function.add_entry_block()
        with InsertionPoint(block):
            arguments = [argument for argument in block.arguments if isinstance(argument.type, RankedTensorType)]
            zero = arith.constant(IndexType.get(), 0)
            for argument in arguments[:-1]:
                tensor.extract(argument, [zero] * RankedTensorType(argument.type).rank)
            target = arguments[-1]
            tensor_type = RankedTensorType(target.type)
            written = tensor.insert(_zero(tensor_type.element_type), target, [zero] * tensor_type.rank)
            func.ReturnOp([written])


def _make_declaration(function: func.FuncOp) -> None:
    """Drop the placeholder: from here on the function is a declaration again."""
    with InsertionPoint(function), function.location:
        declaration = func.FuncOp(function.name.value, function.type, visibility="private")
    for name in (BODY, REDUCTION, FLAT, BACKWARDS, CHANNELS):
        if name in function.operation.attributes:
            declaration.operation.attributes[name] = function.operation.attributes[name]
    function.operation.erase()
