"""`.mlir` (text or bytecode): TOSA or linalg on tensors, one public function."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lowtide.errors import InputError
from lowtide.importer.foreign import strip_foreign
from lowtide.importer.resources import inline_resources
from lowtide.ir import (
    Context,
    FunctionType,
    Module,
    RankedTensorType,
    Type,
    TypeAttr,
    func,
    parse_file,
    read_bytes,
    run_pipeline,
)
from lowtide.network import IoTensor
from lowtide.normalise.analysis import ELEMENTS, defining, network_function

STAGE = "importer"


def import_mlir(path: Path, context: Context) -> tuple[Module, tuple[IoTensor, ...], tuple[IoTensor, ...]]:
    """Read a module; a dynamic leading dimension of a TOSA network's inputs becomes 1.

    Returns:
        the module, and the network's inputs and outputs (unquantised as far as the file tells).

    Raises:
        InputError: not valid IR, not one function, a transform script, or types that no buffer can hold.
    """
    where = str(path)
    module = parse_file(read_bytes(path, STAGE), context, where, stage=STAGE)
    function = network_function(module, STAGE, where)
    _refuse_script(module, where)
    strip_foreign(module)
    inline_resources(module)
    if _uses_tosa(function):
        _fix_batch(module, function)
    types: FunctionType = function.type
    names = function.name.value
    inputs = tuple(_io(t, f"{names}_arg{i}", where) for i, t in enumerate(types.inputs))
    outputs = tuple(_io(t, f"{names}_result{i}", where) for i, t in enumerate(types.results))
    return module, inputs, outputs


def _refuse_script(module: Module, where: str) -> None:
    for view in module.body.operations:
        if view.operation.name.startswith("transform."):
            remedy = "apply it with lowtide-opt, or move it to a file of its own and give that as --plan"
            raise InputError(
                STAGE, "the module holds a transform script beside the network", where=where, remedy=remedy
            )


def _uses_tosa(function: func.FuncOp) -> bool:
    return any(view.operation.name.startswith("tosa.") for view in function.regions[0].blocks[0].operations)


def _fix_batch(module: Module, function: func.FuncOp) -> None:
    """Make a dynamic leading dimension of each input 1, and let MLIR find out what that makes of all others."""
    block = function.regions[0].blocks[0]
    with module.context, function.operation.location:
        for argument in block.arguments:
            tensor = argument.type
            if isinstance(tensor, RankedTensorType) and tensor.rank and tensor.is_dynamic_dim(0):
                argument.set_type(RankedTensorType.get([1, *list(tensor.shape)[1:]], tensor.element_type))
        _retype(function, function.type.results)
        run_pipeline(module, "builtin.module(func.func(tosa-infer-shapes))", stage=STAGE)
        terminator = block.operations[len(block.operations) - 1]
        for position, operand in enumerate(terminator.operands):
            cast = defining(operand)
            if cast is not None and cast.name == "tensor.cast":
                terminator.operands[position] = cast.operands[0]
        _retype(function, [operand.type for operand in terminator.operands])
        run_pipeline(module, "builtin.module(canonicalize)", stage=STAGE)


def _retype(function: func.FuncOp, results: Sequence[Type]) -> None:
    inputs = [argument.type for argument in function.regions[0].blocks[0].arguments]
    function.operation.attributes["function_type"] = TypeAttr.get(FunctionType.get(inputs, results))


def _io(type_: Type, name: str, where: str) -> IoTensor:
    if not isinstance(type_, RankedTensorType):
        raise InputError(STAGE, f"'{type_}' of {name} is not a ranked tensor", where=where)
    if not type_.has_static_shape:
        raise InputError(
            STAGE,
            f"'{type_}' of {name} has a dimension that is not known",
            where=where,
            remedy="fix every dimension; only a leading batch dimension of a TOSA network is made 1 for you",
        )
    element = str(type_.element_type)
    if element not in ELEMENTS:
        raise InputError(STAGE, f"elements of type '{element}' ({name}) are not supported", where=where)
    return IoTensor(name, tuple(type_.shape), ELEMENTS[element])
