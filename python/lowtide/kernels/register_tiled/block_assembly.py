"""Whole blocks of Cortex-M cores with Arm's DSP extension, from what sums start from to the bytes of the output."""

from __future__ import annotations

from collections.abc import Sequence

from lowtide.ir import Value
from lowtide.kernels.register_tiled.assembly import dot_fits, dot_lines, dot_words, ended, extension
from lowtide.kernels.register_tiled.memory import MOST_OFFSET, WORD, Address, Grid
from lowtide.kernels.register_tiled.pieces import MOST_MOVED, Whole
from lowtide.kernels.register_tiled.products import Epilogue, RunProducts, TapProducts
from lowtide.kernels.register_tiled.requantised import RECORD, Requantised

_BYTES = {(-128, 127): "ssat", (0, 255): "usat"}
"""What clamps to all that a byte holds."""
_TAP_WORDS = ("w", "x", "y", "v")
_ENDS = ("m", "n", "e", "t")
"""What the epilogue takes: multiplier, nudge and exponent of a channel, and a sum doubled."""
_MOST_WRITTEN_OUT, _MOST_TURN, _LEAST_TURN = 40, 32, 8
"""Bytes of a run."""
_MOST_UNROLLED = 9
"""Taps of a depthwise window whose rows are written out one after the other; those of larger ones go in a loop."""


def blocks_of_runs(products: RunProducts, epilogue: Epilogue) -> bool:
    """Emit blocks of a convolution; False, and no code, where the piece would not reach all of their bytes.

    Args:
        products: what is added up.
        epilogue: the rest.
    """
    pixels, channels = epilogue.pixels, epilogue.channels
    turn = _turn(products.run)
    xs = [m * products.across for m in range(pixels)]
    ws = [products.weights.offset + n * products.apart for n in range(channels)]
    nbytes = products.w.nbytes
    reached = xs[-1] + turn <= MOST_OFFSET and ws[-1] + (turn + WORD) * nbytes <= MOST_OFFSET
    moved = products.run * nbytes <= MOST_OFFSET and channels * products.apart <= MOST_MOVED
    if not reached or not moved or not dot_fits(pixels, channels) or not _reaches(epilogue):
        return False
    words = dot_words(pixels, channels)
    turns, rest = divmod(products.run, turn)
    lines = dot_lines(xs, ws, turn, products.x, products.w, walking=turns > 1)
    if turns > 1:
        lines = [
            *(f"add {{{words[0]}}}, {{X}}, #{turn * turns}", f"str {{{words[0]}}}, [sp, #slot(end)]"),
            *(f"2: @ {turns} turns", *ended(lines, "slot(end)"), "bne.w 2b"),
            *dot_lines(xs, ws, rest, products.x, products.w),
        ]
    left = (rest if turns > 1 else products.run) * nbytes
    rows = len(products.rows)
    behind = rows * products.run * nbytes if rows > 1 else products.run * nbytes - left
    lines = _by_rows(lines, rows, left, words[0])
    step = _next(epilogue, channels * products.apart)
    return _emit(lines, words, (products.rows, products.weights), step - behind, epilogue)


def _turn(run: int) -> int:
    """Bytes of a turn of the loop over a run; all of a short one.

    A block's code is meant to fit into a small cache for instructions: of the STM32F4's 1 KB, say.
    """
    if run <= _MOST_WRITTEN_OUT:
        return run
    dividing = (turn for turn in range(_MOST_TURN, _LEAST_TURN - 1, -WORD) if run % turn == 0)
    return next(dividing, run if run < 2 * _MOST_TURN else _MOST_TURN)


def blocks_of_taps(products: TapProducts, epilogue: Epilogue) -> bool:
    """Emit blocks of a depthwise convolution, four channels each; False, and no code, as for `blocks_of_runs`."""
    rows, columns = len(products.rows), products.columns
    written_out = rows * len(columns) <= _MOST_UNROLLED
    offsets = [offset for column in columns for offset in column if offset is not None]
    farthest = (rows - 1 if written_out else 0) * products.below + len(columns) * products.along
    reached = max(offsets, default=0) <= MOST_OFFSET and products.weights.offset + farthest <= MOST_OFFSET
    if not reached or products.below > MOST_OFFSET or not _reaches(epilogue):
        return False
    step = _next(epilogue, epilogue.channels)
    lines: list[str] = []
    for ky in range(rows if written_out else 1):
        lines += [f"ldr {{X}}, [sp, #slot(row{ky})]"] if ky else []
        lines += _taps(products, products.weights.offset + ky * products.below)
        lines += _stepped(f"row{ky}", step) if written_out and epilogue.blocks > 1 else []
    behind = 0
    if not written_out:
        behind = rows * products.below
        lines = _by_rows(lines, rows, products.below, _TAP_WORDS[0])
        if epilogue.blocks > 1:
            for ky in range(rows):
                lines += [f"ldr {{X}}, [sp, #slot(row{ky})]", *_stepped(f"row{ky}", step)]
    return _emit(lines, _TAP_WORDS, (products.rows, products.weights), step - behind, epilogue)


def _next(epilogue: Epilogue, step: int) -> int:
    return -step if epilogue.backwards else step


def _stepped(row: str, step: int) -> list[str]:
    """A row's address for the next block's channels."""
    return [f"{'add' if step > 0 else 'sub'} {{X}}, {{X}}, #{abs(step)}", f"str {{X}}, [sp, #slot({row})]"]


def _by_rows(lines: list[str], rows: int, below: int, word: str) -> list[str]:
    """A loop over the rows of a window; weights of the next begin `below` bytes behind W."""
    if rows == 1:
        return lines
    return [
        *(f"add {{{word}}}, sp, #slot(row1)", f"str {{{word}}}, [sp, #slot(next)]"),
        *(f"1: @ {rows} turns", *lines),
        *([f"add {{W}}, {{W}}, #{below}"] if below else []),
        # the rows but the first, and a 0, lie side by side
        *(f"ldr {{{word}}}, [sp, #slot(next)]", f"ldr {{X}}, [{{{word}}}], #4", f"str {{{word}}}, [sp, #slot(next)]"),
        *("cmp {X}, #0", "bne.w 1b"),
    ]


def _taps(products: TapProducts, weights: int) -> list[str]:
    """One row of depthwise windows."""
    x, w = extension(products.x), extension(products.w)
    lines: list[str] = []
    for kx, column in enumerate(products.columns):
        lines.append(f"ldr {{w}}, [{{W}}, #{weights + kx * products.along}]")
        extended = [f"{w} {{v}}, {{w}}, ror #8", f"{w} {{w}}, {{w}}"]
        # those with a load first: beside the weights' it takes a cycle less
        for m, offset in sorted(enumerate(column), key=lambda item: item[1] is None):
            if offset is not None:
                lines += [f"ldr {{x}}, [{{X}}, #{offset}]", *extended]
                lines += [f"{x} {{y}}, {{x}}, ror #8", f"{x} {{x}}, {{x}}"]
                operands = (("bb", "x", "w"), ("bb", "y", "v"), ("tt", "x", "w"), ("tt", "y", "v"))
            elif products.zero:
                lines += [*extended, f"mov {{x}}, #{products.zero}"]
                operands = (("bb", "x", "w"), ("bb", "x", "v"), ("bt", "x", "w"), ("bt", "x", "v"))
            else:
                continue
            extended = []
            lines += [
                f"smla{how} {{s{m}_{c}}}, {{{a}}}, {{{b}}}, {{s{m}_{c}}}" for c, (how, a, b) in enumerate(operands)
            ]
    return lines


def _emit(
    lines: Sequence[str], words: Sequence[str], given: tuple[Sequence[Value], Address], behind: int, epilogue: Epilogue
) -> bool:
    """Emit the piece; False, and no code, where its rows are too many.

    Args:
        lines: the products.
        words: their registers but for sums and addresses.
        given: rows and weights.
        behind: bytes from W to the next block's weights.
        epilogue: the rest.
    """
    rows, weights = given
    totals = [f"s{m}_{n}" for m in range(epilogue.pixels) for n in range(epilogue.channels)]
    steps = _next(epilogue, epilogue.channels * WORD * RECORD), _next(epilogue, epilogue.channels)
    addresses = weights.base, epilogue.records.base, epilogue.outputs.first.base
    ends = _requantised(epilogue)
    for name, word in zip(_ENDS, words, strict=False):
        # in registers that the products no longer need
        ends = [line.replace(f"{{{name}}}", f"{{{word}}}") for line in ends]
    piece = Whole(totals, words, epilogue.blocks, rows, *addresses, steps)
    if piece.fits:
        piece.emit(_starts(words[0], epilogue), lines, behind, ends)
    return piece.fits


def _starts(base: str, epilogue: Epilogue) -> list[str]:
    """What the sums of the first pixel start from is loaded, that of the others is the same."""
    channels = range(epilogue.channels)
    loads = [f"ldr {{s0_{n}}}, [{{{base}}}, #{epilogue.records.offset + n * WORD * RECORD}]" for n in channels]
    return loads + [f"mov {{s{m}_{n}}}, {{s0_{n}}}" for m in range(1, epilogue.pixels) for n in channels]


def _reaches(epilogue: Epilogue) -> bool:
    """Whether one address reaches all records of a block, and one all of its outputs; and whether the next is near."""
    outputs: Grid = epilogue.outputs
    corners = [(m, n) for m in (0, epilogue.pixels - 1) for n in (0, epilogue.channels - 1)]
    offsets = [outputs.at(m, n).offset for m, n in corners]
    offsets += [epilogue.records.offset, epilogue.records.offset + epilogue.channels * WORD * RECORD]
    return min(offsets) >= 0 and max(offsets) <= MOST_OFFSET and outputs.along == 1


def _requantised(epilogue: Epilogue) -> list[str]:
    """Each sum rescaled, clamped and stored, a channel's record at a time."""
    lines: list[str] = []
    for n in range(epilogue.channels):
        first = epilogue.records.offset + WORD * RECORD * n
        lines += [f"ldr {{{word}}}, [{{X}}, #{first + WORD * i}]" for i, word in enumerate("mne", 1)]
        for m in range(epilogue.pixels):
            total = f"{{s{m}_{n}}}"
            doubled = "{t}" if epilogue.how.negative else total
            lines += [f"lsl {doubled}, {total}, #1", f"smmlar {total}, {doubled}, {{m}}, {{n}}"]
            if epilogue.how.negative:
                # twice the sum still has its sign
                lines.append(f"add {total}, {total}, {{t}}, asr #31")
            lines += [f"asr {total}, {total}, {{e}}", *clamped(total, epilogue.how)]
            lines.append(f"strb {total}, [{{W}}, #{epilogue.outputs.at(m, n).offset}]")
    return lines


def clamped(total: str, how: Requantised) -> list[str]:
    """Instructions that put a register between both bounds: one for all that a byte holds, three for other bounds."""
    whole = (-128, 127) if how.low < 0 else (0, 255)
    lines = [f"{_BYTES[whole]} {total}, #8, {total}"]
    if how.low > whole[0]:
        lines += [f"cmp {total}, #{how.low}", "it lt", f"movlt {total}, #{how.low}"]
    if how.high < whole[1]:
        lines += [f"cmp {total}, #{how.high}", "it gt", f"movgt {total}, #{how.high}"]
    return lines
