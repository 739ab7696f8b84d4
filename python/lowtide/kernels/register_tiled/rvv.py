"""Lanes of RISC-V's vector extension: the channels of a block are the lanes of one group of registers.

A byte of the input times the weights of up to 32 output channels is one VWMACC.VX: 16-bit lanes times a scalar, added
to 32-bit sums. No sum is reduced over lanes, and what follows finds its vectors made. A depthwise block multiplies
lanes with lanes (VWMACC.VV). All is done at one vector type, 16 bits, until the sums are complete: loads of bytes do
not depend on it. Vectors have a fixed length, so the code suits every core whose registers have 128 bits or more. The
sums of 32 channels fill 8 of these, those of three pixels 24 of the 32; the rest is for a vector of weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from lowtide.ir import IntegerType, Value, VectorType, arith, llvm
from lowtide.kernels.register_tiled.contraction import Factor
from lowtide.kernels.register_tiled.memory import Address, load
from lowtide.kernels.register_tiled.microkernel import Microkernel, Outer, Sums, Wide
from lowtide.kernels.values import splat, widened, word

_LANES = 32
"""32-bit lanes of the largest group of registers, of 128 bits each."""
_TO_NEAREST_UP = 0
"""The value of `vxrm` with which halves are rounded up."""
_ROUNDING = ("vsmul", "vssra")
"""Instructions that go by `vxrm`, to which their operand is written before."""
_ADDING = ("vwmacc",)
"""Instructions that add to their first operand."""
_ANY_TAIL = 3
"""The policy operand of such an instruction which says that the lanes beyond the vector's may become anything."""


@dataclass(frozen=True)
class RvvWide(Wide):
    """See `Wide`: so many lanes, a power of two."""

    width: int = _LANES
    rereads: bool = True

    def fitting(self, channels: int) -> RvvWide | None:
        """See `Wide`."""
        return RvvWide(channels) if 1 < channels <= _LANES and channels & channels - 1 == 0 else None

    def high_product(self, x: Value, multiplier: Value) -> Value:
        """See `Wide`: VSMUL, which saturates only the square of the least value."""
        return _intrinsic("vsmul", x, multiplier)

    def shifted(self, x: Value, left: Value) -> Value:
        """See `Wide`: VSSRA, whose sum has a bit more than its operand."""
        return _intrinsic("vssra", x, arith.subi(splat(0, VectorType(x.type)), left))


class Products(Outer):
    """A byte of each pixel with a vector of weights; see `Outer`."""

    def add(self, sums: Sums, xs: Sequence[Address], ws: Address, count: int, factors: tuple[Factor, Factor]) -> Sums:
        """See `Outer`."""
        x, w = factors
        kind = sums[0][0].type
        if not isinstance(kind, VectorType):
            return Microkernel().dot(sums, xs, [ws], count, x, w)
        width = kind.shape[0]
        for k in range(count):
            right = lanes_of(ws + k * width, width, w, reload=True)
            for row, address in zip(sums, xs, strict=True):
                row[0] = multiplied_up(row[0], _byte(address + k, x), right)
        return sums


@dataclass(frozen=True)
class Rvv(Microkernel):
    """RV32 with V, registers of 128 bits or more."""

    blocks: Mapping[int, int] = field(default_factory=lambda: MappingProxyType(dict.fromkeys((1, 2, 3), _LANES)))
    pixels: int = 2
    group: int = _LANES
    bare: bool = True
    unrolled: int = 16
    turn: int = 8
    across: bool = True
    wide: Wide | None = RvvWide()
    outer: Outer | None = field(default_factory=Products)

    def scale(self, sums: Sums, xs: Sequence[Address], ws: Address, x: Factor, w: Factor) -> Sums:
        """See `Microkernel`."""
        kind = sums[0][0].type
        if not isinstance(kind, VectorType):
            return super().scale(sums, xs, ws, x, w)
        right = lanes_of(ws, kind.shape[0], w, reload=True)
        for row, address in zip(sums, xs, strict=True):
            row[0] = multiplied_up(row[0], lanes_of(address, kind.shape[0], x), right)
        return sums


def _byte(address: Address, factor: Factor) -> Value:
    """One byte in 16 bits, less the zero point."""
    half = IntegerType.get_signless(16)
    value = widened(load(address, IntegerType.get_signless(8)), half, signed=factor.signed)
    return value if not factor.zero else arith.subi(value, arith.constant(half, factor.zero))


def lanes_of(address: Address, width: int, factor: Factor, *, reload: bool = False) -> Value:
    """So many bytes in 16-bit lanes, less the zero point; `reload` is as for `load`."""
    half = VectorType.get([width], IntegerType.get_signless(16))
    loaded = load(address, VectorType.get([width], IntegerType.get_signless(8)), reload=reload)
    value = widened(loaded, half, signed=factor.signed)
    if not factor.zero:
        return value
    # by name: LLVM widens and subtracts at once, for which the length of lanes has to be changed and changed back
    return _intrinsic("vsub", value, arith.constant(half.element_type, factor.zero))


def multiplied_up(total: Value, left: Value, right: Value) -> Value:
    """The sums and the products of 16-bit lanes, of which the left ones may be one scalar.

    An instruction by name: of plain arithmetic LLVM adds up the products first, and is out of registers.
    """
    return _intrinsic("vwmacc", total, left, right)


def _intrinsic(name: str, *operands: Value) -> Value:
    """An instruction on whole registers, whose lanes beyond the vectors' it lets be; its result is like the first."""
    kind = VectorType(operands[0].type)
    registers = [_register(operand) if isinstance(operand.type, VectorType) else operand for operand in operands]
    count = word(kind.shape[0])
    # what adds to its first operand leaves the lanes beyond the vector alone; others get a register to leave alone
    if name in _ADDING:
        how = count, word(_ANY_TAIL)
    else:
        registers = [llvm.mlir_poison(registers[0].type), *registers]
        how = (word(_TO_NEAREST_UP), count) if name in _ROUNDING else (count,)
    made = llvm.call_intrinsic(registers[0].type, f"llvm.riscv.{name}", [*registers, *how], [], [])
    return llvm.intr_vector_extract(kind, made, 0)


def _register(operand: Value) -> Value:
    """A vector in as many registers as hold its lanes where they have 128 bits."""
    kind = VectorType(operand.type)
    whole = VectorType.get([max(1, kind.shape[0] // 2)], kind.element_type, scalable=[True])
    return llvm.intr_vector_insert(llvm.mlir_poison(whole), operand, 0)
