"""The kernel library: name → kernel, tried in order; a script's pick, else the first that accepts a layer, emits it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from lowtide.errors import InputError
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


def kernel_for(body: LayerBody, picked: str | None = None) -> Kernel:
    """The kernel that computes the layer; arguments and errors as for `kernel_name`."""
    return KERNELS[kernel_name(body, picked)]


def kernel_name(body: LayerBody, picked: str | None = None) -> str:
    """The name of the kernel that computes a layer: the picked one, or the first that accepts it.

    Args:
        body: the layer.
        picked: what a script wants.

    Raises:
        InputError: there is no kernel of that name, or it does not accept the layer.
    """
    accepting = [name for name, kernel in KERNELS.items() if kernel.accepts(body)]
    if picked is None:
        return accepting[0]
    if picked not in KERNELS:
        raise InputError("kernels", f"unknown kernel '{picked}'", remedy=f"choose one of {', '.join(KERNELS)}")
    if picked not in accepting:
        message = f"kernel '{picked}' does not accept this layer"
        raise InputError("kernels", message, remedy=f"choose one of {', '.join(accepting)}")
    return picked
