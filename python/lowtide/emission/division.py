"""64-bit divisions without the compiler's library: 32-bit cores have no instruction for them.

Scalar code that divides by data needs them; what it divides by an element's place, as padded average pools do, is in
tables by now (`lowtide.normalise.places`) unless these would be large. The object must link alone, so the quotient
comes from a function of the network's own. Each kernel
that divides has a copy: IREE 3.13 walks the calls from the entry, and takes what it meets twice for a recursion.
"""

from __future__ import annotations

import itertools

from lowtide.ir import FlatSymbolRefAttr, InsertionPoint, IntegerType, Module, StringAttr, func
from lowtide.normalise.analysis import operations_in

DIVIDE = "lowtide_divide_u64"

# Restoring division, a bit a turn from the highest; the remainder's top bit is kept by comparing before it is lost.
_FUNCTION = f"""
func.func private @{DIVIDE}(%n: i64, %d: i64) -> i64 attributes {{llvm.no_inline}} {{
  %zero = arith.constant 0 : i64
  %one = arith.constant 1 : i64
  %top = arith.constant 63 : i64
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c64 = arith.constant 64 : index
  %done:3 = scf.for %i = %c0 to %c64 step %c1 iter_args(%q = %zero, %r = %zero, %rest = %n) -> (i64, i64, i64) {{
    %bit = arith.shrui %rest, %top : i64
    %carry = arith.shrui %r, %top : i64
    %doubled = arith.shli %r, %one : i64
    %next = arith.ori %doubled, %bit : i64
    %fits = arith.cmpi uge, %next, %d : i64
    %over = arith.cmpi eq, %carry, %one : i64
    %take = arith.ori %fits, %over : i1
    %less = arith.subi %next, %d : i64
    %left = arith.select %take, %less, %next : i64
    %shifted = arith.shli %q, %one : i64
    %digit = arith.extui %take : i1 to i64
    %grown = arith.ori %shifted, %digit : i64
    %following = arith.shli %rest, %one : i64
    scf.yield %grown, %left, %following : i64, i64, i64
  }}
  return %done#0 : i64
}}
"""


def replace_divisions(module: Module) -> None:
    """Turn every `arith.divui` of 64-bit integers into a call; each kernel that has one gets a function for it."""
    i64 = IntegerType.get_signless(64, module.context)
    source = Module.parse(_FUNCTION, module.context)
    names = itertools.chain([DIVIDE], (f"{DIVIDE}_{i}" for i in itertools.count(2)))
    kernels = [view for view in module.body.operations if isinstance(view, func.FuncOp) and not view.is_external]
    for kernel in kernels:
        inside = operations_in(kernel.regions[0].blocks[0])
        divisions = [op for op in inside if op.name == "arith.divui" and op.results[0].type == i64]
        if not divisions:
            continue
        divide = next(names)
        copy = source.body.operations[0].operation.clone(InsertionPoint(module.body))
        copy.attributes["sym_name"] = StringAttr.get(divide, module.context)
        for op in divisions:
            with InsertionPoint(op), op.location:
                call = func.CallOp([i64], FlatSymbolRefAttr.get(divide), list(op.operands))
            op.results[0].replace_all_uses_with(call.results[0])
            op.erase()
