"""How a core multiplies: the lanes by the names that targets have for them, and which a module is for."""

from __future__ import annotations

from collections.abc import Mapping

from lowtide.errors import InputError
from lowtide.ir import Module, StringAttr
from lowtide.kernels.blocked.contraction import Contraction
from lowtide.kernels.blocked.dsp import Dsp
from lowtide.kernels.blocked.floats import Floats, Fused
from lowtide.kernels.blocked.lanes import Lanes, Scalar
from lowtide.kernels.blocked.mve import Mve
from lowtide.kernels.blocked.risc import Risc
from lowtide.kernels.blocked.rvv import Rvv

LANES_NAME = "lowtide.lanes"
"""On a module: a name of `LANES`."""
PLAIN = "scalar"
LANES: dict[str, Lanes] = {
    PLAIN: Scalar(),
    "risc": Risc(),
    "dsp": Dsp(),
    "mve": Mve(),
    "rvv": Rvv(),
}
"""How a core multiplies bytes, by the name that its target has for it."""
LANES["risc-fpu"] = LANES["risc"]
SHARED: Mapping[str, str] = {"mve": "scalar", "rvv": "risc"}
"""Instead of vectors, the lanes for depthwise layers in which several output channels take one input channel."""
FLOATS: Mapping[str, Lanes] = dict.fromkeys(("risc-fpu", "dsp", "mve", "rvv"), Fused())
"""How it multiplies floats, by the same name, where it has an FPU."""


def lanes_for(found: Contraction, name: str) -> Lanes:
    """How a core multiplies the elements of a convolution; `name` is one of `LANES`."""
    if found.element == "float":
        return FLOATS.get(name, Floats())
    return LANES[SHARED.get(name, name) if found.multiplier > 1 else name]


def lanes_of(module: Module) -> str:
    """How the core multiplies that the module is for: what its attribute says, plain integers without one.

    Raises:
        InputError: there are no such lanes.
    """
    attributes = module.operation.attributes
    lanes = StringAttr(attributes[LANES_NAME]).value if LANES_NAME in attributes else PLAIN
    if lanes not in LANES:
        raise InputError("kernels", f"unknown lanes '{lanes}'", remedy=f"choose one of {', '.join(LANES)}")
    return lanes


def note_lanes(module: Module, lanes: str) -> None:
    """Say on the module how the core multiplies: access profiles and kernels go by it."""
    module.operation.attributes[LANES_NAME] = StringAttr.get(lanes, module.context)
