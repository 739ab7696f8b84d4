"""MLIR's diagnostics as plain lines, `FILE:LINE:COL: error: message`, notes indented below."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import zip_longest
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch_mlir.ir import DiagnosticInfo, Location, MLIRError

_LONGEST_MESSAGE = 600
# What MLIR calls a module that was parsed from memory.
_MEMORY_NAME = "-"
_FILE_PLACE = re.compile(r'"([^"]*)":(\d+):(\d+)(?: to :\d+(?::\d+)?)?')
_TRANSFORM_MESSAGE = re.compile(r"^(Diagnostic message )?at loc\((.*?)\): ", re.MULTILINE)


def diagnostics_of(error: MLIRError, filename: str | None = None) -> str:
    """The located messages of an MLIR failure, one a line, notes indented.

    Args:
        error: what the bindings raised.
        filename: replaces the name of input parsed from memory.
    """
    lines = list(_render(error.error_diagnostics, filename, indent=""))
    return "\n".join(lines) if lines else error.message.strip() or "MLIR gave no reason"


def transform_diagnostics(error: ValueError) -> str:
    """The located messages of a transform script that failed, in the form of `diagnostics_of`.

    Args:
        error: what the interpreter raised; its text is the only carrier of the diagnostics.
    """
    text = str(error).removeprefix("Failed to apply named transform sequence.")
    lines: list[str] = []
    marks = list(_TRANSFORM_MESSAGE.finditer(text))
    for mark, following in zip_longest(marks, marks[1:]):
        message = _shortened(text[mark.end() : following.start() if following else len(text)])
        head, label = ("", "error") if mark[1] else ("  ", "note")
        lines.append(f"{head}{_plain_place(mark[2])}: {label}: {message}")
    return "\n".join(lines) or text.strip() or "a transform failed without a reason"


def place_of(location: Location, filename: str | None = None) -> str:
    """A location as `FILE:LINE:COL`, or as MLIR prints it where it is no place in a file.

    Args:
        location: of an operation or a diagnostic.
        filename: replaces the name of input parsed from memory.
    """
    # Diagnostics carry the base class only, so that the printed form is the one way in.
    return _plain_place(str(location).removeprefix("loc(").removesuffix(")"), filename)


def _plain_place(text: str, filename: str | None = None) -> str:
    def plain(match: re.Match[str]) -> str:
        file = filename if filename is not None and match[1] == _MEMORY_NAME else match[1]
        return f"{file}:{match[2]}:{match[3]}"

    return _FILE_PLACE.sub(plain, text)


def _render(diagnostics: Iterable[DiagnosticInfo], filename: str | None, indent: str) -> Iterable[str]:
    for diagnostic in diagnostics:
        label = "note: " if indent else "error: "
        place = place_of(diagnostic.location, filename)
        head = "" if place == "unknown" else f"{place}: "
        yield f"{indent}{head}{label}{_shortened(diagnostic.message)}"
        yield from _render(diagnostic.notes, filename, indent + "  ")


def _shortened(message: str) -> str:
    # "see current operation" prints whole functions, constants included.
    message = "\n".join(line.rstrip() for line in message.strip().splitlines())
    return message if len(message) <= _LONGEST_MESSAGE else message[:_LONGEST_MESSAGE] + " …"
