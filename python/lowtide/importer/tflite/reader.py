"""Bytes of a `.tflite` file → `Model`, every offset and index checked."""

from __future__ import annotations

from tflite import BuiltinOperator

from lowtide.errors import InputError
from lowtide.importer.tflite.flatbuffer import Buffer, Table
from lowtide.importer.tflite.model import Model, Operator, OptionValue, Quantization, Tensor
from lowtide.importer.tflite.operators import Option
from lowtide.importer.tflite.specs import options_of

_IDENTIFIER = b"TFL3"
_VERSION = 3
_MAX_RANK = 8
_PLACEHOLDER_FOR_GREATER_CODE = 127


def read(data: bytes, where: str, *, alone: bool = False) -> Model:
    """Reads the first subgraph of a model, the one that LiteRT's interpreters run.

    Others are entry points of further signatures, or bodies of control flow (`subgraphs.py`).

    Args:
        data: the whole file.
        where: the file's name, for messages.
        alone: refuse a model that has more than this subgraph.

    Raises:
        InputError: not a `.tflite` file, damaged, of another version, or without a subgraph.
    """
    if len(data) < 8 or data[4:8] != _IDENTIFIER:
        raise InputError(
            "importer",
            f"not a .tflite file: it lacks the identifier {_IDENTIFIER.decode()} at byte 4",
            where=where,
            remedy="pass a TensorFlow Lite flatbuffer",
        )
    root = Buffer(data, where).root()
    version = root.integer(0, "u32")
    if version != _VERSION:
        raise InputError("importer", f"schema version {version} is not {_VERSION}", where=where)
    subgraphs = root.children(2, "subgraph")
    if not subgraphs:
        raise InputError("importer", "the model has no subgraph", where=where, remedy="export the model again")
    if alone and len(subgraphs) > 1:
        raise InputError(
            "importer",
            f"the model has {len(subgraphs)} subgraphs, and this takes one",
            where=where,
            remedy="export the model without control flow (IF, WHILE, CALL) and with one signature",
        )
    return _Subgraph(data, root, subgraphs[0]).read()


def read_others(data: bytes, where: str) -> list[Model]:
    """The subgraphs behind the first of a file that `read` takes; they may be without inputs and outputs."""
    root = Buffer(data, where).root()
    return [_Subgraph(data, root, table).read(ends=False) for table in root.children(2, "subgraph")[1:]]


class _Subgraph:
    """Reads a subgraph with the lists that the whole model shares."""

    def __init__(self, data: bytes, root: Table, table: Table) -> None:
        self._file = memoryview(data)
        self._fail = root.buffer.fail
        self._table = table
        self._codes = [_code(code) for code in root.children(1, "operator code")]
        self._buffers = [self._constant(buffer) for buffer in root.children(4, "buffer")]
        self._names: dict[str, int] = {}

    def read(self, *, ends: bool = True) -> Model:
        """The subgraph; `ends` where it must have inputs and outputs."""
        tensors = tuple(self._tensor(table) for table in self._table.children(0, "tensor"))
        operators = self._table.children(3, "operator")
        model = Model(
            tensors,
            tuple(self._operator(index, table, len(tensors)) for index, table in enumerate(operators)),
            self._indices(self._table, 1, len(tensors), "the model's inputs"),
            self._indices(self._table, 2, len(tensors), "the model's outputs"),
        )
        for what, indices in (("inputs", model.inputs), ("outputs", model.outputs)):
            if (ends and not indices) or min(indices, default=0) < 0:
                self._fail(f"its list of {what} is empty or has gaps")
        # One tensor may be several outputs. As an input it would be written twice, and the last one to write would win.
        if len(set(model.inputs)) != len(model.inputs):
            self._fail("its list of inputs names a tensor twice")
        return model

    def _constant(self, table: Table) -> memoryview | None:
        """Contents of a buffer: inside the flatbuffer, or behind it at an offset from the file's start."""
        data = table.raw(0, table.what)
        offset, size = table.integer(1, "u64"), table.integer(2, "u64")
        if offset > 1:
            table.buffer.charge(size, table.what)
            data = table.buffer.span(offset, size, table.what)
        return data if len(data) else None

    def _indices(self, table: Table, slot: int, count: int, what: str) -> tuple[int, ...]:
        indices = table.integers(slot, "i32", what)
        for index in indices:
            if not -1 <= index < count:
                self._fail(f"{what} name tensor {index}, and there are {count}")
        return indices

    def _tensor(self, table: Table) -> Tensor:
        what = table.what
        shape = table.integers(0, "i32", f"the shape of {what}")
        signature = table.integers(7, "i32", f"the shape signature of {what}")
        if len(shape) > _MAX_RANK:
            self._fail(f"{what} has {len(shape)} dimensions, and TensorFlow Lite allows {_MAX_RANK}")
        if signature and len(signature) != len(shape):
            self._fail(f"the shape signature of {what} has {len(signature)} dimensions, its shape {len(shape)}")
        buffer = table.integer(2, "u32")
        if buffer >= max(1, len(self._buffers)):
            self._fail(f"{what} names buffer {buffer}, and there are {len(self._buffers)}")
        return Tensor(
            name=self._unique(table.text(3, f"the name of {what}"), what),
            type=table.integer(1, "i8"),
            shape=shape,
            signature=signature,
            data=self._buffers[buffer] if buffer else None,
            quantization=self._quantization(table),
            ranked=bool(shape) or bool(table.integer(8, "bool")),
            variable=bool(table.integer(5, "bool")),
            oddity=oddity(table),
        )

    def _unique(self, name: str, what: str) -> str:
        """Names are how lowtide and the converter tell tensors apart, so a second "x" becomes "x#1"."""
        name = name or what.replace(" ", "_")
        unique = name
        while unique in self._names:
            self._names[name] += 1
            unique = f"{name}#{self._names[name]}"
        self._names[unique] = 0
        return unique

    def _quantization(self, table: Table) -> Quantization | None:
        what = f"the quantisation of {table.what}"
        child = table.child(4, what)
        scales = child.scalars(2, "f32", what) if child else ()
        if child is None or not scales:
            return None
        zero_points = child.integers(3, "i64", what) or (0,) * len(scales)
        if len(zero_points) != len(scales):
            self._fail(f"{what} has {len(scales)} scales and {len(zero_points)} zero points")
        return Quantization(scales, zero_points, child.integer(6, "i32"))

    def _operator(self, index: int, table: Table, tensors: int) -> Operator:
        code_index = table.integer(0, "u32")
        if code_index >= len(self._codes):
            self._fail(f"operator {index} names operator code {code_index}, and there are {len(self._codes)}")
        code, custom, version = self._codes[code_index]
        what = f"the options of operator {index}"
        return Operator(
            index=index,
            code=code,
            inputs=self._indices(table, 1, tensors, f"the inputs of operator {index}"),
            outputs=self._indices(table, 2, tensors, f"the outputs of operator {index}"),
            options={"custom_options": tuple(table.raw(5, what))} if custom else _options(code, table),
            custom=custom,
            version=version,
        )


def _code(table: Table) -> tuple[int, str, int]:
    """Number, custom name and version; old files have the number in a byte, newer ones in a field of its own."""
    old, new = table.integer(0, "i8"), table.integer(3, "i32")
    code = new if old == _PLACEHOLDER_FOR_GREATER_CODE else max(old, new)
    custom = table.text(1, table.what) if code == BuiltinOperator.CUSTOM else ""
    return code, custom, table.integer(2, "i32", 1)


def oddity(table: Table) -> str | None:
    """Why lowtide cannot take the tensor stored in this table, whatever its shape and type; None if it can."""
    if table.has(6):
        return "is stored sparse"
    quantization = table.child(4, f"the quantisation of {table.what}")
    if quantization is not None and quantization.integer(4, "u8"):
        return "has a custom quantisation"
    return None


def _options(code: int, table: Table) -> dict[str, OptionValue]:
    """Options of an operator lowtide knows; the schema's defaults where the file has none."""
    spec = options_of(code)
    if spec is None:
        return {}
    what = f"the options of {table.what}"
    kind = table.integer(3, "u8")
    child = table.child(4, what) if kind else None
    if child is not None and kind != spec.options_type and spec.options:
        table.buffer.fail(f"{what} are of kind {kind}, and its operator code needs kind {spec.options_type}")
    return {
        option.name: _option(child, slot, option, what)
        for slot, option in enumerate(spec.options)
        if option.kind != "unused"
    }


def _option(table: Table | None, slot: int, option: Option, what: str) -> OptionValue:
    if option.kind == "text":
        return tuple(table.text(slot, what).encode()) if table else ()
    if option.kind == "i32 vector":
        return table.integers(slot, "i32", what) if table else ()
    if table is None:
        return option.default
    assert option.kind != "unused"
    return table.scalar(slot, option.kind, option.default)
