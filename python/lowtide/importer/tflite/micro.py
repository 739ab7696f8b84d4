"""Which tensors of a `.tflite` file LiteRT Micro keeps in its arena, how large, and from when to when.

The rules are those of `MicroAllocator` and `AllocationInfoBuilder` in LiteRT Micro. Step 0 is the arrival of the
inputs, operator i runs at step i + 1. An input is free to be overwritten after its last use; an output stays.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tflite import TensorType

from lowtide.errors import InputError
from lowtide.importer.tflite.flatbuffer import Buffer
from lowtide.importer.tflite.model import Model, Tensor
from lowtide.importer.tflite.reader import read
from lowtide.importer.tflite.repair import unbatch

ALIGNMENT = 16
"""Of each tensor's offset and size, in bytes: `MicroArenaBufferAlignment`."""
_UNUSED = -1
_BYTES = {
    TensorType.FLOAT16: 2, TensorType.FLOAT32: 4, TensorType.COMPLEX64: 8, TensorType.COMPLEX128: 16,
    TensorType.INT8: 1, TensorType.INT16: 2, TensorType.INT32: 4, TensorType.INT64: 8, TensorType.BOOL: 1,
    TensorType.UINT8: 1, TensorType.UINT16: 2, TensorType.UINT32: 4, TensorType.UINT64: 8,
}  # fmt: skip
_MAX_BYTES = (1 << 31) - 1


@dataclass(frozen=True)
class MicroTensor:
    """A tensor in the arena.

    Attributes:
        index: in the file's list of tensors.
        size: bytes, a multiple of `ALIGNMENT`.
        first, last: steps; both −1 for a tensor that nothing uses, which LiteRT Micro nevertheless gives a place.
    """

    index: int
    size: int
    first: int
    last: int


@dataclass(frozen=True)
class MicroTensors:
    """A file as LiteRT Micro's memory planner sees it: the number of its tensors, and those in the arena."""

    count: int
    planned: tuple[MicroTensor, ...]


def micro_tensors(data: bytes, where: str) -> MicroTensors:
    """The tensors that a planner has to place; constants and variables are not among them.

    Args:
        data: the whole file; its operators may be any, also custom ones.
        where: the file's name, for messages.

    Raises:
        InputError: the file is damaged or not `.tflite`, has several subgraphs, shapes that are not known, or element
            types that LiteRT Micro has no size for.
    """
    model = read(data, where, alone=True)
    unbatch(model, where)  # refuses what is dynamic; the sizes LiteRT Micro goes by are those in the file
    lives = _lives(model)
    variables = _variables(data, where)
    planned: list[MicroTensor] = []
    for index, tensor in enumerate(model.tensors):
        if tensor.data is None and not variables[index]:
            size = _size(tensor, where)
            if size:
                planned.append(MicroTensor(index, -(-size // ALIGNMENT) * ALIGNMENT, *lives[index]))
    return MicroTensors(len(model.tensors), tuple(planned))


def _variables(data: bytes, where: str) -> list[bool]:
    graph = Buffer(data, where).root().children(2, "subgraph")[0]
    return [bool(tensor.integer(5, "bool")) for tensor in graph.children(0, "tensor")]


def _size(tensor: Tensor, where: str) -> int:
    place = f"{where}, tensor {tensor}"
    if tensor.type not in _BYTES:
        raise InputError("plan-tflite", f"LiteRT Micro plans no tensors of type {tensor.type_name}", where=place)
    if min(tensor.shape, default=1) < 0:
        raise InputError(
            "plan-tflite", "its shape is not known", where=place, remedy="export the model with static shapes"
        )
    size = math.prod(tensor.shape) * _BYTES[tensor.type]
    if size > _MAX_BYTES:
        raise InputError("plan-tflite", f"it has {size} bytes, and an offset ends at {_MAX_BYTES}", where=place)
    return size


def _lives(model: Model) -> list[tuple[int, int]]:
    """First and last step of each tensor, in LiteRT Micro's order of updates."""
    first, last = [_UNUSED] * len(model.tensors), [_UNUSED] * len(model.tensors)
    for index in (*model.inputs, *model.outputs):
        first[index] = last[index] = 0
    for step, operator in enumerate(model.operators, start=1):
        for index in operator.outputs:
            if index >= 0:
                first[index] = last[index] = step
        for index in operator.inputs:
            if index >= 0:
                last[index] = step
    for index in model.outputs:
        last[index] = len(model.operators)
    return list(zip(first, last, strict=True))
