"""Sets a metadata entry of a `.tflite` file and leaves the rest of the file as it is, byte for byte.

Offsets of a flatbuffer only point forwards, so what is new stands before the old file: a new root table, and new lists
of buffers and metadata that point into the old one.
"""

from __future__ import annotations

import struct

import flatbuffers

from lowtide.errors import InputError
from lowtide.importer.tflite import writer
from lowtide.importer.tflite.flatbuffer import Buffer, Table

_ALIGNMENT = 16
# Slots of the schema's root table.
_VERSION, _SUBGRAPHS, _BUFFERS, _METADATA = 0, 2, 4, 6
_KEPT = {"OperatorCodes": 1, "Subgraphs": _SUBGRAPHS, "Description": 3, "MetadataBuffer": 5, "SignatureDefs": 7}


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
    return _appended(data, root, name, content, entry)


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


def _appended(data: bytes, root: Table, name: str, content: bytes, replaced: Table | None) -> bytes:
    """Puts the new tables before the old file; the builder writes from the end to the start."""
    # With such a length what is aligned in the old file is so in the new one.
    tail = data + bytes(-len(data) % _ALIGNMENT)
    builder = flatbuffers.Builder(len(tail) + (1 << 16))
    builder.CreateByteVector(tail)

    def old(position: int) -> int:
        """What the builder calls a place in the old file: its distance from the end."""
        return len(tail) - position

    buffers = [old(buffer.position) for buffer in root.children(_BUFFERS, "buffer")]
    entries = [old(entry.position) for entry in _entries(root) if entry.text(0, entry.what) != name]
    added = writer.buffer(builder, content)
    lone = replaced is not None and not _shared(root, replaced.integer(1, "u32"))
    index = replaced.integer(1, "u32") if replaced is not None and lone else len(buffers)
    buffers[index : index + 1] = [added]
    entries.append(writer.table(builder, "Metadata", Name=builder.CreateString(name), Buffer=index))
    fields = {"Buffers": writer.offsets(builder, buffers), "Metadata": writer.offsets(builder, entries)}
    kept = {field: old(root.place(slot, "the root")) for field, slot in _KEPT.items() if root.has(slot)}
    version = root.integer(_VERSION, "u32")
    builder.Finish(writer.table(builder, "Model", Version=version, **fields, **kept), file_identifier=writer.IDENTIFIER)
    return bytes(builder.Output())


def int32s(values: list[int]) -> bytes:
    """Numbers as a `.tflite` file stores them."""
    return struct.pack(f"<{len(values)}i", *values)
