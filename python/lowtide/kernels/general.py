"""The general kernel: pulls each output element through the layer's loop description, whatever the layer."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import reduce

from lowtide.graph.nest import LayerBody, Node
from lowtide.indexing.linear import Index, Linear, Var
from lowtide.ir import F32Type, InsertionPoint, RankedTensorType, Value, arith, memref, scf
from lowtide.kernels.element import ElementEmitter
from lowtide.kernels.intervals import NOTHING_KNOWN, Interval
from lowtide.kernels.kernel import How, Kernel
from lowtide.kernels.loops import Part
from lowtide.kernels.microkernels import FLOATS, MICROKERNELS
from lowtide.kernels.scalar import index_constant


class GeneralEmitter(ElementEmitter):
    """Emits one layer's loops at the current insertion point; arguments as for `ElementEmitter`.

    Args:
        backwards: go through the output's elements from the last to the first; the results are the same.
    """

    def __init__(
        self,
        body: LayerBody,
        arguments: Sequence[Value],
        *,
        backwards: bool = False,
        part: Part | None = None,
        constants: Mapping[int, Interval] = NOTHING_KNOWN,
        bare: bool = False,
        fused: bool = False,
    ) -> None:
        super().__init__(body, arguments, part, constants, bare=bare, fused=fused)
        self._backwards = backwards
        self._cut: dict[Var, int] = {}

    def emit(self) -> None:
        """The whole nest: loops over the result's elements, each computed and stored."""
        result = self.body.result
        loops = tuple(Var(f"o{i}", extent) for i, extent in enumerate(result.shape))
        index = tuple(Linear.of(var) for var in loops)
        cut = () if self.part is None or self.part.reduces else self.part.ranges
        self._cut = {loops[dimension]: dimension for dimension in cut}
        destination = self.destination()

        def store() -> None:
            value = self.value(result, index)
            memref.store(value, destination, self.place(destination, self.body.destination, self.body.target(index)))

        with self._unless_empty():
            self._nest([var for var in loops if var.extent > 1], [(result, index)], store)

    @contextmanager
    def _unless_empty(self) -> Generator[None]:
        """A part of a reduction that has nothing to add leaves the accumulator alone."""
        if self.part is None or not self.part.reduces:
            yield
            return
        tests = [arith.cmpi(arith.CmpIPredicate.slt, begin, end) for begin, end in self.part.ranges.values()]
        choice = scf.IfOp(reduce(arith.andi, tests))
        with InsertionPoint(choice.then_block):
            yield
            scf.YieldOp([])

    # -- loops ------------------------------------------------------------------------------------------------

    def _nest(self, loops: Sequence[Var], demands: Sequence[tuple[Node, Index]], leaf: Callable[[], None]) -> None:
        self.hoist(demands)
        if not loops:
            leaf()
            return
        low, high = self._bounds(loops[0])

        def one(position: Value) -> None:
            self.indices.bind(loops[0], position)
            self._nest(loops[1:], demands, leaf)

        self.directed(low, high, one, reverse=self._backwards or self.from_the_end)

    def _bounds(self, var: Var) -> tuple[Value, Value]:
        """The range of a loop over the output: all of it, or the part's rows."""
        if self.part is not None and not self.part.reduces and var in self._cut:
            return self.part.ranges[self._cut[var]]
        return index_constant(0), index_constant(var.extent)


class General(Kernel):
    """`lowtide.kernels.general`: any layer, nothing stored but its output."""

    def accepts(self, body: LayerBody) -> bool:
        """Every layer."""
        del body
        return True

    def emit(self, body: LayerBody, arguments: Sequence[Value], how: How) -> None:
        """Emit a loop over the output's elements, each computed through the loop description."""
        GeneralEmitter(
            body,
            arguments,
            backwards=how.backwards,
            part=how.part,
            constants=how.constants,
            bare=MICROKERNELS[how.microkernels].bare,
            fused=how.microkernels in FLOATS,
        ).emit()

    def form(self, body: LayerBody) -> str:
        """By what it computes with."""
        return "floats" if _has_floats(body) else "general"


def _has_floats(body: LayerBody) -> bool:
    return any(isinstance(RankedTensorType(kind).element_type, F32Type) for kind in body.arguments)
