"""Scalar code that kernels take: operations and types for which every core has instructions, or lowtide a function.

What needs a library that an object file for a microcontroller does not have (doubles, half floats, conversions between
floats and 64-bit integers, a float's remainder) would be refused by the linker, without a place.
"""

from __future__ import annotations

from lowtide.ir import F32Type, IndexType, IntegerType, Operation, RankedTensorType, Type

_WIDEST = 64
_WIDEST_CONVERTED = 32
_CONVERSIONS = frozenset(("arith.fptosi", "arith.fptoui", "arith.sitofp", "arith.uitofp"))
OPERATIONS = frozenset(
    (
        *("arith.addf", "arith.addi", "arith.addui_extended", "arith.andi", "arith.bitcast", "arith.ceildivsi"),
        *("arith.ceildivui", "arith.cmpf", "arith.cmpi", "arith.constant", "arith.divf", "arith.divsi", "arith.divui"),
        *("arith.extsi", "arith.extui", "arith.floordivsi", "arith.fptosi", "arith.fptoui", "arith.index_cast"),
        *("arith.index_castui", "arith.maximumf", "arith.maxnumf", "arith.maxsi", "arith.maxui", "arith.minimumf"),
        *("arith.minnumf", "arith.minsi", "arith.minui", "arith.mulf", "arith.muli", "arith.mulsi_extended"),
        *("arith.mului_extended", "arith.negf", "arith.ori", "arith.remsi", "arith.remui", "arith.select"),
        *("arith.shli", "arith.shrsi", "arith.shrui", "arith.sitofp", "arith.subf", "arith.subi", "arith.trunci"),
        *("arith.uitofp", "arith.xori", "linalg.index", "linalg.yield", "math.absf", "math.absi"),
        *("math.acos", "math.acosh", "math.asin", "math.asinh", "math.atan", "math.atanh", "math.cbrt", "math.ceil"),
        *("math.atan2", "math.cosh", "math.fpowi", "math.isfinite", "math.isnan", "math.sinh", "math.tan"),
        *("math.copysign", "math.cos", "math.ctlz", "math.ctpop", "math.cttz", "math.erf", "math.exp", "math.exp2"),
        *("math.expm1", "math.floor", "math.fma", "math.log", "math.log1p", "math.log2", "math.powf"),
        *("math.round", "math.roundeven", "math.rsqrt", "math.sin", "math.sqrt", "math.tanh", "math.trunc"),
        "tensor.extract",
    )
)


def objection_to_scalar(op: Operation) -> str:
    """Why no kernel takes an operation of a structured operation's region; empty where one does."""
    if op.name not in OPERATIONS or len(op.regions):
        return f"no kernel takes scalar code with '{op.name}'"
    for kind in (value.type for value in (*op.operands, *op.results)):
        if not _is_scalar(kind) and not (op.name == "tensor.extract" and isinstance(kind, RankedTensorType)):
            return f"no kernel takes scalar code on '{kind}' ({op.name})"
        if op.name in _CONVERSIONS and isinstance(kind, IntegerType) and kind.width > _WIDEST_CONVERTED:
            return f"no kernel converts between floats and '{kind}' ({op.name}); 32 bits are converted"
    return ""


def _is_scalar(kind: Type) -> bool:
    if isinstance(kind, IntegerType):
        return kind.is_signless and kind.width <= _WIDEST
    return isinstance(kind, F32Type | IndexType)
