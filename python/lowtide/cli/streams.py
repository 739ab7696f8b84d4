"""Standard output and error that nothing can break: readers that leave, closed streams, narrow encodings."""

from __future__ import annotations

import io
import os
import re
import sys
from typing import Any

from rich.console import Console
from rich.text import Text

_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")


class Output(Console):
    """A console that prints text as it is, and falls silent when its reader leaves (`lowtide inspect x | head -1`)."""

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, soft_wrap=True, markup=False, emoji=False, highlight=False)

    def print(self, *objects: Any, **options: Any) -> None:
        """As rich prints, but no name of a file or a tensor gives orders to the terminal."""
        super().print(*(_harmless(item) for item in objects), **options)

    def on_broken_pipe(self) -> None:
        """What can't be printed doesn't change what the command does, nor its exit code."""
        self.quiet = True
        silence(2 if self.stderr else 1)


def _harmless(item: object) -> object:
    if isinstance(item, str):
        return _CONTROL.sub("\ufffd", item)
    if isinstance(item, Text):
        item.plain = _CONTROL.sub("\ufffd", item.plain)
    return item


def silence(descriptor: int) -> None:
    """Send what is still written there nowhere."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, descriptor)
    os.close(null)


def prepare_streams() -> None:
    """Make printing safe: file names may hold any bytes, and a terminal may know few characters."""
    for descriptor in range(3):
        # A closed stream's number would go to the next file that is opened, and native code prints there.
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
