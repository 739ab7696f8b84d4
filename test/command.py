"""Runs `lowtide` in this process, which is fast, or in one of its own, which signals and limits need."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lowtide.cli.main import main

ROOT = Path(__file__).resolve().parents[1]
DIGITS = ROOT / "examples" / "digits" / "digits_int8.tflite"
DIGITS_GOLDEN = ROOT / "examples" / "digits" / "digits_golden.npz"
SHARED = ROOT.parent / "shared"
MODULE = (sys.executable, "-P", "-m", "lowtide.cli.main")


@dataclass(frozen=True)
class Outcome:
    """Exit code, standard output and standard error."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """Both streams, one after the other."""
        return self.out + self.err


def lowtide(*arguments: str | Path) -> Outcome:
    """Run the command line in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(argument) for argument in arguments])
    outcome = Outcome(code, out.getvalue(), err.getvalue())
    assert "Traceback" not in outcome.text, outcome.text
    return outcome


def refused(code: int, *arguments: str | Path) -> str:
    """Run what must fail with that exit code and nothing on standard output; returns what it said."""
    outcome = lowtide(*arguments)
    assert outcome.code == code, outcome
    assert outcome.out == ""
    assert outcome.err.count("\n") < 30
    return outcome.err


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """For a process that finds the checkout's own sources, and prints 80 columns."""
    paths = [str(ROOT / "python"), str(ROOT / "dialects"), os.environ.get("PYTHONPATH", "")]
    inherited = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    return {**inherited, "PYTHONPATH": os.pathsep.join(filter(None, paths)), **(extra or {})}


def shell(script: str, *arguments: str | Path, cwd: Path, extra: Mapping[str, str] | None = None) -> Outcome:
    """Run a shell script in which `$L` is lowtide and `$1` and on the arguments."""
    script = script.replace("$L", f"'{sys.executable}' -P -m lowtide.cli.main")
    done = subprocess.run(
        ["bash", "-c", script, "bash", *map(str, arguments)],
        cwd=cwd,
        env=environment(extra),
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        timeout=120,
        check=False,
    )
    outcome = Outcome(done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in outcome.text, outcome.text
    return outcome
