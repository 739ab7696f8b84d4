"""What a block adds up, told without saying how, for cores whose code for a whole block is one piece."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lowtide.ir import Value
from lowtide.kernels.register_tiled.contraction import Factor
from lowtide.kernels.register_tiled.memory import Address, Grid
from lowtide.kernels.register_tiled.requantised import Requantised


@dataclass(frozen=True)
class RunProducts:
    """The products of runs of bytes: `run` under each row of a window, from neighbouring weights.

    Attributes:
        rows: for each row of the window, the address of the first byte under it of the first pixel's window. A row
            outside the input is one of zero points.
        across: bytes from a pixel's window to the next pixel's.
        run: bytes under a row.
        weights: of the first block's first channel; those of the next row follow at once.
        apart: bytes from a channel's weights to the next channel's.
        x, w: the input, whose zero point is in what sums start from, and the weights.
    """

    rows: Sequence[Value]
    across: int
    run: int
    weights: Address
    apart: int
    x: Factor
    w: Factor


@dataclass(frozen=True)
class TapProducts:
    """The products of depthwise windows: in each row, taps that weights of four channels are multiplied with.

    Attributes:
        rows: as for `RunProducts`.
        columns: for each column of the window its offset in the input, by pixel of the block; None for a pixel whose
            window has that column outside the input, where it counts as the zero point.
        weights: of the first block's first channel.
        below, along: bytes to the weights of the next row and column of the window.
        zero: the input's zero point.
        x, w: as for `RunProducts`.
    """

    rows: Sequence[Value]
    columns: Sequence[Sequence[int | None]]
    weights: Address
    below: int
    along: int
    zero: int
    x: Factor
    w: Factor


Products = RunProducts | TapProducts


@dataclass(frozen=True)
class Epilogue:
    """What comes behind the products of blocks of channels, one after the other.

    Attributes:
        pixels, channels: of a block.
        blocks: how many.
        records: of the first block's first channel (see `tables`); its first word is what the sum starts from.
        outputs: where the first block's bytes go.
        how: what is made of the sums.
        backwards: each block has the channels before those of the last one.
    """

    pixels: int
    channels: int
    blocks: int
    records: Address
    outputs: Grid
    how: Requantised
    backwards: bool
