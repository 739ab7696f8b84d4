"""Inner blocks of Arm's DSP extension as one piece of assembly each.

A compiler's register allocation keeps a block's sums, weights and bytes of the input in the 13 registers that there
are, if the instructions are in an order that needs no more. Its scheduler moves loads to the front, so that it spills;
here the order is given: loads side by side, which overlap, then each word's two halves and their products at once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from lowtide.ir import IntegerType, Value, arith, llvm
from lowtide.kernels.register_tiled.contraction import Factor
from lowtide.kernels.register_tiled.memory import WORD, Address
from lowtide.kernels.register_tiled.microkernel import Sums, Tap

_FRAME = "r7"
REGISTERS = 13
"""Those of a Cortex-M core that are neither the stack's pointer, the frame's nor the program counter."""
_NAME = re.compile(r"\{(\w+)\}")
_MOST_LOADED = 2
_MOST_OFFSET = 4095
"""Of a load's address, in bytes."""


def dot_fits(pixels: int, channels: int) -> bool:
    """Whether the sums of a block, and what goes into them, are no more than the registers and one that is borrowed."""
    return _registers(pixels, channels) <= REGISTERS + 1


def _registers(pixels: int, channels: int) -> int:
    """Two addresses, the sums, and the words of a step."""
    return 2 + pixels * channels + len(_words(pixels, channels))


def _words(pixels: int, channels: int) -> list[str]:
    """Registers for the words of a step: of one pixel's input and two weights, or of all weights and some pixels."""
    if pixels == 1:
        return ["x0", "x", *(f"w{n}" for n in range(min(channels, 2))), "w"]
    halves = [f"{half}{n}" for n in range(channels) for half in ("w", "v")]
    return [*halves, *(f"x{m}" for m in range(_loaded(pixels))), "x"]


def _loaded(pixels: int) -> int:
    """How many pixels' words of a step are loaded side by side: more pixels leave registers for one at a time."""
    return pixels if pixels <= _MOST_LOADED else 1


def reachable(addresses: Sequence[Address], nbytes: int) -> bool:
    """Whether loads of so many bytes from all of these addresses can start from one register."""
    offsets = [address.offset for address in addresses]
    return (
        len({address.base for address in addresses}) == 1 and 0 <= min(offsets) <= max(offsets) + nbytes <= _MOST_OFFSET
    )


def dot(sums: Sums, xs: Sequence[Address], ws: Sequence[Address], count: int, x: Factor, w: Factor) -> Sums:
    """Add to sums[m][n] the products of `count` bytes from xs[m] and ws[n], a multiple of four; no zero points.

    Weights of 16 bits lie in memory as the two words that four of them are taken as: 0 and 2, then 1 and 3.
    """
    pixels, channels = len(sums), len(sums[0])
    lines: list[str] = []
    step = _one_pixel if pixels == 1 else _several_pixels
    for k in range(0, count, WORD):
        step(lines, k, xs, ws, x, w)
    return _assembled(lines, sums, _words(pixels, channels), xs[0].base, ws[0].base)


def _one_pixel(lines: list[str], k: int, xs: Sequence[Address], ws: Sequence[Address], x: Factor, w: Factor) -> None:
    """Four bytes of one pixel: the input's halves stay, weights pass two at a time."""
    extend = _extend(x)
    for n in range(0, len(ws), 2):
        pair = range(n, min(n + 2, len(ws)))
        if w.nbytes == 1:
            lines += [_load(f"w{i - n}", "W", ws[i].offset + k) for i in pair]
        if n == 0:
            lines += [_load("x0", "X", xs[0].offset + k), f"{extend} {{x}}, {{x0}}, ror #8", f"{extend} {{x0}}, {{x0}}"]
        for i in pair:
            low, high = f"w{i - n}", "w"
            if w.nbytes == 1:
                lines += [f"{_extend(w)} {{w}}, {{{low}}}, ror #8", f"{_extend(w)} {{{low}}}, {{{low}}}"]
            else:
                lines += [_load(low, "W", ws[i].offset + 2 * k), _load(high, "W", ws[i].offset + 2 * k + WORD)]
            lines += [_products(f"s0_{i}", "x0", low), _products(f"s0_{i}", "x", high)]


def _several_pixels(
    lines: list[str], k: int, xs: Sequence[Address], ws: Sequence[Address], x: Factor, w: Factor
) -> None:
    """Four bytes of each pixel: loads together, then the weights' halves stay and pixels pass one by one."""
    wide = w.nbytes > 1
    for n, address in enumerate(ws):
        lines.append(_load(f"w{n}", "W", address.offset + k * w.nbytes))
        if wide:
            lines.append(_load(f"v{n}", "W", address.offset + k * w.nbytes + WORD))
    loaded = _loaded(len(xs))
    lines += [_load(f"x{m}", "X", address.offset + k) for m, address in enumerate(xs[:loaded])]
    if not wide:
        for n in range(len(ws)):
            lines += [f"{_extend(w)} {{v{n}}}, {{w{n}}}, ror #8", f"{_extend(w)} {{w{n}}}, {{w{n}}}"]
    for m, address in enumerate(xs):
        own = f"x{m if m < loaded else 0}"
        if m >= loaded:
            lines.append(_load(own, "X", address.offset + k))
        lines += [f"{_extend(x)} {{x}}, {{{own}}}, ror #8", f"{_extend(x)} {{{own}}}, {{{own}}}"]
        for n in range(len(ws)):
            lines += [_products(f"s{m}_{n}", own, f"w{n}"), _products(f"s{m}_{n}", "x", f"v{n}")]


def scale(sums: Sums, taps: Sequence[Tap], x: Factor, w: Factor) -> Sums:
    """Add to sums[m][c] the products of byte c of pixel m's inputs and of the weights, tap by tap; four channels."""
    lines: list[str] = []
    for tap in taps:
        lines.append(_load("w", "W", tap.weights.offset))
        for position, (m, address) in enumerate(tap.inputs.items()):
            # beside the weights' load the first pixel's takes a cycle less
            lines.append(_load("x", "X", address.offset))
            if not position:
                lines += [f"{_extend(w)} {{v}}, {{w}}, ror #8", f"{_extend(w)} {{w}}, {{w}}"]
            lines += [f"{_extend(x)} {{y}}, {{x}}, ror #8", f"{_extend(x)} {{x}}, {{x}}"]
            for first, left, right in ((0, "x", "w"), (1, "y", "v")):
                for half, name in ((0, "smlabb"), (2, "smlatt")):
                    total = f"s{m}_{first + half}"
                    lines.append(f"{name} {{{total}}}, {{{left}}}, {{{right}}}, {{{total}}}")
    inputs = next(iter(taps[0].inputs.values()))
    return _assembled(lines, sums, ["w", "x", "y", "v"], inputs.base, taps[0].weights.base)


def _load(register: str, base: str, offset: int) -> str:
    return f"ldr {{{register}}}, [{{{base}}}, #{offset}]"


def _extend(factor: Factor) -> str:
    return "sxtb16" if factor.signed else "uxtb16"


def _products(total: str, left: str, right: str) -> str:
    return f"smlad {{{total}}}, {{{left}}}, {{{right}}}, {{{total}}}"


def _assembled(lines: Sequence[str], sums: Sums, words: Sequence[str], x: Value, w: Value) -> Sums:
    """One piece of assembly in which names in braces are registers; what the sums have become.

    Where they are one more than there are, the frame's pointer, which nothing here needs, waits on the stack meanwhile.

    Args:
        lines: instructions; `sM_N` are the sums, X and W the addresses.
        sums: before.
        words: registers that are only written.
        x, w: the addresses, index values.
    """
    i32, channels = IntegerType.get_signless(32), len(sums[0])
    totals = [f"s{m}_{n}" for m in range(len(sums)) for n in range(channels)]
    if 2 + len(totals) + len(words) > REGISTERS:
        *words, borrowed = words
        lines = [f"str {_FRAME}, [sp, #-8]!", *(line.replace(f"{{{borrowed}}}", _FRAME) for line in lines)]
        lines.append(f"ldr {_FRAME}, [sp], #8")
    outputs = [*totals, *words]
    names = {name: f"${number}" for number, name in enumerate([*outputs, "X", "W"])}
    text = "\n".join(_NAME.sub(lambda found: names[found[1]], line) for line in lines)
    # results come first, early ones: none may share a register with an address; then addresses and first sums
    constraints = [*["=&r"] * len(outputs), "r", "r", *map(str, range(len(totals))), "~{memory}"]
    kind = llvm.StructType.get_literal([i32] * len(outputs))
    given = [arith.index_cast(i32, x), arith.index_cast(i32, w), *(total for row in sums for total in row)]
    made = llvm.InlineAsmOp(kind, given, text, ",".join(constraints), has_side_effects=True).results[0]
    found = [llvm.extractvalue(i32, made, [number]) for number in range(len(totals))]
    return [found[m * channels : (m + 1) * channels] for m in range(len(sums))]
