"""Random choices for small `.tflite` models: tensors with odd scales, and inputs that lie at the edges."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tflite_nets import TYPES, Net

from lowtide.importer.tflite.model import OptionValue, Tensor
from lowtide.importer.tflite.writer import write

Array = NDArray[Any]
RUNS = 3
"""Inputs of each case: spread evenly, at the extremes, and a mixture with ties."""
LIMIT = 300
"""No tensor has more elements."""
NUMPY_TYPES = {number: dtype for dtype, number in TYPES.items()}
INT8, UINT8, FLOAT, INT32, INT64, BOOL = (
    np.dtype(name) for name in ("int8", "uint8", "float32", "int32", "int64", "bool")
)
BYTES = (INT8, UINT8)


class NotDrawnError(Exception):
    """These choices make no model; others are to be drawn."""


@dataclass(frozen=True)
class Case:
    """A model and what to run it on.

    Attributes:
        name: its operators and their main options, for people.
        operators: their names in the schema.
        model: the bytes of the `.tflite` file.
        runs: `[run][input]`.
        rounded: floats are computed with, so that they need only be close.
        floats: it has tensors of floats.
        defined: LiteRT Micro deviates from the operator's definition, which LiteRT follows.
    """

    name: str
    operators: tuple[str, ...]
    model: bytes
    runs: tuple[tuple[Array, ...], ...]
    rounded: bool
    floats: bool
    defined: bool


@dataclass
class Draw:
    """One case under construction.

    Args:
        rng: makes every choice.
        alone: no other operator may follow: LiteRT and LiteRT Micro differ, and no engine has both as they should be.
    """

    rng: np.random.Generator
    net: Net = field(default_factory=Net)
    inputs: list[int] = field(default_factory=list[int])
    words: list[str] = field(default_factory=list[str])
    ranges: dict[int, tuple[int, int]] = field(default_factory=dict[int, tuple[int, int]])
    nan: bool = False
    defined: bool = False
    alone: bool = False

    def number(self, low: int, high: int) -> int:
        """A whole number, both ends included."""
        return int(self.rng.integers(low, high + 1))

    def chance(self, share: float) -> bool:
        """True in this share of cases."""
        return bool(self.rng.random() < share)

    def pick(self, values: Sequence[Any]) -> Any:
        """One of them."""
        return values[self.number(0, len(values) - 1)]

    def factor(self, low: float, high: float) -> float:
        """A number between, spread evenly on a logarithmic scale."""
        return math.exp(self.rng.uniform(math.log(low), math.log(high)))

    def shape(self, rank: int, most: int = 6) -> tuple[int, ...]:
        """Extents of 1 to `most`, the batch of four dimensions being 1."""
        extents = [self.pick((1, self.number(1, most), self.number(2, most))) for _ in range(rank)]
        if rank == 4:
            extents[0] = 1
        while np.prod(extents) > LIMIT:
            extents[int(np.argmax(extents))] = 2
        return tuple(extents)

    def scale(self) -> float:
        """A scale of activations: mostly odd, at times a power of two."""
        return 2.0 ** self.number(-8, 1) if self.chance(0.2) else single(self.factor(2e-3, 1.0))

    def zero_point(self, dtype: np.dtype[Any]) -> int:
        """A zero point, often one at an end of the range."""
        info = np.iinfo(dtype)
        return self.pick((info.min, info.max, 0, self.number(info.min, info.max), self.number(info.min, info.max)))

    def tensor(
        self, shape: Sequence[int], dtype: np.dtype[Any], scale: float | None = None, zero_point: int | None = None
    ) -> int:
        """A tensor, with a random scale and zero point if its type has them and they aren't given."""
        name = f"t{len(self.net.tensors)}"
        if dtype not in BYTES:
            return self.net.tensor(name, shape, dtype)
        chosen = self.scale() if scale is None else single(scale)
        return self.net.tensor(name, shape, dtype, chosen, self.zero_point(dtype) if zero_point is None else zero_point)

    def input(self, shape: Sequence[int], dtype: np.dtype[Any], **quantization: Any) -> int:
        """A tensor that the model is run on."""
        self.inputs.append(self.tensor(shape, dtype, **quantization))
        return self.inputs[-1]

    def constant(
        self, values: Array, scale: float | Sequence[float] | None = None, zero: int = 0, axis: int = 0
    ) -> int:
        """A constant."""
        return self.net.constant(f"c{len(self.net.tensors)}", values, values.dtype, scale, zero, axis=axis)

    def numbers(self, values: Sequence[int]) -> int:
        """A constant list of int32."""
        return self.constant(np.array(values, np.int32))

    def filled(self, shape: Sequence[int], dtype: np.dtype[Any], **quantization: Any) -> int:
        """A constant of random values, with scale and zero point as `tensor` gives them."""
        index = self.tensor(shape, dtype, **quantization)
        tensor = self.net.tensors[index]
        values = spread(self.rng, tensor)
        self.net.tensors[index] = Tensor(
            tensor.name, tensor.type, tensor.shape, data=values.tobytes(), quantization=tensor.quantization
        )
        return index

    def operator(
        self,
        name: str,
        inputs: Sequence[int],
        output: int,
        options: Mapping[str, OptionValue] | None = None,
    ) -> int:
        """An operator, noted in the case's name."""
        shown = " ".join(f"{key}={value}" for key, value in (options or {}).items())
        tensors = [self.net.tensors[index] for index in (*inputs, output) if index >= 0]
        self.words.append(f"{name}({', '.join(described(tensor) for tensor in tensors)}{' ' if shown else ''}{shown})")
        return self.net.operator(name, inputs, output, options)

    def of(self, index: int) -> Tensor:
        """A tensor by its index."""
        return self.net.tensors[index]

    def dtype(self, index: int) -> np.dtype[Any]:
        """The element type of a tensor."""
        return NUMPY_TYPES[self.of(index).type]

    def scale_of(self, index: int) -> float:
        """The scale of a quantised tensor, 1 for another."""
        quantization = self.of(index).quantization
        return quantization.scales[0] if quantization else 1.0

    def like(self, index: int, shape: Sequence[int] | None = None) -> int:
        """A tensor of the same type, scale and zero point."""
        tensor = self.of(index)
        quantization = tensor.quantization
        given = (quantization.scales[0], quantization.zero_points[0]) if quantization else (None, None)
        return self.tensor(tensor.shape if shape is None else shape, self.dtype(index), *given)

    def case(self, output: int, rounded: Callable[[str], bool]) -> Case:
        """The finished case."""
        model = self.net.model(self.inputs, [output])
        names = tuple(word.split("(")[0] for word in self.words)
        if max(np.prod(tensor.shape) for tensor in self.net.tensors) > 6 * LIMIT:
            raise NotDrawnError
        fillers = (spread, extreme, mixed)
        runs = tuple(
            tuple(self._within(index, filler(self.rng, self.of(index))) for index in self.inputs) for filler in fillers
        )
        if not self.nan:
            runs = tuple(tuple(np.nan_to_num(array, nan=0.5) for array in run) for run in runs)
        return Case(
            name=" → ".join(self.words),
            operators=names,
            model=write(model),
            runs=runs,
            rounded=any(rounded(name) for name in names),
            floats=any(NUMPY_TYPES[tensor.type] == FLOAT for tensor in self.net.tensors),
            defined=self.defined,
        )

    def _within(self, index: int, values: Array) -> Array:
        """Values of an input that stands for indices: all within what it indexes."""
        if index not in self.ranges:
            return values
        low, high = self.ranges[index]
        return self.rng.integers(low, high + 1, values.shape).astype(values.dtype)


@dataclass(frozen=True)
class Variant:
    """How an operator is drawn.

    Attributes:
        build: appends it to a tensor; gives its output.
        dtypes: element types that it takes.
        ranks: numbers of dimensions that it takes.
        rounds: its floats need only be close to the oracle's.
        nan: what it does with NaN is defined.
    """

    build: Callable[[Draw, int], int]
    dtypes: tuple[np.dtype[Any], ...]
    ranks: tuple[int, ...] = (1, 2, 3, 4)
    rounds: bool = False
    nan: bool = False


def single(value: float) -> float:
    """As the file stores it."""
    return float(np.float32(value))


def described(tensor: Tensor) -> str:
    """Shape, type and scale."""
    quantization = tensor.quantization
    scales = ""
    if quantization:
        scale = f"{quantization.scales[0]:.4g}" + ("…" if len(quantization.scales) > 1 else "")
        scales = f"·{scale}@{quantization.zero_points[0]}"
    constant = "" if tensor.data is None else "const "
    return f"{constant}{'x'.join(map(str, tensor.shape))} {NUMPY_TYPES[tensor.type]}{scales}"


def spread(rng: np.random.Generator, tensor: Tensor) -> Array:
    """Evenly over all that the type holds; floats a few units around 0."""
    dtype = NUMPY_TYPES[tensor.type]
    if dtype == FLOAT:
        return rng.normal(0, 2, tensor.shape).astype(np.float32)
    if dtype == BOOL:
        return rng.random(tensor.shape) < 0.5
    low, high = (-1000, 1000) if dtype.itemsize > 1 else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    return rng.integers(low, high + 1, tensor.shape).astype(dtype)


def extreme(rng: np.random.Generator, tensor: Tensor) -> Array:
    """The ends of the type's range and the zero point; floats far out, and their special values."""
    dtype = NUMPY_TYPES[tensor.type]
    if dtype == FLOAT:
        special = np.array([0.0, -0.0, np.nan, 1e-30, -1e-30, 1e4, -1e4], np.float32)
        far = rng.normal(0, 100, tensor.shape).astype(np.float32)
        return np.where(rng.random(tensor.shape) < 0.3, rng.choice(special, tensor.shape), far)
    if dtype == BOOL:
        return np.ones(tensor.shape, bool)
    info = np.iinfo(dtype)
    ends = [info.min, info.min + 1, info.max - 1, info.max] if dtype.itemsize == 1 else [-32768, 32767, -1, 0]
    zero = tensor.quantization.zero_points[0] if tensor.quantization else 0
    return rng.choice(np.array([*ends, zero], dtype), tensor.shape)


def mixed(rng: np.random.Generator, tensor: Tensor) -> Array:
    """Runs of small steps from one value on; floats at whole and half numbers of a few steps."""
    dtype = NUMPY_TYPES[tensor.type]
    if dtype == FLOAT:
        step = rng.choice(np.array([0.5, 0.25, 1.0, 0.05], np.float32))
        return (rng.integers(-40, 41, tensor.shape) * step).astype(np.float32)
    if dtype == BOOL:
        return rng.random(tensor.shape) < 0.1
    start = rng.integers(0, 256)
    walk = start + np.arange(int(np.prod(tensor.shape))) * rng.integers(0, 4)
    values = walk % 256 if dtype == UINT8 else walk % 256 - 128
    return values.reshape(tensor.shape).astype(dtype)
