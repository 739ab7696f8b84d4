"""Arm's DSP instructions as plain arithmetic, for the machine that lowtide runs on."""

from __future__ import annotations

from collections.abc import Callable

from lowtide.errors import InternalError
from lowtide.ir import InsertionPoint, IntegerType, Module, Operation, StringAttr, Value, WalkResult, arith, llvm

_PREFIX = "llvm.arm."


def expand_intrinsics(module: Module) -> bool:
    """Replace every call of an Arm intrinsic by what it computes; True where there was one.

    Raises:
        InternalError: it is one that lowtide has no arithmetic for.
    """
    calls: list[Operation] = []

    def visit(operation: Operation) -> WalkResult:
        calls.append(operation)
        return WalkResult.ADVANCE

    module.operation.walk(visit, op_class=llvm.CallIntrinsicOp)
    for call in calls:
        name = StringAttr(call.attributes["intrin"]).value.removeprefix(_PREFIX)
        if name not in _MEANINGS:
            raise InternalError("codegen", f"no arithmetic for the instruction '{name}'")
        with InsertionPoint(call), call.location:
            call.results[0].replace_all_uses_with(_MEANINGS[name](*call.operands))
        call.erase()
    return bool(calls)


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


_MEANINGS: dict[str, Callable[..., Value]] = {
    "smlad": _both,
    "smlabb": _product(0, 0),
    "smlatt": _product(1, 1),
    "sxtb16": _extended(signed=True, added=False),
    "uxtb16": _extended(signed=False, added=False),
    "sxtab16": _extended(signed=True, added=True),
    "uxtab16": _extended(signed=False, added=True),
}
