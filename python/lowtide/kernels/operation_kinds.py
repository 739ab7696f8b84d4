"""What each operation of a kernel counts as, for the cost model."""

from __future__ import annotations

import re
from collections import Counter

from lowtide.arithmetic import DIVISIONS
from lowtide.ir import IndexType, IntegerType, Operation, StringAttr, VectorType

ADDRESS = "memref.extract_aligned_pointer_as_index"
_FREE = frozenset(
    (
        *("arith.constant", "arith.index_cast", "arith.index_castui", "arith.extsi", "arith.extui", "arith.trunci"),
        *("arith.bitcast", "func.return", "scf.yield", "memref.cast", "memref.collapse_shape", "memref.expand_shape"),
        *(ADDRESS, "memref.alloca", "memref.subview", "memref.reinterpret_cast"),
        *("llvm.inttoptr", "llvm.getelementptr", "llvm.inline_asm", "llvm.mlir.constant"),
        *("llvm.mlir.poison", "llvm.intr.vector.insert", "llvm.intr.vector.extract"),
    )
)
"""What takes no instruction of its own."""
_MEMORY = {
    **dict.fromkeys(("memref.load", "llvm.load", "vector.load", "vector.transfer_read"), "loads"),
    **dict.fromkeys(("memref.store", "llvm.store", "vector.store", "vector.transfer_write"), "stores"),
}
_PRODUCTS = ("muli", "mulsi_extended", "mului_extended")
_HARD_FLOATS = ("divf", "remf", "sitofp", "uitofp", "fptosi", "fptoui")
WIDE = 64
"""Bits of what takes two registers."""
_CHOICES = frozenset(f"arith.{name}" for name in ("cmpi", "select", "minsi", "maxsi", "minui", "maxui"))
_EASY_FLOATS = frozenset(
    (
        *("arith.addf", "arith.subf", "arith.mulf", "arith.negf", "arith.cmpf", "math.fma"),
        *("arith.maximumf", "arith.minimumf", "arith.maxnumf", "arith.minnumf"),
    )
)
_INTRINSICS = {"smlad": "duals", "smla": "halves", "xta": "unpacks", "xtb": "unpacks"}
"""What an intrinsic counts as, by a part of its name."""


ASSEMBLY = "llvm.inline_asm"
LOOP = re.compile(r"(\d): @ (\d+) turns")
"""Begins a loop in a piece of assembly, which ends with a branch back to the number."""
_INSTRUCTIONS = {
    **{"ldr": "loads", "ldrsb": "loads", "ldrb": "loads", "ldrsh": "loads", "str": "stores", "strb": "stores"},
    **{"smlabt": "halves", "smlad": "duals", "smlabb": "halves", "smlatt": "halves"},
    **{"sxtb16": "unpacks", "uxtb16": "unpacks", "smmlar": "wide_products"},
}
"""What instructions of a piece of assembly count as; others are sums."""


def kinds_of_assembly(op: Operation) -> Counter[str]:
    """How many of what the instructions of a piece of assembly are, loops counted as often as they go."""
    counts: Counter[str] = Counter()
    turns: list[tuple[str, int]] = [("", 1)]
    for line in StringAttr(op.attributes["asm_string"]).value.split("\n"):
        loop = LOOP.fullmatch(line)
        if loop is not None:
            turns.append((loop[1], turns[-1][1] * int(loop[2])))
            continue
        if line:
            counts[_INSTRUCTIONS.get(line.split()[0], "sums")] += turns[-1][1]
        if line.endswith(f" {turns[-1][0]}b"):
            turns.pop()
    return counts


def kind_of(op: Operation) -> str | None:
    """What an operation counts as, a name of `lowtide.cost.operation_counts.KINDS`; None for what is free."""
    name = op.name
    if name in _FREE:
        return None
    if name in _MEMORY:
        return _MEMORY[name]
    if name == "llvm.call_intrinsic":
        called = StringAttr(op.attributes["intrin"]).value
        return next((kind for part, kind in _INTRINSICS.items() if part in called), "vectors")
    types = [value.type for value in (*op.results, *op.operands)]
    if any(isinstance(kind, VectorType) for kind in types):
        return "vectors"
    if types and isinstance(types[0], IndexType):
        return "choices" if name in _CHOICES else "divisions" if name in DIVISIONS else "indices"
    wide = any(isinstance(kind, IntegerType) and kind.width == WIDE for kind in types)
    word = name.partition(".")[2]
    tests = {
        ("wide_" if wide or word != "muli" else "") + "products": word in _PRODUCTS,
        ("wide_" if wide else "") + "divisions": name in DIVISIONS,
        "floats": name in _EASY_FLOATS,
        "float_divisions": name.startswith("math.") or word in _HARD_FLOATS,
        "rotations": name == "llvm.intr.fshr",
        "wides": wide,
        "choices": name in _CHOICES,
    }
    return next((kind for kind, holds in tests.items() if holds), "sums")
