"""Reads a layer's loop description off its outlined function (tensors in, destination last, one result)."""

from __future__ import annotations

import math

from lowtide.errors import InternalError
from lowtide.graph.nest import (
    Filled,
    Kind,
    LayerBody,
    Node,
    Operand,
    Padded,
    Reshaped,
    Shape,
    Sliced,
    Structured,
    Undefined,
    loops_over,
    row_major,
)
from lowtide.indexing.subscripts import dimension_of
from lowtide.ir import (
    AffineMap,
    AffineMapAttr,
    ArrayAttr,
    Attribute,
    BlockArgument,
    DenseElementsAttr,
    DenseI64ArrayAttr,
    Operation,
    ShapedType,
    Value,
    func,
)
from lowtide.normalise.analysis import defining, is_constant


def shape_of(value: Value) -> Shape:
    """Static shape of a tensor or memref value; () for a scalar."""
    return tuple(value.type.shape) if isinstance(value.type, ShapedType) else ()


def read_layer(function: func.FuncOp) -> LayerBody:
    """The description of one outlined layer, whose linalg ops are all in generic form.

    Raises:
        InternalError: the body has an operation that no description covers.
    """
    block = function.regions[0].blocks[0]
    reader = _Reader()
    terminator = block.operations[len(block.operations) - 1]
    returned = terminator.operands[0]
    owner = defining(returned)
    arguments, destination = tuple(argument.type for argument in block.arguments), shape_of(returned)
    if owner is None or owner.name != "tensor.insert_slice":
        rank = len(destination)
        return LayerBody(arguments, reader.node(returned), (0,) * rank, (1,) * rank, destination)
    result = _reshaped(reader.node(owner.operands[0]), _static(owner, "static_sizes"))
    offsets, strides = _static(owner, "static_offsets"), _static(owner, "static_strides")
    return _unshaped(LayerBody(arguments, result, offsets, strides, destination))


def _unshaped(body: LayerBody) -> LayerBody:
    """The same layer, not reshaped last where its result is a run of the destination: subscripts without a division."""
    result = body.result
    while isinstance(result, Reshaped):
        result = result.source
    _, index = loops_over(body.result.shape)
    place = row_major(body.destination, body.target(index))
    if result is body.result or place.terms != row_major(body.result.shape, index).terms:
        return body
    return LayerBody(body.arguments, result, (place.const,), (1,), (math.prod(body.destination),))


def _reshaped(node: Node, shape: Shape) -> Node:
    return node if node.shape == shape else Reshaped(node, shape)


def _static(op: Operation, name: str) -> Shape:
    return tuple(DenseI64ArrayAttr(op.attributes[name]))


class _Reader:
    """Reads each value once, so that what the IR shares stays shared."""

    def __init__(self) -> None:
        self._nodes: dict[Value, Node] = {}

    def node(self, value: Value) -> Node:
        if value not in self._nodes:
            self._nodes[value] = self._read(value)
        return self._nodes[value]

    def _read(self, value: Value) -> Node:
        shape = shape_of(value)
        if not isinstance(value.type, ShapedType):
            return Filled(shape, value)
        op = defining(value)
        return Operand(BlockArgument(value).arg_number, shape) if op is None else self._read_op(op, shape)

    def _read_op(self, op: Operation, shape: Shape) -> Node:
        match op.name:
            case "tensor.empty":
                node = Undefined(shape)
            case "arith.constant" if DenseElementsAttr(op.attributes["value"]).is_splat:
                node = Filled(shape, None, op)
            case "linalg.fill":
                node = Filled(shape, op.operands[0])
            case "tensor.pad":
                low, scalar = _static(op, "static_low"), _terminator(op).operands[0]
                node = Padded(self.node(op.operands[0]), low, shape, scalar)
            case "tensor.extract_slice":
                offsets, strides = _static(op, "static_offsets"), _static(op, "static_strides")
                part = Sliced(self.node(op.operands[0]), offsets, strides, _static(op, "static_sizes"))
                node = _reshaped(part, shape)
            case "tensor.collapse_shape" | "tensor.expand_shape":
                node = Reshaped(self.node(op.operands[0]), shape)
            case "linalg.generic":
                scalar = _fill_value(op)
                node = self._structured(op, shape) if scalar is None else Filled(shape, scalar)
            case _:
                raise InternalError("graph", f"no loop description for '{op.name}'", where=str(op.location))
        return node

    def _structured(self, op: Operation, shape: Shape) -> Structured:
        maps = tuple(AffineMapAttr(attribute).value for attribute in ArrayAttr(op.attributes["indexing_maps"]))
        kinds: tuple[Kind, ...] = tuple(_kind(attribute) for attribute in ArrayAttr(op.attributes["iterator_types"]))
        operands = list(op.operands)
        extents = _extents(len(kinds), maps, [shape_of(operand) for operand in operands], op)
        inputs = tuple(self.node(operand) for operand in operands[:-1])
        return Structured(op, inputs, self.node(operands[-1]), maps, extents, kinds, shape)


def _terminator(op: Operation) -> Operation:
    operations = op.regions[0].blocks[0].operations
    return operations[len(operations) - 1].operation


def _fill_value(op: Operation) -> Value | None:
    """The scalar that a generic op writes everywhere, if it is a fill."""
    yielded = _terminator(op).operands[0]
    if isinstance(yielded, BlockArgument) and yielded.owner == op.regions[0].blocks[0]:
        yielded = op.operands[yielded.arg_number]
    return yielded if is_constant(yielded) and not isinstance(yielded.type, ShapedType) else None


def _kind(attribute: Attribute) -> Kind:
    return "reduction" if "reduction" in str(attribute) else "parallel"


def _extents(rank: int, maps: tuple[AffineMap, ...], shapes: list[Shape], op: Operation) -> Shape:
    """Size of each loop: the extent of a dimension that some operand is subscripted by alone."""
    found: dict[int, int] = {}
    for amap, shape in zip(maps, shapes, strict=True):
        for expr, extent in zip(amap.results, shape, strict=True):
            dimension = dimension_of(expr)
            if dimension is not None:
                found.setdefault(dimension, extent)
    if len(found) != rank:
        message = "a loop of this operation has no operand that gives its size"
        raise InternalError("graph", message, where=str(op.location))
    return tuple(found[i] for i in range(rank))
