"""`Model` → bytes of a `.tflite` file.

The converter reads the file written here and never the user's own: whatever was odd about that one's bytes is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import flatbuffers
from tflite import BuiltinOperator

from lowtide.importer.tflite.model import Model, Operator, OptionValue, Quantization, Tensor
from lowtide.importer.tflite.operators import Option, spec_of

_VERSION = 3
_DATA_ALIGNMENT = 16
_INT32 = 4
_INT64 = 8


def write(model: Model) -> bytes:
    """Writes a model of operators that lowtide knows (and of others, without their options)."""
    constants = [tensor.data for tensor in model.tensors if tensor.data is not None]
    builder = flatbuffers.Builder(sum(len(data) for data in constants) + (1 << 16))
    # Buffer 0 is by convention the empty one, that of tensors which are not constants.
    buffers = _tables(builder, [_buffer(builder, data) for data in (b"", *constants)])
    kinds = sorted({(operator.code, operator.version, operator.custom) for operator in model.operators})
    codes = _tables(builder, [_code(builder, *kind) for kind in kinds])
    subgraph = _subgraph(builder, model, kinds)
    subgraphs = _tables(builder, [subgraph])
    builder.StartObject(5)
    builder.PrependUint32Slot(0, _VERSION, 0)
    builder.PrependUOffsetTRelativeSlot(1, codes, 0)
    builder.PrependUOffsetTRelativeSlot(2, subgraphs, 0)
    builder.PrependUOffsetTRelativeSlot(4, buffers, 0)
    builder.Finish(builder.EndObject(), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _subgraph(builder: flatbuffers.Builder, model: Model, kinds: list[tuple[int, int, str]]) -> int:
    next_buffer = iter(range(1, len(model.tensors) + 1))
    tensors = _tables(builder, [_tensor(builder, t, 0 if t.data is None else next(next_buffer)) for t in model.tensors])
    operators = _tables(
        builder, [_operator(builder, op, kinds.index((op.code, op.version, op.custom))) for op in model.operators]
    )
    inputs, outputs = _int32s(builder, model.inputs), _int32s(builder, model.outputs)
    name = builder.CreateString("main")
    builder.StartObject(5)
    for slot, offset in enumerate((tensors, inputs, outputs, operators, name)):
        builder.PrependUOffsetTRelativeSlot(slot, offset, 0)
    return builder.EndObject()


def _vector(builder: flatbuffers.Builder, size: int, prepend: Callable[[int], object], values: Sequence[int]) -> int:
    builder.StartVector(size, len(values), size)
    for value in reversed(values):
        prepend(value)
    return builder.EndVector()


def _tables(builder: flatbuffers.Builder, offsets: Sequence[int]) -> int:
    return _vector(builder, _INT32, builder.PrependUOffsetTRelative, offsets)


def _int32s(builder: flatbuffers.Builder, values: Sequence[int]) -> int:
    return _vector(builder, _INT32, builder.PrependInt32, values)


def _buffer(builder: flatbuffers.Builder, data: bytes | memoryview) -> int:
    vector = 0
    if data:
        builder.Prep(_DATA_ALIGNMENT, len(data))
        vector = builder.CreateByteVector(bytes(data))
    builder.StartObject(1)
    builder.PrependUOffsetTRelativeSlot(0, vector, 0)
    return builder.EndObject()


def _code(builder: flatbuffers.Builder, code: int, version: int, custom: str) -> int:
    name = builder.CreateString(custom) if custom else 0
    builder.StartObject(4)
    builder.PrependInt8Slot(0, min(code, BuiltinOperator.PLACEHOLDER_FOR_GREATER_OP_CODES), 0)
    builder.PrependUOffsetTRelativeSlot(1, name, 0)
    builder.PrependInt32Slot(2, version, 1)
    builder.PrependInt32Slot(3, code, 0)
    return builder.EndObject()


def _tensor(builder: flatbuffers.Builder, tensor: Tensor, buffer: int) -> int:
    quantization = _quantization(builder, tensor.quantization) if tensor.quantization else 0
    shape = _int32s(builder, tensor.shape)
    signature = _int32s(builder, tensor.signature) if tensor.signature else 0
    name = builder.CreateString(tensor.name)
    builder.StartObject(9)
    builder.PrependUOffsetTRelativeSlot(0, shape, 0)
    builder.PrependInt8Slot(1, tensor.type, 0)
    builder.PrependUint32Slot(2, buffer, 0)
    builder.PrependUOffsetTRelativeSlot(3, name, 0)
    builder.PrependUOffsetTRelativeSlot(4, quantization, 0)
    builder.PrependUOffsetTRelativeSlot(7, signature, 0)
    builder.PrependBoolSlot(8, tensor.ranked, False)
    return builder.EndObject()


def _quantization(builder: flatbuffers.Builder, quantization: Quantization) -> int:
    builder.StartVector(4, len(quantization.scales), 4)
    for scale in reversed(quantization.scales):
        builder.PrependFloat32(scale)
    scales = builder.EndVector()
    zero_points = _vector(builder, _INT64, builder.PrependInt64, quantization.zero_points)
    builder.StartObject(7)
    builder.PrependUOffsetTRelativeSlot(2, scales, 0)
    builder.PrependUOffsetTRelativeSlot(3, zero_points, 0)
    builder.PrependInt32Slot(6, quantization.axis, 0)
    return builder.EndObject()


def _operator(builder: flatbuffers.Builder, operator: Operator, code: int) -> int:
    spec = spec_of(operator.code)
    options = _options(builder, spec.options, operator) if spec and spec.options_type else 0
    inputs, outputs = _int32s(builder, operator.inputs), _int32s(builder, operator.outputs)
    builder.StartObject(5)
    builder.PrependUint32Slot(0, code, 0)
    builder.PrependUOffsetTRelativeSlot(1, inputs, 0)
    builder.PrependUOffsetTRelativeSlot(2, outputs, 0)
    builder.PrependUint8Slot(3, spec.options_type if spec else 0, 0)
    builder.PrependUOffsetTRelativeSlot(4, options, 0)
    return builder.EndObject()


def _options(builder: flatbuffers.Builder, fields: tuple[Option, ...], operator: Operator) -> int:
    values = [operator.options.get(field.name, field.default) for field in fields]
    stored = [_int32s(builder, value) if isinstance(value, tuple) else value for value in values]
    builder.StartObject(len(fields))
    for slot, (field, value) in enumerate(zip(fields, stored, strict=True)):
        _option(builder, slot, field, value)
    return builder.EndObject()


def _option(builder: flatbuffers.Builder, slot: int, field: Option, value: OptionValue) -> None:
    if isinstance(value, tuple):
        return
    if field.kind == "i32 vector":
        builder.PrependUOffsetTRelativeSlot(slot, int(value), 0)
    elif field.kind == "f32":
        builder.PrependFloat32Slot(slot, float(value), float(field.default))
    elif field.kind == "bool":
        builder.PrependBoolSlot(slot, bool(value), bool(field.default))
    elif field.kind == "i8":
        builder.PrependInt8Slot(slot, int(value), int(field.default))
    else:
        builder.PrependInt32Slot(slot, int(value), int(field.default))
