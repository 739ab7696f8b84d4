"""The rows of an iteration of a fused loop as code."""

from __future__ import annotations

from lowtide.graph.row_ranges import Reread, RowRange, RowSchedule
from lowtide.ir import Value, arith
from lowtide.kernels.values import index_constant


def end_of(rows: RowRange, iteration: Value) -> Value:
    """The rows that a stage has made before an iteration begins, and so in all those before it, as code."""
    return _row_value(rows, iteration, -1)


def bounds_of(schedule: RowSchedule, variable: Value) -> list[tuple[Value, Value]]:
    """First row and end of what each stage makes in an iteration, as code."""
    found: list[tuple[Value, Value]] = []
    made: dict[int, tuple[Value, Value]] = {}
    # from the last stage on, as the rows that a stage recomputes follow from those that its reader makes
    for stage in range(len(schedule.ranges) - 1, -1, -1):
        rows = schedule.ranges[stage]
        if isinstance(rows, RowRange):
            made[stage] = _row_value(rows, variable, -1), _row_value(rows, variable, 0)
        else:
            made[stage] = _recomputed(rows, made[rows.reader])
        found.append(made[stage])
    return found[::-1]


def _recomputed(rows: Reread, reader: tuple[Value, Value]) -> tuple[Value, Value]:
    """`Reread.bounds` as code."""
    begin, end = reader
    stride, count = index_constant(rows.window.stride), arith.subi(end, begin)
    low = arith.addi(arith.muli(begin, stride), index_constant(rows.window.first))
    # an iteration that makes no row needs none: the rows of a window beyond its stride count only where there is one
    margin = arith.muli(arith.minsi(count, index_constant(1)), index_constant(rows.margin))
    high = arith.addi(low, arith.addi(arith.muli(count, stride), margin))
    return _clamped(low, rows.rows), _clamped(high, rows.rows)


def _clamped(value: Value, extent: int) -> Value:
    return arith.minsi(arith.maxsi(value, index_constant(0)), index_constant(extent))


def _row_value(rows: RowRange, iteration: Value, back: int) -> Value:
    """The rows made after the iteration (`back` = 0) or after the one before (-1), as code."""
    linear = iteration if rows.slope == 1 else arith.muli(iteration, index_constant(rows.slope))
    offset = rows.offset + back * rows.slope
    if offset:
        linear = arith.addi(linear, index_constant(offset))
    linear = arith.maxsi(linear, index_constant(0))
    if rows.divisor > 1:
        linear = arith.divui(linear, index_constant(rows.divisor))
    return arith.minsi(linear, index_constant(rows.rows))
