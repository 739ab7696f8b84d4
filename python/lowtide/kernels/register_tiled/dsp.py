"""Lanes of Arm's DSP extension: two 16-bit products and their sum in one instruction.

Four bytes of a word become two registers of two 16-bit values, bytes 0 and 2 and bytes 1 and 3; the zero point is
subtracted by the instruction that extends. Which bytes are together does not matter: both sides are taken alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from lowtide.ir import IntegerType, Value, llvm
from lowtide.kernels.register_tiled import assembly
from lowtide.kernels.register_tiled.block_assembly import blocks_of_runs, blocks_of_taps
from lowtide.kernels.register_tiled.contraction import Factor
from lowtide.kernels.register_tiled.memory import WORD, Address, load
from lowtide.kernels.register_tiled.microkernel import Microkernel, Sums
from lowtide.kernels.register_tiled.products import Epilogue, Products, RunProducts
from lowtide.kernels.values import word


@dataclass(frozen=True)
class Dsp(Microkernel):
    """Cortex-M4, M7, M33."""

    blocks: Mapping[int, int] = field(default_factory=lambda: MappingProxyType({1: 4, 2: 2, 3: 2}))
    group: int = 4
    widens: bool = True
    at_once: bool = True
    tables: bool = True
    unrolled: int = 64
    turn: int = 32
    most_turn: int = 64

    def operations(self, pixels: int, channels: int) -> int | None:
        """See `Microkernel`: cycles for four bytes. Of neighbouring loads the first takes one more."""
        return 1 + 3 * (pixels + channels) + 2 * pixels * channels + max(0, pixels - 1 if pixels > 2 else 0)

    def dot(self, sums: Sums, xs: Sequence[Address], ws: Sequence[Address], count: int, x: Factor, w: Factor) -> Sums:
        """See `Microkernel`."""
        words = count - count % WORD
        if _assembles(sums, xs, ws, words, x, w):
            sums = assembly.dot(sums, xs, ws, words, x, w)
            return self._rest(sums, xs, ws, count, words, x, w)
        for k in range(0, words, WORD):
            # weights first: each serves all pixels of the block, whose words then pass through the same registers
            right = [_weights(address + k * w.nbytes, w) for address in ws]
            for row, address in zip(sums, xs, strict=True):
                left = _pairs(address + k, x)
                for n, pair in enumerate(right):
                    for a, b in zip(left, pair, strict=True):
                        row[n] = _intrinsic("smlad", a, b, row[n])
        return self._rest(sums, xs, ws, count, words, x, w)

    def _rest(
        self, sums: Sums, xs: Sequence[Address], ws: Sequence[Address], count: int, words: int, x: Factor, w: Factor
    ) -> Sums:
        """Bytes behind the last whole word."""
        if words == count:
            return sums
        return super().dot(sums, [a + words for a in xs], [a + words * w.nbytes for a in ws], count - words, x, w)

    def channel_blocks(self, products: Products, epilogue: Epilogue) -> bool:
        """See `Microkernel`."""
        plain = not products.w.zero and not products.x.zero
        if isinstance(products, RunProducts):
            return plain and blocks_of_runs(products, epilogue)
        fits = epilogue.channels == self.group and epilogue.pixels <= self.pixels and products.w.nbytes == 1
        return plain and fits and blocks_of_taps(products, epilogue)

    def scale(self, sums: Sums, xs: Sequence[Address], ws: Address, x: Factor, w: Factor) -> Sums:
        """See `Microkernel`."""
        if len(sums[0]) != self.group:
            return super().scale(sums, xs, ws, x, w)
        right = _pairs(ws, w)
        for row, address in zip(sums, xs, strict=True):
            left = _pairs(address, x)
            for half, (a, b) in enumerate(zip(left, right, strict=True)):
                row[half] = _intrinsic("smlabb", a, b, row[half])
                row[half + 2] = _intrinsic("smlatt", a, b, row[half + 2])
        return sums


def _assembles(sums: Sums, xs: Sequence[Address], ws: Sequence[Address], count: int, x: Factor, w: Factor) -> bool:
    """Whether there is assembly for that: zero points are elsewhere, and two registers reach all bytes."""
    reached = assembly.reachable(xs, count) and assembly.reachable(ws, count * w.nbytes)
    return count > 0 and reached and not x.zero and not w.zero and assembly.dot_fits(len(sums), len(sums[0]))


def _weights(address: Address, factor: Factor) -> tuple[Value, Value]:
    """`_pairs` of four weights; weights of 16 bits lie in memory as these two words."""
    if factor.nbytes == 1:
        return _pairs(address, factor)
    i32 = IntegerType.get_signless(32)
    return load(address, i32), load(address + WORD, i32)


def _pairs(address: Address, factor: Factor) -> tuple[Value, Value]:
    """The four bytes there: bytes 0 and 2, and bytes 1 and 3, each as two 16-bit values less the zero point."""
    loaded = load(address, IntegerType.get_signless(32))
    # the rotation is free: SXTB16 and UXTB16 rotate their operand
    turned = llvm.intr_fshr(loaded, loaded, word(8))
    name = "sxt" if factor.signed else "uxt"
    if not factor.zero:
        return _intrinsic(f"{name}b16", loaded), _intrinsic(f"{name}b16", turned)
    less = -factor.zero & 0xFFFF
    # SXTAB16 and UXTAB16 add while they extend: the zero point is subtracted by the way
    both = word(_as_signed(less << 16 | less))
    return _intrinsic(f"{name}ab16", both, loaded), _intrinsic(f"{name}ab16", both, turned)


def _as_signed(bits: int) -> int:
    return bits - (1 << 32) if bits >> 31 else bits


def _intrinsic(name: str, *operands: Value) -> Value:
    i32 = IntegerType.get_signless(32)
    return llvm.call_intrinsic(i32, f"llvm.arm.{name}", list(operands), [], [])
