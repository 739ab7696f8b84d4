"""Lanes of RISC-V without vectors: no multiply-accumulate, but 31 registers.

A weight serves all pixels of a block, a byte of the input all its channels; the weights of a group of channels lie
together, so that one address with constant offsets reaches them. Three pixels take two products (see `packed`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from lowtide.ir import arith
from lowtide.kernels.register_tiled import packed
from lowtide.kernels.register_tiled.contraction import Factor
from lowtide.kernels.register_tiled.memory import Address, fence
from lowtide.kernels.register_tiled.microkernel import Microkernel, Outer, Sums, extended
from lowtide.kernels.scalar import settled


class Products(Outer):
    """A byte of each pixel with the weights of a group of channels; see `Outer`."""

    def packs(self, pixels: int) -> bool:
        """See `Outer`."""
        return pixels == packed.PIXELS

    def add(self, sums: Sums, xs: Sequence[Address], ws: Address, count: int, factors: tuple[Factor, Factor]) -> Sums:
        """See `Outer`."""
        x, w = factors
        width = len(sums[0])
        for k in range(count):
            bytes_of_pixels = [extended(address + k, x) for address in xs]
            left = bytes_of_pixels if len(sums) == len(xs) else packed.pack(bytes_of_pixels)
            for n in range(width):
                right = extended(ws + (k * width + n), w)
                for row, value in zip(sums, left, strict=True):
                    total = arith.addi(row[n], arith.muli(value, right))
                    # or LLVM would add up the products of several bytes first, and run out of registers
                    row[n] = total if k == count - 1 else settled(total)
                fence()
        return sums


@dataclass(frozen=True)
class Risc(Microkernel):
    """RV32 with M."""

    blocks: Mapping[int, int] = field(default_factory=lambda: MappingProxyType({1: 16, 2: 8, 3: 8}))
    pixels: int = 5
    bare: bool = True
    tables: bool = True
    unrolled: int = 4
    turn: int = 4
    outer: Outer | None = field(default_factory=Products)
