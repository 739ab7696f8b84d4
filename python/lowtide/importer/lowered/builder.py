"""Makes linalg of an operator: its operands as values, and the few forms that operators are lowered to.

What only changes shapes is `tensor` operations; all arithmetic is `linalg.generic`, whose region works on scalars. A
tensor of uint8 has signless bytes, which hold its numbers as they are: lowerings extend them without a sign.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from lowtide.errors import InputError
from lowtide.importer.tflite.model import DTYPES, Operator, Quantization, Shape, Tensor
from lowtide.ir import (
    AffineExpr,
    AffineMap,
    AffineMapAttr,
    ArrayAttr,
    Attribute,
    DenseElementsAttr,
    DenseI32ArrayAttr,
    DenseI64ArrayAttr,
    F32Type,
    FloatAttr,
    IndexType,
    InsertionPoint,
    IntegerAttr,
    IntegerType,
    Operation,
    RankedTensorType,
    Type,
    Value,
    arith,
    linalg,
    tensor,
)

Array = npt.NDArray[Any]
_BITS = {"int8": 8, "uint8": 8, "int16": 16, "int32": 32, "int64": 64, "bool": 1}


def element_type(type_: int) -> Type:
    """The MLIR type of a number of the schema's `TensorType`."""
    name = DTYPES[type_]
    return F32Type.get() if name == "float32" else IntegerType.get_signless(_BITS[name])


def integer(bits: int) -> Type:
    """The signless integer type with so many bits."""
    return IntegerType.get_signless(bits)


def shape_of(value: Value) -> Shape:
    """The shape of a tensor."""
    return tuple(RankedTensorType(value.type).shape)


def element_of(value: Value) -> Type:
    """The element type of a tensor."""
    return RankedTensorType(value.type).element_type


@dataclass(frozen=True)
class Call:
    """An operator that is to be lowered, at the current insertion point.

    Attributes:
        operator: with its options checked.
        inputs, outputs: its tensors in the file; None for an operand left out.
        values: those of the operands that are no constants.
        where: the operator's place, for messages.
    """

    operator: Operator
    inputs: Sequence[Tensor | None]
    outputs: Sequence[Tensor]
    values: Sequence[Value | None]
    where: str

    def tensor(self, position: int) -> Tensor:
        """The operand's tensor."""
        found = self.inputs[position]
        assert found is not None, "the check has seen that it is there"
        return found

    def has(self, position: int) -> bool:
        """Whether there is such an operand."""
        return position < len(self.inputs) and self.inputs[position] is not None

    def value(self, position: int) -> Value:
        """The operand; a constant becomes an operation where the first lowering asks for it."""
        found = self.values[position]
        return constant(self.array(position)) if found is None else found

    def array(self, position: int) -> Array:
        """The elements of a constant operand, in its own shape."""
        return array_of(self.tensor(position))

    def option(self, name: str) -> int:
        """An option that is an integer or a flag."""
        value = self.operator.options.get(name, 0)
        return 0 if isinstance(value, tuple) else int(value)

    def number(self, name: str) -> float:
        """An option that is a float."""
        value = self.operator.options.get(name, 0.0)
        return 0.0 if isinstance(value, tuple) else float(value)

    def scale(self, position: int) -> tuple[float, int]:
        """Scale and zero point of an operand that has one pair of them."""
        return _pair(self.tensor(position).quantization)

    def scale_made(self, position: int = 0) -> tuple[float, int]:
        """Scale and zero point of an output."""
        return _pair(self.outputs[position].quantization)

    def refuse(self, message: str, remedy: str | None = None) -> NoReturn:
        """Raise the InputError that names the operator."""
        raise InputError("importer", message, where=self.where, remedy=remedy)


def array_of(held: Tensor) -> Array:
    """The elements of a constant tensor."""
    assert held.data is not None, "the check has seen that it is a constant"
    return np.frombuffer(held.data, DTYPES[held.type]).reshape(held.shape)


def _pair(quantization: Quantization | None) -> tuple[float, int]:
    assert quantization is not None, "the check has seen that there is a scale"
    return quantization.scales[0], quantization.zero_points[0]


def constant(values: Array) -> Value:
    """A constant tensor; uint8 becomes signless bytes."""
    element = F32Type.get() if values.dtype == np.float32 else integer(_BITS[values.dtype.name])
    kind = RankedTensorType.get(values.shape, element)
    if values.dtype == np.bool_:
        # the bindings take booleans as packed bits only; text is the same for all sizes
        flat = RankedTensorType.get([values.size], element)
        text = str([bool(item) for item in values.flat]).lower()
        held = Attribute.parse(f"dense<{text}> : {flat}")
        made = Operation.create("arith.constant", [flat], attributes={"value": held}).results[0]
        return reshape(made, values.shape)
    signless = np.ascontiguousarray(values).view(np.int8) if values.dtype == np.uint8 else np.ascontiguousarray(values)
    held = DenseElementsAttr.get(signless.reshape(values.shape).data, type=kind)
    return Operation.create("arith.constant", [kind], attributes={"value": held}).results[0]


def number(kind: Type, value: float) -> Value:
    """A scalar constant."""
    if isinstance(kind, IntegerType | IndexType):
        wrapped = int(value)
        if isinstance(kind, IntegerType) and wrapped >= 1 << kind.width - 1 and kind.width > 1:
            wrapped -= 1 << kind.width
        attribute: Attribute = IntegerAttr.get(kind, wrapped)
    else:
        attribute = FloatAttr.get(kind, float(value))
    return Operation.create("arith.constant", [kind], attributes={"value": attribute}).results[0]


def i32(value: int) -> Value:
    """A scalar constant of 32 bits."""
    return number(integer(32), value)


def f32(value: float) -> Value:
    """A scalar constant float."""
    return number(F32Type.get(), value)


Body = Callable[[Sequence[Value]], Value | Sequence[Value]]


def generic(
    inputs: Sequence[tuple[Value, AffineMap]],
    outputs: Sequence[tuple[Value, AffineMap]],
    iterators: Sequence[str],
    body: Body,
) -> list[Value]:
    """A `linalg.generic`; the body gets the scalars of inputs and then of outputs and gives the outputs' new ones."""
    operands = [*inputs, *outputs]
    attributes: dict[str, Attribute] = {
        "indexing_maps": ArrayAttr.get([AffineMapAttr.get(map_) for _, map_ in operands]),
        "iterator_types": ArrayAttr.get([Attribute.parse(f"#linalg.iterator_type<{name}>") for name in iterators]),
        "operandSegmentSizes": DenseI32ArrayAttr.get([len(inputs), len(outputs)]),
    }
    made = [value.type for value, _ in outputs]
    op = Operation.create("linalg.generic", made, [value for value, _ in operands], attributes, regions=1)
    block = op.regions[0].blocks.append(*(element_of(value) for value, _ in operands))
    with InsertionPoint(block):
        found = body(list(block.arguments))
        linalg.yield_([found] if isinstance(found, Value) else list(found))
    return list(op.results)


def empty(shape: Shape, element: Type) -> Value:
    """A tensor without contents, to be written."""
    return tensor.empty(list(shape), element)


def filled(shape: Shape, value: Value) -> Value:
    """A tensor whose elements are all one scalar."""
    out = empty(shape, value.type)
    return linalg.fill(value, outs=[out])


def dims(count: int) -> list[AffineExpr]:
    """The loop variables of a nest."""
    return [AffineExpr.get_dim(position) for position in range(count)]


def broadcast_map(shape: Shape, made: Shape) -> AffineMap:
    """How elements of a tensor go with those of a result to which it is broadcast."""
    missing, zero = len(made) - len(shape), AffineExpr.get_constant(0)
    found = [
        zero if size == 1 and made[missing + axis] != 1 else AffineExpr.get_dim(missing + axis)
        for axis, size in enumerate(shape)
    ]
    return AffineMap.get(len(made), 0, found)


def elementwise(values: Sequence[Value], element: Type, body: Body, shape: Shape | None = None) -> Value:
    """A result computed element by element; operands are broadcast to its shape, by default their common one."""
    made = shape if shape is not None else np.broadcast_shapes(*(shape_of(value) for value in values))
    inputs = [(value, broadcast_map(shape_of(value), made)) for value in values]
    out = (empty(made, element), AffineMap.get_identity(len(made)))
    return generic(inputs, [out], ["parallel"] * len(made), lambda scalars: body(scalars[: len(values)]))[0]


def reduce(value: Value, axes: Sequence[int], start: Value, body: Body, *, keep: bool = False) -> Value:
    """A reduction over axes from a start value; the body gets an element and what there is so far."""
    shape = shape_of(value)
    kept = [axis for axis in range(len(shape)) if axis not in axes]
    out = filled(tuple(shape[axis] for axis in kept), start)
    maps = AffineMap.get_identity(len(shape)), AffineMap.get(len(shape), 0, [AffineExpr.get_dim(axis) for axis in kept])
    iterators = ["reduction" if axis in axes else "parallel" for axis in range(len(shape))]
    made = generic([(value, maps[0])], [(out, maps[1])], iterators, body)[0]
    return reshape(made, tuple(1 if axis in axes else size for axis, size in enumerate(shape))) if keep else made


def reshape(value: Value, shape: Shape) -> Value:
    """The same elements in another shape."""
    before = shape_of(value)
    if tuple(before) == tuple(shape):
        return value
    element = element_of(value)
    count = int(np.prod(before, dtype=np.int64))
    if len(before) != 1:
        groups = [list(range(len(before)))] if before else []
        value = _shaped("tensor.collapse_shape" if before else "tensor.expand_shape", value, (count,), element, groups)
    if len(shape) == 1:
        return value
    groups = [list(range(len(shape)))] if shape else []
    return _shaped("tensor.expand_shape" if shape else "tensor.collapse_shape", value, shape, element, groups)


def _shaped(name: str, value: Value, shape: Shape, element: Type, groups: Sequence[Sequence[int]]) -> Value:
    attributes: dict[str, Attribute] = {
        "reassociation": ArrayAttr.get(
            [ArrayAttr.get([IntegerAttr.get(integer(64), axis) for axis in group]) for group in groups]
        )
    }
    if name == "tensor.expand_shape":
        attributes["static_output_shape"] = DenseI64ArrayAttr.get(list(shape))
    return Operation.create(name, [RankedTensorType.get(shape, element)], [value], attributes).results[0]


def pad(value: Value, low: Sequence[int], high: Sequence[int], filler: Value) -> Value:
    """A tensor with so many elements before and behind it along each axis."""
    if not any(low) and not any(high):
        return value
    shape = [size + below + above for size, below, above in zip(shape_of(value), low, high, strict=True)]
    attributes: dict[str, Attribute] = {
        "static_low": DenseI64ArrayAttr.get(list(low)),
        "static_high": DenseI64ArrayAttr.get(list(high)),
        "operandSegmentSizes": DenseI32ArrayAttr.get([1, 0, 0]),
    }
    made = RankedTensorType.get(shape, element_of(value))
    op = Operation.create("tensor.pad", [made], [value], attributes, regions=1)
    block = op.regions[0].blocks.append(*[IndexType.get()] * len(shape))
    with InsertionPoint(block):
        tensor.yield_(filler)
    return op.results[0]


def slice_of(value: Value, begin: Sequence[int], shape: Shape, strides: Sequence[int] | None = None) -> Value:
    """The part of a tensor from `begin` on with the given shape."""
    attributes: dict[str, Attribute] = {
        "static_offsets": DenseI64ArrayAttr.get(list(begin)),
        "static_sizes": DenseI64ArrayAttr.get(list(shape)),
        "static_strides": DenseI64ArrayAttr.get(list(strides or [1] * len(shape))),
        "operandSegmentSizes": DenseI32ArrayAttr.get([1, 0, 0, 0]),
    }
    made = RankedTensorType.get(shape, element_of(value))
    return Operation.create("tensor.extract_slice", [made], [value], attributes).results[0]


def transpose(value: Value, order: Sequence[int]) -> Value:
    """A tensor with its axes in another order: axis i of the result is axis order[i] of the operand."""
    shape = shape_of(value)
    made = tuple(shape[axis] for axis in order)
    # loop variable i goes along axis i of the result
    back = AffineMap.get(len(shape), 0, [AffineExpr.get_dim(list(order).index(axis)) for axis in range(len(shape))])
    out = (empty(made, element_of(value)), AffineMap.get_identity(len(made)))
    return generic([(value, back)], [out], ["parallel"] * len(made), lambda scalars: scalars[0])[0]


def concatenate(values: Sequence[Value], axis: int) -> Value:
    """Tensors one behind the other along an axis."""
    if len(values) == 1:
        return values[0]
    shapes = [shape_of(value) for value in values]
    made = (*shapes[0][:axis], sum(shape[axis] for shape in shapes), *shapes[0][axis + 1 :])
    whole, begin = empty(made, element_of(values[0])), 0
    for value, shape in zip(values, shapes, strict=True):
        whole = inserted(value, whole, [begin if at == axis else 0 for at in range(len(made))])
        begin += shape[axis]
    return whole


def inserted(value: Value, whole: Value, begin: Sequence[int]) -> Value:
    """A tensor in which a part from `begin` on is replaced."""
    attributes: dict[str, Attribute] = {
        "static_offsets": DenseI64ArrayAttr.get(list(begin)),
        "static_sizes": DenseI64ArrayAttr.get(list(shape_of(value))),
        "static_strides": DenseI64ArrayAttr.get([1] * len(begin)),
        "operandSegmentSizes": DenseI32ArrayAttr.get([1, 1, 0, 0, 0]),
    }
    return Operation.create("tensor.insert_slice", [whole.type], [value, whole], attributes).results[0]


def place_along(axis: int) -> Value:
    """The index along an axis of the iteration space, inside a body."""
    dimension = {"dim": IntegerAttr.get(integer(64), axis)}
    return Operation.create("linalg.index", [IndexType.get()], attributes=dimension).results[0]


def loop_index(dimension: int) -> Value:
    """Where a body's loop nest is along one of its dimensions, in 32 bits."""
    return arith.index_cast(integer(32), place_along(dimension))


def taken_at(source: Value, places: Sequence[Value]) -> Value:
    """The element of a tensor at an index along each axis, inside a body."""
    return tensor.extract(source, [arith.index_cast(IndexType.get(), place) for place in places])


def looked_up(table: Value, place: Value) -> Value:
    """The element of a constant list at an index, inside a body."""
    return tensor.extract(table, [arith.index_cast(IndexType.get(), place)])


def tabulated(value: Value, table: Array) -> Value:
    """For each byte of a tensor the entry of a table that goes by the byte's value as unsigned number."""
    # TOSA's tables go by the signed value, from -128 on
    signed = np.ascontiguousarray(np.roll(table.view(np.int8), 128))
    kind = RankedTensorType.get([256], integer(8))
    values: dict[str, Attribute] = {"values": DenseElementsAttr.get(signed.data, type=kind)}
    held = Operation.create("tosa.const", [kind], attributes=values).results[0]
    return Operation.create("tosa.table", [value.type], [value, held]).results[0]
