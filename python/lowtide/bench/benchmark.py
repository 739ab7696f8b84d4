"""What a benchmark is to `lowtide bench`."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import dataclass

from rich.console import Console


@dataclass(frozen=True)
class Benchmark:
    """One entry of `lowtide bench`; its name is that of its file.

    The file is loaded with the command line's grammar: what takes its time to import, it imports when it measures.

    Attributes:
        summary: one line, which begins in lower case and has no full stop.
        examples: what the help ends with.
        add_arguments: adds the benchmark's own arguments to its parser.
        measure: takes the arguments and a listener, which is told what is measured next; returns what prints the
            figures. `UsageError` where an argument is at fault.
    """

    summary: str
    examples: str
    add_arguments: Callable[[ArgumentParser], None]
    measure: Callable[[Namespace, Callable[[str], None]], Callable[[Console], None]]
