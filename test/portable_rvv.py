"""RISC-V's vector instructions as arithmetic on vectors of a fixed length, for the machine that lowtide runs on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lowtide.errors import InternalError
from lowtide.ir import (
    DenseElementsAttr,
    IntegerAttr,
    IntegerType,
    Operation,
    StringAttr,
    Value,
    VectorType,
    arith,
    llvm,
    vector,
)
from lowtide.kernels.neutral import constant_of
from lowtide.normalise.analysis import defining

_PREFIX = "llvm.riscv."
_FILL, _TAKE = llvm.vector_insert.OPERATION_NAME, llvm.vector_extract.OPERATION_NAME


@dataclass(frozen=True)
class _Instruction:
    """One of them.

    Attributes:
        operands: which of the call's operands are vectors or scalars that it computes with.
        rounding: which one says how it rounds, if it does.
        length: which one is the number of lanes.
        meaning: from vectors to a vector.
    """

    operands: tuple[int, ...]
    rounding: int | None
    length: int
    meaning: Callable[..., Value]


def expand(call: Operation) -> bool:
    """Let what the call computes take the place of what its result's users take from registers.

    False, and nothing is changed, where it is none of these instructions.

    Raises:
        InternalError: it rounds, or takes and leaves vectors, in a way that lowtide has no arithmetic for.
    """
    name = StringAttr(call.attributes["intrin"]).value
    if name.removeprefix(_PREFIX) not in _INSTRUCTIONS or not name.startswith(_PREFIX):
        return False
    instruction = _INSTRUCTIONS[name.removeprefix(_PREFIX)]
    if instruction.rounding is not None and constant_of(call.operands[instruction.rounding]) != 0:
        raise InternalError("codegen", "no arithmetic for an instruction that rounds otherwise than to nearest, up")
    microkernels = constant_of(call.operands[instruction.length])
    assert isinstance(microkernels, int)
    made = instruction.meaning(*(_vector(call.operands[i], microkernels) for i in instruction.operands))
    for user in [use.owner.operation for use in call.results[0].uses]:
        if user.name != _TAKE or user.results[0].type != made.type:
            raise InternalError("codegen", f"no arithmetic for what '{user.name}' takes of a register")
        user.results[0].replace_all_uses_with(made)
        user.erase()
    _erase(call)
    return True


def _vector(value: Value, microkernels: int) -> Value:
    """The vector that was put into a register, or as many of a scalar."""
    if not isinstance(value.type, VectorType):
        return vector.broadcast(VectorType.get([microkernels], value.type), value)
    fill = defining(value)
    if fill is None or fill.name != _FILL or VectorType(fill.operands[1].type).shape != [microkernels]:
        raise InternalError("codegen", "no arithmetic for a register that is not filled by one vector")
    return fill.operands[1]


def _erase(call: Operation) -> None:
    """With what fills its registers, unless it fills others'."""
    fills = _sources(call, _FILL)
    rests = {source for op in (call, *fills) for source in _sources(op, llvm.PoisonOp.OPERATION_NAME)}
    for op in (call, *fills, *rests):
        if not any(True for result in op.results for _ in result.uses):
            op.erase()


def _sources(op: Operation, name: str) -> set[Operation]:
    sources = {defining(value) for value in op.operands}
    return {source for source in sources if source is not None and source.name == name}


def _wide(value: Value, width: int) -> Value:
    """A vector with lanes of so many bits."""
    return arith.extsi(VectorType.get(VectorType(value.type).shape, IntegerType.get_signless(width)), value)


def _splat(like: Value, number: int) -> Value:
    kind = VectorType(like.type)
    return arith.constant(kind, DenseElementsAttr.get_splat(kind, IntegerAttr.get(kind.element_type, number)))


def _high_product(a: Value, b: Value) -> Value:
    """(2·a·b + 2^31) >> 32; one of the two is above -2^31, so that nothing saturates."""
    product = arith.muli(_wide(a, 64), _wide(b, 64))
    rounded = arith.addi(product, _splat(product, 1 << 30))
    return arith.trunci(a.type, arith.shrsi(rounded, _splat(product, 31)))


def _rounded_right(x: Value, right: Value) -> Value:
    """To the right by the low five bits, halves up; the sum has a bit more than x."""
    wide, amount = _wide(x, 64), _wide(arith.andi(right, _splat(right, 31)), 64)
    half = arith.shrui(arith.shli(_splat(wide, 1), amount), _splat(wide, 1))
    return arith.trunci(x.type, arith.shrsi(arith.addi(wide, half), amount))


def _less(a: Value, b: Value) -> Value:
    return arith.subi(a, b)


def _multiplied_up(total: Value, a: Value, b: Value) -> Value:
    return arith.addi(total, arith.muli(_wide(a, 32), _wide(b, 32)))


_INSTRUCTIONS = {
    "vsmul": _Instruction((1, 2), 3, 4, _high_product),
    "vssra": _Instruction((1, 2), 3, 4, _rounded_right),
    "vsub": _Instruction((1, 2), None, 3, _less),
    "vwmacc": _Instruction((0, 1, 2), None, 3, _multiplied_up),
}
