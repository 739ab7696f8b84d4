"""Lanes of RISC-V's vector extension: the channels of a block are the lanes of one group of registers.

A byte of the input times the weights of up to 32 output channels is one VWMACC.VX: 16-bit weights, extended as they are
loaded, times a scalar, added to 32-bit sums. No sum is ever reduced over lanes. A depthwise block multiplies lanes with
lanes (VWMACC.VV). Vectors have a fixed length, so the code is the same for every core whose registers have 128 bits
or more; LLVM picks the grouping (LMUL): the sums of 32 channels fill 8 registers of 128 bits, and three pixels 24 of the 32.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from lowtide.ir import DenseElementsAttr, IntegerAttr, IntegerType, Value, VectorType, arith, llvm, vector
from lowtide.kernels.blocked.contraction import Factor
from lowtide.kernels.blocked.lanes import Outer, Scalar, Sums, Wide, extended
from lowtide.kernels.blocked.memory import Address, load

_LANES = 32
"""32-bit lanes of the largest group of registers, of 128 bits each."""
_TO_NEAREST_UP = 0
"""Of `vxrm`: halves are rounded up."""


@dataclass(frozen=True)
class RvvWide:
    """See `Wide`: so many lanes, a power of two."""

    width: int = _LANES

    def fitting(self, channels: int) -> RvvWide | None:
        """See `Wide`."""
        return RvvWide(channels) if 1 < channels <= _LANES and channels & channels - 1 == 0 else None

    def high_product(self, x: Value, multiplier: Value) -> Value:
        """See `Wide`: VSMUL, which saturates only the square of the least value."""
        return _intrinsic("vsmul", x, multiplier)

    def shifted(self, x: Value, left: Value) -> Value:
        """See `Wide`: VSSRA, whose sum has a bit more than its operand."""
        zero = _splat(VectorType(x.type), 0)
        return _intrinsic("vssra", x, arith.subi(zero, left))


@dataclass(frozen=True)
class Products:
    """A byte of each pixel with a vector of weights; see `Outer`."""

    def packs(self, pixels: int) -> bool:
        """See `Outer`."""
        del pixels
        return False

    def add(self, sums: Sums, xs: Sequence[Address], ws: Address, count: int, factors: tuple[Factor, Factor]) -> Sums:
        """See `Outer`."""
        x, w = factors
        kind = sums[0][0].type
        if not isinstance(kind, VectorType):
            return Scalar().dot(sums, xs, [ws], count, x, w)
        width = kind.shape[0]
        for k in range(count):
            right = _lanes(ws + k * width, width, w)
            for row, address in zip(sums, xs, strict=True):
                left = vector.broadcast(kind, extended(address + k, x))
                row[0] = arith.addi(row[0], arith.muli(left, right))
        return sums


@dataclass(frozen=True)
class Rvv(Scalar):
    """RV32 with V, registers of 128 bits or more; see `Lanes` for the attributes."""

    blocks: Mapping[int, int] = field(default_factory=lambda: MappingProxyType(dict.fromkeys((1, 2, 3), _LANES)))
    pixels: int = 2
    group: int = _LANES
    unrolled: int = 16
    turn: int = 8
    across: bool = True
    wide: Wide | None = RvvWide()
    outer: Outer | None = Products()

    def scale(self, sums: Sums, xs: Sequence[Address], ws: Address, x: Factor, w: Factor) -> Sums:
        """See `Lanes`."""
        kind = sums[0][0].type
        if not isinstance(kind, VectorType):
            return super().scale(sums, xs, ws, x, w)
        right = _lanes(ws, kind.shape[0], w)
        for row, address in zip(sums, xs, strict=True):
            row[0] = arith.addi(row[0], arith.muli(_lanes(address, kind.shape[0], x), right))
        return sums


def _lanes(address: Address, width: int, factor: Factor) -> Value:
    """So many bytes in 32-bit lanes, less the zero point; in 16 bits until they are multiplied."""
    half, word = (VectorType.get([width], IntegerType.get_signless(bits)) for bits in (16, 32))
    loaded = load(address, VectorType.get([width], IntegerType.get_signless(8)))
    value = (arith.extsi if factor.signed else arith.extui)(half, loaded)
    if factor.zero:
        value = arith.subi(value, _splat(half, factor.zero))
    return arith.extsi(word, value)


def _splat(kind: VectorType, value: int) -> Value:
    return arith.constant(kind, DenseElementsAttr.get_splat(kind, IntegerAttr.get(kind.element_type, value)))


def _intrinsic(name: str, *operands: Value) -> Value:
    """An instruction on whole vectors that rounds; its operands are registers, whose lanes beyond the vector's it lets be."""
    kind, i32 = VectorType(operands[0].type), IntegerType.get_signless(32)
    # vectors of this type fill as many registers as those with 32-bit lanes of 64 bits do at least
    lanes = max(1, kind.shape[0] // 2)
    whole = VectorType.get([lanes], kind.element_type, scalable=[True])
    rest = llvm.mlir_poison(whole)
    registers = [llvm.intr_vector_insert(rest, operand, 0) for operand in operands]
    how = arith.constant(i32, _TO_NEAREST_UP), arith.constant(i32, kind.shape[0])
    made = llvm.call_intrinsic(whole, f"llvm.riscv.{name}", [rest, *registers, *how], [], [])
    return llvm.intr_vector_extract(kind, made, 0)
