"""Child processes that run native code, so that it is they that crash: how they start and end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys


def start_child(
    module: str, *arguments: str, environment: dict[str, str] | None = None, own_session: bool = False
) -> subprocess.Popen[bytes]:
    """Start a module of lowtide's in a process whose standard input and output carry messages.

    Args:
        module: its full name.
        arguments: of its command line.
        environment: variables to set for it.
        own_session: keep signals of this one's terminal from it, such as Ctrl-C.
    """
    return subprocess.Popen(
        [sys.executable, "-P", "-m", module, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))} | (environment or {}),
        start_new_session=own_session,
    )


def end_child(process: subprocess.Popen[bytes]) -> None:
    """Kill the process and close its streams."""
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            try:
                stream.close()
            except BrokenPipeError:
                # what is still buffered for a dead process can't be flushed, and nobody wants it
                continue


def cause_of_death(code: int) -> str:
    """What a return code says in words: the signal's name, or the exit code."""
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
