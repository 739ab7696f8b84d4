"""docs/operators.md is what `tools/operators.py` makes of the importer's maps."""

from __future__ import annotations

import subprocess
import sys

from command import ROOT


def test_the_page_is_as_the_tool_makes_it() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "operators.py"], capture_output=True, encoding="utf-8", check=True
    )
    page = (ROOT / "docs" / "operators.md").read_text(encoding="utf-8")
    assert page == done.stdout, "run: python tools/operators.py > docs/operators.md"
