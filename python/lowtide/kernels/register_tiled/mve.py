"""Lanes of Helium, Arm's M-profile vector extension: 16 bytes multiplied and added up by one instruction.

A run's sum is a scalar, to which VMLADAVA adds the products of 16 bytes, or of 8 where a zero point must be subtracted
in 16 bits first. The bytes left of a run are loaded in fewer lanes, or once more with some before them, whose lanes are
then zero: no byte beyond the run is read. Sums of channels that lie together are vectors of four 32-bit lanes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from lowtide.ir import DenseElementsAttr, IntegerAttr, IntegerType, Value, VectorType, arith, llvm
from lowtide.kernels.register_tiled.contraction import Factor
from lowtide.kernels.register_tiled.memory import Address, load
from lowtide.kernels.register_tiled.microkernel import Microkernel, Sums, Wide
from lowtide.kernels.values import splat, widened, word

_REGISTER = 16
"""Bytes of a vector register."""


@dataclass(frozen=True)
class HeliumWide(Wide):
    """See `Wide`."""

    width: int = 4
    rereads: bool = False

    def fitting(self, channels: int) -> HeliumWide | None:
        """See `Wide`."""
        return None if channels % self.width else self

    def high_product(self, x: Value, multiplier: Value) -> Value:
        """See `Wide`: VQRDMULH, which saturates only the square of the least value."""
        return _intrinsic(x.type, "vqrdmulh", x, multiplier)

    def shifted(self, x: Value, left: Value) -> Value:
        """See `Wide`: VRSHL."""
        return _intrinsic(x.type, "vshl.vector", x, left, word(0), word(1), word(0))


@dataclass(frozen=True)
class Mve(Microkernel):
    """Cortex-M55."""

    blocks: Mapping[int, int] = field(default_factory=lambda: MappingProxyType({1: 4}))
    group: int = 4
    wide: Wide | None = HeliumWide()
    unrolled: int = 64
    turn: int = 32

    def dot(self, sums: Sums, xs: Sequence[Address], ws: Sequence[Address], count: int, x: Factor, w: Factor) -> Sums:
        """See `Microkernel`."""
        # Sixteen lanes take bytes as they are; with a zero point they must be 16-bit values first, eight to a register.
        lanes = _REGISTER if x.signed == w.signed and not x.zero and not w.zero else _REGISTER // 2
        turns, done = _turns(count, lanes)
        for turn in turns:
            right = [_lanes(address + turn.offset, turn.width, w) for address in ws]
            unsigned = turn.width == _REGISTER and not x.signed
            for row, address in zip(sums, xs, strict=True):
                left = _masked(_lanes(address + turn.offset, turn.width, x), turn)
                row[:] = [_multiplied_up(left, r, total, unsigned) for total, r in zip(row, right, strict=True)]
        if done == count:
            return sums
        return super().dot(sums, [a + done for a in xs], [a + done for a in ws], count - done, x, w)

    def scale(self, sums: Sums, xs: Sequence[Address], ws: Address, x: Factor, w: Factor) -> Sums:
        """See `Microkernel`."""
        kind = sums[0][0].type
        if not isinstance(kind, VectorType):
            return super().scale(sums, xs, ws, x, w)
        width = kind.shape[0]
        right = [_lanes(ws + n * width, width, w) for n in range(len(sums[0]))]
        for row, address in zip(sums, xs, strict=True):
            left = [_lanes(address + n * width, width, x) for n in range(len(row))]
            products = [arith.muli(a, b) for a, b in zip(left, right, strict=True)]
            row[:] = [arith.addi(total, product) for total, product in zip(row, products, strict=True)]
        return sums


@dataclass(frozen=True)
class _Turn:
    """Bytes of a run that lie in one register: so many from `offset` on, of which only the last `fresh` count."""

    offset: int
    width: int
    fresh: int


def _turns(count: int, most: int) -> tuple[list[_Turn], int]:
    """How a run of `count` bytes is taken in registers of up to `most` lanes, and how many of its bytes that takes."""
    turns: list[_Turn] = []
    done = 0
    for width in (16, 8, 4):
        if width > min(most, count):
            continue
        while count - done >= width:
            turns.append(_Turn(done, width, width))
            done += width
        rest = count - done
        # A rest of 8 or 4 fills a narrower register; any other is loaded with bytes before it, which then count as 0.
        if rest and rest not in (8, 4):
            return [*turns, _Turn(count - width, width, rest)], count
    return turns, done


def _lanes(address: Address, width: int, factor: Factor) -> Value:
    """So many bytes in lanes that fill a register, less the zero point."""
    loaded = load(address, VectorType.get([width], IntegerType.get_signless(8)))
    if width == _REGISTER:
        return loaded
    kind = VectorType.get([width], IntegerType.get_signless(8 * _REGISTER // width))
    value = widened(loaded, kind, signed=factor.signed)
    return arith.subi(value, splat(factor.zero, kind)) if factor.zero else value


def _masked(value: Value, turn: _Turn) -> Value:
    """Zero in the lanes whose bytes an earlier turn took."""
    if turn.fresh == turn.width:
        return value
    kind = VectorType(value.type)
    first = turn.width - turn.fresh
    bits = [IntegerAttr.get(kind.element_type, -int(lane >= first)) for lane in range(turn.width)]
    return arith.andi(value, arith.constant(kind, DenseElementsAttr.get(bits, kind)))


def _multiplied_up(left: Value, right: Value, total: Value, unsigned: bool) -> Value:
    plain = word(0)
    return _intrinsic(total.type, "vmldava", word(int(unsigned)), plain, plain, total, left, right)


def _intrinsic(kind: object, name: str, *operands: Value) -> Value:
    return llvm.call_intrinsic(kind, f"llvm.arm.mve.{name}", list(operands), [], [])
