"""Pieces of assembly for Cortex-M cores with Arm's DSP extension: what is done with a pair of tiles (see `tiles`).

Of the workspace each of the 16 elements has a record: V of the first tile, V of the second, and the sums of both tiles
for four output channels. One address goes through all of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from lowtide.ir import Value
from lowtide.kernels.register_tiled.assembly import extension
from lowtide.kernels.register_tiled.block_assembly import clamped
from lowtide.kernels.register_tiled.memory import MOST_OFFSET, WORD
from lowtide.kernels.register_tiled.pieces import framed, moved
from lowtide.kernels.register_tiled.requantised import RECORD, Requantised
from lowtide.kernels.winograd.tiles import ELEMENTS, GROUP, TILE, TILES, WINDOW, Tiles

_TURN, _MOST_WRITTEN_OUT = 16, 24
"""Words of a tile's element that a turn of the loop over channels takes, and up to which there is no such loop."""
_EARLY, _LATE = ("a0", "a1", "a2", "a3"), ("b0", "b1", "b2", "b3")
_SUMS = [f"s{tile}_{n}" for tile in range(TILES) for n in range(GROUP)]
_ELEMENTS, _OUTPUTS = _SUMS[:4], _SUMS[4:]
"""What the products no longer need when outputs are made: a row of sums, and four outputs by row and column."""
_Row = tuple[str, ...]


@dataclass(frozen=True)
class Inputs:
    """V of one tile, all channels.

    Attributes:
        tiles: of the layer.
        rows: the address of the first byte under each of the tile's four rows, in the first column inside the input. A
            row outside it is one of zero points.
        v: where the tile's V of the first element goes.
        outside: columns of four that are outside the input, where all channels are the zero point.
    """

    tiles: Tiles
    rows: Sequence[Value]
    v: Value
    outside: Collection[int]

    def emit(self) -> None:
        """Emit the piece: a turn for four channels, the even ones and then the odd ones."""
        channels = self.tiles.found.channels
        lines = [
            *("mov {t}, {V}", *moved("t", 2 * channels), "str {t}, [sp, #slot(end)]"),
            f"1: @ {channels // GROUP} turns",
            *(*self._half(0), *self._half(1)),
            *("add {V}, {V}, #8", "ldr {t}, [sp, #slot(end)]", "cmp {V}, {t}", "bne.w 1b"),
        ]
        changed = {**{f"r{k}": row for k, row in enumerate(self.rows)}, "V": self.v}
        framed(lines, changed, ("t", *_EARLY, *_LATE), ("end",))

    def _half(self, half: int) -> list[str]:
        """Two channels: rows are transformed first, then columns as soon as there are two rows for them."""
        loads, early, spare = self._row(0, _EARLY, "t", half)
        lines = loads
        loads, late, spare = self._row(2, _LATE, spare, half)
        lines += [*loads, *_each("ssub16", early, early, late), *self._stores(0, early, half)]
        loads, early, spare = self._row(1, early, spare, half)
        lines += [*loads, *self._moved(WINDOW)]
        for a, b, store in zip(early, late, self._stores(1, [spare] * WINDOW, half), strict=True):
            lines += [f"sadd16 {{{spare}}}, {{{a}}}, {{{b}}}", store]
        lines += [*_each("ssub16", late, late, early), *self._moved(WINDOW), *self._stores(2, late, half)]
        loads, late, spare = self._row(3, late, spare, half)
        lines += [*loads, *_each("ssub16", early, early, late), *self._moved(WINDOW), *self._stores(3, early, half)]
        return [*lines, *self._moved(-3 * WINDOW)]

    def _row(self, row: int, words: _Row, spare: str, half: int) -> tuple[list[str], _Row, str]:
        """A row of the input, transformed: the instructions, the registers of the four results, and the spare one."""
        x, zero = self.tiles.found.x, self.tiles.found.x.zero & 0xFFFF
        inside = [k for k in range(WINDOW) if k not in self.outside]
        lines: list[str] = []
        for k in [*inside[1:], inside[0]]:
            at = (k - inside[0]) * self.tiles.found.pixel
            # the last load of the second half goes on to the next four channels
            place = f"[{{r{row}}}], #{WORD}" if half and not at else f"[{{r{row}}}, #{at}]"
            lines.append(f"ldr {{{words[k]}}}, {place}")
        turn = ", ror #8" if half else ""
        lines += [f"{extension(x)} {{{words[k]}}}, {{{words[k]}}}{turn}" for k in inside]
        for k in self.outside:
            lines += [f"movw {{{words[k]}}}, #{zero}", f"movt {{{words[k]}}}, #{zero}"]
        d0, d1, d2, d3 = words
        lines += [
            f"ssub16 {{{d0}}}, {{{d0}}}, {{{d2}}}",
            f"ssub16 {{{d3}}}, {{{d1}}}, {{{d3}}}",
            f"sadd16 {{{spare}}}, {{{d1}}}, {{{d2}}}",
            f"ssub16 {{{d2}}}, {{{d2}}}, {{{d1}}}",
        ]
        return lines, (d0, spare, d2, d3), d1

    @property
    def _far(self) -> bool:
        """Whether one address does not reach all elements, so that it moves from row to row."""
        return (ELEMENTS - 1) * self.tiles.record_bytes + WORD > MOST_OFFSET

    def _moved(self, elements: int) -> list[str]:
        return moved("V", elements * self.tiles.record_bytes) if self._far else []

    def _stores(self, row: int, words: Sequence[str], half: int) -> list[str]:
        """A row of V; its elements lie a record apart."""
        first = 0 if self._far else WINDOW * row
        places = [(first + k) * self.tiles.record_bytes + WORD * half for k in range(WINDOW)]
        return [f"str {{{word}}}, [{{V}}, #{place}]" for word, place in zip(words, places, strict=True)]


def _each(name: str, results: _Row, left: _Row, right: _Row) -> list[str]:
    return [f"{name} {{{r}}}, {{{a}}}, {{{b}}}" for r, a, b in zip(results, left, right, strict=True)]


@dataclass(frozen=True)
class Outputs:
    """All output channels of a pair of tiles: sums of products over the input's channels, and bytes made of them.

    Attributes:
        tiles: of the layer.
        workspace: the address of the first record, where V is.
        weights: of what `transformed` gives.
        records: of the first channel (see `tables`).
        places: the address of the first channel of each pixel: by tile, row and column.
        how: what is made of the sums.
    """

    tiles: Tiles
    workspace: Value
    weights: Value
    records: Value
    places: Sequence[Value]
    how: Requantised

    def emit(self) -> None:
        """Emit the piece: a turn for four output channels."""
        outputs, nbytes = self.tiles.found.outputs, self.tiles.record_bytes
        given = {"records": self.records}
        given |= {f"o{number}": place for number, place in enumerate(self.places)}
        at = dict(zip(given, [*_SUMS, "x1"], strict=True))
        lines = [
            *(f"str {{{word}}}, [sp, #slot({name})]" for name, word in at.items()),
            *("mov {x0}, {X}", *moved("x0", ELEMENTS * nbytes), "str {x0}, [sp, #slot(last)]"),
            *("mov {x0}, #0", "str {x0}, [sp, #slot(channel)]", "str {X}, [sp, #slot(first)]"),
            f"3: @ {outputs // GROUP} turns",
            "ldr {X}, [sp, #slot(first)]",
            *(f"1: @ {ELEMENTS} turns", *self._element(), "ldr {x0}, [sp, #slot(last)]", "cmp {X}, {x0}", "bne.w 1b"),
            *("ldr {x0}, [sp, #slot(records)]", "ldr {x1}, [sp, #slot(channel)]", "ldr {X}, [sp, #slot(first)]"),
            *moved("X", nbytes - WORD * len(_SUMS)),
            *(f"2: @ {GROUP} turns", *self._channel(), "tst {x1}, #3", "bne.w 2b"),
            *("str {x0}, [sp, #slot(records)]", "str {x1}, [sp, #slot(channel)]"),
            *(f"movw {{x0}}, #{outputs}", "cmp {x1}, {x0}", "bne.w 3b"),
        ]
        changed = {"X": self.workspace, "W": self.weights, **{at[name]: value for name, value in given.items()}}
        framed(lines, changed, ("x0", "w0", "w1"), ("first", "last", "channel", *given, "run"))

    # -- products -----------------------------------------------------------------------------------------------

    def _element(self) -> list[str]:
        """The sums of one element of the tiles: X goes through its record, W through the weights."""
        count, after = self.tiles.found.channels // 2, 2 * (TILES - 1) * self.tiles.found.channels
        if count <= _MOST_WRITTEN_OUT:
            lines = [line for k in range(count) for line in self._step(first=k == 0)]
        else:
            turns, rest = divmod(count, _TURN)
            step = self._step(first=False)
            lines = [
                *(f"mov {{{word}}}, #0" for word in _SUMS),
                *("mov {x0}, {X}", *moved("x0", WORD * _TURN * turns), "str {x0}, [sp, #slot(run)]"),
                *(f"4: @ {turns} turns", *step * _TURN, "ldr {x0}, [sp, #slot(run)]", "cmp {X}, {x0}", "bne.w 4b"),
                *step * rest,
            ]
        stores = [f"str {{{word}}}, [{{X}}, #{after + WORD * number}]" for number, word in enumerate(_SUMS)]
        return [*lines, *stores, *moved("X", after + WORD * len(_SUMS))]

    def _step(self, *, first: bool) -> list[str]:
        """Two input channels of both tiles, four output channels."""
        second = 2 * self.tiles.found.channels
        lines = [f"ldr {{x1}}, [{{X}}, #{second}]", "ldr {w1}, [{W}, #4]", "ldr {x0}, [{X}], #4", "ldr {w0}, [{W}], #8"]
        for n in range(0, GROUP, 2):
            lines += ["ldr {w1}, [{W}, #4]", "ldr {w0}, [{W}], #8"] if n else []
            for word in (0, 1):
                for tile in range(TILES):
                    total = _SUMS[tile * GROUP + n + word]
                    own = f"{{x{tile}}}, {{w{word}}}"
                    lines.append(f"smuad {{{total}}}, {own}" if first else f"smlad {{{total}}}, {own}, {{{total}}}")
        return lines

    # -- outputs ------------------------------------------------------------------------------------------------

    def _channel(self) -> list[str]:
        """The outputs of one channel: X is at its sums, x0 at its record, x1 is its number."""
        # of one tile in a row the second is the same again, and nobody wants it
        tiles = range(TILES) if self.tiles.count > 1 else reversed(range(TILES))
        lines = [line for tile in tiles for line in self._tile(tile)]
        return [*lines, *moved("x0", WORD * RECORD), "add {x1}, {x1}, #1", f"add {{X}}, {{X}}, #{WORD}"]

    def _tile(self, tile: int) -> list[str]:
        nbytes = self.tiles.record_bytes
        m0, m1, m2, m3 = (f"{{{word}}}" for word in _ELEMENTS)
        y00, y01, y10, y11 = (f"{{{word}}}" for word in _OUTPUTS)
        far = (ELEMENTS - 1) * nbytes + WORD * GROUP > MOST_OFFSET
        lines = ["ldr {w0}, [{x0}]"]
        for row in range(WINDOW):
            lines += moved("X", WINDOW * nbytes) if far and row else []
            first = 0 if far else WINDOW * row
            lines += [
                f"ldr {m}, [{{X}}, #{(first + k) * nbytes + WORD * GROUP * tile}]"
                for k, m in enumerate((m0, m1, m2, m3))
            ]
            if row == 1:
                # this element is in all four outputs, and so is what the sum starts from
                lines.append(f"add {m1}, {m1}, {{w0}}, lsl #2")
            lines += [
                f"add {m0}, {m0}, {m1}",
                f"add {m0}, {m0}, {m2}",
                f"sub {m1}, {m1}, {m2}",
                f"sub {m1}, {m1}, {m3}",
            ]
            lines += _added(row, (m0, m1), ((y00, y01), (y10, y11)))
        lines += moved("X", -3 * WINDOW * nbytes) if far else []
        lines += [f"ldr {m}, [{{x0}}, #{WORD * number}]" for number, m in enumerate((m0, m1, m2), 1)]
        # The second column of the first row is always wanted. It is the last to be stored: what comes behind the last
        # byte of an output the witness counts to the next layer.
        for number, total in ((2, y10), (3, y11), (0, y00), (1, y01)):
            lines += self._requantised(total, (m0, m1, m2))
            place = f"slot(o{TILE * TILE * tile + number})"
            lines += [f"ldr {m3}, [sp, #{place}]", f"strb {total}, [{m3}, {{x1}}]"]
        return lines

    def _requantised(self, total: str, record: tuple[str, str, str]) -> list[str]:
        """An output: four times its sum, rescaled and clamped; the rescale takes it twice."""
        multiplier, nudge, exponent = record
        doubled = "{w0}" if self.how.negative else total
        lines = [f"asr {doubled}, {total}, #1", f"smmlar {total}, {doubled}, {multiplier}, {nudge}"]
        lines += [f"add {total}, {total}, {doubled}, asr #31"] if self.how.negative else []
        return [*lines, f"asr {total}, {total}, {exponent}", *clamped(total, self.how)]


def _added(row: int, sums: tuple[str, str], outputs: Sequence[tuple[str, str]]) -> Iterator[str]:
    """What a row of sums is in the two rows of outputs."""
    upper, lower = (1, 1, 1, 0)[row], (0, 1, -1, -1)[row]
    for sign, words, begun in ((upper, outputs[0], row > 0), (lower, outputs[1], row > 1)):
        for total, word in zip(sums, words, strict=True):
            if sign and not begun:
                yield f"mov {word}, {total}"
            elif sign:
                yield f"{'add' if sign > 0 else 'sub'} {word}, {word}, {total}"
