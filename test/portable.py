"""Arm's DSP and Helium instructions as plain arithmetic, for the machine that lowtide runs on; RISC-V's are beside."""

from __future__ import annotations

from collections.abc import Callable

import portable_assembly
import portable_rvv

from lowtide.errors import InternalError
from lowtide.ir import (
    DenseElementsAttr,
    InsertionPoint,
    IntegerAttr,
    IntegerType,
    Module,
    Operation,
    StringAttr,
    Value,
    VectorType,
    WalkResult,
    arith,
    llvm,
    vector,
)
from lowtide.kernels.neutral import constant_of
from lowtide.kernels.values import word

_PREFIX = "llvm.arm."


def expand_intrinsics(module: Module) -> bool:
    """Replace every call of an intrinsic of Arm's or RISC-V's by what it computes; True where there was one.

    Raises:
        InternalError: it is one that lowtide has no arithmetic for.
    """
    calls: list[Operation] = []

    def visit(operation: Operation) -> WalkResult:
        calls.append(operation)
        return WalkResult.ADVANCE

    module.operation.walk(visit, op_class=llvm.CallIntrinsicOp)
    for call in calls:
        with InsertionPoint(call), call.location:
            if portable_rvv.expand(call):
                continue
            name = StringAttr(call.attributes["intrin"]).value.removeprefix(_PREFIX)
            if name not in _MEANINGS:
                raise InternalError("codegen", f"no arithmetic for the instruction '{name}'")
            call.results[0].replace_all_uses_with(_MEANINGS[name](*call.operands))
        call.erase()
    return bool(calls) | _expand_assembly(module)


def _expand_assembly(module: Module) -> bool:
    """Replace pieces of assembly that have instructions; True where there was one."""
    pieces: list[Operation] = []

    def visit(operation: Operation) -> WalkResult:
        if StringAttr(operation.attributes["asm_string"]).value:
            pieces.append(operation)
        return WalkResult.ADVANCE

    module.operation.walk(visit, op_class=llvm.InlineAsmOp)
    for piece in pieces:
        with InsertionPoint(piece), piece.location:
            portable_assembly.expand(piece, _MEANINGS)
    return bool(pieces)


def _half(value: Value, top: int) -> Value:
    """One of the two 16-bit values of a register, with its sign."""
    i32 = IntegerType.get_signless(32)
    high = value if top else arith.shli(value, arith.constant(i32, 16))
    return arith.shrsi(high, arith.constant(i32, 16))


def _product(left: int, right: int) -> Callable[..., Value]:
    """A half of a, times a half of b, added to a sum."""

    def meaning(a: Value, b: Value, total: Value) -> Value:
        return arith.addi(total, arith.muli(_half(a, left), _half(b, right)))

    return meaning


def _both(a: Value, b: Value, total: Value) -> Value:
    return _product(1, 1)(a, b, _product(0, 0)(a, b, total))


def _extended(*, signed: bool, added: bool) -> Callable[..., Value]:
    """Bytes 0 and 2 in 16 bits each, and what is added to each half."""

    def meaning(*operands: Value) -> Value:
        i32, word = IntegerType.get_signless(32), operands[-1]
        halves: list[Value] = []
        for place in (24, 8):
            shifted = arith.shli(word, arith.constant(i32, place))
            shift = arith.shrsi if signed else arith.shrui
            value = shift(shifted, arith.constant(i32, 24))
            halves.append(arith.addi(value, _half(operands[0], place == 8)) if added else value)
        low = arith.andi(halves[0], arith.constant(i32, 0xFFFF))
        return arith.ori(low, arith.shli(halves[1], arith.constant(i32, 16)))

    return meaning


def _wide(value: Value, width: int, *, signed: bool = True) -> Value:
    """A vector with lanes of so many bits."""
    kind = VectorType.get(VectorType(value.type).shape, IntegerType.get_signless(width))
    if value.type == kind:
        return value
    return (arith.extsi if signed else arith.extui)(kind, value)


def _microkernel(like: Value, number: int) -> Value:
    kind = VectorType(like.type)
    return arith.constant(kind, DenseElementsAttr.get_splat(kind, IntegerAttr.get(kind.element_type, number)))


def _multiplied_up(unsigned: Value, subtract: Value, exchange: Value, total: Value, a: Value, b: Value) -> Value:
    """The sum of the products of all lanes, and of `total`; nothing is subtracted, no lanes are exchanged."""
    if constant_of(subtract) != 0 or constant_of(exchange) != 0:
        raise InternalError("codegen", "no arithmetic for a sum of products that subtracts or exchanges")
    signed = constant_of(unsigned) == 0
    products = arith.muli(_wide(a, 32, signed=signed), _wide(b, 32, signed=signed))
    return vector.reduction(total.type, vector.CombiningKind.ADD, products, acc=total)


def _high_product(a: Value, b: Value) -> Value:
    """(2·a·b + 2^31) >> 32; one of the two is above -2^31, so that nothing saturates."""
    product = arith.muli(_wide(a, 64), _wide(b, 64))
    rounded = arith.addi(arith.shli(product, _microkernel(product, 1)), _microkernel(product, 1 << 31))
    return arith.trunci(a.type, arith.shrsi(rounded, _microkernel(product, 32)))


def _rounded_shift(x: Value, left: Value, *how: Value) -> Value:
    """To the right by -left > 0, halves up; signed, without saturation."""
    if [constant_of(value) for value in how] != [0, 1, 0]:
        raise InternalError("codegen", "no arithmetic for a shift that saturates, cuts off, or is unsigned")
    wide, right = _wide(x, 64), arith.subi(_microkernel(_wide(left, 64), 0), _wide(left, 64))
    half = arith.shli(_microkernel(wide, 1), arith.subi(right, _microkernel(right, 1)))
    return arith.trunci(x.type, arith.shrsi(arith.addi(wide, half), right))


def _both_alone(a: Value, b: Value) -> Value:
    return _both(a, b, word(0))


_MEANINGS: dict[str, Callable[..., Value]] = {
    "smlad": _both,
    "smuad": _both_alone,
    "smlabb": _product(0, 0),
    "smlatt": _product(1, 1),
    "smlabt": _product(0, 1),
    "mve.vmldava": _multiplied_up,
    "mve.vqrdmulh": _high_product,
    "mve.vshl.vector": _rounded_shift,
    "sxtb16": _extended(signed=True, added=False),
    "uxtb16": _extended(signed=False, added=False),
    "sxtab16": _extended(signed=True, added=True),
    "uxtab16": _extended(signed=False, added=True),
}
