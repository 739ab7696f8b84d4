#!/usr/bin/env python3
"""Runs every check of the project, one after the other, and says which failed.

ruff (style, format), pyright (types), lit (one file for each pass, transform operation and tool), then pytest (unit,
error, end to end), whose closing line comes last. What this machine lacks is skipped, and the summary says why. The
exit code is 0 if all passed.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WORKERS = "2"
# The package has no __main__, and running lit/main.py as a module does nothing, successfully.
_LIT = "import sys; from lit.main import main; sys.exit(main())"
# How pytest and lit name what they leave out.
_SKIPPED = re.compile(r"(?:SKIPPED|UNSUPPORTED:) (.*)")


@dataclass(frozen=True)
class Check:
    """A name and the command behind it, without the interpreter."""

    name: str
    command: tuple[str, ...]
    module: str


@dataclass(frozen=True)
class Result:
    """How a check ended: its last line, and what it skipped and why."""

    name: str
    passed: bool
    seconds: float
    closing: str
    skipped: tuple[str, ...] = ()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the checks; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slow", action="store_true", help="the tests marked slow too: long sweeps")
    parser.add_argument("--only", choices=[check.name for check in checks(False)], help="run this check alone")
    options = parser.parse_args(argv)
    results = [_run(check) for check in checks(options.slow) if options.only in (None, check.name)]
    print("\n== summary")
    for result in results:
        print(f"{'ok    ' if result.passed else 'FAILED'} {result.name:12} {result.seconds:6.1f} s")
        for line in result.skipped:
            print(f"       skipped: {line}")
    # The last line is pytest's own, so that whoever reads only that one learns the counts.
    print(results[-1].closing)
    return 0 if all(result.passed for result in results) else 1


def checks(slow: bool) -> list[Check]:
    """The checks in the order in which they run; pytest is last."""
    tests = ["-m", "pytest", "-q", str(ROOT / "test")]
    if slow:
        tests += ["-m", "slow or not slow"]
    if importlib.util.find_spec("xdist") is not None:
        tests += ["-n", WORKERS, "--dist", "worksteal"]
    return [
        Check("ruff", ("-m", "ruff", "check", str(ROOT)), "ruff"),
        Check("ruff format", ("-m", "ruff", "format", "--check", str(ROOT)), "ruff"),
        Check("pyright", ("-m", "pyright", "--project", str(ROOT)), "pyright"),
        Check("lit", ("-c", _LIT, "-sv", "-j", WORKERS, str(ROOT / "test" / "lit")), "lit"),
        Check("pytest", tuple(tests), "pytest"),
    ]


def _run(check: Check) -> Result:
    print(f"\n== {check.name}", flush=True)
    if importlib.util.find_spec(check.module) is None:
        closing = f"{check.module} is not installed: pip install -e '.[dev]'"
        print(closing)
        return Result(check.name, False, 0.0, closing)
    start = time.monotonic()
    code, closing, skipped = _stream([sys.executable, *check.command])
    if code != 0:
        print(f"{check.name} ended with exit code {code}")
    # Every one of these tools says something when it has run.
    return Result(check.name, code == 0 and closing != "", time.monotonic() - start, closing, skipped)


def _stream(command: Sequence[str]) -> tuple[int, str, tuple[str, ...]]:
    """Run a command, show its output as it comes; returns its exit code, its last line, and what it says it skipped."""
    closing = ""
    skipped: list[str] = []
    with subprocess.Popen(
        command, cwd=ROOT, env=_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        for line in process.stdout or ():
            print(line, end="", flush=True)
            closing = line.strip() or closing
            found = _SKIPPED.match(line)
            if found is not None:
                skipped.append(found[1])
    return process.returncode, closing, tuple(skipped)


def _environment() -> dict[str, str]:
    # The checkout's own sources come first, installed or not.
    paths = [str(ROOT / "python"), str(ROOT / "dialects"), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(path for path in paths if path)}


if __name__ == "__main__":
    sys.exit(main())
