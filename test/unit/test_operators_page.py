"""docs/operators.md is what `tools/operators.py` makes of the importer's maps."""

from __future__ import annotations

import subprocess
import sys

from command import ROOT
from tflite import BuiltinOperator

from lowtide.importer.tflite.operators import ABSENT_FROM_MICRO


def test_the_page_is_as_the_tool_makes_it() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "operators.py"], capture_output=True, encoding="utf-8", check=True
    )
    page = (ROOT / "docs" / "operators.md").read_text(encoding="utf-8")
    assert page == done.stdout, "run: python tools/operators.py > docs/operators.md"


def test_the_page_and_the_importer_agree_on_what_micro_lacks() -> None:
    page = (ROOT / "docs" / "operators.md").read_text(encoding="utf-8")
    rows = [row.split(" | ") for row in page.splitlines() if row.startswith("| ")]
    absent = {row[0].removeprefix("| ") for row in rows if "LiteRT" in row[5:6]}
    assert {getattr(BuiltinOperator, name) for name in absent} == ABSENT_FROM_MICRO
