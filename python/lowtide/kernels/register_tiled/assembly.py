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


def dot_lines(
    xs: Sequence[int], ws: Sequence[int], count: int, x: Factor, w: Factor, *, walking: bool = False
) -> list[str]:
    """The instructions of `dot`, for those offsets from X and W; behind the last whole word byte by byte.

    Args:
        xs, ws, count, x, w: as for `dot`.
        walking: X and W are behind the bytes then; loads move them, which takes no time.
    """
    lines: list[str] = []
    step = _one_pixel if len(xs) == 1 else _several_pixels
    words = count - count % WORD
    for k in range(0, words, WORD):
        step(lines, 0 if walking else k, xs, ws, (x, w), walking=walking)
    for k in range(words, count):
        _single(lines, k - words if walking else k, xs, ws, x, w)
    return lines


def _single(lines: list[str], k: int, xs: Sequence[int], ws: Sequence[int], x: Factor, w: Factor) -> None:
    """One byte of each pixel: two weights at a time."""
    for n in range(0, len(ws), 2):
        pair = range(n, min(n + 2, len(ws)))
        lines += [_load(f"w{i - n}", "W", ws[i] + k * w.nbytes, _byte(w)) for i in pair]
        for m, offset in enumerate(xs):
            lines.append(_load("x", "X", offset + k, _byte(x)))
            lines += [f"smlabb {{s{m}_{i}}}, {{x}}, {{w{i - n}}}, {{s{m}_{i}}}" for i in pair]


def _one_pixel(
    lines: list[str], k: int, xs: Sequence[int], ws: Sequence[int], factors: tuple[Factor, Factor], *, walking: bool
) -> None:
    """Four bytes of one pixel: the input's halves stay, weights pass two at a time."""
    x, w = factors
    wide = w.nbytes > 1
    for n in range(0, len(ws), 2):
        pair = list(range(n, min(n + 2, len(ws))))
        last = walking and n + 2 >= len(ws)
        if not wide:
            lines += _weights(pair, [ws[i] + k for i in pair], WORD if last else 0, n)
        if n == 0:
            lines += [_walk("x0", "X", WORD) if walking else _load("x0", "X", xs[0] + k)]
            lines += [f"{extension(x)} {{x}}, {{x0}}, ror #8", f"{extension(x)} {{x0}}, {{x0}}"]
        for i in pair:
            low, high = f"w{i - n}", "w"
            if not wide:
                lines += [f"{extension(w)} {{w}}, {{{low}}}, ror #8", f"{extension(w)} {{{low}}}, {{{low}}}"]
            else:
                lines += [_load(low, "W", ws[i] + 2 * k), _load(high, "W", ws[i] + 2 * k + WORD)]
            lines += [_products(f"s0_{i}", "x0", low), _products(f"s0_{i}", "x", high)]
    if wide and walking:
        lines.append(f"add {{W}}, {{W}}, #{2 * WORD}")


def _weights(channels: Sequence[int], offsets: Sequence[int], walks: int, first: int) -> list[str]:
    """Loads of words of weights side by side; the last moves W on, and is the first channel's, which is at W."""
    lines = [_load(f"w{n - first}", "W", offset) for n, offset in zip(channels, offsets, strict=True)]
    if not walks:
        return lines
    if not offsets[0]:
        return [*lines[1:], _walk(f"w{channels[0] - first}", "W", walks)]
    return [*lines, f"add {{W}}, {{W}}, #{walks}"]


def _several_pixels(
    lines: list[str], k: int, xs: Sequence[int], ws: Sequence[int], factors: tuple[Factor, Factor], *, walking: bool
) -> None:
    """Four bytes of each pixel: loads together, then the weights' halves stay and pixels pass one by one."""
    x, w = factors
    wide = w.nbytes > 1
    channels = range(len(ws))
    if wide:
        lines += [_load(f"v{n}", "W", ws[n] + k * w.nbytes + WORD) for n in channels]
    lines += _weights(channels, [offset + k * w.nbytes for offset in ws], WORD * w.nbytes if walking else 0, 0)
    loaded = _loaded(len(xs))
    # the first pixel's last: a load from a register that the one before has moved would wait for it
    lines += [_load(f"x{m}", "X", offset + k) for m, offset in enumerate(xs[:loaded]) if m]
    lines += [_walk("x0", "X", WORD) if walking else _load("x0", "X", xs[0] + k)]
    # the other pixels' words then lie as much before X
    moved = WORD if walking else 0
    if not wide:
        for n in channels:
            lines += [f"{extension(w)} {{v{n}}}, {{w{n}}}, ror #8", f"{extension(w)} {{w{n}}}, {{w{n}}}"]
    for m, offset in enumerate(xs):
        own = f"x{m if m < loaded else 0}"
        if m >= loaded:
            lines.append(_load(own, "X", offset + k - moved))
        lines += [f"{extension(x)} {{x}}, {{{own}}}, ror #8", f"{extension(x)} {{{own}}}, {{{own}}}"]
        for n in channels:
            lines += [_products(f"s{m}_{n}", own, f"w{n}"), _products(f"s{m}_{n}", "x", f"v{n}")]


def ended(lines: Sequence[str], end: str) -> list[str]:
    """Walking lines that compare X with a word on the stack, loaded beside the last step's others.

    No instruction behind it changes the flags.
    """
    last = max(number for number, line in enumerate(lines) if line == _walk("x0", "X", WORD))
    return [*lines[: last + 1], f"ldr {{x}}, [sp, #{end}]", "cmp {X}, {x}", *lines[last + 1 :]]


def _walk(register: str, base: str, step: int) -> str:
    return f"ldr {{{register}}}, [{{{base}}}], #{step}"


def _load(register: str, base: str, offset: int, name: str = "ldr") -> str:
    return f"{name} {{{register}}}, [{{{base}}}, #{offset}]"


def _byte(factor: Factor) -> str:
    """What loads one element, extended."""
    return "ldrsh" if factor.nbytes > 1 else "ldrsb" if factor.signed else "ldrb"


def extension(factor: Factor) -> str:
    """The instruction that extends two bytes of a word to 16 bits."""
    return "sxtb16" if factor.signed else "uxtb16"


def _products(total: str, left: str, right: str) -> str:
    return f"smlad {{{total}}}, {{{left}}}, {{{right}}}, {{{total}}}"
