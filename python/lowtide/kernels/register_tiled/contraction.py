"""Convolutions of bytes or floats, dense layers among them: what the register-tiled kernel knows of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lowtide.graph.nest import Node, Reshaped, Shape, Structured
from lowtide.indexing.linear import Index, Var

Layout = Literal["runs", "depthwise", "spread"]
Span = tuple[int, int]
"""First position and count."""
Element = Literal["byte", "float"]
FLOAT = 4
"""Bytes of a float."""
MOST_ZERO = 0x7F00
"""Largest magnitude of a zero point: a byte less such a one is a 16-bit value."""


@dataclass(frozen=True)
class Factor:
    """One side of the products: the input or the weights.

    Attributes:
        argument: number of the tensor argument.
        shape: of the tensor.
        signed: how its bytes are extended.
        zero: what is subtracted then.
        nbytes: of an element: 1, 2 for weights that are extended in memory, 4 for floats, which are taken as they are.
    """

    argument: int
    shape: Shape
    signed: bool
    zero: int
    nbytes: int = 1


@dataclass(frozen=True)
class Axis:
    """Rows or columns: output o takes input o·stride + k·dilation − pad for each k below `kernel`.

    Attributes:
        inputs, outputs: extents.
    """

    stride: int
    dilation: int
    pad: int
    kernel: int
    inputs: int
    outputs: int

    @property
    def interior(self) -> tuple[int, int]:
        """The outputs [first, end) whose whole window is inside the input."""
        first = -(-self.pad // self.stride)
        end = (self.inputs + self.pad - (self.kernel - 1) * self.dilation - 1) // self.stride + 1
        return min(first, self.outputs), max(min(first, self.outputs), min(end, self.outputs))

    @property
    def is_point(self) -> bool:
        """Whether each window is one element that is inside the input."""
        return self.kernel == 1 and self.interior == (0, self.outputs)

    def inside(self, output: int) -> tuple[int, int]:
        """The elements [first, end) of that output's window that are inside the input."""
        low = self.pad - output * self.stride
        # the least k with k·dilation ≥ low, and the least beyond the input's end: ceiling divisions
        first, end = -(-low // self.dilation), -(-(low + self.inputs) // self.dilation)
        return max(0, min(first, self.kernel)), max(0, min(end, self.kernel))

    @property
    def classes(self) -> tuple[tuple[int, int, tuple[int, int]], ...]:
        """Runs of neighbouring outputs whose windows have the same elements inside the input.

        Returns:
            first output, end, and the elements [first, end) of the window that are inside.
        """
        found: list[tuple[int, int, tuple[int, int]]] = []
        for output in range(self.outputs):
            inside = self.inside(output)
            if found and found[-1][2] == inside:
                found[-1] = (found[-1][0], output + 1, inside)
            else:
                found.append((output, output + 1, inside))
        return tuple(found)


@dataclass(frozen=True, eq=False)
class Contraction:
    """A convolution of bytes into 32-bit sums, or of floats; input, output and weights dense, channels last, batch 1.

    Attributes:
        node: what the layer's result is made from: the reduction, or a view of it with input channels and multipliers
            in one dimension.
        init: what its sums start from, in the same shape.
        index: the element of both that an element of the layer's result is made from, in terms of `loops`.
        loops: batch, row, column and channel of the result.
        result: an element of the layer's result in terms of those.
        x, w: input and weights.
        rows, columns: of the windows.
        channels: of the input that one sum goes over; 1 where each output channel has its own.
        layout: "runs": for each output channel and window row the weights are one run of elements, as the input is;
            "depthwise": output channel c takes input channel c / `multiplier`; "spread": the input has one channel, and
            weights of neighbouring output channels are neighbours.
        w_strides: in weights, for output channel and window row, and column.
        multiplier: output channels that take the same input channel, in the layout "depthwise".
        first: the first channel of the input that is read; above 0 in a group of a grouped convolution.
        group: 1, or the weights of so many output channels lie side by side for each element of the window, group
            after group; the last has what is left. Strides count weights of one channel then.
    """

    node: Structured | Reshaped
    init: Node
    index: Index
    loops: tuple[Var, ...]
    result: Index
    x: Factor
    w: Factor
    rows: Axis
    columns: Axis
    channels: int
    layout: Layout
    w_strides: tuple[int, int, int]
    ky: Var
    kx: Var
    multiplier: int = 1
    first: int = 0
    group: int = 1

    @property
    def outputs(self) -> int:
        """Output channels."""
        return self.loops[3].extent

    @property
    def element(self) -> Element:
        """What input and weights consist of."""
        return "float" if self.x.nbytes == FLOAT else "byte"

    @property
    def size(self) -> int:
        """Bytes of an element of the input."""
        return self.x.nbytes

    @property
    def pixel(self) -> int:
        """Bytes of a pixel of the input."""
        return self.x.shape[3] * self.size

    @property
    def depth(self) -> int:
        """Bytes of a pixel of the input that one sum goes over: all, or those of a group of channels."""
        return self.channels * self.size

    @property
    def run(self) -> int:
        """Bytes of the input under one row of the window, which lie in one run where they are not `dilated`."""
        return self.columns.kernel * self.depth

    @property
    def dilated(self) -> bool:
        """Whether columns of the window are not neighbours in the input, so that only those of a pixel are in a run.

        Either columns are left out, or channels that are another group's lie between them.
        """
        return self.columns.kernel > 1 and (self.columns.dilation != 1 or self.depth != self.pixel)
