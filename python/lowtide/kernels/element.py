"""Pulls single elements of a layer's result through its loop description; what every kernel emits epilogues with.

No intermediate is stored: pads are clamped loop bounds (or a test where a pad value matters), accumulators are
loop-carried scalars, epilogues and requantisation are inlined behind the reduction, and a softmax keeps its row maximum
and sum in registers. A reduction that does not depend on an inner loop is computed before that loop opens.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce

from lowtide.errors import InternalError
from lowtide.graph.nest import (
    Filled,
    LayerBody,
    Node,
    Operand,
    Padded,
    Reshaped,
    Sliced,
    Structured,
    Undefined,
    iteration_space,
    output_dimensions,
    row_major,
    source_index,
    sources_at,
    sources_of,
)
from lowtide.indexing.linear import Index, Linear, Var
from lowtide.indexing.subscripts import apply_map
from lowtide.ir import (
    BlockArgument,
    DenseElementsAttr,
    IndexType,
    InsertionPoint,
    IntegerAttr,
    IntegerType,
    MemRefType,
    Operation,
    RankedTensorType,
    Value,
    arith,
    math,
    memref,
    scf,
)
from lowtide.kernels.extremes import EXTREMES, emit_extreme
from lowtide.kernels.intervals import Intervals
from lowtide.kernels.loops import How, LoopEmitter, Range
from lowtide.kernels.neutral import constant_of, pad_is_neutral
from lowtide.kernels.rescale import Ready, Rescale, rescales
from lowtide.kernels.scalar import SpecialOp, clamped, clone_constant, clone_region, settled
from lowtide.kernels.values import index_constant, is_used, made_by, word


class ElementEmitter(LoopEmitter):
    """Emits single elements at the current insertion point; it is made where the kernel begins.

    Args:
        body, arguments, how: as for `LoopEmitter`.
        bare: the core has no instruction for rounded high products, minima or maxima.
        fused: a product of floats and its sum are rounded once, as blocks do it, so that all plans give the same.
    """

    def __init__(
        self,
        body: LayerBody,
        arguments: Sequence[Value],
        how: How,
        *,
        bare: bool = False,
        fused: bool = False,
    ) -> None:
        super().__init__(body, arguments, how)
        self._bare = bare
        self._fused = fused
        self._entry = InsertionPoint.current.block
        self._bounds_of_clamps: dict[int, Value] = {}
        self._intervals = Intervals(body, how.constants)
        self._rescales: dict[Structured, dict[Operation, Rescale]] = {}
        self._inside: set[tuple[Padded, Index]] = set()

    def hoist(self, demands: Sequence[tuple[Node, Index]]) -> None:
        """Compute the reductions below `demands` whose subscripts are known before the next loop opens."""
        for node, index in demands:
            if isinstance(node, Structured):
                if node.is_reduction and all(self.indices.is_bound(v) for i in index for v in i.variables):
                    self.value(node, index)
                    continue
                self.hoist(sources_of(node, index)[:-1])
            elif isinstance(node, Reshaped | Sliced):
                inner = source_index(node, index)
                if inner is not None:
                    self.hoist([(node.source, inner)])

    # -- elements ---------------------------------------------------------------------------------------------

    def value(self, node: Node, index: Index) -> Value:
        for memo in self.memo:
            if (node, index) in memo:
                return memo[node, index]
        value = self._compute(node, index)
        self.memo[-1][node, index] = value
        return value

    def _compute(self, node: Node, index: Index) -> Value:
        match node:
            case Operand():
                buffer = self.arguments[node.argument]
                return memref.load(buffer, self.place(buffer, node.shape, index))
            case Filled():
                return self._filled(node)
            case Padded():
                return self._padded(node, index)
            case Sliced() | Reshaped():
                inner = source_index(node, index)
                return self.value(node.source, inner if inner is not None else self._divided(node, index))
            case Structured() if node.is_reduction:
                return self._reduction(node, index)
            case Structured():
                return self._pointwise(node, index)
            case Undefined():
                raise InternalError("kernels", "a layer reads a tensor that nobody wrote")

    def _filled(self, node: Filled) -> Value:
        if node.scalar is not None:
            return clone_constant(node.scalar)
        assert node.splat is not None
        splat = DenseElementsAttr(node.splat.attributes["value"]).get_splat_value()
        return arith.constant(RankedTensorType(node.splat.results[0].type).element_type, splat)

    def _divided(self, node: Sliced | Reshaped, index: Index) -> Index:
        """Subscripts of a reshape's source by division, for shapes that no linear expression relates."""
        rest = self.indices.value(row_major(node.shape, index))
        subscripts: list[Linear] = []
        for extent in reversed(node.source.shape):
            size = index_constant(extent)
            var = Var("q", extent)
            self.indices.bind(var, arith.remui(rest, size))
            subscripts.append(Linear.of(var))
            rest = arith.divui(rest, size)
        return tuple(reversed(subscripts))

    def _padded(self, node: Padded, index: Index) -> Value:
        inner = tuple(i + -low for i, low in zip(index, node.low, strict=True))
        tests: list[Value] = []
        if (node, index) not in self._inside:
            for i, extent in zip(inner, node.source.shape, strict=True):
                low, high = i.bounds()
                if low < 0 or high >= extent:
                    # one unsigned comparison covers both ends
                    tests.append(arith.cmpi(arith.CmpIPredicate.ult, self.indices.value(i), index_constant(extent)))
        if not tests:
            return self.value(node.source, inner)
        condition, outside = reduce(arith.andi, tests), clone_constant(node.scalar)
        choice = scf.IfOp(condition, [outside.type], has_else=True)
        with InsertionPoint(choice.then_block), self.scope():
            scf.YieldOp([self.value(node.source, inner)])
        with InsertionPoint(choice.else_block):
            scf.YieldOp([outside])
        return choice.results[0]

    # -- structured ops ---------------------------------------------------------------------------------------

    def _pointwise(self, node: Structured, index: Index) -> Value:
        dims = output_dimensions(node, index, iteration_space(node))
        return self._region(node, dims, lambda: self.value(node.init, index))

    def _reduction(self, node: Structured, index: Index) -> Value:
        space = iteration_space(node)
        dims = output_dimensions(node, index, space)
        inputs = [apply_map(amap, dims) for amap in node.maps[:-1]]
        loops = [var for var, kind in zip(space, node.kinds, strict=True) if kind == "reduction" and var.extent > 1]
        ranges = self._clamp(node, inputs, loops)
        if self.part is not None and self.part.reduces and node is self.body.result:
            ranges.update({space[dimension]: bounds for dimension, bounds in self.part.ranges.items()})
        return self._accumulate(node, dims, loops, ranges, self.value(node.init, index))

    def _accumulate(
        self, node: Structured, dims: Index, loops: Sequence[Var], ranges: Mapping[Var, Range], accumulator: Value
    ) -> Value:
        self.hoist(sources_at(node, dims)[:-1])
        if not loops:
            return self._region(node, dims, lambda: accumulator)
        var = loops[0]
        low, high = ranges[var] if var in ranges else (index_constant(0), index_constant(var.extent))
        loop = scf.ForOp(low, high, index_constant(1), [accumulator])
        with InsertionPoint(loop.body), self.scope():
            self.indices.bind(var, loop.induction_variable)
            scf.YieldOp([self._accumulate(node, dims, loops[1:], ranges, loop.inner_iter_args[0])])
        return loop.results[0]

    def _clamp(self, node: Structured, inputs: list[Index], loops: list[Var]) -> dict[Var, Range]:
        """Loop ranges that skip neutral padding; records which padded reads are then inside."""
        ranges: dict[Var, Range] = {}
        for position, (source, index) in enumerate(zip(node.inputs, inputs, strict=True)):
            if not isinstance(source, Padded) or not pad_is_neutral(node, position, source.scalar):
                continue
            complete = True
            for subscript, low, extent in zip(index, source.low, source.source.shape, strict=True):
                inner = subscript + -low
                bounds = inner.bounds()
                if bounds[0] >= 0 and bounds[1] < extent:
                    continue
                own = [var for var in loops if inner.coefficient(var) > 0]
                if len(own) != 1 or own[0] in ranges or any(inner.coefficient(var) < 0 for var in loops):
                    complete = False
                    continue
                ranges[own[0]] = self.range_of(inner, own[0], extent)
            if complete:
                self._inside.add((source, index))
        return ranges

    def range_of(self, inner: Linear, var: Var, extent: int) -> Range:
        """The values [low, high) of `var` for which 0 ≤ inner < extent, by ceiling division; 0 ≤ low ≤ high."""
        step = inner.coefficient(var)
        if not step:
            # a loop of one turn, which subscripts do not name
            inside = arith.cmpi(arith.CmpIPredicate.ult, self.indices.value(inner), index_constant(extent))
            return index_constant(0), arith.index_castui(IndexType.get(), inside)
        rest = inner.without(var)
        low = self._ceil_div(rest * -1, step)
        high = self._ceil_div(rest * -1 + extent, step)
        low = arith.maxsi(low, index_constant(0))
        high = arith.minsi(high, index_constant(var.extent))
        least, greatest = rest.bounds()
        if least + step * (var.extent - 1) < 0 or greatest >= extent:
            # some windows are all pads: without a value inside, the two ends come out in the wrong order
            high = arith.maxsi(high, low)
        return low, high

    def _ceil_div(self, numerator: Linear, divisor: int) -> Value:
        if divisor == 1:
            return self.indices.value(numerator)
        return arith.ceildivsi(self.indices.value(numerator), index_constant(divisor))

    def _region(self, node: Structured, dims: Index, accumulator: Callable[[], Value]) -> Value:
        """The scalar code at one point of the iteration space."""
        *given, last = node.block.arguments
        arguments: list[Value] = []
        for argument, (source, inner) in zip(given, sources_at(node, dims)[:-1], strict=True):
            arguments.append(self.value(source, inner) if is_used(argument) else argument)
        arguments.append(accumulator() if is_used(last) else last)

        def loop_index(op: Operation, _: Sequence[Value]) -> Value:
            return self.indices.value(dims[IntegerAttr(op.attributes["dim"]).value])

        special: dict[str, SpecialOp] = {
            "linalg.index": loop_index,
            "tensor.extract": _extract,
            **dict.fromkeys(EXTREMES, emit_extreme),
        }
        if self._bare:
            special["arith.maxsi"] = self._maximum
        if self._fused and node.is_reduction:
            special["arith.addf"] = _multiplied_up
        cheaper = self._cheaper(node)
        return clone_region(
            node.block,
            arguments,
            self._captured,
            special,
            cheaper,
            bare=self._bare,
            ready=lambda item: self.ready(node, item, dims),
        )[0]

    def ready(self, node: Structured, item: Rescale, dims: Index) -> Ready | None:
        """What a rescale takes of a table at that point of the iteration space; None where there is no table."""
        del node, item, dims
        return None

    def _maximum(self, op: Operation, operands: Sequence[Value]) -> Value:
        """A branch and a move, where compilers make three instructions of a maximum with a 0 that they know of."""
        constant = constant_of(op.operands[1])
        if not isinstance(constant, int) or op.results[0].type != IntegerType.get_signless(32):
            return arith.maxsi(*operands)
        if constant not in self._bounds_of_clamps:
            with InsertionPoint.at_block_begin(self._entry):
                self._bounds_of_clamps[constant] = settled(word(constant))
        return arith.maxsi(operands[0], self._bounds_of_clamps[constant])

    def _cheaper(self, node: Structured) -> Mapping[Operation, Rescale]:
        """The rescales in the node's scalar code that are exact in a cheaper form."""
        if node not in self._rescales:
            found = rescales(node.block, self._intervals.of_block(node))
            self._rescales[node] = {item.root: item for item in found}
        return self._rescales[node]

    def _captured(self, value: Value) -> Value:
        """A value that scalar code takes from outside: a table argument, or a constant."""
        if isinstance(value, BlockArgument):
            return self.arguments[value.arg_number]
        return clone_constant(value)


def _multiplied_up(_: Operation, operands: Sequence[Value]) -> Value:
    """A sum of floats; in one operation with the product that is one of its operands."""
    for product, other in (operands, operands[::-1]):
        op = made_by(product, "arith.mulf")
        if op is not None:
            return math.fma(op.operands[0], op.operands[1], other)
    return arith.addf(*operands)


def _extract(_: Operation, operands: Sequence[Value]) -> Value:
    table = operands[0]
    extents = MemRefType(table.type).shape
    return memref.load(table, [clamped(i, extent) for i, extent in zip(operands[1:], extents, strict=True)])
