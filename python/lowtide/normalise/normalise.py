"""Brings any linalg network into the form that layers are cut from.

One function, one block, static shapes, batch 1; structured ops over tensors with pads, slices and reshapes between
them. Constants are folded through reshapes; what the importer left behind (assertions, target attributes) is gone.
"""

from __future__ import annotations

from collections.abc import Mapping

from lowtide.errors import InputError
from lowtide.ir import Module, Operation, RankedTensorType, Value, func, run_pipeline
from lowtide.normalise.analysis import ELEMENTS, Role, role_of
from lowtide.normalise.naming import layer_name
from lowtide.passes import Pass

PIPELINE = "builtin.module(inline,canonicalize,cse,func.func(linalg-inline-scalar-operands),canonicalize,cse)"


def run(module: Module, _: Mapping[str, str]) -> None:
    """Normalise in place; `InputError` names the first operation that no layer can hold."""
    functions = [view for view in module.body.operations if isinstance(view, func.FuncOp)]
    public = [f for f in functions if not f.is_external and "sym_visibility" not in f.operation.attributes]
    if len(public) != 1:
        raise InputError(
            "normalise",
            f"the module has {len(public)} public functions with a body, one is wanted",
            remedy="mark helpers private; they are inlined",
        )
    run_pipeline(module, PIPELINE, stage="normalise")
    _check(public[0] if len(functions) == 1 else _only_function(module))


PASS = Pass("lowtide-normalise", "bring a linalg network into the form that layers are cut from", run)


def _only_function(module: Module) -> func.FuncOp:
    functions = [view for view in module.body.operations if isinstance(view, func.FuncOp)]
    if len(functions) != 1:
        raise InputError("normalise", "the network calls functions that could not be inlined")
    return functions[0]


def _check(function: func.FuncOp) -> None:
    blocks = list(function.regions[0].blocks)
    if len(blocks) != 1:
        raise InputError("normalise", "the network's function has control flow", where=function.name.value)
    for argument in blocks[0].arguments:
        _check_type(argument, f"input {argument.arg_number}")
    for view in blocks[0].operations:
        op = view.operation
        place = f"'{layer_name(op)}' ({op.name})"
        if role_of(op) is Role.OTHER and op.name != "func.return":
            raise InputError(
                "normalise", f"no kernel takes '{op.name}'", where=place, remedy="compile up to it with --until TENSOR"
            )
        for result in op.results:
            if role_of(op) is not Role.CONSTANT or isinstance(result.type, RankedTensorType):
                _check_type(result, place)
    _check_return(blocks[0].operations[len(blocks[0].operations) - 1].operation)


def _check_return(op: Operation) -> None:
    if not list(op.operands):
        raise InputError("normalise", "the network returns nothing")


def _check_type(value: Value, place: str) -> None:
    if not isinstance(value.type, RankedTensorType):
        raise InputError("normalise", f"'{value.type}' is not a ranked tensor", where=place)
    tensor = RankedTensorType(value.type)
    if not tensor.has_static_shape:
        raise InputError(
            "normalise",
            f"'{tensor}' has a dimension that is not known",
            where=place,
            remedy="fix every dimension in the model; only a leading batch dimension is made 1 for you",
        )
    if str(tensor.element_type) not in ELEMENTS:
        raise InputError("normalise", f"elements of type '{tensor.element_type}' are not supported", where=place)
