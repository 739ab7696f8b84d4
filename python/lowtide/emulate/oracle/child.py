"""Runs models for the oracle: `python -m lowtide.emulate.oracle.child ENGINE`, requests in, answers out.

It is this process that dies where an engine aborts. Whatever native code prints goes to standard error.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
from collections.abc import Sequence
from typing import IO

from lowtide.emulate.backend import Array
from lowtide.emulate.oracle.engines import ENGINES, Engine
from lowtide.messages import Message, arrays_in, receive, send, with_arrays

_MEMORY_LIMIT = 8 << 30


def main(name: str) -> int:
    """Serve until the other side closes; returns the exit code."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY_LIMIT, _MEMORY_LIMIT))
    output = os.fdopen(os.dup(1), "wb")
    with tempfile.TemporaryFile() as printed:
        # what native code prints says why a model is refused, and must not get into the answers
        os.dup2(printed.fileno(), 1)
        os.dup2(printed.fileno(), 2)
        while True:
            try:
                request = receive(sys.stdin.buffer)
            except EOFError:
                return 0
            printed.seek(0)
            printed.truncate()
            rows = _rows(arrays_in(request), request.header["runs"])
            send(output, _answer(ENGINES[name], request.blobs[0], rows, printed))


def _rows(arrays: Sequence[Array], runs: int) -> list[list[Array]]:
    width = len(arrays) // runs if runs else 0
    return [list(arrays[run * width : (run + 1) * width]) for run in range(runs)]


Rows = Sequence[Sequence[Array]]


def _answer(engine: Engine, model: bytes, rows: Rows, printed: IO[bytes]) -> Message:
    try:
        run = engine.load(model)
        outputs = [array for inputs in rows for array in run(inputs)]
    # The engines' libraries raise almost anything on a file that they don't take.
    except Exception as error:
        printed.seek(0)
        said = printed.read().decode("utf-8", "replace").strip().splitlines()
        reason = said[-1] if said else (str(error).strip() or type(error).__name__).splitlines()[0]
        return Message({"refused": reason})
    return with_arrays({}, outputs)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
