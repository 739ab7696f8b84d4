"""Loads from the tables that `tables` makes, in a block's code."""

from __future__ import annotations

from dataclasses import dataclass

from lowtide.indexing.linear import Linear, Var
from lowtide.ir import IndexType, IntegerType, Value, arith
from lowtide.kernels.register_tiled.contraction import Contraction
from lowtide.kernels.register_tiled.memory import WORD, Address, address_of, anew, load, scaled
from lowtide.kernels.register_tiled.requantised import RECORD, Scales
from lowtide.kernels.rescale import Ready
from lowtide.kernels.scalar import Indices


@dataclass(frozen=True)
class Records:
    """A table of records (see `tables`).

    Attributes:
        buffer: a memref.
        scales: of the rescale that they are made for.
        starts: their first words are what sums start from.
        complete: every record has a meaning.
    """

    buffer: Value
    scales: Scales
    starts: bool
    complete: bool


class Tables:
    """The tables of a layer, for the block whose channels are being emitted.

    Args:
        found: the convolution.
        row_class: the number of the class of rows, see `Blocks.row_classes`; bound in `indices`.
        indices: of the layer's emitter.
        records: None without such a table.
        starts: a memref, or None.

    Attributes:
        channel: of the block's, the one whose epilogue is emitted.
    """

    def __init__(
        self,
        found: Contraction,
        row_class: Var,
        indices: Indices,
        records: Records | None,
        starts: Value | None,
    ) -> None:
        self._found = found
        self._row_class = row_class
        self._indices = indices
        self._records = records
        self._starts = starts
        self._first: Value | None = None
        self._record: Address | None = None
        self._start: Address | None = None
        self._words: dict[int, Ready] = {}
        self.channel = 0

    def open(self, channel: Value) -> None:
        """Begin with code for the channels from this one on: addresses and words are of it alone."""
        self._first, self._record, self._start = channel, None, None
        self._words.clear()

    def start(self, channel: int, *, folded: bool) -> Value | None:
        """What a sum of the block starts from, `folded` with the input's zero point in it; None if unknown."""
        i32 = IntegerType.get_signless(32)
        has_zero = self._found.x.zero != 0
        if self._first is None or folded != has_zero:
            return None
        if self._starts is not None:
            if self._start is None:
                rows = self._indices.value(Linear.of(self._row_class) * self._found.outputs)
                place = arith.addi(rows, self._first) if self._row_class.extent > 1 else self._first
                self._start = self._at(self._starts, scaled(place, WORD))
            return load(self._start + WORD * channel, i32, WORD)
        if self._records is None or not self._records.starts:
            return None
        return load(self._of_channel(self._records.buffer, channel), i32, WORD)

    def record(self, scales: Scales) -> Address | None:
        """The record of the block's first channel, with what a sum over a whole window starts from.

        Rows and columns outside the input are in that as zero points.

        Args:
            scales: of the rescale that it is for.

        Returns:
            None where there is no such table.
        """
        records = self._records
        if records is None or records.scales != scales or not records.starts or not records.complete:
            return None
        return None if self._first is None or self._found.w.zero else self._of_channel(records.buffer, 0)

    def ready(self, scales: Scales) -> Ready | None:
        """Words of the current channel's rescale, if both its multipliers and its shifts are in tables."""
        tables, records = all(scale.argument is not None for scale in scales), self._records
        if records is None or self._first is None or records.scales != scales or not records.complete or not tables:
            return None
        if self.channel not in self._words:
            record = self._of_channel(records.buffer, self.channel)
            i32 = IntegerType.get_signless(32)
            # one by one: pairs of words (LDRD) take a Cortex-M longer than neighbouring loads
            words = [load(record + WORD * word, i32, WORD, reload=True) for word in range(1, RECORD)]
            self._words[self.channel] = Ready(*words)
        return self._words[self.channel]

    def _of_channel(self, records: Value, channel: int) -> Address:
        if self._record is None:
            assert self._first is not None
            self._record = self._at(records, scaled(self._first, WORD * RECORD))
        return self._record + WORD * RECORD * channel

    def _at(self, table: Value, offset: Value) -> Address:
        # Made new for each block: else compilers carry an address for each table from block to block, on the stack.
        word = anew(arith.index_cast(IntegerType.get_signless(32), offset))
        return Address(arith.addi(address_of(table).base, arith.index_cast(IndexType.get(), word)))
