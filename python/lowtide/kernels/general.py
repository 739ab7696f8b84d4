"""The general kernel: pulls each output element through the layer's loop description, whatever the layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from lowtide.graph.nest import LayerBody, Node, loops_over
from lowtide.indexing.linear import Index, Var
from lowtide.ir import F32Type, RankedTensorType, Value, memref
from lowtide.kernels.element import ElementEmitter
from lowtide.kernels.kernel import Kernel
from lowtide.kernels.loops import How, Range
from lowtide.kernels.microkernels import FLOATS, MICROKERNELS
from lowtide.kernels.values import index_constant


class GeneralEmitter(ElementEmitter):
    """Emits one layer's loops at the current insertion point; arguments as for `LoopEmitter`."""

    def __init__(self, body: LayerBody, arguments: Sequence[Value], how: How) -> None:
        bare, fused = MICROKERNELS[how.microkernels].bare, how.microkernels in FLOATS
        super().__init__(body, arguments, how, bare=bare, fused=fused)

    def emit(self) -> None:
        """The whole nest: loops over the result's elements, each computed and stored."""
        result = self.body.result
        loops, index = loops_over(result.shape)
        cut: Mapping[int, Range] = {} if self.part is None or self.part.reduces else self.part.ranges
        ranges = {loops[dimension]: bounds for dimension, bounds in cut.items()}
        destination = self.destination()

        def store() -> None:
            value = self.value(result, index)
            memref.store(value, destination, self.place(destination, self.body.destination, self.body.target(index)))

        with self.unless_empty():
            self._nest([var for var in loops if var.extent > 1], ranges, [(result, index)], store)

    def _nest(
        self,
        loops: Sequence[Var],
        ranges: Mapping[Var, Range],
        demands: Sequence[tuple[Node, Index]],
        leaf: Callable[[], None],
    ) -> None:
        """Loops within the ranges that some have, and before each what does not depend on it."""
        self.hoist(demands)
        if not loops:
            leaf()
            return
        var = loops[0]
        low, high = ranges[var] if var in ranges else (index_constant(0), index_constant(var.extent))

        def one(position: Value) -> None:
            self.indices.bind(var, position)
            self._nest(loops[1:], ranges, demands, leaf)

        self.directed(low, high, one)


class General(Kernel):
    """`lowtide.kernels.general`: any layer, nothing stored but its output."""

    def accepts(self, body: LayerBody) -> bool:
        """Every layer."""
        del body
        return True

    def emit(self, body: LayerBody, arguments: Sequence[Value], how: How) -> None:
        """Emit a loop over the output's elements, each computed through the loop description."""
        GeneralEmitter(body, arguments, how).emit()

    def form(self, body: LayerBody) -> str:
        """One form for layers with floats, one for the others: what they compute with decides what they cost."""
        return "floats" if _has_floats(body) else "general"


def _has_floats(body: LayerBody) -> bool:
    return any(isinstance(RankedTensorType(kind).element_type, F32Type) for kind in body.arguments)
