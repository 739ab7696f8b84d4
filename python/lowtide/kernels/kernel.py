"""What a kernel is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from lowtide.dtypes import DType
from lowtide.graph.nest import LayerBody, Shape
from lowtide.graph.profile import Profile, profile_of
from lowtide.ir import Value
from lowtide.kernels.constants import Numbers
from lowtide.kernels.loops import How
from lowtide.kernels.microkernels import PLAIN

Workspace = tuple[Shape, DType]
"""Shape and type of the elements of a buffer that a kernel needs for itself while it runs."""


@dataclass(frozen=True)
class Derived:
    """A constant that is made of others at compile time.

    Attributes:
        what: its meaning to the kernel.
        arguments: numbers of the tensor arguments that it is made from.
        make: from those arguments' values, one dimension of numbers.
    """

    what: Literal["runs", "groups", "prepacked_i16", "winograd", "folded", "shifts", "starts", "records", "pads"]
    arguments: tuple[int, ...]
    make: Callable[..., Numbers]

    @property
    def argument(self) -> int:
        """The first of them."""
        return self.arguments[0]


class Kernel(ABC):
    """One way to compute a layer."""

    weights: ClassVar[str | None] = None
    """The derived constant that takes the place of a layer's weights, for a kernel that a plan may pay flash for."""
    at_once: ClassVar[int] = 1
    """Rows of the output that it makes together."""

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

    def streamed(self, body: LayerBody, microkernels: str) -> int:
        """Bytes of weights that its code loads in one run over the whole layer; 0 where nothing depends on that."""
        del body, microkernels
        return 0

    def workspaces(self, body: LayerBody, microkernels: str) -> tuple[Workspace, ...]:
        """What the code of these microkernels needs for itself."""
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
