"""Refuses, by name and place, what no layer can hold; what passes has a loop description (`lowtide.graph`)."""

from __future__ import annotations

from lowtide.errors import InputError
from lowtide.indexing.subscripts import dimension_of
from lowtide.ir import (
    DenseElementsAttr,
    DenseI64ArrayAttr,
    FlatSymbolRefAttr,
    Module,
    Operation,
    RankedTensorType,
    ShapedType,
    Value,
    func,
)
from lowtide.normalise.analysis import (
    ELEMENTS,
    Role,
    defining,
    is_constant,
    iterator_kinds,
    network_function,
    operands_of,
    operations_in,
    role_of,
)
from lowtide.normalise.bounds import maps_of, objection_to_places
from lowtide.normalise.loops import objection_in_loop
from lowtide.normalise.naming import layer_name
from lowtide.normalise.scalars import objection_to_scalar

CUT = "cut the network before it (--until TENSOR for a .tflite)"
_LOOPS = "docs/plans.md says what a loop of MLIR's own tiling may hold"
_REMEDIES = {
    "bufferization.materialize_in_destination": 'give transform.structured.pad copy_back_op = "none" or "linalg.copy"',
}
_STATIC = ("static_low", "static_high", "static_offsets", "static_sizes", "static_strides")


class NetworkCheck:
    """Checks a module for one stage, whose name the messages bear."""

    def __init__(self, stage: str, *, loops: bool) -> None:
        self._stage = stage
        self._loops = loops

    def check(self, module: Module) -> func.FuncOp:
        """The network's function.

        Raises:
            InputError: the first thing in program order that no layer can hold.
        """
        function = network_function(module, self._stage)
        blocks = list(function.regions[0].blocks)
        if len(blocks) != 1:
            raise InputError(self._stage, "the network's function has control flow", where=f"@{function.name.value}")
        for argument in blocks[0].arguments:
            self._check_type(argument, f"input {argument.arg_number}")
        for view in blocks[0].operations:
            self._check_operation(view.operation)
        for view in module.body.operations:
            if view != function and not view.operation.name.startswith("transform."):
                raise self._refusal(f"the module holds '{view.operation.name}' beside the network", view.operation)
        return function

    def _refusal(self, message: str, op: Operation, remedy: str | None = None) -> InputError:
        return InputError(self._stage, message, where=f"'{layer_name(op)}' ({op.name})", remedy=remedy)

    def _check_operation(self, op: Operation) -> None:
        if op.name == "func.return":
            self._check_return(op)
            return
        self._check_kind(op)
        for result in op.results:
            if role_of(op) not in (Role.CONSTANT, Role.SCALAR) or isinstance(result.type, ShapedType):
                self._check_type(result, f"'{layer_name(op)}' ({op.name})")
        self._check_static(op)
        objection = objection_to_places(op)
        if objection:
            raise self._refusal(objection, op, CUT)
        if op.name == "tensor.pad":
            self._check_pad(op)
        if op.name.startswith("linalg."):
            self._check_structured(op)

    def _check_return(self, op: Operation) -> None:
        if not len(op.operands):
            raise InputError(self._stage, "the network returns nothing")
        for operand in op.operands:
            if is_undefined(operand):
                raise self._refusal("the network returns a tensor that nobody wrote", op)

    def _check_kind(self, op: Operation) -> None:
        if op.name == "func.call":
            callee = FlatSymbolRefAttr(op.attributes["callee"]).value
            raise self._refusal(f"the call of @{callee} can't be inlined", op, "give it a body; unroll recursion")
        role = role_of(op)
        # index arithmetic and loops come of MLIR's tiling alone: there are none before a script has been applied
        foreign = role is Role.OTHER or (role in (Role.LOOP, Role.SCALAR) and not self._loops)
        structured = not op.name.startswith("linalg.") or (len(op.regions) == 1 and len(op.regions[0].blocks) == 1)
        if foreign or not structured:
            raise self._refusal(f"no kernel takes '{op.name}'", op, _REMEDIES.get(op.name, CUT))
        if role is Role.LOOP:
            self._check_loop(op)
        if len(op.results) != 1:
            raise self._refusal(f"no kernel gives {len(op.results)} results at once", op, CUT)
        if op.name == "bufferization.alloc_tensor" and len(op.operands):
            raise self._refusal("an allocation with operands", op, "use tensor.empty")

    def _check_loop(self, op: Operation) -> None:
        if len(op.results) != 1:
            message = f"the loop gives {len(op.results)} tensors, a layer gives one"
            raise self._refusal(message, op, "fuse into the loop only what it alone needs")
        for inner in operations_in(op.regions[0].blocks[0]):
            objection = objection_in_loop(inner)
            if objection:
                raise self._refusal(f"the loop has {objection}", op, _REMEDIES.get(inner.name, _LOOPS))
        for value in operands_of(op):
            if isinstance(value.type, RankedTensorType):
                self._check_type(value, f"'{layer_name(op)}' ({op.name})")

    def _check_type(self, value: Value, place: str) -> None:
        kind = value.type
        if not isinstance(kind, RankedTensorType):
            raise InputError(self._stage, f"'{kind}' is not a ranked tensor", where=place)
        if not kind.has_static_shape:
            raise InputError(
                self._stage,
                f"'{kind}' has a dimension that is not known",
                where=place,
                remedy="fix every dimension in the model; only a leading batch dimension is made 1 for you",
            )
        if 0 in kind.shape:
            raise InputError(self._stage, f"'{kind}' has no elements", where=place)
        if kind.encoding is not None:
            raise InputError(self._stage, f"'{kind}' is not a dense tensor", where=place)
        if str(kind.element_type) not in ELEMENTS:
            message = f"elements of type '{kind.element_type}' are not supported"
            raise InputError(self._stage, message, where=place, remedy=f"use one of {', '.join(ELEMENTS)}")

    def _check_static(self, op: Operation) -> None:
        """Constants are dense, and so much of a view's place as is not constant is refused."""
        for name in _STATIC:
            if name in op.attributes and any(map(ShapedType.is_dynamic_size, DenseI64ArrayAttr(op.attributes[name]))):
                raise self._refusal(f"its {name.removeprefix('static_')} are not constant", op)
        is_tensor = op.name == "arith.constant" and isinstance(op.results[0].type, RankedTensorType)
        if is_tensor and not isinstance(op.attributes["value"], DenseElementsAttr):
            raise self._refusal("the constant's elements are not in the file", op, "write it as dense<…>")

    def _check_pad(self, op: Operation) -> None:
        operations = op.regions[0].blocks[0].operations
        if not is_constant(operations[len(operations) - 1].operands[0]):
            raise self._refusal("the value of the padding is not constant", op)

    def _check_structured(self, op: Operation) -> None:
        block = op.regions[0].blocks[0]
        inside: set[Value] = set(block.arguments)
        for inner in (view.operation for view in block.operations):
            self._check_scalar(inner, op, inside)
            inside.update(inner.results)
        # an output whose element is not used by the region may be undefined: it says only where results go
        for operand, argument in zip(op.operands, block.arguments, strict=False):
            if is_undefined(operand) and list(argument.uses):
                raise self._refusal("reads a tensor that nobody wrote", op, "fill it first")
        if op.name == "linalg.generic":
            self._check_maps(op)

    def _check_scalar(self, inner: Operation, op: Operation, inside: set[Value]) -> None:
        objection = objection_to_scalar(inner)
        if objection:
            raise self._refusal(objection, op, CUT)
        for operand in inner.operands:
            if isinstance(operand.type, RankedTensorType) and is_undefined(operand):
                raise self._refusal("reads a tensor that nobody wrote", op, "fill it first")
            if operand not in inside and not isinstance(operand.type, RankedTensorType) and not is_constant(operand):
                raise self._refusal("scalar code takes a value that is not constant", op)

    def _check_maps(self, op: Operation) -> None:
        # `objection_to_places` has seen to it that all subscripts are linear
        parallel = [i for i, kind in enumerate(iterator_kinds(op)) if "parallel" in kind]
        written = [dimension_of(expr) for expr in maps_of(op)[-1].results]
        if sorted(dimension for dimension in written if dimension is not None) != parallel:
            raise self._refusal("the loops that are parallel are not the dimensions of the result", op, CUT)


def check_network(module: Module, stage: str, *, loops: bool = False) -> func.FuncOp:
    """The network's function, checked by `NetworkCheck`; with `loops` it may have loops of MLIR's own tiling."""
    return NetworkCheck(stage, loops=loops).check(module)


def is_undefined(value: Value) -> bool:
    """True for `tensor.empty` and views of it."""
    op = defining(value)
    if op is None:
        return False
    role = role_of(op)
    return role is Role.EMPTY or (role in (Role.SLICE, Role.RESHAPE) and is_undefined(op.operands[0]))
