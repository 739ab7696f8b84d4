"""Emits layers without reductions in runs: bytes that lie alike in all tensors, some in each turn of one loop.

A step loads all that its elements are made from, then stores them. A step's elements are neighbours, so that the output
may lie as near to an input as with code that goes one by one: each load is as early, each store as late.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from lowtide.graph.nest import LayerBody
from lowtide.indexing.linear import Var
from lowtide.ir import DenseElementsAttr, IntegerAttr, IntegerType, MemRefType, Type, Value, VectorType, arith, vector
from lowtide.kernels.affine import Affine
from lowtide.kernels.elementwise import Elementwise, Read, elementwise_of, lies
from lowtide.kernels.general import General
from lowtide.kernels.intervals import Interval
from lowtide.kernels.kernel import How, Kernel
from lowtide.kernels.loops import Memo, Part
from lowtide.kernels.microkernels import MICROKERNELS
from lowtide.kernels.register_tiled.memory import Address, advanced, load, scaled, store
from lowtide.kernels.register_tiled.microkernel import Wide
from lowtide.kernels.register_tiled.wide import WideEmitter
from lowtide.kernels.scalar import index_constant

TURN = 4
"""Elements of a turn of the loop."""
STEP = 2
"""Elements that are loaded before the first of them is stored: more would need more registers."""


class MapEmitter(WideEmitter):
    """Emits one layer's loops at the current insertion point.

    Args:
        found: the layer.
        body, arguments, part, constants: as for `ElementEmitter`.
        backwards: go from the last element to the first.
        wide: the core's vectors, None without any.
    """

    def __init__(
        self,
        found: Elementwise,
        body: LayerBody,
        arguments: Sequence[Value],
        part: Part | None,
        constants: Mapping[int, Interval],
        *,
        backwards: bool,
        wide: Wide | None,
    ) -> None:
        super().__init__(body, arguments, part, constants)
        self._found = found
        self._reverse = backwards or self.from_the_end
        self._affine = found.affine()
        self._first = first_of_run(found, arguments, part)
        self._run = found.loops[self._first :]
        self._vectors = wide if wide is not None and self._affine is not None else None

    def emit(self) -> None:
        """All of the output, or the part's."""
        for var in self._run:
            self.indices.bind(var, index_constant(0))
        ranges: Mapping[int, tuple[Value, Value]] = {} if self.part is None else self.part.ranges
        self.nested(self._found.loops[: self._first], ranges, self._one_run, reverse=self._reverse)

    def _loop(self, low: Value, high: Value, step: int, body: Callable[[Value], None]) -> None:
        """A loop in the layer's direction, over a range that `step` divides."""
        self.directed(low, high, body, step, reverse=self._reverse)

    # -- a run ------------------------------------------------------------------------------------------------

    def _one_run(self) -> None:
        """Turns of several elements, and those that are left."""
        count = math.prod(var.extent for var in self._run)
        addresses = {read: self._address(read) for read in self._found.reads}
        target = self.body.target(self._found.index)
        into = self.byte_of(self.destination(), self.body.destination, target)
        once = {read: self._load(read, at) for read, at in addresses.items() if not self._varies(read)}
        moving = {read: at for read, at in addresses.items() if read not in once}
        rest = count % TURN
        for size in (rest, TURN) if self._reverse else (TURN, rest):
            if size == TURN and count > TURN:
                bounds = index_constant(0), index_constant(count - rest)
                self._loop(*bounds, TURN, lambda at: self._turn(at, TURN, moving, once, into))
            elif size and count >= size:
                self._turn(index_constant(count - rest if size == rest else 0), size, moving, once, into)

    def _turn(
        self, at: Value, size: int, moving: Mapping[Read, Address], once: Mapping[Read, Value], into: Address
    ) -> None:
        """The elements from that number of the run on."""
        wide = self._vectors if self._vectors is not None and size == self._vectors.width else None
        sources = {read: advanced(first, scaled(at, self._size(read))) for read, first in moving.items()}
        size_out = self._bits(len(self.body.arguments) - 1) // 8
        target = advanced(into, scaled(at, size_out))
        if wide is not None:
            store(self._vector(sources, once, wide), target)
            return
        steps = [range(n, min(n + STEP, size)) for n in range(0, size, STEP)]
        for step in reversed(steps) if self._reverse else steps:
            loaded = [
                {read: self._load(read, first + n * self._size(read)) for read, first in sources.items()} for n in step
            ]
            made = [self._made({**once, **values}) for values in loaded]
            for n, value in zip(step, made, strict=True):
                store(value, target + n * size_out, alignment=size_out)

    def _made(self, values: Mapping[Read, Value]) -> Value:
        """An element from all that it is made from."""
        if self._affine is not None:
            i32 = IntegerType.get_signless(32)
            xs = [_extended(values[read], i32, self._affine) for read in self._found.reads]
            total = _affine(self._affine, xs, lambda number: arith.constant(i32, number))
            return arith.trunci(IntegerType.get_signless(8), total)
        memo: Memo = {}
        for (node, index), value in values.items():
            memo[node, index] = value
        self.memo.append(memo)
        value = self.value(self.body.result, self._found.index)
        self.memo.pop()
        return value

    def _vector(self, sources: Mapping[Read, Address], once: Mapping[Read, Value], wide: Wide) -> Value:
        """A vector of elements."""
        assert self._affine is not None
        i8 = IntegerType.get_signless(8)
        narrow, word = (VectorType.get([wide.width], kind) for kind in (i8, IntegerType.get_signless(32)))
        xs: list[Value] = []
        for read in self._found.reads:
            value = load(sources[read], narrow) if read in sources else vector.broadcast(narrow, once[read])
            xs.append(_extended(value, word, self._affine))
        return arith.trunci(narrow, _affine(self._affine, xs, lambda n: _splat(n, word)))

    # -- tensors ----------------------------------------------------------------------------------------------

    def _address(self, read: Read) -> Address:
        node, index = read
        return self.byte_of(self.arguments[node.argument], node.shape, index)

    def _load(self, read: Read, address: Address) -> Value:
        kind = MemRefType(self.arguments[read[0].argument].type).element_type
        return load(address, kind, alignment=self._size(read))

    def _varies(self, read: Read) -> bool:
        return varies(read, self.arguments, self._run)

    def _bits(self, argument: int) -> int:
        kind = MemRefType(self.arguments[argument].type).element_type
        assert isinstance(kind, IntegerType)
        return kind.width

    def _size(self, read: Read) -> int:
        return self._bits(read[0].argument) // 8


def first_of_run(found: Elementwise, arguments: Sequence[Value], part: Part | None) -> int:
    """See `Elementwise.first_of_run`, for a call with these buffers."""
    kept = {number: MemRefType(value.type).shape for number, value in enumerate(arguments)}
    return found.first_of_run(kept, () if part is None else tuple(part.ranges))


def is_mapped(found: Elementwise, arguments: Sequence[Value], part: Part | None) -> bool:
    """Whether more than one element lies in a run."""
    return math.prod(var.extent for var in found.loops[first_of_run(found, arguments, part) :]) > 1


def varies(read: Read, arguments: Sequence[Value], run: Sequence[Var]) -> bool:
    """Whether the elements of a run have different elements of this tensor."""
    node, index = read
    return lies(node.shape, index, MemRefType(arguments[node.argument].type).shape, run) == 1


def _extended(value: Value, kind: Type, affine: Affine) -> Value:
    return (arith.extsi if affine.signed else arith.extui)(kind, value)


def _affine(affine: Affine, xs: Sequence[Value], constant: Callable[[int], Value]) -> Value:
    """The 32-bit value of the expression, or of each lane."""
    total = constant(affine.constant)
    for factor, x in zip(affine.factors, xs, strict=True):
        total = arith.addi(total, arith.muli(x, constant(factor)))
    total = arith.shrsi(total, constant(affine.shift))
    if affine.low is not None:
        total = arith.maxsi(total, constant(affine.low))
    return total if affine.high is None else arith.minsi(total, constant(affine.high))


def _splat(number: int, kind: Type) -> Value:
    element = VectorType(kind).element_type
    return arith.constant(kind, DenseElementsAttr.get_splat(kind, IntegerAttr.get(element, number)))


class Maps(Kernel):
    """`lowtide.kernels.mapped`: layers of integers without reductions and pads, in runs."""

    def accepts(self, body: LayerBody) -> bool:
        """Layers whose elements lie in runs, as those that they are made from do."""
        return elementwise_of(body) is not None

    def emit(self, body: LayerBody, arguments: Sequence[Value], how: How) -> None:
        """Emit loops over runs of elements; where a call has no runs, elements are computed one by one."""
        found = elementwise_of(body)
        if found is None or not is_mapped(found, arguments, how.part):
            General().emit(body, arguments, how)
            return
        wide = MICROKERNELS[how.microkernels].wide
        MapEmitter(found, body, arguments, how.part, how.constants, backwards=how.backwards, wide=wide).emit()

    def form(self, body: LayerBody) -> str:
        """One for all."""
        del body
        return "map"
