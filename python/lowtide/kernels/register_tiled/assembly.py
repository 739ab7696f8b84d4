"""Inner blocks of Arm's DSP extension as one piece of assembly each.

A compiler's register allocation keeps a block's sums, weights and bytes of the input in the 13 registers that there
are, if the instructions are in an order that needs no more. Its scheduler moves loads to the front, so that it spills;
here the order is given: loads side by side, which overlap, then each word's two halves and their products at once.
"""

from __future__ import annotations

from collections.abc import Sequence

from lowtide.kernels.register_tiled.contraction import Factor
from lowtide.kernels.register_tiled.memory import MOST_OFFSET, WORD, Address
from lowtide.kernels.register_tiled.microkernel import Sums
from lowtide.kernels.register_tiled.pieces import REGISTERS, assembled

_MOST_LOADED = 2


def dot_fits(pixels: int, channels: int) -> bool:
    """Whether the sums of a block, and what goes into them, are no more than the registers and one that is borrowed."""
    return _registers(pixels, channels) <= REGISTERS + 1


def _registers(pixels: int, channels: int) -> int:
    """Two addresses, the sums, and the words of a step."""
    return 2 + pixels * channels + len(dot_words(pixels, channels))


def dot_words(pixels: int, channels: int) -> list[str]:
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
        len({address.base for address in addresses}) == 1 and 0 <= min(offsets) <= max(offsets) + nbytes <= MOST_OFFSET
    )


def dot(sums: Sums, xs: Sequence[Address], ws: Sequence[Address], count: int, x: Factor, w: Factor) -> Sums:
    """Add to sums[m][n] the products of `count` bytes from xs[m] and ws[n], a multiple of four; no zero points.

    Weights of 16 bits lie in memory as the two words that four of them are taken as: 0 and 2, then 1 and 3.
    """
    lines = dot_lines([a.offset for a in xs], [a.offset for a in ws], count, x, w)
    return assembled(lines, sums, dot_words(len(sums), len(sums[0])), xs[0].base, ws[0].base)


def dot_lines(xs: Sequence[int], ws: Sequence[int], count: int, x: Factor, w: Factor) -> list[str]:
    """The instructions of `dot`, for those offsets from X and W; behind the last whole word byte by byte."""
    lines: list[str] = []
    step = _one_pixel if len(xs) == 1 else _several_pixels
    words = count - count % WORD
    for k in range(0, words, WORD):
        step(lines, k, xs, ws, x, w)
    for k in range(words, count):
        _single(lines, k, xs, ws, x, w)
    return lines


def _single(lines: list[str], k: int, xs: Sequence[int], ws: Sequence[int], x: Factor, w: Factor) -> None:
    """One byte of each pixel: two weights at a time."""
    for n in range(0, len(ws), 2):
        pair = range(n, min(n + 2, len(ws)))
        lines += [_load(f"w{i - n}", "W", ws[i] + k * w.nbytes, _byte(w)) for i in pair]
        for m, offset in enumerate(xs):
            lines.append(_load("x", "X", offset + k, _byte(x)))
            lines += [f"smlabb {{s{m}_{i}}}, {{x}}, {{w{i - n}}}, {{s{m}_{i}}}" for i in pair]


def _one_pixel(lines: list[str], k: int, xs: Sequence[int], ws: Sequence[int], x: Factor, w: Factor) -> None:
    """Four bytes of one pixel: the input's halves stay, weights pass two at a time."""
    extend = _extend(x)
    for n in range(0, len(ws), 2):
        pair = range(n, min(n + 2, len(ws)))
        if w.nbytes == 1:
            lines += [_load(f"w{i - n}", "W", ws[i] + k) for i in pair]
        if n == 0:
            lines += [_load("x0", "X", xs[0] + k), f"{extend} {{x}}, {{x0}}, ror #8", f"{extend} {{x0}}, {{x0}}"]
        for i in pair:
            low, high = f"w{i - n}", "w"
            if w.nbytes == 1:
                lines += [f"{_extend(w)} {{w}}, {{{low}}}, ror #8", f"{_extend(w)} {{{low}}}, {{{low}}}"]
            else:
                lines += [_load(low, "W", ws[i] + 2 * k), _load(high, "W", ws[i] + 2 * k + WORD)]
            lines += [_products(f"s0_{i}", "x0", low), _products(f"s0_{i}", "x", high)]


def _several_pixels(lines: list[str], k: int, xs: Sequence[int], ws: Sequence[int], x: Factor, w: Factor) -> None:
    """Four bytes of each pixel: loads together, then the weights' halves stay and pixels pass one by one."""
    wide = w.nbytes > 1
    for n, offset in enumerate(ws):
        lines.append(_load(f"w{n}", "W", offset + k * w.nbytes))
        if wide:
            lines.append(_load(f"v{n}", "W", offset + k * w.nbytes + WORD))
    loaded = _loaded(len(xs))
    lines += [_load(f"x{m}", "X", offset + k) for m, offset in enumerate(xs[:loaded])]
    if not wide:
        for n in range(len(ws)):
            lines += [f"{_extend(w)} {{v{n}}}, {{w{n}}}, ror #8", f"{_extend(w)} {{w{n}}}, {{w{n}}}"]
    for m, offset in enumerate(xs):
        own = f"x{m if m < loaded else 0}"
        if m >= loaded:
            lines.append(_load(own, "X", offset + k))
        lines += [f"{_extend(x)} {{x}}, {{{own}}}, ror #8", f"{_extend(x)} {{{own}}}, {{{own}}}"]
        for n in range(len(ws)):
            lines += [_products(f"s{m}_{n}", own, f"w{n}"), _products(f"s{m}_{n}", "x", f"v{n}")]


def _load(register: str, base: str, offset: int, name: str = "ldr") -> str:
    return f"{name} {{{register}}}, [{{{base}}}, #{offset}]"


def _byte(factor: Factor) -> str:
    """What loads one element, extended."""
    return "ldrsh" if factor.nbytes > 1 else "ldrsb" if factor.signed else "ldrb"


def _extend(factor: Factor) -> str:
    return "sxtb16" if factor.signed else "uxtb16"


def _products(total: str, left: str, right: str) -> str:
    return f"smlad {{{total}}}, {{{left}}}, {{{right}}}, {{{total}}}"
