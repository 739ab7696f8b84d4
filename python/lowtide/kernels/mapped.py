"""Emits layers without reductions in runs: bytes that lie alike in all tensors, some in each turn of one loop.

A step loads all that its elements are made from, then stores them. A step's elements are neighbours, so that the output
may lie as near to an input as with code that goes one by one: each load is as early, each store as late.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from lowtide.graph.nest import LayerBody
from lowtide.indexing.linear import Var
from lowtide.ir import IntegerType, MemRefType, Value, VectorType, arith, vector
from lowtide.kernels.affine import Affine
from lowtide.kernels.elementwise import Elementwise, Read, elementwise_of, lies
from lowtide.kernels.general import General
from lowtide.kernels.kernel import Kernel
from lowtide.kernels.loops import How, Part, Range
from lowtide.kernels.microkernels import MICROKERNELS
from lowtide.kernels.register_tiled.memory import Address, advanced, load, scaled, store
from lowtide.kernels.register_tiled.microkernel import Wide
from lowtide.kernels.register_tiled.wide import WideEmitter
from lowtide.kernels.values import index_constant, splat, widened, word

TURN = 4
"""Elements that a turn of the loop makes."""
STEP = 2
"""Elements that are loaded before the first of them is stored: more would need more registers."""


class MapEmitter(WideEmitter):
    """Emits one layer's loops at the current insertion point.

    Args:
        found: the layer.
        body, arguments, how: as for `LoopEmitter`.
    """

    def __init__(self, found: Elementwise, body: LayerBody, arguments: Sequence[Value], how: How) -> None:
        super().__init__(body, arguments, how)
        self._found = found
        self._affine = found.affine()
        self._first = first_of_run(found, arguments, how.part)
        self._run = found.loops[self._first :]
        self._vectors = None if self._affine is None else MICROKERNELS[how.microkernels].wide

    def emit(self) -> None:
        """Emit the loops over all of the output, or over the part's."""
        for var in self._run:
            self.indices.bind(var, index_constant(0))
        ranges: Mapping[int, Range] = {} if self.part is None else self.part.ranges
        self.nested(self._found.loops[: self._first], ranges, self._one_run)

    # -- a run ------------------------------------------------------------------------------------------------

    def _one_run(self) -> None:
        """Emit a run: a loop of `TURN` elements a turn, and the elements that are left."""
        count = math.prod(var.extent for var in self._run)
        addresses = {read: self._address(read) for read in self._found.reads}
        target = self.body.target(self._found.index)
        into = self.byte_of(self.destination(), self.body.destination, target)
        once = {read: self._load(read, at) for read, at in addresses.items() if not self._varies(read)}
        moving = {read: at for read, at in addresses.items() if read not in once}
        rest = count % TURN
        for size in self.ordered((TURN, rest)):
            if size == TURN and count > TURN:
                bounds = index_constant(0), index_constant(count - rest)
                self.directed(*bounds, lambda at: self._turn(at, TURN, moving, once, into), TURN)
            elif size and count >= size:
                self._turn(index_constant(count - rest if size == rest else 0), size, moving, once, into)

    def _turn(
        self, at: Value, size: int, moving: Mapping[Read, Address], once: Mapping[Read, Value], into: Address
    ) -> None:
        """Emit `size` elements of the run, from number `at` on."""
        wide = self._vectors if self._vectors is not None and size == self._vectors.width else None
        sources = {read: advanced(first, scaled(at, self._size(read))) for read, first in moving.items()}
        size_out = self.element_bytes(self.arguments[-1])
        target = advanced(into, scaled(at, size_out))
        if wide is not None:
            store(self._vector(sources, once, wide), target)
            return
        steps = [range(n, min(n + STEP, size)) for n in range(0, size, STEP)]
        # All loads of a step come before its stores: the output may overlap what the step reads.
        for step in self.ordered(steps):
            loaded = [
                {read: self._load(read, first + n * self._size(read)) for read, first in sources.items()} for n in step
            ]
            made = [self._made({**once, **values}) for values in loaded]
            for n, value in zip(step, made, strict=True):
                store(value, target + n * size_out, alignment=size_out)

    def _made(self, values: Mapping[Read, Value]) -> Value:
        """Emit one element from all that it is made from."""
        if self._affine is not None:
            i32 = IntegerType.get_signless(32)
            xs = [widened(values[read], i32, signed=self._affine.signed) for read in self._found.reads]
            total = _affine(self._affine, xs, word)
            return arith.trunci(IntegerType.get_signless(8), total)
        self.memo.append({(node, index): value for (node, index), value in values.items()})
        value = self.value(self.body.result, self._found.index)
        self.memo.pop()
        return value

    def _vector(self, sources: Mapping[Read, Address], once: Mapping[Read, Value], wide: Wide) -> Value:
        """Emit a vector of elements by their affine expression."""
        assert self._affine is not None
        i8 = IntegerType.get_signless(8)
        narrow, words = (VectorType.get([wide.width], kind) for kind in (i8, IntegerType.get_signless(32)))
        xs: list[Value] = []
        for read in self._found.reads:
            value = load(sources[read], narrow) if read in sources else vector.broadcast(narrow, once[read])
            xs.append(widened(value, words, signed=self._affine.signed))
        return arith.trunci(narrow, _affine(self._affine, xs, lambda number: splat(number, words)))

    # -- tensors ----------------------------------------------------------------------------------------------

    def _address(self, read: Read) -> Address:
        node, index = read
        return self.byte_of(self.arguments[node.argument], node.shape, index)

    def _load(self, read: Read, address: Address) -> Value:
        kind = MemRefType(self.arguments[read[0].argument].type).element_type
        return load(address, kind, alignment=self._size(read))

    def _varies(self, read: Read) -> bool:
        return varies(read, self.arguments, self._run)

    def _size(self, read: Read) -> int:
        return self.element_bytes(self.arguments[read[0].argument])


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


def _affine(affine: Affine, xs: Sequence[Value], constant: Callable[[int], Value]) -> Value:
    """The 32-bit value of the expression, or of each lane."""
    total = constant(affine.constant)
    for factor, x in zip(affine.factors, xs, strict=True):
        total = arith.addi(total, arith.muli(x, constant(factor)))
    total = arith.shrsi(total, constant(affine.shift))
    if affine.low is not None:
        total = arith.maxsi(total, constant(affine.low))
    return total if affine.high is None else arith.minsi(total, constant(affine.high))


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
        MapEmitter(found, body, arguments, how).emit()

    def form(self, body: LayerBody) -> str:
        """All layers in runs cost alike."""
        del body
        return "map"
