"""A maximum or minimum of a float and a constant as one comparison.

`arith.maximumf` gives NaN where either side is one, and takes -0 for less than +0. Few cores have an instruction for
that; where one side is a constant, a comparison and a choice do the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from lowtide.ir import Operation, Value, arith
from lowtide.kernels.neutral import constant_of

EXTREMES = ("arith.maximumf", "arith.minimumf")


def emit_extreme(op: Operation, operands: Sequence[Value]) -> Value:
    """What `op`, one of `EXTREMES`, gives for these operands, at the current insertion point."""
    greatest = op.name == EXTREMES[0]
    for value, limit in (operands, operands[::-1]):
        number = constant_of(limit)
        if isinstance(number, float) and not math.isnan(number):
            return _limited(value, limit, number, greatest=greatest)
    return (arith.maximumf if greatest else arith.minimumf)(*operands)


def _limited(value: Value, limit: Value, number: float, *, greatest: bool) -> Value:
    """The value, unless it is beyond the limit.

    No comparison holds for NaN, which stays. The zeros compare as equal: +0 replaces either of them in a maximum, -0
    neither; in a minimum it is the other way round.
    """
    replaced = number != 0 or (math.copysign(1, number) > 0) == greatest
    kind = arith.CmpFPredicate
    strict, loose = (kind.OLT, kind.OLE) if greatest else (kind.OGT, kind.OGE)
    return arith.select(arith.cmpf(loose if replaced else strict, value, limit), limit, value)
