"""TOSA's rescale with double rounding at its cheapest, where values are known to allow it.

(x·m + 2^(s−1) ± 2^30) >> s in 64 bits, the sign that of x, is two roundings in 32: y = (2·x·m + 2^31) >> 32, which
cores have an instruction or two for, then (y + 2^(e−1) − [x < 0]) >> e with e = s − 31, where s > 31. The second goes
(((y − [x < 0]) >> (e − 1)) + 1) >> 1 where the sum may overflow, or e is no constant. Where 2·x is no 32-bit value,
y is (x·m + 2^30) >> 31. What follows may clamp all negative x to one value; then the sign need not be looked at.
A constant z that is added then comes to z·2^e before the second shift, and goes with 2^(e−1). Cores that have no
instruction for y take the high word of 2·m·x, and add the highest bit of the low one. Or, where x is so small that
twice as much is still a 32-bit value, they leave both roundings to one shift, since floors of floors are one floor:
((4·x·m >> 32) + 2^e + 1 + z·2^(e+1) − 2·[x < 0]) >> (e + 1).
Source: the definition of `apply_scale` in the TOSA specification.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from lowtide.ir import Block, IntegerAttr, IntegerType, Operation, Value, arith
from lowtide.kernels.intervals import Interval
from lowtide.kernels.neutral import constant_of
from lowtide.kernels.values import made_by, word

_NUDGE = 1 << 30
MOST_SHIFT, _MOST_ADDED = 53, 128
"""With y below 2^30, the sum of y, 2^(e−1) and z·2^e is below 2^30 + 2^21 + 2^29."""
_TINY = 1 << 28
"""With x below that 4·x·m >> 32 is below 2^29, and what is added to it below 2^30 + 2^22 + 4."""


@dataclass(frozen=True)
class Rescale:
    """One rescale in a layer's scalar code.

    Attributes:
        root: the operation with the result, 32 bits.
        x: the value, 32 bits.
        multiplier: not below 0; 32 bits, or a 64-bit constant.
        shift: s, of any width.
        signed: x < 0 matters.
        small: 2·x is a 32-bit value.
        narrow: nor is anything else larger: the second rounding is one addition and a shift.
        tiny: with 4·x in the place of 2·x, too.
        added: what is added to the result, and is part of it.
    """

    root: Operation
    x: Value
    multiplier: Value
    shift: Value
    signed: bool
    small: bool = False
    narrow: bool = False
    tiny: bool = False
    added: int = 0


def rescales(block: Block, known: Mapping[Value, Interval]) -> list[Rescale]:
    """The rescales in some scalar code that have a cheaper form with the same results.

    Args:
        block: the scalar code.
        known: the intervals of its values.
    """
    found = [_rescale(view.operation) for view in block.operations if view.operation.name == "arith.trunci"]
    return [_with_sum(item, known) for item in found if item is not None and _exact(item, known)]


def _with_sum(item: Rescale, known: Mapping[Value, Interval]) -> Rescale:
    """The rescale with what is known of its value, and with the constant that is added to it."""
    small = _is_small(item, known)
    narrow = small and _shift(item, known)[1] <= MOST_SHIFT
    low, high = known.get(item.x, (-_NUDGE, _NUDGE))
    item = replace(item, small=small, narrow=narrow, tiny=narrow and low >= -_TINY and high <= _TINY)
    root, added = _added(item)
    return replace(item, root=root, added=added) if item.narrow else item


def _added(item: Rescale) -> tuple[Operation, int]:
    """The operation that adds a small constant to the rescale's result, and it; the rescale's own and 0 without one."""
    added = _only_user(item.root)
    if added is None or added.name != "arith.addi":
        return item.root, 0
    constant = next((constant_of(operand) for operand in added.operands if operand != item.root.results[0]), None)
    return (added, constant) if isinstance(constant, int) and abs(constant) <= _MOST_ADDED else (item.root, 0)


def added_to(item: Rescale) -> int:
    """The small constant that is added to the result of a rescale that is not narrow."""
    return _added(item)[1]


def _shift(item: Rescale, known: Mapping[Value, Interval]) -> Interval:
    constant = constant_of(item.shift)
    return (constant, constant) if isinstance(constant, int) else known.get(item.shift, (0, 0))


def shift_operands(block: Block) -> list[Value]:
    """What the rescales in some scalar code shift by, whether they may be made cheaper or not."""
    found = [_rescale(view.operation) for view in block.operations if view.operation.name == "arith.trunci"]
    return [item.shift for item in found if item is not None]


def _exact(item: Rescale, known: Mapping[Value, Interval]) -> bool:
    shift = _shift(item, known)
    number = constant_of(item.multiplier)
    multiplier = number if isinstance(number, int) else known.get(item.multiplier, (-1, 0))[0]
    return shift[0] > 31 and shift[1] < 63 and multiplier >= 0


def _is_small(item: Rescale, known: Mapping[Value, Interval]) -> bool:
    low, high = known.get(item.x, (-_NUDGE, _NUDGE))
    return low >= -_NUDGE and high < _NUDGE


@dataclass(frozen=True)
class Ready:
    """What a narrow rescale needs of its multiplier and shift, from a table: words.

    Attributes:
        multiplier: m.
        nudge: 2^(e−1) and what is added, times 2^e. On cores that round a tiny value once (`bare`) twice that and 1.
        exponent: e, on such cores e + 1.
    """

    multiplier: Value
    nudge: Value
    exponent: Value

    def halved(self) -> Ready:
        """Those for two roundings, of those for one."""
        return replace(self, nudge=arith.shrsi(self.nudge, word(1)), exponent=arith.subi(self.exponent, word(1)))


def scalings(block: Block) -> list[tuple[Value, Value, int]]:
    """The rescales in some scalar code: what they multiply and shift by, and what is added."""
    items = [_rescale(view.operation) for view in block.operations if view.operation.name == "arith.trunci"]
    return [(item.multiplier, item.shift, _added(item)[1]) for item in items if item is not None]


def emit_rescale(
    item: Rescale, mapped: Callable[[Value], Value], *, bare: bool = False, ready: Ready | None = None
) -> Value:
    """Emit a rescale in its cheap form.

    Args:
        item: the rescale.
        mapped: gives the values that the scalar code's values have become.
        bare: the core has no instruction for rounded high products.
        ready: for a narrow one what is made of its multiplier and shift.
    """
    x = mapped(item.x)
    multiplier = mapped(item.multiplier) if ready is None else ready.multiplier
    if bare and item.tiny:
        return _shifted_once(item, x, _in_32_bits(multiplier), mapped, ready)
    high = _high_product_apart(x, multiplier) if bare else _high_product(item, x, multiplier)
    if item.signed:
        high = arith.addi(high, arith.shrsi(x, word(31)))
    if ready is not None:
        ready = ready.halved() if bare else ready
        return arith.shrsi(arith.addi(high, ready.nudge), ready.exponent)
    return _rounded_shift(item, high, _in_32_bits(mapped(item.shift)))


def _high_product(item: Rescale, x: Value, multiplier: Value) -> Value:
    """(x·m + 2^30) >> 31, or the same of 2·x, as Arm's SMMULR has it."""
    i32, i64 = IntegerType.get_signless(32), IntegerType.get_signless(64)
    wide = multiplier if multiplier.type == i64 else arith.extsi(i64, multiplier)
    doubled = int(item.small)
    product = arith.muli(arith.extsi(i64, arith.shli(x, word(1)) if doubled else x), wide)
    rounded = arith.addi(product, arith.constant(i64, _NUDGE << doubled))
    return arith.trunci(i32, arith.shrsi(rounded, arith.constant(i64, 31 + doubled)))


def _high_product_apart(x: Value, multiplier: Value) -> Value:
    """`_high_product` of 2·x from the words of x·2m: RISC-V multiplies a signed by an unsigned word (MULHSU)."""
    i32, i64 = IntegerType.get_signless(32), IntegerType.get_signless(64)
    doubled = arith.shli(_in_32_bits(multiplier), word(1))
    product = arith.muli(arith.extsi(i64, x), arith.extui(i64, doubled))
    high, low = (arith.trunci(i32, part) for part in (arith.shrsi(product, arith.constant(i64, 32)), product))
    return arith.addi(high, arith.shrui(low, word(31)))


def _shifted_once(
    item: Rescale, x: Value, multiplier: Value, mapped: Callable[[Value], Value], ready: Ready | None
) -> Value:
    """The rescale of a tiny x: the high word of 4·x·m, in which one more bit is left, and one shift."""
    i32, i64 = IntegerType.get_signless(32), IntegerType.get_signless(64)
    product = arith.muli(*(arith.extsi(i64, factor) for factor in (arith.shli(x, word(2)), multiplier)))
    high = arith.trunci(i32, arith.shrsi(product, arith.constant(i64, 32)))
    if item.signed:
        high = arith.addi(high, arith.shli(arith.shrsi(x, word(31)), word(1)))
    if ready is not None:
        return arith.shrsi(arith.addi(high, ready.nudge), ready.exponent)
    odd, constant = 2 * item.added + 1, constant_of(item.shift)
    if isinstance(constant, int):
        exponent = constant - 30
        return arith.shrsi(arith.addi(high, word((odd << (exponent - 1)) + 1)), word(exponent))
    exponent = arith.subi(_in_32_bits(mapped(item.shift)), word(30))
    # 2^e and what is added, times 2^(e+1); its lowest bit is free, as the exponent is 2 at least
    nudge = arith.addi(arith.shli(word(odd), arith.subi(exponent, word(1))), word(1))
    return arith.shrsi(arith.addi(high, nudge), exponent)


def _rounded_shift(item: Rescale, high: Value, shift: Value) -> Value:
    """(y + 2^(e−1)) >> e, and what is added to it."""
    constant = constant_of(item.shift)
    if item.narrow:
        # 2^(e-1) + added·2^e
        odd = 2 * item.added + 1
        if isinstance(constant, int):
            return arith.shrsi(arith.addi(high, word(odd << (constant - 32))), word(constant - 31))
        nudge = arith.shli(word(odd), arith.subi(shift, word(32)))
        return arith.shrsi(arith.addi(high, nudge), arith.subi(shift, word(31)))
    if item.small and isinstance(constant, int):
        return arith.shrsi(arith.addi(high, word(1 << (constant - 32))), word(constant - 31))
    halves = arith.shrsi(high, arith.subi(shift, word(32)))
    return arith.shrsi(arith.addi(halves, word(1)), word(1))


def _in_32_bits(value: Value) -> Value:
    assert isinstance(value.type, IntegerType)
    i32 = IntegerType.get_signless(32)
    if value.type.width == i32.width:
        return value
    return arith.trunci(i32, value) if value.type.width > i32.width else arith.extui(i32, value)


def _rescale(root: Operation) -> Rescale | None:
    """x, multiplier and shift of the operation that ends a rescale."""
    shifted = made_by(root.operands[0], "arith.shrsi")
    if shifted is None:
        return None
    total, amount = shifted.operands[0], shifted.operands[1]
    chosen = made_by(total, "arith.select")
    if chosen is not None:
        # a shift of 31 or less has no second rounding; `_exact` rules it out
        test = _comparison(chosen.operands[0], arith.CmpIPredicate.sgt)
        if test is None or constant_of(test.operands[1]) != 31 or _unextended(test.operands[0]) != _unextended(amount):
            return None
        total = chosen.operands[1]
    return _rounded(root, total, amount)


def _rounded(root: Operation, total: Value, amount: Value) -> Rescale | None:
    added = made_by(total, "arith.addi")
    if added is None:
        return None
    nudge, half = _operand_by(added, "arith.select"), _operand_by(added, "arith.addi")
    if nudge is None or half is None or [constant_of(v) for v in list(nudge.operands)[1:]] != [_NUDGE, -_NUDGE]:
        return None
    product = _operand_by(half, "arith.muli")
    sign = _comparison(nudge.operands[0], arith.CmpIPredicate.sge)
    if product is None or sign is None or not _is_half(half, product, amount):
        return None
    x, multiplier = _narrow(product.operands[0]), product.operands[1]
    if x is None or sign.operands[0] != x or constant_of(sign.operands[1]) != 0:
        return None
    constant = constant_of(multiplier)
    narrow = multiplier if isinstance(constant, int) and -(1 << 31) <= constant < 1 << 31 else _narrow(multiplier)
    if narrow is None:
        return None
    return Rescale(root, x, narrow, _unextended(amount), not _clamps_negatives(root))


def _is_half(added: Operation, product: Operation, amount: Value) -> bool:
    """Whether 2^(s−1) is what is added to the product."""
    other = next((operand for operand in added.operands if operand != product.results[0]), None)
    constant, shift = (None if v is None else constant_of(v) for v in (other, amount))
    if isinstance(constant, int) and isinstance(shift, int):
        return constant == 1 << (shift - 1)
    halved = None if other is None else made_by(other, "arith.shrui")
    power = None if halved is None else made_by(halved.operands[0], "arith.shli")
    if halved is None or power is None:
        return False
    return constant_of(halved.operands[1]) == 1 == constant_of(power.operands[0]) and power.operands[1] == amount


def _narrow(value: Value) -> Value | None:
    """The 32-bit value that was extended."""
    extended = made_by(value, "arith.extsi")
    narrow = None if extended is None else extended.operands[0]
    return narrow if narrow is not None and isinstance(narrow.type, IntegerType) and narrow.type.width == 32 else None


def _unextended(amount: Value) -> Value:
    extended = made_by(amount, "arith.extui")
    return amount if extended is None else extended.operands[0]


def _clamps_negatives(root: Operation) -> bool:
    """Whether the result, which for negative x is at most 0, is added to something and not let below that."""
    added = _only_user(root)
    if added is None or added.name != "arith.addi":
        return _floor(added) is not None and (_floor(added) or 0) >= 0
    zero = next((constant_of(o) for o in added.operands if o != root.results[0]), None)
    floor = _floor(_only_user(added))
    return isinstance(zero, int) and floor is not None and floor >= zero


def _floor(op: Operation | None) -> int | None:
    if op is None or op.name != "arith.maxsi":
        return None
    return next((c for c in map(constant_of, op.operands) if isinstance(c, int)), None)


def _only_user(op: Operation) -> Operation | None:
    uses = [use.owner for use in op.results[0].uses]
    return uses[0].operation if len(uses) == 1 else None


def _comparison(value: Value, predicate: arith.CmpIPredicate) -> Operation | None:
    op = made_by(value, "arith.cmpi")
    return op if op is not None and IntegerAttr(op.attributes["predicate"]).value == predicate else None


def _operand_by(op: Operation, name: str) -> Operation | None:
    """The first operation of that name that makes an operand."""
    return next((made for made in (made_by(operand, name) for operand in op.operands) if made is not None), None)
