"""Bounds-checked reading of flatbuffers.

The library's own reader trusts its input: offsets may point anywhere, even backwards, and a vector may claim four
billion elements. Here every access is checked against the file, and the sum of all elements read is bounded by
the size of the file, so that tables that overlap or point at each other cannot make reading slow.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final, Literal, NoReturn

from lowtide.errors import InputError

Scalar = Literal["bool", "i8", "u8", "i32", "u32", "i64", "u64", "f32"]
_FORMATS: Final[dict[Scalar, str]] = {
    "bool": "?", "i8": "b", "u8": "B", "i32": "i", "u32": "I", "i64": "q", "u64": "Q", "f32": "f",
}  # fmt: skip
# A file without overlaps has fewer elements than bytes; builders share some vectors, so allow a few times that.
_ELEMENTS_PER_BYTE = 4
_SPARE_ELEMENTS = 1 << 16


class Buffer:
    """The file's bytes with checked access.

    Args:
        data: the whole file.
        where: the file's name, for messages.
    """

    def __init__(self, data: bytes, where: str) -> None:
        self.view = memoryview(data)
        self.where = where
        self._left = len(data) * _ELEMENTS_PER_BYTE + _SPARE_ELEMENTS

    def fail(self, what: str) -> NoReturn:
        """Raises the InputError for a damaged file."""
        raise InputError(
            "importer",
            f"the file is damaged: {what}",
            where=self.where,
            remedy="get or export the file again; it may be truncated",
        )

    def span(self, position: int, size: int, what: str) -> memoryview:
        """`size` bytes at `position`; InputError where they are not all in the file."""
        if position < 0 or size < 0 or position + size > len(self.view):
            self.fail(f"{what} at byte {position} ({size} bytes) lies outside its {len(self.view)} bytes")
        return self.view[position : position + size]

    def charge(self, count: int, what: str) -> None:
        """Counts `count` elements as read; InputError where more were read than an honest file has."""
        self._left -= count
        if self._left < 0:
            self.fail(f"its tables hold more than its bytes can (found while reading {what})")

    def scalars(self, position: int, count: int, kind: Scalar, what: str) -> tuple[int | float, ...]:
        """`count` little-endian scalars at `position`."""
        self.charge(count, what)
        code = _FORMATS[kind]
        raw = self.span(position, count * struct.calcsize(f"<{code}"), what)
        return struct.unpack(f"<{count}{code}", raw)

    def integer(self, position: int, kind: Scalar, what: str) -> int:
        """One integer at `position`."""
        return int(self.scalars(position, 1, kind, what)[0])

    def follow(self, position: int, what: str) -> int:
        """Where the offset stored at `position` points."""
        return position + self.integer(position, "u32", what)

    def root(self) -> Table:
        """The root table."""
        return self.table(self.follow(0, "the root"), "the root")

    def table(self, position: int, what: str) -> Table:
        """The table at `position`, its vtable checked."""
        vtable = position - self.integer(position, "i32", what)
        header = self.span(vtable, 4, f"the layout of {what}")
        vtable_size, size = struct.unpack("<HH", header)
        if vtable_size < 4 or vtable_size % 2:
            self.fail(f"the layout of {what} at byte {vtable} has the impossible size {vtable_size}")
        slots = self.span(vtable + 4, vtable_size - 4, f"the layout of {what}")
        self.span(position, size, what)
        return Table(self, position, struct.unpack(f"<{len(slots) // 2}H", slots), size, what)


@dataclass(frozen=True)
class Table:
    """A table of the file. Absent fields read as their default, as the format says."""

    buffer: Buffer
    position: int
    slots: tuple[int, ...]
    size: int
    what: str

    def _field(self, slot: int, size: int) -> int | None:
        offset = self.slots[slot] if slot < len(self.slots) else 0
        if offset == 0:
            return None
        if offset < 4 or offset + size > self.size:
            self.buffer.fail(f"field {slot} of {self.what} lies outside its table")
        return self.position + offset

    def scalar(self, slot: int, kind: Scalar, default: int | float) -> int | float:
        """A scalar field."""
        position = self._field(slot, struct.calcsize(f"<{_FORMATS[kind]}"))
        if position is None:
            return default
        return self.buffer.scalars(position, 1, kind, self.what)[0]

    def integer(self, slot: int, kind: Scalar, default: int = 0) -> int:
        """An integer or boolean field, as an int."""
        return int(self.scalar(slot, kind, default))

    def has(self, slot: int) -> bool:
        """Whether the field is stored."""
        return self._field(slot, 1) is not None

    def place(self, slot: int, what: str) -> int:
        """The position of the vector or table that a stored field points at."""
        position = self._field(slot, 4)
        assert position is not None
        return self.buffer.follow(position, what)

    def child(self, slot: int, what: str) -> Table | None:
        """A table field."""
        position = self._field(slot, 4)
        if position is None:
            return None
        return self.buffer.table(self.buffer.follow(position, what), what)

    def _vector(self, slot: int, what: str) -> tuple[int, int]:
        position = self._field(slot, 4)
        if position is None:
            return 0, 0
        start = self.buffer.follow(position, what)
        return start + 4, self.buffer.integer(start, "u32", what)

    def raw(self, slot: int, what: str) -> memoryview:
        """A vector of bytes, not copied."""
        start, count = self._vector(slot, what)
        self.buffer.charge(count, what)
        return self.buffer.span(start, count, what)

    def text(self, slot: int, what: str) -> str:
        """A string field; what cannot be printed becomes an escape."""
        text = bytes(self.raw(slot, what)).decode("utf-8", "backslashreplace")
        return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)

    def scalars(self, slot: int, kind: Scalar, what: str) -> tuple[int | float, ...]:
        """A vector of scalars."""
        start, count = self._vector(slot, what)
        return self.buffer.scalars(start, count, kind, what)

    def integers(self, slot: int, kind: Scalar, what: str) -> tuple[int, ...]:
        """A vector of integers."""
        return tuple(int(value) for value in self.scalars(slot, kind, what))

    def children(self, slot: int, what: str) -> list[Table]:
        """A vector of tables; the n-th is called "{what} n" in messages."""
        start, count = self._vector(slot, f"the list of {what}s")
        offsets = self.buffer.scalars(start, count, "u32", f"the list of {what}s")
        return [self.buffer.table(start + 4 * i + int(offset), f"{what} {i}") for i, offset in enumerate(offsets)]
