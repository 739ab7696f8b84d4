"""tools/lowtide, which processes of their own import where `explore` starts them."""

from __future__ import annotations

import runpy
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_importing_the_launcher_runs_nothing() -> None:
    runpy.run_path(str(ROOT / "tools" / "lowtide"), run_name="__mp_main__")
