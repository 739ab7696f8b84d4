"""The kernel of convolutions and dense layers, in register blocks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from lowtide.graph.nest import LayerBody
from lowtide.graph.profile import Profile, profile_of
from lowtide.ir import Value
from lowtide.kernels.constants import Numbers
from lowtide.kernels.general import General
from lowtide.kernels.kernel import Derived, Kernel
from lowtide.kernels.loops import How
from lowtide.kernels.microkernels import MICROKERNELS, PLAIN, microkernel_for
from lowtide.kernels.register_tiled.accumulated import AccumulatedEmitter, is_accumulated
from lowtide.kernels.register_tiled.blocks import Blocks
from lowtide.kernels.register_tiled.contraction import Contraction
from lowtide.kernels.register_tiled.emitter import RegisterTiledEmitter, Tabulated, is_register_tiled
from lowtide.kernels.register_tiled.recognise import contraction_of
from lowtide.kernels.register_tiled.records import Records
from lowtide.kernels.register_tiled.requantised import RECORD
from lowtide.kernels.register_tiled.shifts import as_words, shift_arguments
from lowtide.kernels.register_tiled.tables import UNKNOWN, has_starts, scales_of, tables_of
from lowtide.kernels.register_tiled.weights import as_groups, as_prepacked, as_runs, fold, in_groups, in_runs, prepacked

WEIGHTS = ("runs", "groups", "prepacked_i16")
"""The derived constants of which one may take the weights' place."""


@dataclass(frozen=True)
class RegisterTiled(Kernel):
    """`lowtide.kernels.register_tiled`: convolutions and dense layers of 8-bit integers or floats.

    Attributes:
        wide: weights are of 16 bits where a core is faster with them: twice the flash; for bytes, but not depthwise.
    """

    wide: bool = False

    def accepts(self, body: LayerBody) -> bool:
        """Layers with one convolution of a form that it knows."""
        found = _convolution(body)
        return found is not None and not (self.wide and (found.layout == "depthwise" or found.element == "float"))

    def emit(self, body: LayerBody, arguments: Sequence[Value], how: How) -> None:
        """Emit the layer in register blocks; what does not lie by channels in memory is computed element by element."""
        found = _convolution(body)
        wanted = self.derived(body, how.microkernels)
        by_rows = how.part if found is not None and found.element == "byte" else None
        if found is not None and by_rows is not None and is_accumulated(found, body, arguments, by_rows):
            AccumulatedEmitter(found, body, arguments, how, by_rows).emit()
            return
        # "spread" weights are made into runs at compile time: without that constant there is no code for them
        missing = found is None or (found.layout == "spread" and len(how.derived) < len(wanted))
        if found is None or missing or not is_register_tiled(found, body, arguments, how.part):
            General().emit(body, arguments, how)
            return
        pairs = list(zip(wanted, how.derived, strict=False))
        made = {item.what: value for item, value in pairs}
        values = dict(zip((item.what for item in wanted), how.values, strict=False))
        if "runs" in made:
            found = as_runs(found)
        elif "groups" in made:
            found = as_groups(found, _group(Blocks(found, microkernel_for(found, how.microkernels))))
        elif "prepacked_i16" in made:
            found = as_prepacked(found)
        rescale, records = scales_of(body.result), made.get("records")
        starts = records is not None and has_starts(body, found)
        complete = all((numbers.reshape(-1, RECORD)[:, -1] != UNKNOWN).all() for numbers in values.get("records", ()))
        given = Tabulated(
            weights=next((made[what] for what in WEIGHTS if what in made), arguments[found.w.argument]),
            folded=made.get("folded"),
            records=None if records is None or rescale is None else Records(records, rescale[0], starts, complete),
            starts=made.get("starts"),
            pads=made.get("pads"),
            words={item.argument: value for item, value in pairs if item.what == "shifts"},
            known=values.get("groups", ()),
            transformed=made.get("winograd"),
        )
        self.emitter(found, body, arguments, how, given).emit()

    emitter: ClassVar[type[RegisterTiledEmitter]] = RegisterTiledEmitter
    """What emits a layer."""

    def derived(self, body: LayerBody, microkernels: str) -> tuple[Derived, ...]:
        """The weights in the microkernel's order, what the input's zero point adds, and shifts as words."""
        found, made = _convolution(body), list[Derived]()
        if found is None:
            return ()
        blocks = Blocks(found, microkernel_for(found, microkernels))
        if _group(blocks) > 1:
            made.append(Derived("groups", (found.w.argument,), partial(in_groups, found, blocks.of_channels(1))))
        elif self.wide and blocks.microkernel.widens:
            made.append(Derived("prepacked_i16", (found.w.argument,), partial(prepacked, found, _run_bytes(found))))
        elif found.layout == "spread":
            made.append(Derived("runs", (found.w.argument,), partial(in_runs, found)))
        if blocks.microkernel.folds and found.x.zero != 0 and found.w.zero == 0:
            rows = [inside for _, inside in blocks.row_classes]
            made.append(Derived("folded", (found.w.argument,), partial(fold, found, rows)))
        if blocks.microkernel.tables:
            made += tables_of(body, blocks)
            if blocks.pad_bytes:
                made.append(Derived("pads", (found.w.argument,), partial(pads_of, found, blocks.pad_bytes)))
        if blocks.microkernel.across:
            made += [Derived("shifts", (argument,), as_words) for argument in sorted({*shift_arguments(body.result)})]
        return tuple(made)

    def form(self, body: LayerBody) -> str:
        """The form that `Blocks.kind` says; runs under windows of several rows are in one loop more."""
        found = _convolution(body)
        if found is None or found.element == "float":
            return General().form(body)
        kind = Blocks(found, MICROKERNELS[PLAIN]).kind
        return "windows" if kind == "runs" and found.rows.kernel > 1 else kind

    def streamed(self, body: LayerBody, microkernels: str) -> int:
        """All weights for each block of pixels; those of 16 bits are twice as many bytes."""
        found = _convolution(body)
        if found is None or found.layout == "depthwise":
            return 0
        blocks = len(Blocks(found, microkernel_for(found, microkernels)).of_row(whole=True))
        nbytes = math.prod(found.w.shape) * found.w.nbytes * (2 if self.wide else 1)
        return found.rows.outputs * blocks * nbytes

    def profile(
        self, body: LayerBody, argument: int, input_bytes: int, output_bytes: int, microkernels: str = PLAIN
    ) -> Profile:
        """The stricter distances of `profile_of`: of the blocks, and of what takes their place where they can't be."""
        found = contraction_of(body)
        orders = [] if found is None else Blocks(found, microkernel_for(found, microkernels)).orders()
        return profile_of(body, argument, input_bytes, output_bytes, orders)


@dataclass(frozen=True)
class Prepacked(RegisterTiled):
    """`lowtide.kernels.register_tiled` with weights of 16 bits."""

    weights: ClassVar[str | None] = "prepacked_i16"

    def form(self, body: LayerBody) -> str:
        """Its own: unlike the bytes of others, no weight is extended."""
        form = super().form(body)
        return f"prepacked {form}" if form != General().form(body) else form


def pads_of(found: Contraction, count: int, weights: Numbers) -> npt.NDArray[np.int8]:
    """As many zero points of the input, whatever the weights are."""
    del weights
    return np.full(count, found.x.zero & 0xFF, np.uint8).view(np.int8)


def _run_bytes(found: Contraction) -> int:
    """Weights of a channel that lie together with the input's bytes: those of a row of the window, or all."""
    rows = found.rows.kernel if Blocks(found, MICROKERNELS[PLAIN]).kind == "patches" else 1
    return rows * found.run


def _group(blocks: Blocks) -> int:
    """Output channels whose weights the microkernel wants side by side; 1 where each channel's are in a run."""
    if blocks.microkernel.outer is None or blocks.kind == "depthwise":
        return 1
    return min(blocks.found.outputs, blocks.channels(1))


def _convolution(body: LayerBody) -> Contraction | None:
    found = contraction_of(body)
    return found if found is not None and Blocks(found, microkernel_for(found, PLAIN)).emittable else None
