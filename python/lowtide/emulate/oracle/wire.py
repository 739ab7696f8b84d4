"""Messages between the oracle and its child: a line of JSON, then arrays as raw bytes.

No pickles: the child runs native code on files of strangers, and what it sends back must not be able to run anything.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import IO, Any, cast

import numpy as np

from lowtide.emulate.backend import Array

Head = Mapping[str, Any]


def send(stream: IO[bytes], head: Head, arrays: Sequence[Array] = (), blob: bytes = b"") -> None:
    """Write one message and flush it."""
    described = [{"dtype": array.dtype.str, "shape": list(array.shape)} for array in arrays]
    stream.write(json.dumps({**head, "arrays": described, "blob": len(blob)}).encode() + b"\n")
    stream.write(blob)
    for array in arrays:
        stream.write(np.ascontiguousarray(array).tobytes())
    stream.flush()


def receive(stream: IO[bytes]) -> tuple[dict[str, Any], list[Array], bytes]:
    """Read one message: head, arrays, blob; `EOFError` where the other side has gone."""
    line = stream.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    head = cast("dict[str, Any]", json.loads(line))
    blob = _exactly(stream, head.pop("blob"))
    arrays: list[Array] = []
    for described in head.pop("arrays"):
        dtype, shape = np.dtype(described["dtype"]), described["shape"]
        data = _exactly(stream, dtype.itemsize * math.prod(shape))
        arrays.append(np.frombuffer(data, dtype).reshape(shape))
    return head, arrays, blob


def _exactly(stream: IO[bytes], count: int) -> bytes:
    data = stream.read(count)
    if len(data) != count:
        raise EOFError
    return data
