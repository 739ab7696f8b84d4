"""The texts that codegen fills in: MLIR modules and the C header."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined


@cache
def _environment() -> Environment:
    # Neither MLIR nor C is HTML: nothing is escaped, and the templates put nothing of the user's into code unchecked.
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=False,
        autoescape=False,
    )


def render(template: str, **values: object) -> str:
    """Fill in a template of this folder."""
    return _environment().get_template(template).render(**values)
