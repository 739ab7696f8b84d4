"""`.mlir` (text or bytecode): TOSA or linalg on tensors, one public function."""

from __future__ import annotations

from pathlib import Path

from lowtide.errors import InputError
from lowtide.ir import (
    Context,
    FunctionType,
    Module,
    RankedTensorType,
    Type,
    TypeAttr,
    func,
    read_module,
    run_pipeline,
)
from lowtide.network import IoTensor
from lowtide.normalise.analysis import ELEMENTS, network_function

STAGE = "importer"


def import_mlir(path: Path, context: Context) -> tuple[Module, tuple[IoTensor, ...], tuple[IoTensor, ...]]:
    """Read a module; a dynamic leading dimension of a TOSA network's inputs becomes 1.

    Returns:
        the module, and the network's inputs and outputs (unquantised as far as the file tells).

    Raises:
        InputError: not valid IR, not one function, or types that no buffer can hold.
    """
    module = read_module(path, context, stage=STAGE)
    where = str(path)
    function = network_function(module, STAGE)
    if _uses_tosa(function):
        _fix_batch(module, function)
    types: FunctionType = function.type
    names = function.name.value
    inputs = tuple(_io(t, f"{names}_arg{i}", where) for i, t in enumerate(types.inputs))
    outputs = tuple(_io(t, f"{names}_result{i}", where) for i, t in enumerate(types.results))
    return module, inputs, outputs


def _uses_tosa(function: func.FuncOp) -> bool:
    return any(view.operation.name.startswith("tosa.") for view in function.regions[0].blocks[0].operations)


def _fix_batch(module: Module, function: func.FuncOp) -> None:
    block = function.regions[0].blocks[0]
    for argument in block.arguments:
        tensor = argument.type
        if isinstance(tensor, RankedTensorType) and tensor.rank and tensor.is_dynamic_dim(0):
            argument.set_type(RankedTensorType.get([1, *list(tensor.shape)[1:]], tensor.element_type))
    _retype(function)
    run_pipeline(module, "builtin.module(func.func(tosa-infer-shapes),canonicalize)", stage=STAGE)


def _retype(function: func.FuncOp) -> None:
    block = function.regions[0].blocks[0]
    inputs: list[Type] = [argument.type for argument in block.arguments]
    with function.operation.context:
        kind = FunctionType.get(inputs, list(function.type.results))
        function.operation.attributes["function_type"] = TypeAttr.get(kind)


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
