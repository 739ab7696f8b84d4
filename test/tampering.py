"""Folders of `lowtide compile` with one thing changed, digests recomputed: what a stranger's folder may hold."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

ODD: list[Any] = json.loads("""[
    null, true, false, 0, 1, -1, 2, 7, 255, 2147483648, -2147483648, 9223372036854775808,
    1000000000000000000000000000000, 0.5, -1e308, NaN, "", "x",
    "rv32imac", "host", "../x", [], [0], [[]], [[null, null]], {}, {"name": 1}
]""")
"""What a value of a report is replaced by."""
COMMANDS: tuple[tuple[str, ...], ...] = ((), ("--witness",), ("--artifact", "elf"), ("--backend", "host"))
BINARIES = (".o", ".elf", ".vmfb")


def tamper(source: Path, folder: Path, seed: int) -> str:
    """Copy a folder, change one thing in it, and say what."""
    rng = random.Random(seed)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(source, folder)
    path = folder / "report.json"
    report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    kind = rng.randrange(5)
    if kind < 2:
        places: list[tuple[Any, Any]] = list(_places(report))
        holder, key = rng.choice(places)
        value = rng.choice(ODD)
        if isinstance(holder[key], int) and rng.random() < 0.2:
            value = holder[key] + rng.choice((-1, 1, 8))
        said = f"report: {key} = {value!r}, it was {str(holder[key])[:40]}"
        holder[key] = value
        path.write_text(json.dumps(report), encoding="utf-8")
        return said
    if kind == 2:
        data = bytearray(path.read_bytes())
        said = _bytes(data, rng)
        path.write_bytes(data)
        return f"report.json: {said}"
    name = f"{report['name']}{rng.choice(BINARIES)}"
    data = bytearray((folder / name).read_bytes())
    said = _bytes(data, rng)
    (folder / name).write_bytes(data)
    report["files"][name] = sha256(data).hexdigest()
    path.write_text(json.dumps(report), encoding="utf-8")
    return f"{name}: {said}"


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every list and object below a value, with each of its keys."""
    keys: Sequence[Any] = ()
    if isinstance(value, dict):
        keys = tuple(cast("dict[str, Any]", value))
    elif isinstance(value, list):
        keys = range(len(cast("list[Any]", value)))
    for key in keys:
        yield cast("Any", value), key
        yield from _places(cast("Any", value)[key])


def _bytes(data: bytearray, rng: random.Random) -> str:
    if rng.random() < 0.15:
        del data[rng.randrange(len(data)) :]
        return f"cut to {len(data)} bytes"
    # half of the changes in the headers, where the structure is
    limit = 128 if rng.random() < 0.5 else len(data)
    places = [rng.randrange(min(limit, len(data))) for _ in range(rng.choice((1, 1, 2, 8)))]
    for place in places:
        data[place] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
    return f"bytes at {places}"


def outcome(
    run: Callable[[Sequence[str]], int], folder: Path, options: Sequence[str], seconds: int = 600
) -> tuple[int, str]:
    """Exit code and output of `lowtide run` in a fork of this process; -N where a signal ended it, -14 for a hang."""
    said = folder.with_suffix(".txt")
    child = os.fork()
    if child == 0:
        code = 99
        try:
            descriptor = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(descriptor, 1)
            os.dup2(descriptor, 2)
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(seconds)
            code = run(["run", str(folder), *options])
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), said.read_text(encoding="utf-8", errors="replace")
