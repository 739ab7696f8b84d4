"""MLIR bytecode from outside: read in a process of its own and written anew.

MLIR's reader trusts bytecode: on damaged files it can crash, hang or reserve all memory. Here it does so in a child,
`bytecode_child`, and what comes back is bytecode that MLIR itself has just written.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from lowtide.errors import InputError, InternalError

MAGIC = b"ML\xefR"
_SECONDS = 60
# What the child says with its exit code; any other but 0 is a crash.
REFUSED = 3
_REMEDY = "write the file again, as text if you can"


def rewritten(bytecode: bytes, filename: str, stage: str) -> bytes:
    """Equal bytecode that is safe to read.

    Args:
        bytecode: starts with `MAGIC`.
        filename: how messages call the input.
        stage: the stage to name in the error.

    Raises:
        InputError: not valid bytecode, with MLIR's diagnostics where it gave any.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "lowtide.bytecode_child", filename, stage],
            input=bytecode,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
            # One malloc arena: the child's limit counts reserved memory.
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "MALLOC_ARENA_MAX": "1"},
        )
    except subprocess.TimeoutExpired:
        message = f"damaged bytecode: MLIR did not finish reading it in {_SECONDS} s"
        raise InputError(stage, message, where=filename, remedy=_REMEDY) from None
    if done.returncode == 0:
        return done.stdout
    printed = done.stderr.decode("utf-8", "replace").strip()
    if done.returncode == REFUSED:
        # A diagnostic inside an attribute's text names that text, not the file.
        raise InputError(stage, printed, where=None if filename in printed else filename)
    if done.returncode > 0:
        raise InternalError(stage, f"the process that reads bytecode failed\n{printed}", where=filename)
    message = f"damaged bytecode: MLIR crashes on it ({signal.Signals(-done.returncode).name})"
    raise InputError(stage, message, where=filename, remedy=_REMEDY)
