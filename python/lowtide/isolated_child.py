"""The process that `run_isolated` starts: `python -m lowtide.isolated_child`, a request in and a reply out."""

from __future__ import annotations

import os
import resource
import sys
from typing import NoReturn

from lowtide.errors import InputError, LowtideError
from lowtide.isolated import MEMORY_BYTES, SECONDS, refusal
from lowtide.isolated_tasks import TASKS
from lowtide.messages import Message, unpacked


def main() -> None:
    """Do the task of the request; ends the process."""
    # Whatever native code prints must not get into the result.
    output = os.dup(1)
    os.dup2(2, 1)
    answer(sys.stdin.buffer.read(), output)


def answer(data: bytes, output: int) -> NoReturn:
    """Do the task of a request under limits, write the reply to a file descriptor, and end the process."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 5))
    request = unpacked(data)
    with os.fdopen(output, "wb") as stream:
        stream.write(_reply(request).packed())
    # Native objects made of damaged input are not to be taken down one by one.
    os._exit(0)


def _reply(request: Message) -> Message:
    task = TASKS[request.header["task"]]()
    # All modules are loaded: from here on nothing has to write into a file.
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    try:
        return task(request)
    except LowtideError as error:
        return refusal(error)
    except MemoryError:
        message = f"MLIR wants more than {MEMORY_BYTES >> 30} GiB for it"
        return refusal(InputError(request.header["stage"], message, where=request.header["name"]))


if __name__ == "__main__":
    main()
