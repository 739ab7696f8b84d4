"""MiniMalloc's CSV: a row a buffer with `id,lower,upper,size`; solutions are the same rows with an `offset`.

A buffer is live from step `lower` up to but without step `upper`. A column `alignment` is optional. The capacity in
bytes may be in the file's name, as in `A.1048576.csv`.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from lowtide.alloc.problem import MAX_BYTES, STAGE, Buffer, Problem, Solution
from lowtide.errors import InputError

REQUIRED = ("id", "lower", "upper", "size")
OPTIONAL = ("alignment",)
_CAPACITY = re.compile(r"\.(\d+)\.csv$", re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?[0-9]{1,18}")
_ROWS = f"a row is {','.join(REQUIRED)}; {', '.join(OPTIONAL)} may follow"


@dataclass(frozen=True)
class Table:
    """The rows as they were written, without blank lines, and the problem they state, buffer by row."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    problem: Problem


def capacity_in(path: Path) -> int | None:
    """The capacity in the file's name, in bytes, or None."""
    found = _CAPACITY.search(path.name)
    return int(found.group(1)) if found else None


def read_table(path: Path, capacity: int | None = None) -> Table:
    """Read a problem.

    Args:
        path: the CSV.
        capacity: bytes that are good enough; None asks for the least arena, whatever the file's name is.

    Raises:
        InputError: it can't be read or isn't such a CSV; says the line.
    """
    header: tuple[str, ...] | None = None
    rows: list[tuple[str, ...]] = []
    buffers: list[Buffer] = []
    lines: dict[str, int] = {}
    reader = csv.reader(io.StringIO(_text(path), newline=""), strict=True)
    try:
        for row in reader:
            where = f"{path}:{reader.line_num}"
            if not row:
                continue
            if header is None:
                header = _header(row, where)
                continue
            buffer = _buffer(header, row, where)
            if buffer.name in lines:
                _refuse(where, f"the id '{buffer.name}' is that of line {lines[buffer.name]}", "give each row its own")
            lines[buffer.name] = reader.line_num
            rows.append(tuple(row))
            buffers.append(buffer)
    except csv.Error as error:
        _refuse(f"{path}:{reader.line_num}", f"not a row of CSV ({error})", _ROWS)
    if header is None:
        _refuse(str(path), "there is nothing in the file", f"begin it with the line {','.join(REQUIRED)}")
    return Table(header, tuple(rows), Problem(tuple(buffers), (), capacity))


def solution_text(table: Table, solution: Solution) -> str:
    """The table with a last column `offset`, in bytes."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*table.header, "offset"])
    writer.writerows([*row, offset] for row, offset in zip(table.rows, solution.offsets, strict=True))
    return text.getvalue()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(STAGE, f"can't be read: {error.strerror}", where=str(path)) from error
    except UnicodeDecodeError as error:
        raise InputError(STAGE, "not text in UTF-8", where=str(path), remedy=_ROWS) from error


def _header(row: Sequence[str], where: str) -> tuple[str, ...]:
    names = [name.strip() for name in row]
    for name in names:
        if name not in REQUIRED + OPTIONAL:
            known = ", ".join(REQUIRED + OPTIONAL)
            _refuse(where, f"unknown column '{name}'", f"leave only {known}; a header must be there")
        if names.count(name) > 1:
            _refuse(where, f"the column '{name}' is there twice", "leave one of them")
    for name in REQUIRED:
        if name not in names:
            _refuse(where, f"no column '{name}'", f"begin the file with the line {','.join(REQUIRED)}")
    return tuple(names)


def _buffer(header: Sequence[str], row: Sequence[str], where: str) -> Buffer:
    if len(row) != len(header):
        _refuse(where, f"{len(row)} fields under {len(header)} columns", f"the columns are {','.join(header)}")
    fields = dict(zip(header, row, strict=True))
    lower, upper = _number(fields, "lower", where), _number(fields, "upper", where)
    size = _number(fields, "size", where)
    alignment = _number(fields, "alignment", where) if "alignment" in fields else 1
    if lower >= upper:
        _refuse(where, f"live from {lower} up to but without {upper}: never", "upper must be above lower")
    for name, value in (("size", size), ("alignment", alignment)):
        if not 0 < value < MAX_BYTES:
            _refuse(where, f"{name} of {value} bytes", f"it must be from 1 to {MAX_BYTES - 1}")
    return Buffer(fields["id"], size, alignment, lower, upper - 1)


def _number(fields: dict[str, str], name: str, where: str) -> int:
    text = fields[name].strip()
    if not _NUMBER.fullmatch(text):
        _refuse(where, f"{name} is '{fields[name]}'", "write a whole number of at most 18 digits")
    return int(text)


def _refuse(where: str, message: str, remedy: str) -> NoReturn:
    raise InputError(STAGE, message, where=where, remedy=remedy)
