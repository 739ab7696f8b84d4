"""A process of its own that runs a .vmfb, which is native code: whatever that does, it does here.

The first message brings the file; the answer says why IREE's runtime refuses it, or nothing. Then, again and again, a
message brings the inputs; the answer has the outputs' bytes, or an error.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any, cast

import numpy as np

from lowtide.messages import Message, arrays_in, receive, send


def main() -> None:
    """Serve the process that started this one, until it closes the stream."""
    # Ctrl-C is for that one, which then closes the stream
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    source, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    # what native code prints is no answer
    os.dup2(2, 1)
    try:
        module = receive(source).blobs[0]
        try:
            function = _loaded(module)
        except (ValueError, RuntimeError, LookupError) as error:
            send(answers, Message({"error": str(error) or type(error).__name__}))
            return
        send(answers, Message({}))
        while True:
            send(answers, _answer(function, receive(source)))
    except EOFError:
        return


def _answer(function: Callable[..., Any], request: Message) -> Message:
    try:
        returned = function(*arrays_in(request))
    except (RuntimeError, ValueError) as error:
        return Message({"error": str(error)})
    results = cast("tuple[Any, ...]", returned if isinstance(returned, list | tuple) else (returned,))
    return Message({}, tuple(np.asarray(result.to_host()).tobytes() for result in results))


def _loaded(module: bytes) -> Callable[..., Any]:
    from iree import runtime

    context = runtime.SystemContext(config=runtime.Config("local-sync"))
    loaded = runtime.VmModule.copy_buffer(context.instance, module)
    context.add_vm_module(loaded)
    return context.modules[loaded.name]["main"]


if __name__ == "__main__":
    main()
