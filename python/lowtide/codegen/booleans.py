"""Booleans in memory as bytes: IREE lowers no load or store of a single bit."""

from __future__ import annotations

from lowtide.ir import (
    Attribute,
    DenseElementsAttr,
    FunctionType,
    InsertionPoint,
    IntegerType,
    MemRefType,
    Module,
    Operation,
    RankedTensorType,
    Type,
    TypeAttr,
    Value,
    WalkResult,
    arith,
)

_BIT, _BYTE = 1, 8


def booleans_as_bytes(module: Module) -> None:
    """Retype every buffer of booleans in place: 0 and 1 in bytes, as LiteRT has them."""
    found: list[Operation] = []

    def visit(operation: Operation) -> WalkResult:
        found.append(operation)
        return WalkResult.ADVANCE

    module.operation.walk(visit)
    with module.context, module.operation.location:
        for operation in found:
            _retype(operation)


def _retype(operation: Operation) -> None:
    for region in operation.regions:
        for block in region.blocks:
            for argument in block.arguments:
                _retype_value(argument)
    loads = operation.name == "memref.load" and _is_bit(operation.results[0].type)
    if operation.name == "memref.store" and _is_bit(operation.operands[0].type):
        with InsertionPoint(operation), operation.location:
            operation.operands[0] = arith.extui(IntegerType.get_signless(_BYTE), operation.operands[0])
    for result in operation.results:
        _retype_value(result)
    for name in ("function_type", "type", "initial_value"):
        if name in operation.attributes:
            operation.attributes[name] = _retyped_attribute(operation.attributes[name])
    if loads:
        _narrow(operation)


def _narrow(load: Operation) -> None:
    """Let a load give a byte, and its users the bit in it."""
    byte = load.results[0]
    byte.set_type(IntegerType.get_signless(_BYTE))
    with InsertionPoint.after(load), load.location:
        bit = arith.trunci(IntegerType.get_signless(_BIT), byte)
    byte.replace_all_uses_except(bit, bit.owner.operation)


def _is_bit(type_: Type) -> bool:
    return isinstance(type_, IntegerType) and type_.width == _BIT


def _retype_value(value: Value) -> None:
    wanted = _retyped(value.type)
    if wanted != value.type:
        value.set_type(wanted)


def _retyped(type_: Type) -> Type:
    byte = IntegerType.get_signless(_BYTE)
    if isinstance(type_, MemRefType) and _is_bit(type_.element_type):
        return MemRefType.get(type_.shape, byte, type_.layout, type_.memory_space)
    if isinstance(type_, RankedTensorType) and _is_bit(type_.element_type):
        return RankedTensorType.get(type_.shape, byte)
    if isinstance(type_, FunctionType):
        return FunctionType.get([_retyped(t) for t in type_.inputs], [_retyped(t) for t in type_.results])
    return type_


def _retyped_attribute(attribute: Attribute) -> Attribute:
    if isinstance(attribute, TypeAttr):
        return TypeAttr.get(_retyped(attribute.value))
    if isinstance(attribute, DenseElementsAttr) and _is_bit(RankedTensorType(attribute.type).element_type):
        # printing and parsing is the one way the bindings offer to convert elements
        text = str(attribute).replace("true", "1").replace("false", "0")
        return Attribute.parse(text[: text.rindex(":")] + f": {_retyped(attribute.type)}")
    return attribute
