"""The IREE compiler's tools, run as subprocesses: which flags a target needs, and what counts as a failure."""

from __future__ import annotations

import importlib.util
import os
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from lowtide.errors import InputError, InternalError
from lowtide.targets import Target

Tool = Literal["iree-compile", "iree-lld", "iree-link", "iree-opt"]

# IREE's compiler does not end on some broken input (a function that calls itself); no real network takes minutes.
TIMEOUT_SECONDS = 1_800.0

_COMMON_FLAGS = (
    "--iree-hal-target-device=local",
    "--iree-hal-local-target-device-backends=llvm-cpu",
    "--iree-llvmcpu-debug-symbols=false",
    # IREE makes f64 arithmetic f32 otherwise, without a word.
    "--iree-input-demote-f64-to-f32=false",
)
_NO_ROOM = re.compile(r"No space left on device|File too large|Disk quota exceeded", re.IGNORECASE)
_ROOM = "free some space, or set TMPDIR"
_ERROR = re.compile(r"(?:^|[\s:])(?:fatal )?error: ", re.MULTILINE)
# What follows is the module.
_WHOLE_MODULE = "note: see current operation"
# Said of every Arm target, for which IREE knows no CPU features beyond LLVM's own.
_NOISE = re.compile(r"Resolution of CPU to CPU-features is not implemented|^ld\.lld: warning|^iree-lld: warning")


def tool(name: Tool) -> Path:
    """The tool inside the IREE compiler's package; `InternalError` where the package lacks it."""
    spec = importlib.util.find_spec("iree.compiler")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(folder) / "_mlir_libs" / name
        if path.is_file():
            return path
    raise InternalError("codegen", f"{name} is missing", remedy="reinstall iree-base-compiler")


def target_flags(target: Target) -> tuple[str, ...]:
    """What tells iree-compile about the core."""
    flags = [f"--iree-llvmcpu-target-triple={target.triple}", f"--iree-llvmcpu-target-cpu={target.cpu}"]
    if target.features:
        flags.append(f"--iree-llvmcpu-target-cpu-features={target.features}")
    if target.float_abi:
        flags.append(f"--iree-llvmcpu-target-float-abi={target.float_abi}")
    return (*flags, *target.compiler_flags)


@contextmanager
def scratch_directory() -> Generator[Path]:
    """A temporary folder that is gone afterwards, Ctrl-C included; `InputError` where there is no room for one."""
    try:
        scratch = Path(tempfile.gettempdir()).resolve() / f"lowtide-{secrets.token_hex(8)}"
        try:
            scratch.mkdir(mode=0o700)
            yield scratch
        finally:
            # Named before it was made, so that an interrupt at any moment finds it.
            shutil.rmtree(scratch, ignore_errors=True)
    except OSError as error:
        message = f"cannot write the intermediate files: {error.strerror or error}"
        raise InputError("codegen", message, where=error.filename, remedy=_ROOM) from error


def compile_module(
    text: str, target: Target, flags: Sequence[str], scratch: Path, *, name: str, timeout: float = TIMEOUT_SECONDS
) -> Path:
    """Run iree-compile on a module.

    Args:
        text: the module.
        target: the core to compile for.
        flags: beyond the target's; relative paths in them are in `scratch`.
        scratch: an existing folder, where everything is written.
        name: stem of the files; the same text under the same name gives the same bytes.
        timeout: in seconds.

    Returns:
        the main output, NAME.out in `scratch`.

    Raises:
        InternalError: iree-compile refused the module or did not end; the message holds its diagnostics.
    """
    (scratch / f"{name}.mlir").write_text(text, encoding="utf-8")
    output = scratch / f"{name}.out"
    arguments = [*_COMMON_FLAGS, *target_flags(target), *flags, f"{name}.mlir", "-o", output.name]
    run_tool("iree-compile", arguments, scratch, timeout=timeout)
    return output


def link(arguments: Sequence[str], scratch: Path) -> None:
    """Run IREE's copy of lld in `scratch`; `InternalError` with its diagnostics where it refuses."""
    run_tool("iree-lld", ["-flavor", "gnu", *arguments], scratch, timeout=TIMEOUT_SECONDS)


def run_tool(name: Tool, arguments: Sequence[str], scratch: Path, *, timeout: float) -> None:
    """Run a tool in `scratch`, its own temporary files included.

    Raises:
        InternalError: it ended with a failure, printed an error (its exit code may be 0 then), or ran too long.
    """
    # Relative: IREE passes the names of its temporary files to the linker through a shell, unquoted.
    environment = {**os.environ, "TMPDIR": "."}
    try:
        done = subprocess.run(
            [str(tool(name)), *arguments],
            cwd=scratch,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise InternalError("codegen", f"{name} did not end within {timeout:g} seconds") from None
    if _NO_ROOM.search(done.stderr) or done.returncode == -signal.SIGXFSZ:
        message = "there is no room for the intermediate files"
        raise InputError("codegen", message, where=str(scratch), remedy=_ROOM)
    if done.returncode != 0 or _ERROR.search(done.stderr):
        code = done.returncode
        ending = f"signal {-code}" if code < 0 else f"exit code {code}"
        raise InternalError("codegen", f"{name} failed ({ending})\n{_essence(done.stderr, scratch)}")


def _essence(stderr: str, scratch: Path, limit: int = 40) -> str:
    """The diagnostics without known noise and without the temporary folder's name, at most `limit` lines."""
    lines = [line for line in stderr.replace(f"{scratch}{os.sep}", "").splitlines() if not _NOISE.search(line)]
    first = next((index for index, line in enumerate(lines) if _ERROR.search(line)), 0)
    last = next((index for index, line in enumerate(lines) if index > first and _WHOLE_MODULE in line), len(lines))
    shown = lines[first : min(last, first + limit)]
    # A line of the module may hold megabytes of weights.
    return "\n".join(line if len(line) <= 240 else f"{line[:240]}…" for line in shown)
