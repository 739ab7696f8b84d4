"""Transposed convolutions as convolutions: an output's rows and columns, taken by their place modulo the stride.

Row y of the output sums w[ky] · x[iy] over all iy · stride + ky = y + pad. The rows y = q · stride + p of one phase p
are a convolution of stride 1 of their own, with every stride-th tap of the filter. One convolution whose filters are
those of all phases makes them side by side in the channels, and DEPTH_TO_SPACE (or a transpose, where the strides
differ) brings them into their places. The sums are LiteRT's, in another order: the same in integers. Each phase has as
many taps as the largest one needs, the others' are zero points, so that a filter that is no multiple of the stride
costs more multiplications than it has taps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from tflite import BuiltinOperator, TensorType

from lowtide.importer.tflite.model import Operator, OptionValue, Shape, Tensor
from lowtide.importer.tflite.operands import Operands, ShapeError
from lowtide.importer.tflite.rewrite import Rewrite
from lowtide.importer.tflite.windows import int_option

_SAME, _VALID = 0, 1
_MOST_ELEMENTS = 1 << 26
_DTYPES = {TensorType.INT8: np.int8, TensorType.UINT8: np.uint8, TensorType.FLOAT32: np.float32}


@dataclass(frozen=True)
class Axis:
    """One axis of a transposed convolution.

    Attributes:
        size, made: rows (or columns) of the input and of the output.
        taps: of the filter.
        stride: of the output's rows for one of the input.
        pad: rows that are cut off at the output's begin.
    """

    size: int
    made: int
    taps: int
    stride: int
    pad: int

    @property
    def shifts(self) -> list[int]:
        """For each phase the row of the input, counted from q, that its first tap takes."""
        return [(phase + self.pad) // self.stride for phase in range(self.stride)]

    @property
    def first(self) -> int:
        """The first row of the input, counted from q, that any phase takes; 0 or below."""
        counts = [-(-(self.taps - (phase + self.pad) % self.stride) // self.stride) for phase in range(self.stride)]
        return min(0, *(shift - count + 1 for shift, count in zip(self.shifts, counts, strict=True)))

    @property
    def window(self) -> int:
        """Rows of the input that the convolution's filters reach over."""
        return max(self.shifts) - self.first + 1

    @property
    def turns(self) -> int:
        """Values of q: the output's rows by the stride, rounded up."""
        return -(-self.made // self.stride)

    @property
    def pads(self) -> tuple[int, int]:
        """Rows to put before and behind the input."""
        return -self.first, max(0, self.turns - 1 + max(self.shifts) - (self.size - 1))

    def places(self) -> list[tuple[int, int, int]]:
        """Phase, row of the convolution's window and tap of the filter, for each tap that a phase has."""
        found: list[tuple[int, int, int]] = []
        for phase, shift in enumerate(self.shifts):
            taps = range((phase + self.pad) % self.stride, self.taps, self.stride)
            found += [(phase, shift - turn - self.first, tap) for turn, tap in enumerate(taps)]
        return found


def axes_of(operator: Operator, image: Shape, weights: Shape, made: Shape) -> tuple[Axis, Axis]:
    """Rows and columns, padded as LiteRT does it: by the sizes of the output."""
    found: list[Axis] = []
    for position, letter in ((1, "h"), (2, "w")):
        stride, taps, size = int_option(operator, f"stride_{letter}"), weights[position], made[position]
        same = int_option(operator, "padding") == _SAME
        # how many windows a convolution of the output would have
        windows = -(-size // stride) if same else -(-(size - taps + 1) // stride)
        pad = max(0, (windows - 1) * stride + taps - size) // 2
        found.append(Axis(image[position], size, taps, stride, pad))
    return found[0], found[1]


def transposed(operands: Operands) -> Shape:
    """The output's shape: the first operand says it."""
    made = operands.numbers(0, 4)
    (filters, height, width, depth), image = operands.shape(1, 4), operands.shape(2, 4)
    if made[3] != filters or depth != image[3] or made[0] != image[0] or min(made) < 1:
        weights = list(operands.shape(1))
        raise ShapeError(f"its input's shape is {list(image)}, its weights' {weights}, it is to make {made}")
    if min(made[1] - height, made[2] - width) < 0 and operands.option("padding") == _VALID:
        raise ShapeError(f"its filter of {height} x {width} is larger than its output of {made[1]} x {made[2]}")
    bias = operands.inputs[3] if len(operands.inputs) > 3 else None
    if bias is not None and bias.elements != filters:
        raise ShapeError(f"its bias has {bias.elements} elements, not {filters}")
    weights = operands.inputs[1]
    quantization = None if weights is None else weights.quantization
    if quantization is not None and len(quantization.scales) > 1 and quantization.axis != 0:
        raise ShapeError(f"its weights have scales along axis {quantization.axis}, not 0")
    return tuple(made)


def convolve(rewrite: Rewrite, operator: Operator) -> None:
    """Replace a TRANSPOSE_CONV: output's shape, weights, input, bias."""
    bias = next(iter(operator.inputs[3:]), -1)
    expand(rewrite, operator, operator.inputs[2], operator.inputs[1], bias, operator.options)


def expand(
    rewrite: Rewrite, operator: Operator, source: int, weights: int, bias: int, options: Mapping[str, OptionValue]
) -> None:
    """Add the convolution of all phases and what brings its results into their places.

    Args:
        rewrite: gets the operators.
        operator: what they serve, with the options padding, stride_h and stride_w.
        source: the input, [1, height, width, depth].
        weights: [filters, height, width, depth], one scale or one for each filter.
        bias: one number for each filter; below 0 for none.
        options: which may have a fused activation.
    """
    output = operator.outputs[0]
    image, held, made = rewrite.tensors[source].shape, rewrite.tensors[weights], rewrite.tensors[output].shape
    rows, columns = axes_of(operator, image, held.shape, made)
    phases = rows.stride * columns.stride
    height, width = (sum(axis.pads) + axis.size - axis.window + 1 for axis in (rows, columns))
    most = phases * made[3] * max(rows.window * columns.window * image[3], height * width)
    if most > _MOST_ELEMENTS:
        strides = f"strides of {rows.stride} x {columns.stride}"
        rewrite.refuse(operator, f"its {strides} make a tensor of {most:,} elements, more than {_MOST_ELEMENTS:,}")
    inputs = [
        _padded(rewrite, operator, source, rows, columns),
        rewrite.add(_filters(held, rows, columns), f"phases{operator.index}"),
        -1 if bias < 0 else rewrite.add(_repeated(rewrite.tensors[bias], phases), f"phases{operator.index}"),
    ]
    apart = rewrite.like(output, operator, "phases", (image[0], height, width, phases * made[3]))
    activation = options.get("fused_activation_function", 0)
    one = {"padding": _VALID, "stride_h": 1, "stride_w": 1, "fused_activation_function": activation}
    rewrite.emit(operator, BuiltinOperator.CONV_2D, inputs, apart, one)
    whole = (image[0], height * rows.stride, width * columns.stride, made[3])
    joined = output if whole == made else rewrite.like(output, operator, "joined", whole)
    _join(rewrite, operator, apart, joined, (rows.stride, columns.stride))
    if joined != output:
        rewrite.slice(operator, joined, (0, 0, 0, 0), made, output, "cut")


def _padded(rewrite: Rewrite, operator: Operator, source: int, rows: Axis, columns: Axis) -> int:
    """The input with rows and columns of its zero point around it."""
    amounts = ((0, 0), rows.pads, columns.pads, (0, 0))
    if not any(map(any, amounts)):
        return source
    shape = rewrite.tensors[source].shape
    padded = tuple(size + sum(pair) for size, pair in zip(shape, amounts, strict=True))
    numbers = rewrite.integers(operator, "pads", [number for pair in amounts for number in pair], (4, 2))
    made = rewrite.like(source, operator, "padded", padded)
    return rewrite.emit(operator, BuiltinOperator.PAD, (source, numbers), made)


def _filters(held: Tensor, rows: Axis, columns: Axis) -> Tensor:
    """The filters of all phases, phase by phase; a tap that a phase has not is the zero point."""
    filters, _, _, depth = held.shape
    values = np.frombuffer(held.data or b"", _DTYPES[held.type]).reshape(held.shape)
    quantization, phases = held.quantization, rows.stride * columns.stride
    made = np.zeros((rows.stride, columns.stride, filters, rows.window, columns.window, depth), values.dtype)
    if quantization is not None:
        zeros = np.array(quantization.zero_points, np.int64).astype(values.dtype)
        made[:] = zeros.reshape(1, 1, -1, 1, 1, 1)
    for down, y, ky in rows.places():
        for across, x, kx in columns.places():
            made[down, across, :, y, x] = values[:, ky, kx]
    if quantization is not None and len(quantization.scales) > 1:
        scales, zero_points = quantization.scales * phases, quantization.zero_points * phases
        quantization = replace(quantization, scales=scales, zero_points=zero_points)
    shape = (phases * filters, rows.window, columns.window, depth)
    return replace(held, shape=shape, data=made.tobytes(), quantization=quantization)


def _repeated(bias: Tensor, phases: int) -> Tensor:
    """A bias for each phase."""
    quantization = bias.quantization
    if quantization is not None and len(quantization.scales) > 1:
        scales, zero_points = quantization.scales * phases, quantization.zero_points * phases
        quantization = replace(quantization, scales=scales, zero_points=zero_points)
    data = bytes(bias.data or b"") * phases
    return replace(bias, shape=(phases * bias.elements,), data=data, quantization=quantization)


def _join(rewrite: Rewrite, operator: Operator, apart: int, joined: int, strides: tuple[int, int]) -> None:
    """Bring the phases, which lie side by side in the channels, into their rows and columns."""
    (batch, height, width, _), channels = rewrite.tensors[apart].shape, rewrite.tensors[joined].shape[3]
    down, across = strides
    if down == across > 1:
        rewrite.emit(operator, BuiltinOperator.DEPTH_TO_SPACE, (apart,), joined, {"block_size": down})
        return
    if down == across:
        rewrite.reshape(operator, apart, joined, "joined")
        return
    split = rewrite.like(apart, operator, "split", (batch * height, width, down, across * channels))
    rewrite.reshape(operator, apart, split, "split")
    turned = rewrite.like(apart, operator, "turned", (batch * height, down, width, across * channels))
    order = rewrite.integers(operator, "order", (0, 2, 1, 3))
    rewrite.emit(operator, BuiltinOperator.TRANSPOSE, (split, order), turned)
    rewrite.reshape(operator, turned, joined, "joined")
