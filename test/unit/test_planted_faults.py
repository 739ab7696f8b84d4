"""Every fault of `tools/mutants.toml` can still be planted; whether the tests see them is for `tools/mutate.py`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

TOOL = Path(__file__).resolve().parents[2] / "tools" / "mutate.py"


def test_no_fault_is_stale() -> None:
    ran = subprocess.run([sys.executable, TOOL, "--check"], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
