"""How a core multiplies bytes: what the register-tiled kernels ask of it, and plain integers, which every core has."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from lowtide.ir import IntegerType, Value, VectorType, arith, vector
from lowtide.kernels.register_tiled.contraction import Factor
from lowtide.kernels.register_tiled.memory import Address, fence, load
from lowtide.kernels.register_tiled.products import Epilogue, Products
from lowtide.kernels.values import widened, word

Sums = list[list[Value]]
"""32-bit sums of a block: by pixel, then by channel, or by vectors of `Wide.width` channels."""


@dataclass(frozen=True)
class Wide(ABC):
    """Vectors of 32-bit lanes, in which what follows the sums is computed for several channels at a time.

    Attributes:
        width: lanes of a vector.
        rereads: there are too few registers for keeping constants in them.
    """

    width: int
    rereads: bool

    @abstractmethod
    def fitting(self, channels: int) -> Wide | None:
        """The vectors that a block of so many channels goes in, None where it goes in scalars."""

    @abstractmethod
    def high_product(self, x: Value, multiplier: Value) -> Value:
        """(2·x·multiplier + 2^31) >> 32, computed in 64 bits; one of the two is above -2^31."""

    @abstractmethod
    def shifted(self, x: Value, left: Value) -> Value:
        """(x + 2^(r−1)) >> r, where r = -left > 0 and the sum is a 32-bit value."""


class Outer(ABC):
    """Products of the bytes of some pixels with the weights of a group of channels, which lie side by side."""

    def packs(self, pixels: int) -> bool:
        """Whether the sums of so many pixels are packed into fewer words (see `packed`)."""
        del pixels
        return False

    @abstractmethod
    def add(self, sums: Sums, xs: Sequence[Address], ws: Address, count: int, factors: tuple[Factor, Factor]) -> Sums:
        """Add to sums[m][n] the products of `count` bytes from xs[m] with byte n of as many groups from ws on.

        `factors` are those of xs and of ws. Packed sums have fewer rows than there are pixels.
        """


def apart(sums: Sums) -> Sums:
    """The sums as scalars."""
    return [[part for total in row for part in _scalars(total)] for row in sums]


def _scalars(total: Value) -> list[Value]:
    if not isinstance(total.type, VectorType):
        return [total]
    return [vector.extract(total, [], [lane]) for lane in range(VectorType(total.type).shape[0])]


def extended(address: Address, factor: Factor) -> Value:
    """One element as the 32-bit value that the products take."""
    loaded = load(address, IntegerType.get_signless(8 * factor.nbytes))
    value = widened(loaded, IntegerType.get_signless(32), signed=factor.signed)
    return arith.subi(value, word(factor.zero)) if factor.zero else value


@dataclass(frozen=True)
class Microkernel:
    """Multiplies and adds in the registers of a core; this one a byte at a time, which every core can.

    Attributes:
        blocks: how many channels a block has where its sums go over runs of bytes, by its number of pixels; there is an
            entry for one pixel.
        pixels: most pixels of a block where each channel is summed for itself (depthwise layers).
        group: channels that lie together in such a block, which the core takes at once.
        wide: the core's vectors, None without any. Then the sums of a group's channels are vectors, but for `dot`.
        outer: what multiplies weights in groups of channels; None where the core wants each channel's in a run (`dot`).
        widens: `dot` is faster with weights of 16 bits (see `prepacked_i16`).
        folds: the input's zero point is better in what the sum starts from than subtracted.
        at_once: it has code for blocks of channels at once (`channel_blocks`).
        tables: multipliers and shifts are best read side by side, made ready.
        bare: the core has no instruction for rounded high products, minima or maxima, but branches for nothing.
        unrolled: bytes of a run whose products are written out, without a loop.
        turn: bytes that a turn of a loop over a longer run takes, a power of two.
        most_turn: what it may take where that divides the run.
        across: the channels of a block, a power of two, are the lanes of one vector. Then `blocks` and `pixels` say how
            many pixels there are beside `group` channels: fewer leave room for more.
    """

    blocks: Mapping[int, int] = field(default_factory=lambda: MappingProxyType({1: 2, 2: 2}))
    pixels: int = 2
    group: int = 1
    wide: Wide | None = None
    outer: Outer | None = None
    widens: bool = False
    folds: bool = True
    at_once: bool = False
    tables: bool = False
    bare: bool = False
    unrolled: int = 8
    turn: int = 8
    most_turn: int = 8
    across: bool = False

    def dot(self, sums: Sums, xs: Sequence[Address], ws: Sequence[Address], count: int, x: Factor, w: Factor) -> Sums:
        """Add to sums[m][n] the products of `count` bytes from xs[m] and ws[n]."""
        for k in range(count):
            right = [extended(address + k * w.nbytes, w) for address in ws]
            for row, address in zip(sums, xs, strict=True):
                left = extended(address + k, x)
                row[:] = [arith.addi(total, arith.muli(left, r)) for total, r in zip(row, right, strict=True)]
                # or the scheduler puts the loads of all bytes first
                fence()
        return sums

    def operations(self, pixels: int, channels: int) -> int | None:
        """What a block takes for some bytes of its runs, where that is known better than by counting operations."""
        del pixels, channels
        return None

    def channel_blocks(self, products: Products, epilogue: Epilogue) -> bool:
        """Emit blocks of some pixels to their last byte, and say so; False where there is no code for that.

        Args:
            products: what is added up.
            epilogue: the rest.
        """
        del products, epilogue
        return False

    def scale(self, sums: Sums, xs: Sequence[Address], ws: Address, x: Factor, w: Factor) -> Sums:
        """Add to sums[m][c] the product of byte c from xs[m] and byte c from ws, for the channels of a group."""
        right = [extended(ws + c, w) for c in range(len(sums[0]))]
        for row, address in zip(sums, xs, strict=True):
            left = [extended(address + c, x) for c in range(len(row))]
            products = [arith.muli(a, b) for a, b in zip(left, right, strict=True)]
            row[:] = [arith.addi(total, product) for total, product in zip(row, products, strict=True)]
        return sums
