"""Loads and stores at addresses, for words that need not be aligned."""

from __future__ import annotations

from dataclasses import dataclass

from lowtide.ir import IntegerType, Type, Value, arith, llvm, memref
from lowtide.kernels.values import index_constant

WORD = 4
"""Bytes of the widest load that goes into one register."""
MOST_OFFSET = 4095
"""Largest constant in the address of a load or store of a Cortex-M core, in bytes."""


@dataclass(frozen=True)
class Address:
    """The address of a byte: `base`, an `index` value, plus a constant that loads take into the instruction."""

    base: Value
    offset: int = 0

    def __add__(self, more: int) -> Address:
        return Address(self.base, self.offset + more)


@dataclass(frozen=True)
class Grid:
    """The addresses of a block's elements.

    Attributes:
        first: of the first pixel's first channel.
        across, along: bytes from a pixel to the next, and from a channel to the next.
    """

    first: Address
    across: int
    along: int

    def at(self, pixel: int, channel: int) -> Address:
        """The address of one element of the block."""
        return self.first + (pixel * self.across + channel * self.along)


def address_of(buffer: Value) -> Address:
    """The first byte of a dense memref."""
    return Address(memref.extract_aligned_pointer_as_index(buffer))


def advanced(address: Address, more: Value) -> Address:
    """The address so many bytes further on."""
    return Address(arith.addi(address.base, more), address.offset)


def scaled(value: Value, factor: int) -> Value:
    """The product with a constant."""
    return value if factor == 1 else arith.muli(value, index_constant(factor))


def divided(value: Value, divisor: int) -> Value:
    """The quotient by a constant, rounded down; the value is not negative."""
    return value if divisor == 1 else arith.divui(value, index_constant(divisor))


def load(address: Address, kind: Type, alignment: int = 1, *, reload: bool = False) -> Value:
    """Load a value of that type from an address that `alignment` divides.

    Args:
        address, kind, alignment: of the value; alignment in bytes.
        reload: load it in each turn of a loop around it. Compilers would load constants before the loop, and run out of
            registers; so the load is volatile.
    """
    return llvm.load(kind, _pointer(address), alignment=alignment, volatile_=reload or None)


def store(value: Value, address: Address, alignment: int = 1) -> None:
    """Store the value at an address that `alignment` divides.

    Volatile: LLVM would make a row of such stores a call of memset or memcpy, which a firmware need not have.
    """
    llvm.store(value, _pointer(address), alignment=alignment, volatile_=True)


def _pointer(address: Address) -> Value:
    kind = Type.parse("!llvm.ptr")
    # the address is an index, which may have 64 bits where the object's memory does not
    word = arith.index_cast(IntegerType.get_signless(64), address.base)
    base = llvm.inttoptr(kind, word)
    if not address.offset:
        return base
    byte = IntegerType.get_signless(8)
    return llvm.getelementptr(kind, base, [], [address.offset], byte, 0)


def fence() -> None:
    """No load moves across: schedulers put many loads first, and run out of registers. It is no instruction."""
    llvm.InlineAsmOp(None, [], "", "~{memory}", has_side_effects=True)


def anew(value: Value) -> Value:
    """The value, made new in each turn of a loop around it, as `load` does with `reload`. It is no instruction."""
    return llvm.InlineAsmOp(value.type, [value], "", "=r,0", has_side_effects=True).results[0]
