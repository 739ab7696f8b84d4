"""Makes unsigned element types signless: MLIR's arithmetic has no signed types, its operations say how they read bits.

TOSA does so in the flags of `tosa.rescale`, the only operation that takes unsigned tensors.
"""

from __future__ import annotations

from lowtide.ir import (
    ArrayAttr,
    Attribute,
    Block,
    DenseElementsAttr,
    FunctionType,
    IntegerType,
    Module,
    RankedTensorType,
    Type,
    TypeAttr,
    Value,
    func,
)


def make_signless(module: Module) -> None:
    """Retype every unsigned tensor of the module's functions in place."""
    with module.context, module.operation.location:
        for view in module.body.operations:
            if isinstance(view, func.FuncOp) and not view.is_external:
                _retype_block(view.regions[0].blocks[0])
                inputs = [_signless(t) for t in view.type.inputs]
                results = [_signless(t) for t in view.type.results]
                view.operation.attributes["function_type"] = TypeAttr.get(FunctionType.get(inputs, results))


def _signless(type_: Type) -> Type:
    if isinstance(type_, RankedTensorType) and isinstance(type_.element_type, IntegerType):
        element = type_.element_type
        if not element.is_signless:
            return RankedTensorType.get(type_.shape, IntegerType.get_signless(element.width), type_.encoding)
    return type_


def _retype(value: Value) -> None:
    wanted = _signless(value.type)
    if wanted != value.type:
        value.set_type(wanted)


def _retype_block(block: Block) -> None:
    for argument in block.arguments:
        _retype(argument)
    for view in block.operations:
        op = view.operation
        for name in list(op.attributes):
            op.attributes[name] = _retype_attribute(op.attributes[name])
        for result in op.results:
            _retype(result)


def _retype_attribute(attribute: Attribute) -> Attribute:
    if isinstance(attribute, ArrayAttr):
        return ArrayAttr.get([_retype_attribute(element) for element in attribute])
    if not isinstance(attribute, DenseElementsAttr) or _signless(attribute.type) == attribute.type:
        return attribute
    # printing and parsing is the one way the bindings offer to reinterpret elements
    text = str(attribute)
    return Attribute.parse(text[: text.rindex(":")] + f": {_signless(attribute.type)}")
