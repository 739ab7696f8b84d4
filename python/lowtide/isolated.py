"""Work on strangers' IR, done in a process of its own: what crashes, hangs or takes all memory is that process.

MLIR trusts what it reads. A damaged file, text or bytecode, can end the process in the parser, the verifier or a
pattern, and a transform script can run for ever. So whatever MLIR does to IR from outside, before lowtide has checked
that IR, it does in `isolated_child`, under limits. What comes back is bytecode that MLIR itself has just written.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from lowtide.errors import InputError, InternalError, LowtideError, UsageError
from lowtide.messages import Message, unpacked

SECONDS = 40
"""Processor time that one task may take."""
_PATIENCE = 600
"""Seconds on the clock after which a task is given up: other processes may take the processor."""
MEMORY_BYTES = 4 << 30
"""Bytes that the process of a task may reserve."""
_REMEDY = "reduce the file to what is needed, or write it again with the tool that made it"
_REASON = re.compile(r"^LLVM ERROR: (?P<reason>.*)|what\(\):\s*(?P<thrown>.*)", re.MULTILINE)
_ERRORS: Mapping[str, type[LowtideError]] = {kind.__name__: kind for kind in (InputError, UsageError, InternalError)}


def refusal(error: LowtideError) -> Message:
    """An error as a message."""
    return Message({"error": {"kind": type(error).__name__, **details(error)}})


def details(error: LowtideError) -> dict[str, str | None]:
    """What an error says, as JSON holds it."""
    return {"stage": error.stage, "message": error.message, "where": error.where, "remedy": error.remedy}


def run_isolated(
    task: str, header: Mapping[str, Any], blobs: Sequence[bytes] = (), *, stage: str, where: str
) -> Message:
    """Do a task in a process of its own.

    Args:
        task: a name of `isolated_tasks.TASKS`.
        header, blobs: its arguments.
        stage: the stage to name in errors.
        where: the input to name in errors.

    Raises:
        LowtideError: what the task raised.
        InputError: the process crashed, or took more than `SECONDS` or `MEMORY_BYTES`.
        InternalError: the task failed in another way.
    """
    request = Message({"task": task, **header}, tuple(blobs)).packed()
    try:
        done = start_child(request)
    except subprocess.TimeoutExpired:
        raise InputError(stage, f"MLIR did not finish with it in {_PATIENCE} s", where=where, remedy=_REMEDY) from None
    printed = done.stderr.decode("utf-8", "replace").strip()
    if done.returncode < 0:
        raise InputError(stage, _ending(-done.returncode, printed), where=where, remedy=_REMEDY)
    if done.returncode > 0:
        raise InternalError(stage, f"the process that works on it failed\n{printed}", where=where)
    reply = unpacked(done.stdout)
    if "error" in reply.header:
        error = dict(reply.header["error"])
        kind = _ERRORS[error.pop("kind")]
        raise kind(error["stage"], error["message"], where=error["where"], remedy=error["remedy"])
    return reply


def start_child(request: bytes) -> subprocess.CompletedProcess[bytes]:
    """Start the process and wait for its end; raises `TimeoutExpired`."""
    return subprocess.run(
        [sys.executable, "-P", "-m", "lowtide.isolated_child"],
        input=request,
        capture_output=True,
        timeout=_PATIENCE,
        check=False,
        # One malloc arena: the child's limit counts reserved memory.
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "MALLOC_ARENA_MAX": "1"},
    )


def _ending(number: int, printed: str) -> str:
    if number == signal.SIGXCPU:
        return f"MLIR did not finish with it in {SECONDS} s"
    found = _REASON.search(printed)
    reason = f": {found['reason'] or found['thrown']}" if found else ""
    return f"MLIR crashes on it ({signal.Signals(number).name}{reason})"
