"""docs/layout.md leads newcomers through the code: what it names is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "layout.md").read_text()
PACKAGE = ROOT / "python" / "lowtide"


def test_every_file_that_the_page_names_is_there() -> None:
    paths = [f"/{path.relative_to(ROOT).as_posix()}" for path in ROOT.rglob("*") if ".git" not in path.parts]
    named = set(re.findall(r"`([\w./]+\.(?:py|toml))`", PAGE))
    missing = sorted(name for name in named if not any(path.endswith(f"/{name}") for path in paths))
    assert named and not missing


def test_every_function_that_the_page_places_is_in_its_file() -> None:
    places = re.findall(r"`([\w.]+)` (?:in|of|\() ?`([a-z_]+/[\w/]+\.py)`", PAGE)
    assert {name for name, _ in places} >= {"kernel_name", "line_buffer_shape", "schedule_rows", "Operands._view"}
    for name, file in places:
        *_, word = name.split(".")
        text = (PACKAGE / file).read_text()
        assert re.search(rf"^\s*(def|class) {word}\b|^{word}\b", text, re.MULTILINE), f"{name} in {file}"
