"""Puts what lowtide lowers itself between what the TOSA converter made, in one function of the whole model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lowtide.errors import InternalError
from lowtide.importer.lowered.builder import Call, array_of, constant, element_type
from lowtide.importer.lowered.library import inputs_of, lowering_for, outputs_of
from lowtide.importer.tflite.model import Model, Operator, Tensor
from lowtide.importer.tflite.partition import Partition
from lowtide.ir import (
    Block,
    Context,
    FunctionType,
    InsertionPoint,
    Location,
    Module,
    Operation,
    RankedTensorType,
    StringAttr,
    Type,
    Value,
    func,
)
from lowtide.normalise.analysis import network_function

STAGE = "importer"
_NAME = "main"


def empty_module(context: Context) -> Module:
    """The module of a model of which the converter takes nothing."""
    with Location.unknown(context):
        return Module.create()


def stitch(module: Module, partition: Partition, where: str) -> None:
    """Lower the operators that the converter did not get, in place; all types are signless already.

    Raises:
        InputError: an operator has operands that LiteRT does not compute with either.
    """
    if not partition.lowered:
        return
    model = partition.model
    with module.context, Location.unknown(module.context):
        converted = partition.converted
        old = None if converted is None else network_function(module, STAGE)
        inputs = [_type(model.tensors[index]) for index in model.inputs]
        outputs = [_type(model.tensors[index]) for index in model.outputs]
        with InsertionPoint(module.body):
            made = func.FuncOp(_NAME if old is None else f"{_NAME}_whole", FunctionType.get(inputs, outputs))
        block = made.add_entry_block()
        values: dict[int, Value] = dict(zip(model.inputs, block.arguments, strict=True))
        pending: dict[int, Value] = {}
        if old is not None and converted is not None:
            pending = _take_over(old, converted, block, values)
        _lower(partition.lowered, model, block, values, where)
        for index, argument in pending.items():
            argument.replace_all_uses_with(values[index])
        results = [_result(model, index, block, values) for index in model.outputs]
        _sort(block)
        with InsertionPoint(block):
            func.ReturnOp(results)
        if old is not None:
            name = StringAttr(old.operation.attributes["sym_name"]).value
            old.operation.erase()
            made.operation.attributes["sym_name"] = StringAttr.get(name)


def _type(tensor: Tensor) -> Type:
    return RankedTensorType.get(tensor.shape, element_type(tensor.type))


def _take_over(old: func.FuncOp, converted: Model, block: Block, values: dict[int, Value]) -> dict[int, Value]:
    """Move the converter's operations into the block; its arguments that stand for what is still to be lowered.

    `values` gets what the operations make for others.
    """
    source = old.regions[0].blocks[0]
    operations = [view.operation for view in source.operations]
    end = operations.pop()
    pending: dict[int, Value] = {}
    for index, argument in zip(converted.inputs, list(source.arguments), strict=True):
        if index in values:
            argument.replace_all_uses_with(values[index])
        else:
            pending[index] = argument
    # read after the arguments were replaced: an output of the converter's part may be one of its inputs
    values.update(zip(converted.outputs, list(end.operands), strict=True))
    end.erase()
    for op in operations:
        op.detach_from_parent()
        InsertionPoint(block).insert(op)
    return pending


def _lower(operators: Sequence[Operator], model: Model, block: Block, values: dict[int, Value], where: str) -> None:
    """Lower operators one after another; operands that the converter has still to make are there already."""
    for operator in operators:
        inputs = inputs_of(model, operator)
        outputs = outputs_of(model, operator)
        lowering = lowering_for(operator, inputs, outputs)
        assert lowering is not None
        given = [values.get(index) for index in operator.inputs]
        call = Call(operator, inputs, outputs, given, f"{where}, {model.place(operator)}")
        with Location.name(outputs[0].name), InsertionPoint(block):
            found = list(lowering.emit(call))
        for index, tensor, value in zip(operator.outputs, outputs, found, strict=True):
            if value.type != _type(tensor):
                raise InternalError(STAGE, f"{operator.name} made '{value.type}', not '{_type(tensor)}'", where=where)
            values[index] = value


def _result(model: Model, index: int, block: Block, values: Mapping[int, Value]) -> Value:
    """A value of the function's: computed, or a constant of the file."""
    if index in values:
        return values[index]
    tensor = model.tensors[index]
    assert tensor.data is not None
    with InsertionPoint(block):
        return constant(array_of(tensor))


def _sort(block: Block) -> None:
    """Bring the operations into an order in which each comes after those that it reads."""
    placed: set[Value] = set()
    order: list[Operation] = []
    operations = [view.operation for view in block.operations]
    made: dict[Value, Operation] = {result: op for op in operations for result in op.results}
    for first in operations:
        stack = [first]
        while stack:
            op = stack[-1]
            before = [made[v] for v in _read(op) if v in made and v not in placed]
            if before:
                stack.extend(before)
                continue
            stack.pop()
            if not all(result in placed for result in op.results):
                placed.update(op.results)
                order.append(op)
    for op in order:
        op.detach_from_parent()
        InsertionPoint(block).insert(op)


def _read(op: Operation) -> list[Value]:
    """The values that an operation reads, in its regions too."""
    inside = [v for region in op.regions for b in region.blocks for view in b.operations for v in _read(view.operation)]
    return [*op.operands, *inside]
