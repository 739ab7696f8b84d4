"""`Model` → bytes of a `.tflite` file, by the schema's own builders.

The converter reads the file written here and never the user's own: whatever was odd about that one's bytes is gone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import flatbuffers
import numpy as np
import numpy.typing as npt
import tflite
from tflite import BuiltinOperator, BuiltinOptions

from lowtide.importer.tflite.model import Model, Operator, Quantization, Tensor
from lowtide.importer.tflite.operators import Option
from lowtide.importer.tflite.specs import options_of

IDENTIFIER = b"TFL3"
_VERSION = 3
_DATA_ALIGNMENT = 16
_OPTIONS = {number: name for name, number in vars(BuiltinOptions).items() if isinstance(number, int)}
"""The name of each options table, by its number in the schema."""


def write(model: Model, *others: Model) -> bytes:
    """Writes a model of operators that lowtide knows (and of others, without their options).

    Args:
        model: the first subgraph.
        others: those behind it.
    """
    models = (model, *others)
    constants = [tensor.data for part in models for tensor in part.tensors if tensor.data is not None]
    builder = flatbuffers.Builder(sum(len(data) for data in constants) + (1 << 16))
    # Buffer 0 is by convention the empty one, that of tensors which are not constants.
    buffers = offsets(builder, [buffer(builder, data) for data in (b"", *constants)])
    kinds = sorted(
        {(operator.code, operator.version, operator.custom) for part in models for operator in part.operators}
    )
    codes = offsets(builder, [_code(builder, *kind) for kind in kinds])
    numbers = iter(range(1, len(constants) + 1))
    subgraphs = offsets(builder, [_subgraph(builder, part, kinds, numbers) for part in models])
    root = table(builder, "Model", Version=_VERSION, OperatorCodes=codes, Subgraphs=subgraphs, Buffers=buffers)
    builder.Finish(root, file_identifier=IDENTIFIER)
    return bytes(builder.Output())


def table(builder: flatbuffers.Builder, kind: str, **fields: float) -> int:
    """Writes a table.

    Args:
        builder: what it is written to.
        kind: its name in the schema.
        fields: by the schema's names in camel case: numbers, and offsets of what was written before. What is 0 or the
            schema's default takes no room.

    Returns:
        the table's offset.
    """
    getattr(tflite, f"{kind}Start")(builder)
    for name, value in fields.items():
        getattr(tflite, f"{kind}Add{name}")(builder, value)
    return getattr(tflite, f"{kind}End")(builder)


def offsets(builder: flatbuffers.Builder, written: Sequence[int]) -> int:
    """Writes a vector of tables that were written before; returns its offset."""
    builder.StartVector(4, len(written), 4)
    for offset in reversed(written):
        builder.PrependUOffsetTRelative(offset)
    return builder.EndVector()


def buffer(builder: flatbuffers.Builder, data: bytes | memoryview) -> int:
    """Writes a buffer, its data aligned as the runtime wants it; returns its offset."""
    if not data:
        return table(builder, "Buffer")
    builder.Prep(_DATA_ALIGNMENT, len(data))
    return table(builder, "Buffer", Data=builder.CreateByteVector(bytes(data)))


def _numbers(builder: flatbuffers.Builder, values: Sequence[float], kind: npt.DTypeLike = np.int32) -> int:
    return builder.CreateNumpyVector(np.array(values, kind))


def _subgraph(
    builder: flatbuffers.Builder, model: Model, kinds: list[tuple[int, int, str]], buffers: Iterator[int]
) -> int:
    tensors = [_tensor(builder, t, 0 if t.data is None else next(buffers)) for t in model.tensors]
    listed = offsets(builder, tensors)
    operators = [_operator(builder, op, kinds.index((op.code, op.version, op.custom))) for op in model.operators]
    run = offsets(builder, operators)
    inputs, outputs = _numbers(builder, model.inputs), _numbers(builder, model.outputs)
    name = builder.CreateString("main")
    return table(builder, "SubGraph", Tensors=listed, Inputs=inputs, Outputs=outputs, Operators=run, Name=name)


def _code(builder: flatbuffers.Builder, code: int, version: int, custom: str) -> int:
    name = builder.CreateString(custom) if custom else 0
    # what readers of the schema before version 3a look at, a byte
    byte = min(code, BuiltinOperator.PLACEHOLDER_FOR_GREATER_OP_CODES)
    return table(
        builder, "OperatorCode", DeprecatedBuiltinCode=byte, CustomCode=name, Version=version, BuiltinCode=code
    )


def _tensor(builder: flatbuffers.Builder, tensor: Tensor, data: int) -> int:
    quantization = _quantization(builder, tensor.quantization) if tensor.quantization else 0
    shape = _numbers(builder, tensor.shape)
    signature = _numbers(builder, tensor.signature) if tensor.signature else 0
    return table(
        builder,
        "Tensor",
        Shape=shape,
        Type=tensor.type,
        Buffer=data,
        Name=builder.CreateString(tensor.name),
        Quantization=quantization,
        ShapeSignature=signature,
        HasRank=tensor.ranked,
        IsVariable=tensor.variable,
    )


def _quantization(builder: flatbuffers.Builder, quantization: Quantization) -> int:
    scales = _numbers(builder, quantization.scales, np.float32)
    zeros = _numbers(builder, quantization.zero_points, np.int64)
    axis = quantization.axis
    return table(builder, "QuantizationParameters", Scale=scales, ZeroPoint=zeros, QuantizedDimension=axis)


def _operator(builder: flatbuffers.Builder, operator: Operator, code: int) -> int:
    spec = options_of(operator.code)
    kind = spec.options_type if spec else 0
    options = _options(builder, _OPTIONS[kind], spec.options, operator) if spec and kind else 0
    raw = operator.options.get("custom_options")
    custom = builder.CreateByteVector(bytes(raw)) if isinstance(raw, tuple) else 0
    inputs, outputs = _numbers(builder, operator.inputs), _numbers(builder, operator.outputs)
    return table(
        builder,
        "Operator",
        CustomOptions=custom,
        OpcodeIndex=code,
        Inputs=inputs,
        Outputs=outputs,
        BuiltinOptionsType=kind,
        BuiltinOptions=options,
    )


def _options(builder: flatbuffers.Builder, kind: str, fields: tuple[Option, ...], operator: Operator) -> int:
    stored: dict[str, float] = {}
    for field in fields:
        if field.kind == "unused":
            continue
        value = operator.options.get(field.name, field.default)
        camel = "".join(word.capitalize() for word in field.name.split("_"))
        if field.kind == "text" and isinstance(value, tuple):
            stored[camel] = builder.CreateString(bytes(value))
        else:
            stored[camel] = _numbers(builder, value) if isinstance(value, tuple) else value
    return table(builder, kind, **stored)
