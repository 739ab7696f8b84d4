"""What a kernel is, and what it is emitted for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from lowtide.graph.nest import LayerBody
from lowtide.graph.profile import Profile, profile_of
from lowtide.ir import Value
from lowtide.kernels.constants import Numbers
from lowtide.kernels.intervals import Interval
from lowtide.kernels.loops import Part
from lowtide.kernels.microkernels import PLAIN


@dataclass(frozen=True)
class How:
    """What a kernel is emitted for.

    Attributes:
        microkernels: of the core, a name of `MICROKERNELS`.
        backwards: go through the output from its end.
        part: what the call goes through, None for all.
        constants: between which values those tensor arguments lie that are known.
        derived: a memref for each of the kernel's derived constants, or none at all.
        values: of each of these constants, what everyone who calls the code has.
    """

    microkernels: str = PLAIN
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

    what: Literal["runs", "groups", "prepacked_i16", "folded", "shifts"]
    argument: int
    make: Callable[[Numbers], Numbers]


class Kernel(ABC):
    """One way to compute a layer."""

    @abstractmethod
    def accepts(self, body: LayerBody) -> bool:
        """True where this kernel can compute the layer."""

    @abstractmethod
    def emit(self, body: LayerBody, arguments: Sequence[Value], how: How) -> None:
        """Emit the loops at the current insertion point; `arguments` are memrefs, the destination last."""

    @abstractmethod
    def form(self, body: LayerBody) -> str:
        """How the code for a layer goes through memory: the cost model has coefficients for each form."""

    def derived(self, body: LayerBody, microkernels: str) -> tuple[Derived, ...]:
        """What the code of these microkernels can use if the arguments that it is made from are constants."""
        del body, microkernels
        return ()

    def profile(
        self, body: LayerBody, argument: int, input_bytes: int, output_bytes: int, microkernels: str = PLAIN
    ) -> Profile:
        """How far the output may run into that input, for the code that `emit` makes in either direction.

        This is that of single elements; turns of neighbours, each loaded before it is stored, allow no less.
        """
        del microkernels
        return profile_of(body, argument, input_bytes, output_bytes)
