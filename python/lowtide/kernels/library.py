"""The kernel library: name → kernel, tried in order; a script's pick, else the first that accepts a layer, emits it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from lowtide.errors import InputError
from lowtide.graph.nest import LayerBody
from lowtide.graph.profile import Profile, profile_of
from lowtide.ir import F32Type, Module, RankedTensorType, StringAttr, Value
from lowtide.kernels.blocked.accumulated import AccumulatedEmitter, is_accumulated
from lowtide.kernels.blocked.blocks import Blocks
from lowtide.kernels.blocked.contraction import Contraction, contraction_of
from lowtide.kernels.blocked.dsp import Dsp
from lowtide.kernels.blocked.emitter import BlockedEmitter, is_blocked
from lowtide.kernels.blocked.floats import Floats, Fused
from lowtide.kernels.blocked.lanes import Lanes, Scalar
from lowtide.kernels.blocked.mve import Mve
from lowtide.kernels.blocked.risc import Risc
from lowtide.kernels.blocked.rvv import Rvv
from lowtide.kernels.blocked.shifts import as_words, shift_arguments
from lowtide.kernels.blocked.weights import as_groups, as_runs, as_widened, fold, in_groups, in_runs, widened
from lowtide.kernels.channelwise import channelwise_of
from lowtide.kernels.constants import Numbers
from lowtide.kernels.element import Part
from lowtide.kernels.elementwise import elementwise_of
from lowtide.kernels.intervals import Interval
from lowtide.kernels.mapped import MapEmitter, is_mapped
from lowtide.kernels.pooled import PoolEmitter, is_pooled
from lowtide.kernels.pull import PullEmitter

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


@dataclass(frozen=True)
class How:
    """What a kernel is emitted for.

    Attributes:
        lanes: of the core, a name of `LANES`.
        backwards: go through the output from its end.
        part: what the call goes through, None for all.
        constants: between which values those tensor arguments lie that are known.
        derived: a memref for each of the kernel's derived constants, or none at all.
        values: of each of these constants, what everyone who calls the code has.
    """

    lanes: str = PLAIN
    backwards: bool = False
    part: Part | None = None
    constants: Mapping[int, Interval] = field(default_factory=dict[int, Interval])
    derived: Sequence[Value] = ()
    values: Sequence[Sequence[npt.NDArray[np.integer]]] = ()


@dataclass(frozen=True)
class Derived:
    """A constant that is made of another at compile time.

    Attributes:
        what: its meaning to the kernel.
        argument: number of the tensor argument that it is made from.
        make: from that argument's value, one dimension of numbers.
    """

    what: Literal["runs", "groups", "widened", "folded", "shifts"]
    argument: int
    make: Callable[[Numbers], Numbers]


class Kernel(Protocol):
    """One way to compute a layer."""

    def accepts(self, body: LayerBody) -> bool:
        """True where this kernel can compute the layer."""
        ...

    def emit(self, body: LayerBody, arguments: Sequence[Value], how: How) -> None:
        """Emit the loops at the current insertion point; `arguments` are memrefs, the destination last."""
        ...

    def derived(self, body: LayerBody, lanes: str) -> tuple[Derived, ...]:
        """What the code for these lanes can use if the arguments that it is made from are constants."""
        ...

    def form(self, body: LayerBody) -> str:
        """How the code for a layer goes through memory: the cost model has coefficients for each form."""
        ...

    def profile(
        self, body: LayerBody, argument: int, input_bytes: int, output_bytes: int, lanes: str = PLAIN
    ) -> Profile:
        """How far the output may run into that input, for the code that `emit` makes in either direction."""
        ...


class Pull:
    """`lowtide.kernels.pull`: any layer, nothing stored but its output."""

    def accepts(self, body: LayerBody) -> bool:
        """Every layer."""
        del body
        return True

    def emit(self, body: LayerBody, arguments: Sequence[Value], how: How) -> None:
        """See `PullEmitter`."""
        PullEmitter(
            body,
            arguments,
            backwards=how.backwards,
            part=how.part,
            constants=how.constants,
            bare=LANES[how.lanes].bare,
            fused=how.lanes in FLOATS,
        ).emit()

    def derived(self, body: LayerBody, lanes: str) -> tuple[Derived, ...]:
        """Nothing."""
        del body, lanes
        return ()

    def form(self, body: LayerBody) -> str:
        """By what it computes with."""
        return "floats" if _has_floats(body) else "pull"

    def profile(
        self, body: LayerBody, argument: int, input_bytes: int, output_bytes: int, lanes: str = PLAIN
    ) -> Profile:
        """See `profile_of`."""
        del lanes
        return profile_of(body, argument, input_bytes, output_bytes)


@dataclass(frozen=True)
class Blocked:
    """`lowtide.kernels.blocked`: convolutions and dense layers of 8-bit integers or floats.

    Attributes:
        wide: weights are of 16 bits where a core is faster with them: twice the flash; for bytes, but not depthwise.
    """

    wide: bool = False

    def accepts(self, body: LayerBody) -> bool:
        """Layers with one convolution of a form that it knows."""
        found = _convolution(body)
        return found is not None and not (self.wide and (found.layout == "depthwise" or found.element == "float"))

    def emit(self, body: LayerBody, arguments: Sequence[Value], how: How) -> None:
        """See `BlockedEmitter`; what does not lie by channels in memory is pulled, as always."""
        found = _convolution(body)
        wanted = self.derived(body, how.lanes)
        by_rows = how.part if found is not None and found.element == "byte" else None
        if found is not None and by_rows is not None and is_accumulated(found, body, arguments, by_rows):
            AccumulatedEmitter(found, body, arguments, by_rows, how.constants, LANES[how.lanes]).emit()
            return
        missing = found is None or (found.layout == "spread" and len(how.derived) < len(wanted))
        if found is None or missing or not is_blocked(found, body, arguments, how.part):
            Pull().emit(body, arguments, how)
            return
        pairs = list(zip(wanted, how.derived, strict=False))
        made = {item.what: value for item, value in pairs}
        values = dict(zip((item.what for item in wanted), how.values, strict=False))
        if "runs" in made:
            found = as_runs(found)
        elif "groups" in made:
            found = as_groups(found, _group(found, how.lanes))
        elif "widened" in made:
            found = as_widened(found)
        BlockedEmitter(
            found,
            body,
            arguments,
            lanes_for(found, how.lanes),
            backwards=how.backwards,
            part=how.part,
            constants=how.constants,
            weights=next((made[what] for what in WEIGHTS if what in made), arguments[found.w.argument]),
            folded=made.get("folded"),
            words={item.argument: value for item, value in pairs if item.what == "shifts"},
            known=values.get("groups", ()),
        ).emit()

    def derived(self, body: LayerBody, lanes: str) -> tuple[Derived, ...]:
        """Weights as these lanes take them; what the input's zero point comes to, where they want that."""
        found, made = _convolution(body), list[Derived]()
        group = 1 if found is None else _group(found, lanes)
        if found is not None and group > 1:
            spans = Blocks(found, lanes_for(found, lanes)).of_channels(1)
            made.append(Derived("groups", found.w.argument, partial(in_groups, found, spans)))
        elif found is not None and self.wide and lanes_for(found, lanes).widens:
            made.append(Derived("widened", found.w.argument, partial(widened, found, _run_bytes(found))))
        elif found is not None and found.layout == "spread":
            made.append(Derived("runs", found.w.argument, partial(in_runs, found)))
        if found is not None and lanes_for(found, lanes).folds and found.x.zero != 0 and found.w.zero == 0:
            rows = [inside for _, inside in Blocks(found, lanes_for(found, lanes)).row_classes]
            made.append(Derived("folded", found.w.argument, partial(fold, found, rows)))
        if found is not None and lanes_for(found, lanes).across:
            made += [Derived("shifts", argument, as_words) for argument in sorted({*shift_arguments(body.result)})]
        return tuple(made)

    def form(self, body: LayerBody) -> str:
        """See `Blocks.kind`; runs under windows of several rows are in a loop more."""
        found = _convolution(body)
        if found is None or found.element == "float":
            return Pull().form(body)
        kind = Blocks(found, LANES[PLAIN]).kind
        return "windows" if kind == "runs" and found.rows.kernel > 1 else kind

    def profile(
        self, body: LayerBody, argument: int, input_bytes: int, output_bytes: int, lanes: str = PLAIN
    ) -> Profile:
        """See `profile_of`: for the blocks, and for what takes their place where they can't be."""
        found = contraction_of(body)
        orders = [] if found is None else Blocks(found, lanes_for(found, lanes)).orders()
        return profile_of(body, argument, input_bytes, output_bytes, orders)


class Maps:
    """`lowtide.kernels.mapped`: layers of integers without reductions and pads, in runs."""

    def accepts(self, body: LayerBody) -> bool:
        """Layers whose elements lie in runs, as those that they are made from do."""
        return elementwise_of(body) is not None

    def emit(self, body: LayerBody, arguments: Sequence[Value], how: How) -> None:
        """See `MapEmitter`; where a call has no runs, elements are pulled, as always."""
        found = elementwise_of(body)
        if found is None or not is_mapped(found, arguments, how.part):
            Pull().emit(body, arguments, how)
            return
        wide = LANES[how.lanes].wide
        MapEmitter(found, body, arguments, how.part, how.constants, backwards=how.backwards, wide=wide).emit()

    def derived(self, body: LayerBody, lanes: str) -> tuple[Derived, ...]:
        """Nothing."""
        del body, lanes
        return ()

    def form(self, body: LayerBody) -> str:
        """One for all."""
        del body
        return "map"

    def profile(
        self, body: LayerBody, argument: int, input_bytes: int, output_bytes: int, lanes: str = PLAIN
    ) -> Profile:
        """That of single elements: turns of neighbours, each loaded before it is stored, allow no less."""
        return Pull().profile(body, argument, input_bytes, output_bytes, lanes)


class Pools:
    """`lowtide.kernels.pooled`: reductions of integers that leave the channels alone."""

    def accepts(self, body: LayerBody) -> bool:
        """Layers with one reduction through neighbours alike."""
        return channelwise_of(body) is not None

    def emit(self, body: LayerBody, arguments: Sequence[Value], how: How) -> None:
        """See `PoolEmitter`; where a call does not have the channels together, elements are pulled, as always."""
        found = channelwise_of(body)
        if found is None or not is_pooled(found, body, arguments, how.part):
            Pull().emit(body, arguments, how)
            return
        PoolEmitter(found, body, arguments, how.part, how.constants, backwards=how.backwards).emit()

    def derived(self, body: LayerBody, lanes: str) -> tuple[Derived, ...]:
        """Nothing."""
        del body, lanes
        return ()

    def form(self, body: LayerBody) -> str:
        """One for all."""
        del body
        return "pool"

    def profile(
        self, body: LayerBody, argument: int, input_bytes: int, output_bytes: int, lanes: str = PLAIN
    ) -> Profile:
        """That of single elements: steps of neighbours, each loaded before it is stored, allow no less."""
        return Pull().profile(body, argument, input_bytes, output_bytes, lanes)


def _run_bytes(found: Contraction) -> int:
    """Weights of a channel that lie together with the input's bytes: those of a row of the window, or all."""
    rows = found.rows.kernel if Blocks(found, LANES[PLAIN]).kind == "patches" else 1
    return rows * found.run


def _group(found: Contraction, lanes: str) -> int:
    """Output channels whose weights these lanes want side by side; 1 where each channel's are in a run."""
    blocks = Blocks(found, lanes_for(found, lanes))
    if blocks.lanes.outer is None or blocks.kind == "depthwise":
        return 1
    return min(found.outputs, blocks.channels(1))


def _has_floats(body: LayerBody) -> bool:
    return any(isinstance(RankedTensorType(kind).element_type, F32Type) for kind in body.arguments)


def _convolution(body: LayerBody) -> Contraction | None:
    found = contraction_of(body)
    return found if found is not None and Blocks(found, lanes_for(found, PLAIN)).emittable else None


def lanes_for(found: Contraction, name: str) -> Lanes:
    """How a core multiplies the elements of a convolution; `name` is one of `LANES`."""
    if found.element == "float":
        return FLOATS.get(name, Floats())
    return LANES[SHARED.get(name, name) if found.multiplier > 1 else name]


GENERAL = "pull"
"""The kernel that accepts every layer, and goes in an order that every arena allows."""
WIDENED = "widened"
"""The kernel that takes flash for speed."""
WEIGHTS = ("runs", "groups", "widened")
"""Derived constants that take the weights' place."""
KERNELS: dict[str, Kernel] = {
    "blocked": Blocked(),
    WIDENED: Blocked(wide=True),
    "map": Maps(),
    "pool": Pools(),
    GENERAL: Pull(),
}


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


def kernel_for_part(body: LayerBody, picked: str | None) -> str | None:
    """The kernel picked for a layer, for what comes before or after its loop; None where it does not accept that."""
    return picked if picked in KERNELS and KERNELS[picked].accepts(body) else None


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
