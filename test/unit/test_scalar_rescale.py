"""TOSA's rescale in 32 bits against its definition in 64, operation by operation, and every reason not to use it."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from jit import Array
from scalar_layers import ScalarLayer

from lowtide.ir import run_pipeline
from lowtide.kernels.intervals import Interval
from lowtide.kernels.rescale import rescales

NEAR = 1 << 30
MOST = (1 << 31) - 1
EXACT: tuple[Interval, Interval, Interval] = ((-MOST - 1, MOST), (0, MOST), (32, 62))
"""Of x, multiplier and shift: the widest that a cheap form is exact for."""
SMALL: tuple[Interval, Interval, Interval] = ((-NEAR, NEAR - 1), (0, MOST), (32, 62))
"""The same for the cheapest, where 2·x is a 32-bit value."""
NARROW: tuple[Interval, Interval, Interval] = ((-NEAR, NEAR - 1), (0, MOST), (32, 53))
"""The same where the second rounding is one addition and a shift, which take what is added to the result along."""
TINY: tuple[Interval, Interval, Interval] = ((-(1 << 28), 1 << 28), (0, MOST), (32, 53))
"""The same where both roundings may be one shift."""
RESCALE = """%one = arith.constant 1 : i64
  %c31 = arith.constant 31 : i32
  %zero = arith.constant 0 : i32
  %up = arith.constant 1073741824 : i64
  %down = arith.constant -1073741824 : i64
  %s32 = arith.extui %x2 : i8 to i32
  %x = arith.extsi %x0 : i32 to i64
  %m = arith.extsi %x1 : i32 to i64
  %p = arith.muli %x, %m : i64
  %s = arith.extui %x2 : i8 to i64
  %power = arith.shli %one, %s : i64
  %half = arith.shrui %power, %one : i64
  %h = arith.addi %p, %half : i64
  %sign = arith.cmpi sge, %x0, %zero : i32
  %nudge = arith.select %sign, %up, %down : i64
  %n = arith.addi %nudge, %h : i64
  %far = arith.cmpi sgt, %s32, %c31 : i32
  %t = arith.select %far, %n, %h : i64
  %q = arith.shrsi %t, %s : i64
  %r = arith.trunci %q : i64 to i32"""
CLAMPED = """
  %zp = arith.constant ZERO : i32
  %floor = arith.constant FLOOR : i32
  %ceiling = arith.constant 127 : i32
  %y = arith.addi %r32, %zp : i32
  %low = arith.maxsi %y, %floor : i32
  %high = arith.minsi %low, %ceiling : i32
  %r = arith.trunci %high : i32 to i8"""


def _layer(code: str = RESCALE, made: str = "i32", count: int = 1, microkernels: str = "scalar") -> ScalarLayer:
    return ScalarLayer(code, ["i32", "i32", "i8", made], count, microkernels)


def _clamped(zero: int, floor: int) -> str:
    tail = CLAMPED.replace("ZERO", str(zero)).replace("FLOOR", str(floor))
    return RESCALE.replace("%r = arith.trunci %q", "%r32 = arith.trunci %q") + tail


def _found(layer: ScalarLayer, intervals: tuple[Interval | None, ...] = EXACT) -> int:
    """How many cheap rescales there are."""
    given = zip(layer.block.arguments, intervals, strict=False)
    return len(rescales(layer.block, {value: interval for value, interval in given if interval is not None}))


def _definition(x: Array, m: Array, s: Array) -> Array:
    """`apply_scale` with double rounding, in Python's integers."""
    found = [
        (a * b + (1 << (c - 1)) + ((NEAR if a >= 0 else -NEAR) if c > 31 else 0)) >> c
        for a, b, c in zip(x.tolist(), m.tolist(), s.tolist(), strict=True)
    ]
    return np.array(found)


def _samples(count: int, seed: int, bounds: Interval, shifts: Interval) -> tuple[Array, Array, Array]:
    """Every corner with every shift, and random values of every magnitude."""
    allowed = range(shifts[0], shifts[1] + 1)
    rng = np.random.default_rng(seed)
    low, high = bounds
    xs = [low, low + 1, low // 2, -3, -2, -1, 0, 1, 2, 3, (1 << 15) - 1, high - 1, high]
    ms = [0, 1, 2, (1 << 30) - 1, 1 << 30, (1 << 30) + 1, MOST - 1, MOST]
    corners = np.array(list(itertools.product(xs, ms, allowed)), np.int64)
    x = rng.integers(low, high + 1, count) >> rng.integers(0, 31, count)
    m = rng.integers(0, MOST + 1, count) >> rng.integers(0, 8, count)
    s = rng.integers(allowed.start, allowed.stop, count)
    x, m, s = (np.concatenate([corners[:, n], values]) for n, values in enumerate((x, m, s)))
    return x, m, s


def _check(
    code: str,
    made: str,
    zero: int,
    floor: int,
    count: int,
    intervals: tuple[Interval, Interval, Interval],
    microkernels: str = "scalar",
) -> None:
    x, m, s = _samples(count, 1, intervals[0], intervals[2])
    layer = _layer(code, made, len(x), microkernels)
    known = dict(enumerate(intervals))
    for constants in ({}, known):
        module = layer.emitted(constants)
        run_pipeline(module, "builtin.module(canonicalize,cse)")
        # only the definition chooses a nudge
        assert ("arith.select" in str(module)) == (not constants)
    found = layer.run([x, m, s], known)
    wanted = _definition(x, m, s)
    if made == "i8":
        wanted = np.clip(wanted + zero, floor, 127)
    np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(layer.run([x, m, s], {}), wanted)


@pytest.mark.parametrize(
    ("zero", "floor"), [(None, None), (-128, -128), (0, 0), (5, -128), (-5, -5), (-5, 0), (-5, -6)], ids=str
)
@pytest.mark.parametrize("intervals", [TINY, NARROW, SMALL, EXACT], ids=["tiny", "narrow", "small", "any"])
@pytest.mark.parametrize("microkernels", ["scalar", "risc"])
def test_the_cheap_form_is_exact(
    intervals: tuple[Interval, Interval, Interval], zero: int | None, floor: int | None, microkernels: str
) -> None:
    if zero is None or floor is None:
        _check(RESCALE, "i32", 0, 0, 20_000, intervals, microkernels)
    else:
        _check(_clamped(zero, floor), "i8", zero, floor, 5_000, intervals, microkernels)


@pytest.mark.parametrize("shift", [32, 33, 40, 53])
def test_a_constant_shift_of_a_tiny_value(shift: int) -> None:
    code = RESCALE.replace("%one =", f"%s8 = arith.constant {shift} : i8\n  %one =", 1).replace("%x2", "%s8")
    fixed = (*TINY[:2], (shift, shift))
    for zero, floor in ((-128, -128), (5, -128)):
        tail = CLAMPED.replace("ZERO", str(zero)).replace("FLOOR", str(floor))
        clamped = code.replace("%r = arith.trunci %q", "%r32 = arith.trunci %q") + tail
        _check(clamped, "i8", zero, floor, 5_000, fixed, "risc")


def test_what_is_tiny() -> None:
    def tiny(x: Interval, shift: Interval) -> bool:
        layer = _layer()
        (item,) = rescales(layer.block, dict(zip(list(layer.block.arguments)[:3], (x, (0, MOST), shift), strict=True)))
        return item.tiny

    assert tiny(*TINY[::2])
    assert not tiny((-(1 << 28) - 1, 0), (32, 53)) and not tiny((0, (1 << 28) + 1), (32, 53))
    assert not tiny((0, 0), (32, 54))


@pytest.mark.slow
def test_the_cheap_form_is_exact_on_many_values() -> None:
    for intervals in (SMALL, EXACT):
        _check(RESCALE, "i32", 0, 0, 3_000_000, intervals)


@pytest.mark.parametrize(
    ("x", "small"),
    [(SMALL[0], True), ((-NEAR - 1, 0), False), ((0, NEAR), False), ((0, 0), True)],
)
def test_twice_a_value_of_32_bits(x: Interval, small: bool) -> None:
    layer = _layer()
    (item,) = rescales(layer.block, dict(zip(list(layer.block.arguments)[:3], (x, *EXACT[1:]), strict=True)))
    assert item.small == small


def test_the_sign_is_left_out_where_all_below_zero_is_clamped() -> None:
    def signed(zero: int, floor: int) -> bool:
        layer = _layer(_clamped(zero, floor), "i8")
        (item,) = rescales(layer.block, dict(zip(list(layer.block.arguments)[:3], EXACT, strict=True)))
        return item.signed

    assert not signed(-5, -5) and not signed(-128, -128) and not signed(-5, 0)
    assert signed(-5, -6) and signed(0, -128)


@pytest.mark.parametrize(
    ("number", "interval"),
    [
        (1, (-1, MOST)),
        (1, None),
        (2, (31, 40)),
        (2, (32, 63)),
        (2, None),
    ],
)
def test_what_it_is_not_exact_for(number: int, interval: Interval | None) -> None:
    layer = _layer()
    assert _found(layer) == 1
    assert _found(layer, (*EXACT[:number], interval, *EXACT[number + 1 :])) == 0


@pytest.mark.parametrize(
    ("old", "new"),
    [
        # the other rounding of negative values
        ("cmpi sge, %x0", "cmpi slt, %x0"),
        ("cmpi sge, %x0", "cmpi sge, %x1"),
        ("%sign, %up, %down", "%sign, %down, %up"),
        # a second rounding for small shifts, or by another value
        ("cmpi sgt, %s32", "cmpi sle, %s32"),
        ("cmpi sgt, %s32", "cmpi sgt, %x1"),
        ("arith.select %far, %n, %h", "arith.select %far, %h, %n"),
        ("%c31 = arith.constant 31", "%c31 = arith.constant 30"),
        # another half
        ("shrui %power, %one", "shrui %power, %s"),
        ("shli %one, %s", "shli %s, %s"),
        ("arith.shrsi %t, %s", "arith.shrui %t, %s"),
        ("arith.addi %p, %half", "arith.addi %half, %half"),
    ],
)
def test_other_code_is_left_alone(old: str, new: str) -> None:
    assert old in RESCALE
    layer = _layer(RESCALE.replace(old, new))
    assert _found(layer) == 0
