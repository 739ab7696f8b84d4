"""The kernel library: name → kernel, tried in order; the first that accepts a layer emits it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from lowtide.graph.nest import LayerBody
from lowtide.graph.profile import Profile, profile_of
from lowtide.ir import Value
from lowtide.kernels.pull import Part, PullEmitter


class Kernel(Protocol):
    """One way to compute a layer."""

    def accepts(self, body: LayerBody) -> bool:
        """True where this kernel can compute the layer."""
        ...

    def emit(
        self, body: LayerBody, arguments: Sequence[Value], *, backwards: bool = False, part: Part | None = None
    ) -> None:
        """Emit the loops at the current insertion point; `arguments` are memrefs, the destination last."""
        ...

    def profile(self, body: LayerBody, argument: int, input_bytes: int, output_bytes: int) -> Profile:
        """How far the output may run into that input, for the code that `emit` makes in either direction."""
        ...


class Pull:
    """`lowtide.kernels.pull`: any layer, nothing stored but its output."""

    def accepts(self, body: LayerBody) -> bool:
        """Every layer."""
        del body
        return True

    def emit(
        self, body: LayerBody, arguments: Sequence[Value], *, backwards: bool = False, part: Part | None = None
    ) -> None:
        """See `PullEmitter`."""
        PullEmitter(body, arguments, backwards=backwards, part=part).emit()

    def profile(self, body: LayerBody, argument: int, input_bytes: int, output_bytes: int) -> Profile:
        """See `profile_of`."""
        return profile_of(body, argument, input_bytes, output_bytes)


KERNELS: dict[str, Kernel] = {"pull": Pull()}


def kernel_for(body: LayerBody) -> Kernel:
    """The first kernel that accepts the layer."""
    return next(kernel for kernel in KERNELS.values() if kernel.accepts(body))
