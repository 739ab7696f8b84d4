"""The kernel library: name → kernel, tried in order; a script's pick, else the first that accepts a layer, emits it."""

from __future__ import annotations

from lowtide.errors import InputError
from lowtide.graph.nest import LayerBody
from lowtide.kernels.general import General
from lowtide.kernels.kernel import Kernel
from lowtide.kernels.mapped import Maps
from lowtide.kernels.pooled import Pools
from lowtide.kernels.register_tiled.kernel import Prepacked, RegisterTiled
from lowtide.kernels.winograd.kernel import Winograd

GENERAL = "general"
"""The kernel that accepts every layer, and goes in an order that every arena allows."""
PREPACKED = "prepacked_i16"
KERNELS: dict[str, Kernel] = {
    "register_tiled": RegisterTiled(),
    PREPACKED: Prepacked(wide=True),
    "winograd": Winograd(),
    "map": Maps(),
    "pool": Pools(),
    GENERAL: General(),
}


PRIMITIVES = tuple(name for name, kernel in KERNELS.items() if kernel.weights is not None)
"""The kernels that a plan may pay flash, or a workspace, for."""


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
    accepting = accepting_kernels(body)
    if picked is None:
        return accepting[0]
    if picked not in KERNELS:
        raise InputError("kernels", f"unknown kernel '{picked}'", remedy=f"choose one of {', '.join(KERNELS)}")
    if picked not in accepting:
        message = f"kernel '{picked}' does not accept this layer"
        raise InputError("kernels", message, remedy=f"choose one of {', '.join(accepting)}")
    return picked


def accepting_kernels(body: LayerBody) -> tuple[str, ...]:
    """The names of the kernels that can compute a layer; the first of them does where a script picks none."""
    return tuple(name for name, kernel in KERNELS.items() if kernel.accepts(body))


def kernel_for_part(body: LayerBody, picked: str | None) -> str | None:
    """The kernel picked for a layer, for what comes before or after its loop; None where it does not accept that."""
    return picked if picked in KERNELS and KERNELS[picked].accepts(body) else None
