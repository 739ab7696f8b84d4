"""Messages between a process and its child: JSON, and bytes that follow it.

Never a pickle: the child works on files of strangers, or runs their code, and what it sends must not run anything.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import IO, Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
_LENGTH = struct.Struct("<Q")
"""Bytes of the JSON: what a message begins with."""


@dataclass(frozen=True)
class Message:
    """One message.

    Attributes:
        header: anything that JSON holds.
        blobs: bytes that follow it.
    """

    header: Mapping[str, Any]
    blobs: tuple[bytes, ...] = field(default=())

    def packed(self) -> bytes:
        """The message as bytes."""
        head = json.dumps({"header": self.header, "lengths": [len(blob) for blob in self.blobs]}).encode()
        return b"".join((_LENGTH.pack(len(head)), head, *self.blobs))


def unpacked(data: bytes) -> Message:
    """The inverse of `Message.packed`; `EOFError` where there is less."""
    return receive(BytesIO(data))


def send(stream: IO[bytes], message: Message) -> None:
    """Write a message and flush it."""
    stream.write(message.packed())
    stream.flush()


def receive(stream: IO[bytes]) -> Message:
    """Read one message; `EOFError` where the other side has gone."""

    def exactly(count: int) -> bytes:
        data = stream.read(count)
        if len(data) != count:
            raise EOFError
        return data

    return received(exactly)


def received(read: Callable[[int], bytes], most: int | None = None) -> Message:
    """The next message of a stream.

    Args:
        read: gives so many bytes of the stream, or raises what is to be raised where there are fewer.
        most: bytes that the JSON and each blob may have.

    Raises:
        TooLongError: one of them has more.
    """
    (size,) = _LENGTH.unpack(read(_LENGTH.size))
    head = json.loads(read(_checked(size, most)))
    return Message(head["header"], tuple(read(_checked(length, most)) for length in head["lengths"]))


class TooLongError(Exception):
    """A message, or a part of it, is longer than it may be.

    Attributes:
        size: its bytes.
    """

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size


def _checked(size: int, most: int | None) -> int:
    if most is not None and size > most:
        raise TooLongError(size)
    return size


def with_arrays(header: Mapping[str, Any], arrays: Sequence[Array], *blobs: bytes) -> Message:
    """A message that brings arrays behind its blobs."""
    described = [{"dtype": array.dtype.str, "shape": list(array.shape)} for array in arrays]
    return Message({**header, "arrays": described}, (*blobs, *(np.ascontiguousarray(a).tobytes() for a in arrays)))


def arrays_in(message: Message) -> list[Array]:
    """The arrays that `with_arrays` put into a message."""
    described = message.header["arrays"]
    blobs = message.blobs[len(message.blobs) - len(described) :]
    return [np.frombuffer(b, np.dtype(d["dtype"])).reshape(d["shape"]) for b, d in zip(blobs, described, strict=True)]
