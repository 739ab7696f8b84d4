"""How a core multiplies: the microkernels by the names that targets have for them, and which a module is for."""

from __future__ import annotations

from collections.abc import Mapping

from lowtide.errors import InputError
from lowtide.ir import Module, StringAttr
from lowtide.kernels.register_tiled.contraction import Contraction
from lowtide.kernels.register_tiled.dsp import Dsp
from lowtide.kernels.register_tiled.floats import Floats, Fused
from lowtide.kernels.register_tiled.microkernel import Microkernel
from lowtide.kernels.register_tiled.mve import Mve
from lowtide.kernels.register_tiled.risc import Risc
from lowtide.kernels.register_tiled.rvv import Rvv

MICROKERNELS_NAME = "lowtide.microkernels"
"""On a module: a name of `MICROKERNELS`."""
PLAIN = "scalar"
MICROKERNELS: dict[str, Microkernel] = {
    PLAIN: Microkernel(),
    "risc": Risc(),
    "dsp": Dsp(),
    "mve": Mve(),
    "rvv": Rvv(),
}
"""How a core multiplies bytes, by the name that its target has for it."""
MICROKERNELS["risc-fpu"] = MICROKERNELS["risc"]
SHARED: Mapping[str, str] = {"mve": "scalar", "rvv": "risc"}
"""Instead of vectors, the lanes for depthwise layers in which several output channels take one input channel."""
FLOATS: Mapping[str, Microkernel] = dict.fromkeys(("risc-fpu", "dsp", "mve", "rvv"), Fused())
"""How it multiplies floats, by the same name, where it has an FPU."""


def microkernel_for(found: Contraction, name: str) -> Microkernel:
    """How a core multiplies the elements of a convolution; `name` is one of `MICROKERNELS`."""
    if found.element == "float":
        return FLOATS.get(name, Floats())
    return MICROKERNELS[SHARED.get(name, name) if found.multiplier > 1 else name]


def microkernels_of(module: Module) -> str:
    """How the core multiplies that the module is for: what its attribute says, plain integers without one.

    Raises:
        InputError: there are no such microkernels.
    """
    attributes = module.operation.attributes
    microkernels = StringAttr(attributes[MICROKERNELS_NAME]).value if MICROKERNELS_NAME in attributes else PLAIN
    if microkernels not in MICROKERNELS:
        message = f"unknown microkernels '{microkernels}'"
        raise InputError("kernels", message, remedy=f"choose one of {', '.join(MICROKERNELS)}")
    return microkernels


def note_microkernels(module: Module, microkernels: str) -> None:
    """Say on the module how the core multiplies: access profiles and kernels go by it."""
    module.operation.attributes[MICROKERNELS_NAME] = StringAttr.get(microkernels, module.context)
