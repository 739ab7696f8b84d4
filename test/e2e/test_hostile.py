"""Random edits of networks and plans: compiled or refused, and nothing else (`tools/hostile.py` makes as many more)."""

from __future__ import annotations

import subprocess
import sys

import pytest
from command import ROOT

TOOL = ROOT / "tools" / "hostile.py"


def hostile(*arguments: str) -> str:
    """Run the tool, in a process of its own: it copies itself, which a process with MLIR in it may not."""
    done = subprocess.run([sys.executable, TOOL, *arguments], capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_few_edits() -> None:
    assert "'faults': 0" in hostile("--seed", "90210", "--count", "30", "--plans", "12", "--files", "20")


def test_a_case_can_be_repeated() -> None:
    first, again = (hostile("--seed", "3", "--only", "network:5").split("'most seconds'")[0] for _ in range(2))
    assert first == again
    assert "network:3:5" in first


@pytest.mark.slow
@pytest.mark.parametrize("seed", ["1", "2", "3"])
def test_many_edits(seed: str) -> None:
    assert "'faults': 0" in hostile("--seed", seed)
