"""Which rows of its inputs a layer needs for a row of its output: what loops by rows are made from.

A *row* is an index of a tensor's outermost dimension of more than one element: dense in memory whatever the layout. Row
windows come from the loop description that emits the code, so they hold for every stride, pad and dilation.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from lowtide.graph.nest import (
    Filled,
    LayerBody,
    Node,
    Operand,
    Shape,
    Structured,
    iteration_space,
    loops_over,
    output_dimensions,
    reachable,
    sources_at,
    split,
    substitute,
)
from lowtide.graph.profile import Access, accesses, arguments_of
from lowtide.graph.program import RowAccess, Window, hull
from lowtide.indexing.linear import Index, Linear, Var
from lowtide.ir import IntegerType, RankedTensorType, ShapedType


def row_dimension(shape: Sequence[int]) -> int:
    """The outermost dimension of more than one element; the innermost of all where there is none."""
    return next((d for d, extent in enumerate(shape) if extent > 1), max(len(shape) - 1, 0))


@dataclass(frozen=True)
class Accumulation:
    """A reduction over the rows of one input, which can take them a few at a time.

    Attributes:
        node: the reduction; all else of the layer is computed from its result once it is complete.
        dimension: of its iteration space, whose value is the input's row.
        argument: the input.
        columns: the dimension whose value is the input's column, None where there is none.
    """

    node: Structured
    dimension: int
    argument: int
    columns: int | None = None


Axis = Literal["rows", "columns", "channels"]


def axis_dimension(shape: Sequence[int], axis: Axis) -> int | None:
    """The dimension of rows, of columns (after the rows, where another follows), or of channels (the innermost)."""
    row = row_dimension(shape)
    if axis == "rows":
        return row
    if axis == "channels":
        return len(shape) - 1 if shape else None
    return row + 1 if row + 1 < len(shape) - 1 else None


def windows_of(body: LayerBody, axis: Axis) -> dict[int, Window | None] | None:
    """The window of each tensor argument that the layer reads, None for one of which it may read any row.

    Args:
        body: the layer's loop description.
        axis: of what the windows are; "row" stands for column or channel too.

    Returns:
        None where the layer can't go through its output by rows.
    """
    if not body.destination or len(body.destination) != len(body.result.shape):
        return None
    row = axis_dimension(body.destination, axis)
    if row is None or max(body.destination[row_dimension(body.destination)], body.destination[row]) < 2:
        return None
    if (body.result.shape[row], body.offsets[row], body.strides[row]) != (body.destination[row], 0, 1):
        return None
    loops, index = loops_over(body.result.shape)
    windows: dict[int, Window | None] = {}
    for argument in sorted(arguments_of(body.result)):
        read = accesses(body.result, index, argument, _Splitting(loops[row]), padded=False)
        found = [_window(access, loops, row, axis) for access in read]
        windows[argument] = hull(found)
    return windows


@dataclass(frozen=True)
class _Splitting:
    """Finds subscripts through a reshape that cuts a dimension in two, unless that is the dimension of the rows."""

    row: Var

    def divided(self, flat: Linear, shape: Shape) -> Index | None:
        """See `split`."""
        found = split(flat, shape)
        kept = found is not None and (self.row not in flat.variables or any(self.row in i.variables for i in found))
        return found if kept else None


def _window(access: Access | None, loops: Sequence[Var], row: int, axis: Axis) -> Window | None:
    if access is None or not access.shape:
        return None
    dimension = axis_dimension(access.shape, axis)
    if dimension is None:
        return None
    subscript = access.index[dimension]
    if any(subscript.coefficient(var) for position, var in enumerate(loops) if position != row):
        return None
    stride = subscript.coefficient(loops[row])
    low, high = subscript.without(loops[row]).bounds()
    return None if stride < 0 else Window(stride, low, high)


def accumulation_of(body: LayerBody, activations: Iterable[int], axis: Axis = "rows") -> Accumulation | None:
    """The layer as a sum (or maximum) over rows (or channels) of its one activation, None where it is no such thing.

    Floats must be added in the same order: there the rows must be the outermost loop of the reduction.
    """
    reductions = [node for node in reachable(body.result) if isinstance(node, Structured) and node.is_reduction]
    inputs = list(activations)
    if len(reductions) != 1 or len(inputs) != 1:
        return None
    node, argument = reductions[0], inputs[0]
    if argument in arguments_of(_without(body.result, node)) | arguments_of(node.init):
        return None
    space = iteration_space(node)
    found = _accesses_near_zero(node, argument, space)
    if not found:
        return None
    reduced = [d for d, kind in enumerate(node.kinds) if kind == "reduction" and node.extents[d] > 1]
    dimension = _reduced(node, found, space, axis)
    exact = isinstance(RankedTensorType(node.op.results[0].type).element_type, IntegerType)
    if dimension is None or (dimension != reduced[0] and not (exact and axis == "channels")):
        return None
    columns = _reduced(node, found, space, "columns") if axis == "rows" else None
    return Accumulation(node, dimension, argument, columns)


def _accesses_near_zero(node: Structured, argument: int, space: tuple[Var, ...]) -> list[Access]:
    """How the reduction reads the argument for its first element and for the next one along each dimension.

    Subscripts are linear up to reshapes, so what is the same for all of these does not depend on the element. Empty
    where it reads the argument in several places, or in an unknown one.
    """
    found: list[Access] = []
    for step in [None, *(d for d, extent in enumerate(node.shape) if extent > 1)]:
        element = tuple(Linear((), int(d == step)) for d in range(len(node.shape)))
        sources = sources_at(node, output_dimensions(node, element, space))[:-1]
        here = [access for source in sources for access in accesses(*source, argument, None, padded=False)]
        if len(here) != 1 or here[0] is None or not here[0].shape:
            return []
        found.append(here[0])
    return found


def _reduced(node: Structured, found: Sequence[Access], space: Sequence[Var], axis: Axis) -> int | None:
    """The dimension of the reduction that is the input's row, column or channel, whatever the element."""
    shape = found[0].shape
    place = axis_dimension(shape, axis)
    if place is None:
        return None
    for dimension, (kind, extent) in enumerate(zip(node.kinds, node.extents, strict=True)):
        own = all(access.index[place] == Linear.of(space[dimension]) for access in found)
        if kind == "reduction" and own and extent == shape[place] > 1:
            return dimension
    return None


def _rows(shape: Shape) -> int:
    return shape[row_dimension(shape)]


def _without(node: Node, reduction: Structured) -> Node:
    """The node with the result of the reduction in the place of what it is computed from."""
    return substitute(node, reduction, Filled(reduction.shape, None))


def starting_body(body: LayerBody, accumulation: Accumulation) -> tuple[LayerBody, tuple[int, ...]]:
    """The layer that fills the accumulator before the loop, and the numbers of the arguments that it needs."""
    node = accumulation.node
    used = tuple(sorted(arguments_of(node.init)))
    result = node.init
    for operand in reachable(node.init):
        if isinstance(operand, Operand):
            result = substitute(result, operand, Operand(used.index(operand.argument), operand.shape))
    arguments = (*(body.arguments[a] for a in used), node.op.results[0].type)
    none, all_of_them = (0,) * len(node.shape), (1,) * len(node.shape)
    return LayerBody(arguments, result, none, all_of_them, node.shape), used


def copying_body(kind: RankedTensorType) -> LayerBody:
    """What copies a whole tensor."""
    shape = tuple(kind.shape)
    return LayerBody((kind, kind), Operand(0, shape), (0,) * len(shape), (1,) * len(shape), shape)


def finishing_body(body: LayerBody, accumulation: Accumulation) -> LayerBody:
    """What is left to do once the reduction is complete: its result takes the activation's place."""
    result = substitute(body.result, accumulation.node, Operand(accumulation.argument, accumulation.node.shape))
    arguments = list(body.arguments)
    arguments[accumulation.argument] = accumulation.node.op.results[0].type
    return replace(body, arguments=tuple(arguments), result=result)


def accumulating_body(body: LayerBody, accumulation: Accumulation) -> LayerBody:
    """What a call that takes some rows does: the reduction alone, from the destination on, which is the accumulator."""
    node = accumulation.node
    kind = node.op.results[0].type
    result = replace(node, init=Operand(len(body.arguments) - 1, node.shape))
    none, all_of_them = (0,) * len(node.shape), (1,) * len(node.shape)
    return LayerBody((*body.arguments[:-1], kind), result, none, all_of_them, node.shape)


def row_access(body: LayerBody, operands: Mapping[int, tuple[int, Shape]]) -> RowAccess:
    """How a layer can go by the rows and columns of the buffers that it uses.

    Args:
        body: its loop description.
        operands: by number of the argument (activations only) the tensor behind it, and that tensor's shape.
    """
    rows, columns = _reach(body, operands, "rows"), _reach(body, operands, "columns")
    accumulation = accumulation_of(body, operands)
    if accumulation is None:
        return RowAccess(rows, None, columns)
    tensor, shape = operands[accumulation.argument]
    whole = accumulation.node.extents[accumulation.dimension]
    if _rows(shape) < 2 or whole % _rows(shape):
        return RowAccess(rows, None, columns)
    # a view that is all reduced in one loop (flatten, then dense) is cut at any pixel
    flat = whole == math.prod(shape) and axis_dimension(shape, "columns") is not None
    return RowAccess(rows, tensor, columns, flat or accumulation.columns is not None)


def _reach(
    body: LayerBody, operands: Mapping[int, tuple[int, Shape]], axis: Axis
) -> tuple[tuple[int, Window | None], ...] | None:
    windows = windows_of(body, axis)
    if windows is None:
        return None
    found: dict[int, list[Window | None]] = {}
    for argument, window in windows.items():
        if argument in operands:
            tensor, shape = operands[argument]
            viewed = tuple(ShapedType(body.arguments[argument]).shape)
            same = channels_of(viewed) == channels_of(shape) if axis == "channels" else _alike(viewed, shape)
            found.setdefault(tensor, []).append(window if same else None)
    return tuple((tensor, hull(of_one)) for tensor, of_one in found.items())


def channel_access(body: LayerBody, operands: Mapping[int, tuple[int, Shape]]) -> RowAccess:
    """How a layer can go by the channels of the buffers that it uses; arguments as for `row_access`."""
    windows = _reach(body, operands, "channels")
    accumulation = accumulation_of(body, operands, "channels")
    if accumulation is None:
        return RowAccess(windows)
    tensor, shape = operands[accumulation.argument]
    same = accumulation.node.extents[accumulation.dimension] == channels_of(shape)
    return RowAccess(windows, tensor if same else None)


def channels_of(shape: Shape) -> int:
    """Extent of the innermost dimension."""
    return shape[-1] if shape else 1


def _alike(one: Shape, other: Shape) -> bool:
    return extents_of(one) == extents_of(other)


def extents_of(shape: Shape) -> tuple[int, int]:
    """Rows and columns of a tensor; one column where no such dimension is between rows and channels."""
    column = axis_dimension(shape, "columns")
    return (_rows(shape) if shape else 1), 1 if column is None else shape[column]
