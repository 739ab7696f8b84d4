"""Sums of a block through loops and branches, and addresses that move with them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lowtide.ir import InsertionPoint, Value, arith, scf
from lowtide.kernels.register_tiled.memory import Address
from lowtide.kernels.register_tiled.microkernel import Sums
from lowtide.kernels.values import index_constant, word


def chosen(condition: Value, sums: Sums, this: Callable[[Sums], Sums], that: Callable[[Sums], Sums]) -> Sums:
    """An `scf.if` that carries the sums: they go on in one of two ways."""
    width, flat = len(sums[0]), [total for row in sums for total in row]
    choice = scf.IfOp(condition, [total.type for total in flat], has_else=True)
    for block, emit in ((choice.then_block, this), (choice.else_block, that)):
        with InsertionPoint(block):
            made = emit([list(row) for row in sums])
            scf.YieldOp([total for row in made for total in row])
    results = list(choice.results)
    return [results[m * width : (m + 1) * width] for m in range(len(sums))]


def looped(low: Value, high: Value, step: int, sums: Sums, body: Callable[[Value, Sums], Sums]) -> Sums:
    """An `scf.for` that carries the sums of a block in registers, as loop-carried values."""
    width = len(sums[0])
    loop = scf.ForOp(low, high, index_constant(step), [total for row in sums for total in row])
    carried = list(loop.inner_iter_args)
    with InsertionPoint(loop.body):
        made = body(loop.induction_variable, [carried[m * width : (m + 1) * width] for m in range(len(sums))])
        scf.YieldOp([total for row in made for total in row])
    results = list(loop.results)
    return [results[m * width : (m + 1) * width] for m in range(len(sums))]


def zeros(rows: int, count: int) -> Sums:
    """Sums that start from zero."""
    zero = word(0)
    return [[zero] * count for _ in range(rows)]


def moved(addresses: Sequence[Address], at: Value) -> list[Address]:
    """The addresses `at` bytes further on. Those that share a base share the addition: offsets are constants."""
    bases: dict[Value, Value] = {}
    for address in addresses:
        if address.base not in bases:
            bases[address.base] = arith.addi(address.base, at)
    return [Address(bases[address.base], address.offset) for address in addresses]
