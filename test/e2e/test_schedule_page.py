"""docs/schedule.md works as written: each section's Python runs in order, and prints what the page says."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared"
PAGE = ROOT / "docs" / "schedule.md"


def sections() -> dict[str, str]:
    """The text of the page's sections by their headings."""
    _, *parts = re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(part.split("\n", 1) for part in parts)


def blocks(section: str) -> list[tuple[str, str | None]]:
    """Each Python block with the text block right behind it, None where there is none."""
    found = re.findall(r"```python\n(.*?)```(?:\s*```text\n(.*?)```)?", section, re.DOTALL)
    return [(code, printed or None) for code, printed in found]


def lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.rstrip().splitlines()]


def test_every_block_says_what_it_prints() -> None:
    found = [block for section in sections().values() for block in blocks(section)]
    assert len(found) == PAGE.read_text(encoding="utf-8").count("```python") > 5
    assert all(printed is not None for code, printed in found if "print(" in code)


@pytest.mark.parametrize("heading", sections())
def test_the_python_prints_what_the_page_says(heading: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    section = sections()[heading]
    model = re.search(r'"\.\./shared/([^"]*)"', section)
    if model is not None and not (SHARED / model[1]).is_file():
        pytest.skip(f"{model[1]} is not in ../shared")
    (tmp_path / "shared").symlink_to(SHARED)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path / "folder")
    names: dict[str, object] = {}
    for code, expected in blocks(section):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, str(PAGE), "exec"), names)
        assert lines(printed.getvalue()) == lines(expected or ""), code
