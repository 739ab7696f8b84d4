"""The kernel of 3×3 convolutions with fewer products than are counted, for flash and a workspace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from lowtide.graph.nest import LayerBody
from lowtide.graph.profile import Profile
from lowtide.kernels.constants import Numbers
from lowtide.kernels.kernel import Derived, Workspace
from lowtide.kernels.microkernels import PLAIN, microkernel_for
from lowtide.kernels.register_tiled.blocks import Blocks
from lowtide.kernels.register_tiled.contraction import Contraction
from lowtide.kernels.register_tiled.emitter import RegisterTiledEmitter
from lowtide.kernels.register_tiled.kernel import RegisterTiled, pads_of
from lowtide.kernels.register_tiled.recognise import contraction_of
from lowtide.kernels.register_tiled.requantised import RECORD
from lowtide.kernels.register_tiled.tables import UNKNOWN, has_starts
from lowtide.kernels.register_tiled.weights import range_of_sums
from lowtide.kernels.winograd.emitter import WinogradEmitter
from lowtide.kernels.winograd.tiles import ELEMENTS, MOST_SUM, TILE, WINDOW, Tiles, fits, transformed


@dataclass(frozen=True)
class Winograd(RegisterTiled):
    """`lowtide.kernels.winograd`: 3×3 convolutions of bytes, on cores that have assembly for it.

    Other cores have the code of register-tiled layers, and no workspace.
    """

    def accepts(self, body: LayerBody) -> bool:
        """Dense convolutions of 3×3 without steps."""
        return super().accepts(body) and _fitting(body) is not None

    def form(self, body: LayerBody) -> str:
        """Its own."""
        del body
        return "winograd"

    def workspaces(self, body: LayerBody, microkernels: str) -> tuple[Workspace, ...]:
        """Of a pair of tiles."""
        found = _fitting(body)
        if found is None or not microkernel_for(found, microkernels).at_once:
            return ()
        return (((Tiles(found).workspace_words,), "int32"),)

    def streamed(self, body: LayerBody, microkernels: str) -> int:
        """All transformed weights for each pair of tiles."""
        found = _fitting(body)
        if found is None:
            return super().streamed(body, microkernels)
        nbytes = 2 * ELEMENTS * found.channels * found.outputs
        return -(-found.rows.outputs // TILE) * Tiles(found).pairs * nbytes

    def derived(self, body: LayerBody, microkernels: str) -> tuple[Derived, ...]:
        """As register-tiled layers have, for sums of which four times fit 32 bits; and the weights transformed."""
        made = super().derived(body, microkernels)
        found = _fitting(body)
        if found is None or not self.workspaces(body, microkernels):
            return made
        bounded = has_starts(body, found)
        made = tuple(
            replace(item, make=partial(_with_room, found, item.make)) if item.what == "records" and bounded else item
            for item in made
            if item.what != "pads"
        )
        weights = found.w.argument
        width = max(WINDOW * found.pixel, Blocks(found, microkernel_for(found, microkernels)).pad_bytes)
        pads = Derived("pads", (weights,), partial(pads_of, found, width))
        return (*made, pads, Derived("winograd", (weights,), partial(transformed, found)))

    emitter: ClassVar[type[RegisterTiledEmitter]] = WinogradEmitter
    weights: ClassVar[str | None] = "winograd"
    at_once: ClassVar[int] = TILE

    def profile(
        self, body: LayerBody, argument: int, input_bytes: int, output_bytes: int, microkernels: str = PLAIN
    ) -> Profile:
        """The stricter distances of pairs of tiles, and of what takes their place where they can't be."""
        plain = super().profile(body, argument, input_bytes, output_bytes, microkernels)
        found = _fitting(body)
        if found is None or argument != found.x.argument or not self.workspaces(body, microkernels):
            return plain
        own = Tiles(found).profile(body, input_bytes, output_bytes)
        return Profile(max(plain.forwards, own.forwards), max(plain.backwards, own.backwards))


def _fitting(body: LayerBody) -> Contraction | None:
    found = contraction_of(body)
    return found if found is not None and fits(found) else None


def _with_room(found: Contraction, make: Callable[..., Numbers], *values: Numbers) -> npt.NDArray[np.int32]:
    """The records; those of channels whose sums may be too large for these tiles have no meaning."""
    records = make(*values).reshape(-1, RECORD).astype(np.int32)
    low, high = range_of_sums(found, *values[-2:])
    records[(np.maximum(-low, high) >= MOST_SUM) & (records[:, 1] != 0), -1] = UNKNOWN
    return records.reshape(-1)
