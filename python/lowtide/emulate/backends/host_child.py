"""A process of its own that runs a .vmfb, which is native code: whatever that does, it does here.

Frames go both ways, each a length of eight bytes and as many bytes. First come the inputs' types and shapes as JSON,
and the file; the answer is empty, or says why IREE's runtime refuses the file. Then, again and again, a frame for each
input; the answer is a frame of JSON, `{"outputs": N}` or `{"error": TEXT}`, and a frame for each output.
"""

from __future__ import annotations

import json
import os
import signal
import struct
import sys
from collections.abc import Sequence
from typing import IO, Any, cast

import numpy as np

LENGTH = struct.Struct("<Q")


def read_frame(stream: IO[bytes]) -> bytes | None:
    """The next frame; None at the end of the stream."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (size,) = LENGTH.unpack(head)
    data = stream.read(size)
    return data if len(data) == size else None


def write_frames(stream: IO[bytes], frames: Sequence[bytes]) -> None:
    """Send frames."""
    for frame in frames:
        stream.write(LENGTH.pack(len(frame)))
        stream.write(frame)
    stream.flush()


def main() -> None:
    """Serve the process that started this one, until it closes the stream."""
    # Ctrl-C is for that one, which then closes the stream
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    source, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    # what native code prints is no answer
    os.dup2(2, 1)
    head, module = read_frame(source), read_frame(source)
    if head is None or module is None:
        return
    kinds: list[tuple[str, list[int]]] = json.loads(head)
    try:
        function = _loaded(module)
    except (ValueError, RuntimeError, LookupError) as error:
        write_frames(answers, [(str(error) or type(error).__name__).encode()])
        return
    write_frames(answers, [b""])
    while True:
        arrays = [read_frame(source) for _ in kinds]
        # a network without inputs is asked by an empty frame
        if any(data is None for data in arrays) or (not kinds and read_frame(source) is None):
            return
        inputs = [
            np.frombuffer(data or b"", kind).reshape(shape) for data, (kind, shape) in zip(arrays, kinds, strict=True)
        ]
        try:
            returned = function(*inputs)
        except (RuntimeError, ValueError) as error:
            write_frames(answers, [json.dumps({"error": str(error)}).encode()])
            continue
        results = cast("list[Any]", list(returned) if isinstance(returned, list | tuple) else [returned])
        outputs = [np.asarray(result.to_host()).tobytes() for result in results]
        write_frames(answers, [json.dumps({"outputs": len(outputs)}).encode(), *outputs])


def _loaded(module: bytes) -> Any:
    from iree import runtime

    context = runtime.SystemContext(config=runtime.Config("local-sync"))
    loaded = runtime.VmModule.copy_buffer(context.instance, module)
    context.add_vm_module(loaded)
    return context.modules[loaded.name]["main"]


if __name__ == "__main__":
    main()
