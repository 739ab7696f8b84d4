"""The table of what arith computes, against MLIR's own folding of constants."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest

from lowtide.arithmetic import DIVISIONS, calculated
from lowtide.ir import IntegerAttr, Module, Operation, make_context, parse_module, run_pipeline
from lowtide.normalise.analysis import defining, operations_in

VALUES = (-128, -7, -1, 0, 1, 2, 7, 100, 127)
TWO = ("addi", "subi", "muli", "minsi", "maxsi", "minui", "maxui", "andi", "ori", "xori", "shli", "shrsi", "shrui")
PREDICATES = ("eq", "ne", "slt", "sle", "sgt", "sge", "ult", "ule", "ugt", "uge")
DIVIDING = sorted(name.removeprefix("arith.") for name in DIVISIONS)
OPERATIONS = [*TWO, *DIVIDING, *(f"cmpi {predicate}," for predicate in PREDICATES)]


@pytest.mark.parametrize("name", OPERATIONS)
def test_two_operands(name: str) -> None:
    kind = "i1" if name.startswith("cmpi") else "i8"
    pairs = list(itertools.product(VALUES, VALUES))
    text = "\n".join(
        f"func.func @f{n}() -> {kind} {{ %a = arith.constant {a} : i8 %b = arith.constant {b} : i8"
        f" %c = arith.{name} %a, %b : i8 return %c : {kind} }}"
        for n, (a, b) in enumerate(pairs)
    )
    results = _both(text, f"arith.{name.split(maxsplit=1)[0]}", pairs)
    assert all(found == wanted for found, wanted in results if None not in (found, wanted))
    known = sum(found is not None for found, _ in results)
    assert known >= (
        len(pairs) // 3 if name.startswith("sh") else len(pairs) - (len(VALUES) + 1 if name in DIVIDING else 0)
    )


@pytest.mark.parametrize(
    ("name", "given", "made"), [("extsi", "i8", "i16"), ("extui", "i8", "i16"), ("trunci", "i8", "i3")]
)
def test_conversions(name: str, given: str, made: str) -> None:
    text = "\n".join(
        f"func.func @f{n}() -> {made} {{ %a = arith.constant {a} : {given}"
        f" %c = arith.{name} %a : {given} to {made} return %c : {made} }}"
        for n, a in enumerate(VALUES)
    )
    for found, wanted in _both(text, f"arith.{name}", [(a,) for a in VALUES]):
        assert found is not None and found == wanted


def _both(text: str, name: str, inputs: Sequence[Sequence[int]]) -> list[tuple[int | None, int | None]]:
    """What the table and what MLIR make of each operation of that name; None where either leaves it."""
    context = make_context()
    module, folded = (parse_module(text, context) for _ in range(2))
    run_pipeline(folded, "builtin.module(canonicalize)")
    operations = [op for op in _operations(module) if op.name == name]
    made = [
        calculated(op, [np.array(x, np.int64) for x in given]) for op, given in zip(operations, inputs, strict=True)
    ]
    results = [op.operands[0] for op in _operations(folded) if op.name == "func.return"]
    return [
        (None if ours is None else int(ours), _constant(defining(theirs)))
        for ours, theirs in zip(made, results, strict=True)
    ]


def _operations(module: Module) -> list[Operation]:
    return [op for view in module.body.operations for op in operations_in(view.operation.regions[0].blocks[0])]


def _constant(op: Operation | None) -> int | None:
    if op is None or op.name != "arith.constant":
        return None
    value = op.attributes["value"]
    return -1 if str(value) == "true" else 0 if str(value) == "false" else IntegerAttr(value).value
