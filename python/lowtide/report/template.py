"""What the pictures of reports have in common: the templates beside this file, and what goes into them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def template(name: str) -> Template:
    """A template by its file's name; everything put into it is escaped."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["px"] = lambda value: f"{value:.2f}".rstrip("0").rstrip(".")
    return environment.get_template(name)


@dataclass(frozen=True)
class Tick:
    """A mark on an axis, or a line across the plot: its place in pixels and what stands beside it."""

    at: float
    label: str


def clean(text: str) -> str:
    """The text without the characters that XML cannot hold at all."""
    return _NOT_XML.sub("\ufffd", text)
