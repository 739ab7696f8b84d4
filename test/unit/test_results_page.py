"""`tools/results.py --update` writes what was measured into the page and leaves the rest of it as it is."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

import pytest
from command import ROOT

from lowtide.errors import UsageError

PAGE = """# Results

Made.

## Memory

| model | arena |
|---|--:|
| a | 1 |
| b | 2 |

- Notes.

## Cycles

| model | cycles |
|---|--:|
| a | 10 |
"""


@pytest.fixture(scope="module")
def results() -> ModuleType:
    spec = importlib.util.spec_from_file_location("results", ROOT / "tools" / "results.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["results"] = module
    spec.loader.exec_module(module)
    return module


def test_a_section_takes_the_place_of_its_own(results: ModuleType) -> None:
    made = "\n## Cycles\n\n| model | cycles | a MAC |\n|---|--:|--:|\n| a | 9 | 1 |\n"
    assert results.updated(PAGE, made, rows_alone=False) == PAGE[: PAGE.index("\n## Cycles")] + made


def test_a_row_takes_the_place_of_its_own(results: ModuleType) -> None:
    made = "# Results\n\nOther.\n\n## Memory\n\n| model | arena |\n|---|--:|\n| b | 3 |\n\n- Other notes.\n"
    assert results.updated(PAGE, made, rows_alone=True) == PAGE.replace("| b | 2 |", "| b | 3 |")


def test_what_was_made_already_changes_nothing(results: ModuleType) -> None:
    assert results.updated(PAGE, PAGE, rows_alone=False) == PAGE
    assert results.updated(PAGE, PAGE, rows_alone=True) == PAGE


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ("## Flash\n\n| model |\n|---|\n| a |\n", "no '## Flash': make it whole"),
        ("## Memory\n\n| model | arena |\n|---|--:|\n| c | 3 |\n", "rows named c: make the part whole"),
        ("## Memory\n\n| model | RAM |\n|---|--:|\n| a | 3 |\n", "the same columns: make the part whole"),
    ],
)
def test_what_has_no_place_is_refused(results: ModuleType, made: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        results.updated(PAGE, made, rows_alone=True)
