"""The tables of `lowtide bench speed`, as text or Markdown, and its JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TypeVar

from lowtide.bench._figures import Figures, LayerFigures
from lowtide.bench._published import SOURCE, published
from lowtide.report.table import Column, markdown_lines, table_lines

LITERT = "LiteRT Micro"
_NONE = "–"

Row = TypeVar("Row")
Cells = Sequence[tuple[str, Callable[[Row], str]]]
"""Headings, and what makes a row's cell. The first columns hold words, the others figures."""


def number(value: int | None) -> str:
    """A figure with its thousands apart; a dash where there is none."""
    return _NONE if value is None else f"{value:,}"


def _ratio(value: int | None, of: int | None, digits: int = 2) -> str:
    return f"{value / of:.{digits}f}" if value is not None and of else _NONE


def _mix(figures: Figures, kind: str) -> str:
    return _NONE if figures.mix is None else number(getattr(figures.mix, kind))


def _there(figures: Figures, what: str) -> int | None:
    """A figure of the library for the same model and core, where it has been published."""
    return getattr(published(figures.model, figures.target), what, None)


_KINDS = ("loads", "stores", "multiplies", "divides", "branches", "others")

_MODELS: Cells[Figures] = (
    ("model", lambda row: row.model),
    ("target", lambda row: row.target),
    ("MACs", lambda row: number(row.macs)),
    ("instructions", lambda row: number(row.instructions)),
    ("a MAC", lambda row: _ratio(row.instructions, row.macs)),
    ("cycles", lambda row: number(row.cycles)),
    ("a MAC ", lambda row: _ratio(row.cycles, row.macs)),
    *((kind, lambda row, kind=kind: _mix(row, kind)) for kind in _KINDS),
    ("code", lambda row: number(row.code_bytes)),
    ("weights", lambda row: number(row.weights_bytes)),
    ("arena", lambda row: number(row.arena_bytes)),
    ("stack", lambda row: number(row.stack_bytes)),
)
_THERE: Cells[Figures] = (
    (f"{LITERT} instr.", lambda row: number(_there(row, "instructions"))),
    ("ours/its", lambda row: _ratio(row.instructions, _there(row, "instructions"))),
    ("its arena", lambda row: number(_there(row, "arena_bytes"))),
    ("ours/its ", lambda row: _ratio(row.arena_bytes, _there(row, "arena_bytes"))),
)


def _layer_cells(total: int) -> Cells[LayerFigures]:
    return (
        ("layer", lambda row: row.name),
        ("kind", lambda row: row.kind),
        ("function", lambda row: row.function),
        ("MACs", lambda row: number(row.macs)),
        ("instructions", lambda row: number(row.mix.instructions)),
        ("share", lambda row: f"{100 * row.mix.instructions / total:.1f} %"),
        ("a MAC", lambda row: _ratio(row.mix.instructions, row.macs)),
        ("cycles", lambda row: number(row.cycles)),
        ("a MAC ", lambda row: _ratio(row.cycles, row.macs)),
        *((kind, lambda row, kind=kind: number(getattr(row.mix, kind))) for kind in _KINDS),
        ("code", lambda row: number(row.code_bytes)),
    )


def model_lines(rows: Sequence[Figures], width: int, *, markdown: bool) -> list[str]:
    """A line for each model and target; the library's figures where there are any."""
    there = any(published(row.model, row.target) for row in rows)
    lines = lines_of((*_MODELS, *(_THERE if there else ())), rows, 2, width, markdown=markdown)
    notes = [
        *(f"{row.model} on {row.target}: {row.note}" for row in rows if row.note),
        *sorted({f"cycles on {row.target} are modelled: {row.cycles_model}" for row in rows if row.cycles_model}),
    ]
    return [*lines, *([] if not there else ["", f"{LITERT}: {SOURCE}."]), *([""] if notes else []), *notes]


def layer_lines(figures: Figures, width: int, *, markdown: bool) -> list[str]:
    """A line for each layer of a model, and their sum."""
    total = figures.apart_instructions
    if total is None:
        return []
    lines = lines_of(_layer_cells(total), figures.layers, 3, width, markdown=markdown)
    whole = f"{number(figures.instructions)} inlined, as they are compiled otherwise"
    heading = (
        f"{figures.model} on {figures.target}, each layer a function of its own: {number(total)} instructions, {whole}"
    )
    return ["", heading, "", *lines]


def lines_of(cells: Cells[Row], rows: Sequence[Row], words: int, width: int, *, markdown: bool) -> list[str]:
    """A line for each row under the headings, as text of a width or in Markdown; the first columns hold words."""
    if markdown:
        return markdown_lines(
            [heading for heading, _ in cells], [[cell(row) for _, cell in cells] for row in rows], words
        )
    columns = [
        Column(heading, [cell(row) for row in rows], right=number >= words, cut=number == 0)
        for number, (heading, cell) in enumerate(cells)
    ]
    return table_lines(columns, width)


def to_json(rows: Sequence[Figures]) -> str:
    """All figures, for programs: the sums are spelled out, too."""
    content = [
        {
            **asdict(row),
            "layers": [{**asdict(layer), "instructions": layer.mix.instructions} for layer in row.layers],
            "published": None if (there := published(row.model, row.target)) is None else asdict(there),
        }
        for row in rows
    ]
    return json.dumps({"published_source": SOURCE, "figures": content}, indent=2) + "\n"
