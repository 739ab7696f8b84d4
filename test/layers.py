"""What the distinct layers of a network compute, for tests."""

from __future__ import annotations

from lowtide.bound.bind import Binder
from lowtide.graph.nest import LayerBody
from lowtide.ir import Module
from lowtide.kernels.microkernels import microkernels_of
from lowtide.normalise.form import network_layers

_ALIVE: list[Binder] = []
"""A body's operations go when its binder does."""


def layer_bodies(module: Module) -> dict[str, LayerBody]:
    """The loop descriptions of the layers that a module has been cut into, by the name of their function."""
    binder = Binder(microkernels_of(module))
    for layer in network_layers(module, "test"):
        binder.bind(layer)
    _ALIVE.append(binder)
    return {layer.name: layer.description for layer in binder.layers}
