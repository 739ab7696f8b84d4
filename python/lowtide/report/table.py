"""Tables: plain ones that fit a width, where long names are cut in the middle and figures never, and Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.table import Table

_GAP = "  "
_SHORTEST_NAME = 11
_GOOD_NAME = 24


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
        heading: what stands above it.
        cells: one for each row.
        right: figures stand at the right.
        cut: cells may be cut in the middle; one column of a table has it.
        optional: left out where names would be cut to fewer than 24 characters otherwise.
    """

    heading: str
    cells: Sequence[str]
    right: bool = False
    cut: bool = False
    optional: bool = False

    @property
    def width(self) -> int:
        """Characters of the longest cell."""
        return max(map(len, (self.heading, *self.cells)))


def middle_cut(text: str, width: int) -> str:
    """The head and the tail of a long text: names of layers differ at the end, and at the start."""
    if len(text) <= width:
        return text
    tail = width * 3 // 5
    return f"{text[: width - 1 - tail]}…{text[len(text) - tail :]}"


def table_lines(columns: Sequence[Column], width: int) -> list[str]:
    """The headings and the rows, of at most `width` characters where figures and names of 11 characters fit."""
    kept = [column for column in columns if not column.optional]
    if _room(columns, width) >= min(_GOOD_NAME, *(column.width for column in columns if column.cut)):
        kept = list(columns)
    room = max(_room(kept, width), _SHORTEST_NAME)
    widths = [min(column.width, room) if column.cut else column.width for column in kept]
    rows = zip(*((column.heading, *column.cells) for column in kept), strict=True)
    return [
        _GAP.join(
            cell.rjust(size) if column.right else middle_cut(cell, size).ljust(size)
            for column, size, cell in zip(kept, widths, row, strict=True)
        ).rstrip()
        for row in rows
    ]


def markdown_lines(headings: Sequence[str], rows: Sequence[Sequence[str]], words: int) -> list[str]:
    """A table for a page; the first `words` columns hold words, the others figures, which stand at the right."""
    rule = [*["---"] * words, *["--:"] * (len(headings) - words)]
    return [f"| {' | '.join(cells)} |" for cells in (headings, rule, *rows)]


def figures_table(headings: Sequence[str]) -> Table:
    """A table for the console whose cells are all figures, to be filled by rows."""
    table = Table(box=None)
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _room(columns: Sequence[Column], width: int) -> int:
    """Characters left for the column of names."""
    others = sum(column.width for column in columns if not column.cut)
    return width - others - len(_GAP) * (len(columns) - 1)
