"""Lanes of single-precision floats: a product and a sum at a time, in the registers of an FPU or by calls without one.

Each sum goes through its window in the order of the general kernel. Where the core has a fused multiply-add, a product
is not rounded before it is added.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from lowtide.ir import F32Type, Value, arith, math
from lowtide.kernels.register_tiled.contraction import FLOAT, Factor
from lowtide.kernels.register_tiled.memory import Address, load
from lowtide.kernels.register_tiled.microkernel import Microkernel, Outer, Sums


@dataclass(frozen=True)
class Floats(Microkernel):
    """A float at a time; the defaults are for a core without FPU."""

    folds: bool = False
    unrolled: int = 4 * FLOAT
    turn: int = 4 * FLOAT

    def dot(self, sums: Sums, xs: Sequence[Address], ws: Sequence[Address], count: int, x: Factor, w: Factor) -> Sums:
        """See `Microkernel`."""
        del x, w
        for k in range(0, count, FLOAT):
            left = [_element(address + k) for address in xs]
            # each sum in the order of its window, as in the general kernel: floats round otherwise in another
            for n, address in enumerate(ws):
                self._add(sums, n, left, _element(address + k))
        return sums

    def scale(self, sums: Sums, xs: Sequence[Address], ws: Address, x: Factor, w: Factor) -> Sums:
        """See `Microkernel`."""
        del x, w
        for n in range(len(sums[0])):
            left = [_element(address + n * FLOAT) for address in xs]
            self._add(sums, n, left, _element(ws + n * FLOAT))
        return sums

    def _add(self, sums: Sums, n: int, left: Sequence[Value], right: Value) -> None:
        """The products of a weight of channel `n` with an element of each pixel."""
        for row, value in zip(sums, left, strict=True):
            row[n] = self.added(row[n], value, right)

    def added(self, total: Value, x: Value, w: Value) -> Value:
        """The sum with one product more."""
        return arith.addf(total, arith.mulf(x, w))


class Products(Outer):
    """An element of each pixel with the weights of a group of channels; see `Outer`."""

    def add(self, sums: Sums, xs: Sequence[Address], ws: Address, count: int, factors: tuple[Factor, Factor]) -> Sums:
        """See `Outer`."""
        del factors
        width = len(sums[0])
        for k in range(0, count, FLOAT):
            left = [_element(address + k) for address in xs]
            for n in range(width):
                right = _element(ws + (k * width + n * FLOAT))
                for row, value in zip(sums, left, strict=True):
                    row[n] = math.fma(value, right, row[n])
        return sums


@dataclass(frozen=True)
class Fused(Floats):
    """An FPU with 32 registers: the sums of a block, one factor of each of its pixels, and one weight."""

    blocks: Mapping[int, int] = field(default_factory=lambda: MappingProxyType({1: 16, 2: 8, 3: 8}))
    pixels: int = 4
    group: int = 4
    outer: Outer | None = field(default_factory=Products)

    def added(self, total: Value, x: Value, w: Value) -> Value:
        """See `Floats`: in one instruction, without rounding in between."""
        return math.fma(x, w, total)


def _element(address: Address) -> Value:
    return load(address, F32Type.get(), FLOAT)
