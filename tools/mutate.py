#!/usr/bin/env python3
"""Plants one small fault after the other in the code, and checks that the tests see each.

`tools/mutants.toml` has the faults: a file, what stands there once, what is put in its place, and the tests of which
at least one must then fail. They are in modules where a fault would give silently wrong results. Each job works on a
copy of the checkout of its own, so the checkout is never changed. Exit code 1 if a fault survives, if its text is not
there exactly once (it has gone stale), or if the tests fail without it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

ROOT = Path(__file__).resolve().parents[1]
TABLE = ROOT / "tools" / "mutants.toml"
_COPIED = ("python", "dialects", "firmware", "test", "examples", "tools", "pyproject.toml")
_SECONDS = 600
"""After which a test that hangs counts as one that fails."""
_FAILED = 1
"""pytest's exit code where tests failed; every other one but 0 means that they were not run."""


@dataclass(frozen=True)
class Mutant:
    """A fault.

    Attributes:
        name: unique.
        file: path from the root of the repository.
        before: the text that is replaced, which the file has once.
        after: the fault.
        tests: arguments of pytest, without options: of these tests at least one must fail.
    """

    name: str
    file: str
    before: str
    after: str
    tests: tuple[str, ...]

    def stale(self) -> str | None:
        """Why the fault can't be planted in the checkout; None if it can."""
        path = ROOT / self.file
        if not path.is_file():
            return f"there is no {self.file}"
        count = path.read_text(encoding="utf-8").count(self.before)
        if count != 1:
            return f"its text occurs {count} times in {self.file}"
        missing = [test for test in self.tests if not (ROOT / test.partition("::")[0]).is_file()]
        return f"there is no {missing[0]}" if missing else None


def mutants() -> list[Mutant]:
    """The table, in its order: a section for each file, with the tests of its faults unless one names others."""
    table = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    return [
        Mutant(
            found["name"], section["file"], found["before"], found["after"], tuple(found.get("tests", section["tests"]))
        )
        for section in table["section"]
        for found in section["mutant"]
    ]


class Checkout:
    """A copy of the checkout to plant faults in."""

    def __init__(self, folder: Path) -> None:
        self._root = folder / "checkout"
        self._root.mkdir(parents=True)
        for name in _COPIED:
            source, target = ROOT / name, self._root / name
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "build"), symlinks=True)
            else:
                shutil.copy2(source, target)
        if (shared := ROOT.parent / "shared").is_dir():
            (folder / "shared").symlink_to(shared)
        self._changes = 0

    def run(self, tests: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run some tests, up to the first that fails.

        Raises:
            subprocess.TimeoutExpired: they take too long.
        """
        paths = [str(self._root / name) for name in ("python", "dialects", "firmware")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
        return subprocess.run(
            command, cwd=self._root, env=environment, capture_output=True, text=True, timeout=_SECONDS, check=False
        )

    @contextmanager
    def planted(self, mutant: Mutant) -> Generator[None]:
        """The fault is there while the context is open."""
        path = self._root / mutant.file
        text = path.read_text(encoding="utf-8")
        self._write(path, text.replace(mutant.before, mutant.after))
        try:
            yield
        finally:
            self._write(path, text)

    def _write(self, path: Path, text: str) -> None:
        path.write_text(text, encoding="utf-8")
        # Python looks at size and second of a file to see whether what it compiled is still right
        self._changes += 1
        seconds = time.time() + 2 * self._changes
        os.utime(path, (seconds, seconds))


def main(argv: Sequence[str] | None = None) -> int:
    """Plant the faults; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", metavar="NAME", help="the faults whose names begin so")
    parser.add_argument("--list", action="store_true", help="list the faults and leave it at that")
    parser.add_argument("--check", action="store_true", help="only look whether each fault can be planted")
    parser.add_argument("--jobs", type=int, default=1, help="faults at a time")
    options = parser.parse_args(argv)
    chosen = [m for m in mutants() if options.only is None or m.name.startswith(tuple(options.only))]
    if not chosen:
        parser.error("no fault has such a name: see --list")
    if options.list:
        print("\n".join(f"{m.name:34} {m.file}" for m in chosen))
        return 0
    stale = {m.name: reason for m in chosen if (reason := m.stale()) is not None}
    for name, reason in stale.items():
        print(f"STALE    {name}: {reason}")
    right = [m for m in chosen if m.name not in stale]
    bad = len(stale) + (0 if options.check else _run_all(right, options.jobs))
    print(f"{len(chosen)} faults, {bad} of them stale, not seen or without tests that pass")
    return 1 if bad else 0


def _run_all(chosen: Sequence[Mutant], jobs: int) -> int:
    """How many faults are not seen, or have tests that fail without them."""
    with tempfile.TemporaryDirectory() as scratch:
        checkouts: SimpleQueue[Checkout] = SimpleQueue()
        for number in range(jobs):
            checkouts.put(Checkout(Path(scratch) / str(number)))

        def sound(tests: tuple[str, ...]) -> bool:
            checkout = checkouts.get()
            try:
                return checkout.run(tests).returncode == 0
            finally:
                checkouts.put(checkout)

        def verdict(mutant: Mutant) -> str:
            if not passing[mutant.tests]:
                return "NO TESTS"
            checkout = checkouts.get()
            begin = time.monotonic()
            try:
                with checkout.planted(mutant):
                    ended = checkout.run(mutant.tests).returncode
            except subprocess.TimeoutExpired:
                ended = _FAILED
            finally:
                checkouts.put(checkout)
            word = {0: "SURVIVED", _FAILED: "killed  "}.get(ended, "BROKEN  ")
            print(f"{word} {mutant.name} ({time.monotonic() - begin:.0f} s)", flush=True)
            return word

        with ThreadPoolExecutor(jobs) as pool:
            groups = list(dict.fromkeys(mutant.tests for mutant in chosen))
            passing = dict(zip(groups, pool.map(sound, groups), strict=True))
            for tests in groups:
                if not passing[tests]:
                    print(f"NO TESTS {' '.join(tests)}: they fail as it is")
            words = list(pool.map(verdict, chosen))
    return sum(word.strip() != "killed" for word in words)


if __name__ == "__main__":
    sys.exit(main())
