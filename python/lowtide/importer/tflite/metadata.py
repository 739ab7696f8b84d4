"""Sets a metadata entry of a `.tflite` file and leaves the rest of the file as it is, byte for byte.

Offsets of a flatbuffer only point forwards, so what is new stands before the old file: a new root table, and new lists
of buffers and metadata that point into the old one.
"""

from __future__ import annotations

import struct

import flatbuffers

from lowtide.errors import InputError
from lowtide.importer.tflite.flatbuffer import Buffer, Table

_IDENTIFIER = b"TFL3"
_ALIGNMENT = 16
# Fields of the schema's root table.
_VERSION, _CODES, _SUBGRAPHS, _DESCRIPTION, _BUFFERS, _METADATA_BUFFER, _METADATA, _SIGNATURES = range(8)
_FIELDS = 8


def metadata_of(data: bytes, where: str, name: str) -> bytes | None:
    """The content of a metadata entry, None where the file has no such entry; a damaged file is an `InputError`."""
    root = Buffer(data, where).root()
    entry = _entry(root, name)
    return None if entry is None else bytes(_buffer_of(root, entry).raw(0, f"the metadata {name}"))


def with_metadata(data: bytes, where: str, name: str, content: bytes) -> bytes:
    """A file that has the metadata entry, new or in the place of the old one, and is the same model otherwise.

    Args:
        data: a `.tflite` file that `reader.read` has accepted.
        where: the file's name, for messages.
        name: of the entry.
        content: of its buffer, aligned to 16 bytes in the file.

    Raises:
        InputError: the file is damaged, or keeps something outside of its flatbuffer.
    """
    root = Buffer(data, where).root()
    _refuse_what_cannot_move(root, where)
    entry = _entry(root, name)
    if entry is not None:
        buffer = _buffer_of(root, entry)
        if len(buffer.raw(0, name)) == len(content) and not _shared(root, entry.integer(1, "u32")):
            start = buffer.place(0, name) + 4
            return data[:start] + content + data[start + len(content) :]
    return _Writer(data, root).write(name, content, entry)


def _entries(root: Table) -> list[Table]:
    return root.children(_METADATA, "metadata entry")


def _entry(root: Table, name: str) -> Table | None:
    """The entry that LiteRT Micro uses: the last of this name."""
    found = [entry for entry in _entries(root) if entry.text(0, entry.what) == name]
    return found[-1] if found else None


def _buffer_of(root: Table, entry: Table) -> Table:
    index, buffers = entry.integer(1, "u32"), root.children(_BUFFERS, "buffer")
    if index >= len(buffers):
        root.buffer.fail(f"{entry.what} names buffer {index}, and there are {len(buffers)}")
    return buffers[index]


def _shared(root: Table, index: int) -> bool:
    """Whether something else than one metadata entry uses this buffer."""
    tensors = [t for graph in root.children(_SUBGRAPHS, "subgraph") for t in graph.children(0, "tensor")]
    users = [entry.integer(1, "u32") for entry in _entries(root)] + [tensor.integer(2, "u32") for tensor in tensors]
    places = [buffer.position for buffer in root.children(_BUFFERS, "buffer")]
    return users.count(index) > 1 or places.count(places[index]) > 1


def _refuse_what_cannot_move(root: Table, where: str) -> None:
    """Large files keep data behind the flatbuffer at offsets from the file's start, which are about to change."""
    outside = [buffer.what for buffer in root.children(_BUFFERS, "buffer") if buffer.integer(1, "u64") > 1]
    for graph in root.children(_SUBGRAPHS, "subgraph"):
        outside += [op.what for op in graph.children(3, "operator") if op.integer(9, "u64") > 1]
    if outside:
        raise InputError(
            "importer",
            "data lies outside of the flatbuffer, where LiteRT Micro does not look for it",
            where=f"{where}, {outside[0]}",
            remedy="export the model again as one flatbuffer; below 2 GB exporters do so",
        )


class _Writer:
    """Puts the new tables before the old file; the builder writes from the end to the start."""

    def __init__(self, data: bytes, root: Table) -> None:
        # With such a length what is aligned in the old file is so in the new one.
        tail = data + bytes(-len(data) % _ALIGNMENT)
        self._root = root
        self._builder = flatbuffers.Builder(len(tail) + (1 << 16))
        self._end = len(tail)
        self._builder.CreateByteVector(tail)

    def write(self, name: str, content: bytes, replaced: Table | None) -> bytes:
        builder, root = self._builder, self._root
        old = [self._old(buffer.position) for buffer in root.children(_BUFFERS, "buffer")]
        entries = [self._old(entry.position) for entry in _entries(root) if entry.text(0, entry.what) != name]
        buffer = self._buffer(content)
        lone = replaced is not None and not _shared(root, replaced.integer(1, "u32"))
        index = replaced.integer(1, "u32") if replaced is not None and lone else len(old)
        buffers = [*old[:index], buffer, *old[index + 1 :]]
        entries.append(self._metadata(name, index))
        fields = {_BUFFERS: self._tables(buffers), _METADATA: self._tables(entries)}
        for slot in (_CODES, _SUBGRAPHS, _DESCRIPTION, _METADATA_BUFFER, _SIGNATURES):
            if root.has(slot):
                fields[slot] = self._old(root.place(slot, "the root"))
        builder.StartObject(_FIELDS)
        builder.PrependUint32Slot(_VERSION, root.integer(_VERSION, "u32"), 0)
        for slot, offset in fields.items():
            builder.PrependUOffsetTRelativeSlot(slot, offset, 0)
        builder.Finish(builder.EndObject(), file_identifier=_IDENTIFIER)
        return bytes(builder.Output())

    def _old(self, position: int) -> int:
        """What the builder calls a place in the old file: its distance from the end."""
        return self._end - position

    def _buffer(self, content: bytes) -> int:
        self._builder.Prep(_ALIGNMENT, len(content))
        vector = self._builder.CreateByteVector(content)
        self._builder.StartObject(1)
        self._builder.PrependUOffsetTRelativeSlot(0, vector, 0)
        return self._builder.EndObject()

    def _metadata(self, name: str, buffer: int) -> int:
        text = self._builder.CreateString(name)
        self._builder.StartObject(2)
        self._builder.PrependUOffsetTRelativeSlot(0, text, 0)
        self._builder.PrependUint32Slot(1, buffer, 0)
        return self._builder.EndObject()

    def _tables(self, offsets: list[int]) -> int:
        self._builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self._builder.PrependUOffsetTRelative(offset)
        return self._builder.EndVector()


def int32s(values: list[int]) -> bytes:
    """Numbers as a `.tflite` file stores them."""
    return struct.pack(f"<{len(values)}i", *values)
