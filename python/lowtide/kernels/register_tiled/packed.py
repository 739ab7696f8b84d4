"""Three sums of products in two words.

For three pixels a, b, c and one weight each, two products do: (a + 2^21·c)·w and (b + 2^10·c)·w, added up modulo 2^32.
If no sum is 2^20 or more in magnitude, the first word's low 21 bits are the sum of a, its others the low 11 bits of
the sum of c; with these taken from the second word, its low 21 bits are the sum of b, and its others the rest of c's.
The words are linear in the products, so nothing has to be separated before the end.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lowtide.ir import Value, arith
from lowtide.kernels.register_tiled.contraction import Contraction, Factor
from lowtide.kernels.register_tiled.weights import from_groups
from lowtide.kernels.values import word

PIXELS = 3
"""The sums that share the two words."""
WORDS = 2
_FIELD = 21
_REST = 32 - _FIELD
"""Bits of the third sum that are in the first word; the others are in the second."""


def pack(values: Sequence[Value]) -> tuple[Value, Value]:
    """The two words to multiply with a weight, from the factors a, b, c of the three sums."""
    a, b, c = values
    high, low = arith.shli(c, word(_FIELD)), arith.shli(c, word(_FIELD - _REST))
    return arith.addi(a, high), arith.addi(b, low)


def unpack(first: Value, second: Value) -> tuple[Value, Value, Value]:
    """The three sums that two words of added products hold."""
    a = _low(first)
    low = arith.shrui(arith.subi(first, a), word(_REST))
    rest = arith.subi(second, low)
    b = _low(rest)
    high = arith.shrsi(arith.subi(rest, b), word(_FIELD - _REST))
    return a, b, arith.addi(high, arith.shrui(low, word(_FIELD - _REST)))


def span_of(found: Contraction, x: Factor, known: Sequence[npt.NDArray[np.integer]], row: int, turn: int) -> int:
    """Bytes of a window, in the order of its rows, that a packed sum may go over: all, a row, or a part of one.

    Args:
        found: the convolution, its weights in groups.
        x: the input, as the products take it.
        known: the weights that each caller of the code has.
        row: bytes that lie together: those under a row of the window, or all.
        turn: parts of a row are a multiple of so many bytes.
    """
    window = found.rows.kernel * found.run
    parts = (-(-row // (part * turn)) * turn for part in range(2, row))
    return next((span for span in (window, row, *parts) if span <= turn or _fits(found, x, known, row, span)), turn)


def _fits(found: Contraction, x: Factor, known: Sequence[npt.NDArray[np.integer]], row: int, span: int) -> bool:
    """Whether no sum over so many bytes leaves its field; parts are counted from the begin of a row."""
    window = found.rows.kernel * found.run
    length = max(row, span)
    parts = -(-length // span)
    # the largest magnitude of a byte of the input, less its zero point
    reach = max(abs(_least(x)), abs(_least(x) + 255))
    for weights in known:
        taken = np.abs(from_groups(found, weights).astype(np.int64) - found.w.zero).reshape(
            -1, window // length, length
        )
        filled = np.pad(taken, ((0, 0), (0, 0), (0, parts * span - length)))
        heaviest = filled.reshape(*filled.shape[:2], parts, span).sum(axis=3).max(initial=0)
        if reach * int(heaviest) >= 1 << (_FIELD - 1):
            return False
    # nothing is known of the weights: they may be too large
    return bool(known)


def _least(factor: Factor) -> int:
    return (-128 if factor.signed else 0) - factor.zero


def _low(packed: Value) -> Value:
    return arith.shrsi(arith.shli(packed, word(_REST)), word(_REST))
