"""The loop description of a layer: what each output element is computed from.

A layer's body is a small graph of tensor-valued nodes. Nothing but the layer's output is ever stored: kernels
compute an output element through the graph, so pads, accumulators and epilogues need no memory of their own.
Nodes are read off the IR by `lowtide.graph.read`; scalar code stays the MLIR region it came from.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from lowtide.indexing.linear import Index, Linear, Var
from lowtide.indexing.subscripts import apply_map, dimension_of
from lowtide.ir import AffineMap, Block, BlockArgument, Operation, Type, Value

Shape = tuple[int, ...]
Kind = Literal["parallel", "reduction"]


@dataclass(frozen=True, eq=False)
class Operand:
    """A tensor argument of the layer: an activation, a weight or a table."""

    argument: int
    shape: Shape


@dataclass(frozen=True, eq=False)
class Undefined:
    """A tensor whose values nobody reads (`tensor.empty`): it only gives a shape."""

    shape: Shape


@dataclass(frozen=True, eq=False)
class Filled:
    """Every element is one scalar of the layer's body (`linalg.fill`, or a splat constant)."""

    shape: Shape
    scalar: Value | None
    splat: Operation | None = None


@dataclass(frozen=True, eq=False)
class Padded:
    """`source` with `low[d]` elements of `scalar` before and any number after it, in each dimension d."""

    source: Node
    low: Shape
    shape: Shape
    scalar: Value


@dataclass(frozen=True, eq=False)
class Sliced:
    """Elements `offsets[d] + strides[d]·i` of `source`."""

    source: Node
    offsets: Shape
    strides: Shape
    shape: Shape


@dataclass(frozen=True, eq=False)
class Reshaped:
    """`source` in row-major order under another shape."""

    source: Node
    shape: Shape


@dataclass(frozen=True, eq=False)
class Structured:
    """A `linalg.generic`: a scalar region applied over an iteration space.

    Attributes:
        op: the operation; its region is the scalar code.
        inputs: one node an input operand.
        init: the node of the output operand (what a reduction starts from).
        maps: subscript of each input, then of the output, over the iteration space.
        extents: size of the iteration space.
        kinds: "parallel" or "reduction" for each of its dimensions.
    """

    op: Operation
    inputs: tuple[Node, ...]
    init: Node
    maps: tuple[AffineMap, ...]
    extents: Shape
    kinds: tuple[Kind, ...]
    shape: Shape

    @property
    def block(self) -> Block:
        """The scalar code."""
        return self.op.regions[0].blocks[0]

    @property
    def yielded(self) -> Value:
        """What the scalar code gives for an element."""
        return self.block.operations[len(self.block.operations) - 1].operands[0]

    @property
    def is_reduction(self) -> bool:
        """True where an output element takes more than one step of the loop nest."""
        return any(kind == "reduction" and extent > 1 for kind, extent in zip(self.kinds, self.extents, strict=True))

    @cached_property
    def captured(self) -> frozenset[int]:
        """Arguments that the scalar code reads at places of its own (`tensor.extract`)."""
        operands = (operand for view in self.block.operations for operand in view.operation.operands)
        return frozenset(v.arg_number for v in operands if isinstance(v, BlockArgument) and v.owner != self.block)


Node = Operand | Undefined | Filled | Padded | Sliced | Reshaped | Structured


@dataclass(frozen=True)
class LayerBody:
    """A layer as its kernel sees it.

    Attributes:
        arguments: type of each tensor argument, the destination last.
        result: what is stored.
        offsets, strides: where in the destination the result's elements go (concat writes a part of it).
        destination: shape of the destination; one dimension, all its elements, where a run of them takes the result,
            whose shape is another.
    """

    arguments: tuple[Type, ...]
    result: Node
    offsets: Shape
    strides: Shape
    destination: Shape

    def target(self, index: Index) -> Index:
        """Subscripts in the destination of an element of the result."""
        if len(index) != len(self.destination):
            index = (row_major(self.result.shape, index),)
        return tuple(i * s + o for i, s, o in zip(index, self.strides, self.offsets, strict=True))


def loops_over(shape: Shape) -> tuple[tuple[Var, ...], Index]:
    """A loop variable for each dimension of a tensor, and the subscripts of the element that they stand for."""
    loops = tuple(Var(f"o{i}", extent) for i, extent in enumerate(shape))
    return loops, tuple(map(Linear.of, loops))


def iteration_space(node: Structured) -> tuple[Var, ...]:
    """Fresh loop variables for the node's dimensions."""
    return tuple(Var(f"d{i}", extent) for i, extent in enumerate(node.extents))


def output_dimensions(node: Structured, index: Index, space: tuple[Var, ...]) -> Index:
    """Value of each loop dimension for an output element: its subscript if parallel, else the dimension's variable."""
    dims = [Linear.of(var) for var in space]
    for expr, subscript in zip(node.maps[-1].results, index, strict=True):
        dimension = dimension_of(expr)
        if dimension is not None:
            dims[dimension] = subscript
    return tuple(dims)


def row_major(shape: Shape, index: tuple[Linear, ...]) -> Linear:
    """The linear element number of `index` in a dense tensor of that shape."""
    flat = Linear()
    for extent, subscript in zip(shape, index, strict=True):
        flat = flat * extent + subscript
    return flat


def delinearize(flat: Linear, shape: Shape) -> tuple[Linear, ...] | None:
    """Subscripts of element number `flat` in a tensor of that shape, or None where they are not linear."""
    subscripts: list[Linear] = []
    rest = flat
    for position in range(len(shape) - 1, -1, -1):
        extent = shape[position]
        if all(outer == 1 for outer in shape[:position]):
            subscripts.append(rest)
            rest = Linear()
            continue
        outer = Linear(tuple((v, c // extent) for v, c in rest.terms if c % extent == 0), rest.const // extent)
        inner = Linear(tuple((v, c) for v, c in rest.terms if c % extent), rest.const % extent)
        low, high = inner.bounds()
        if low < 0 or high >= extent:
            return None
        subscripts.append(inner)
        rest = outer
    return tuple(reversed(subscripts))


def split(flat: Linear, shape: Shape) -> tuple[Linear, ...] | None:
    """`delinearize` where one variable runs over two dimensions: it becomes a quotient and a remainder.

    The channel of a depthwise convolution with a multiplier is input channel times multiplier plus a number below it.

    Returns:
        subscripts in which the two are new variables, which run over all their values as the variable runs over all of
        its own; None where none of them does so.
    """
    for var, coefficient in flat.terms:
        rest = flat.without(var)
        for position in range(1, len(shape)):
            extent = math.prod(shape[position:])
            step = extent // coefficient if coefficient > 0 and extent % coefficient == 0 else 0
            if step < 2 or var.extent <= step or var.extent % step:
                continue
            quotient, inner = Var(f"{var.name}q", var.extent // step), Var(f"{var.name}r", step)
            found = delinearize(rest + Linear.of(quotient) * extent + Linear.of(inner) * coefficient, shape)
            if found is not None:
                return found
    return None


def children(node: Node) -> tuple[Node, ...]:
    """What the node is computed from: of a structured one the inputs, then what its output starts from."""
    match node:
        case Padded() | Sliced() | Reshaped():
            return (node.source,)
        case Structured():
            return (*node.inputs, node.init)
        case Operand() | Undefined() | Filled():
            return ()


def reachable(node: Node) -> set[Node]:
    """The node and all that it is computed from."""
    found: set[Node] = set()
    pending = [node]
    while pending:
        current = pending.pop()
        if current not in found:
            found.add(current)
            pending.extend(children(current))
    return found


def substitute(node: Node, old: Node, new: Node) -> Node:
    """A copy of the graph with `new` in the place of `old`; what is shared stays shared."""
    done = {old: new}

    def copy(node: Node) -> Node:
        if node not in done:
            made = tuple(map(copy, children(node)))
            match node:
                case Padded() | Sliced() | Reshaped():
                    done[node] = replace(node, source=made[0])
                case Structured():
                    done[node] = replace(node, inputs=made[:-1], init=made[-1])
                case Operand() | Undefined() | Filled():
                    done[node] = node
        return done[node]

    return copy(node)


def source_index(node: Padded | Sliced | Reshaped, index: Index) -> Index | None:
    """Subscripts into the source of an element of the node, outside it in a pad; None where they are not linear."""
    match node:
        case Padded():
            return tuple(i + -low for i, low in zip(index, node.low, strict=True))
        case Sliced():
            return tuple(i * s + o for i, s, o in zip(index, node.strides, node.offsets, strict=True))
        case Reshaped():
            return delinearize(row_major(node.shape, index), node.source.shape)


def sources_at(node: Structured, dims: Index) -> tuple[tuple[Node, Index], ...]:
    """The children with their subscripts at one point of the iteration space."""
    return tuple((source, apply_map(amap, dims)) for source, amap in zip(children(node), node.maps, strict=True))


def sources_of(node: Structured, index: Index) -> tuple[tuple[Node, Index], ...]:
    """The children with their subscripts for an element of the node; what is reduced has fresh loop variables."""
    return sources_at(node, output_dimensions(node, index, iteration_space(node)))
