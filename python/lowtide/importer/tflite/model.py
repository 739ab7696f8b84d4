"""The part of a `.tflite` model that lowtide reads, as plain frozen dataclasses.

`reader` makes a `Model` from a file's bytes, `cut` and `repair` rewrite it, `writer` turns it into bytes again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tflite import TensorType
from tflite.utils import BUILTIN_OPCODE2NAME

from lowtide.dtypes import DType

TYPE_NAMES: dict[int, str] = {value: name for name, value in vars(TensorType).items() if not name.startswith("_")}
"""The schema's names of element types, by number."""

DTYPES: dict[int, DType] = {
    TensorType.FLOAT32: "float32",
    TensorType.INT8: "int8",
    TensorType.UINT8: "uint8",
    TensorType.INT16: "int16",
    TensorType.INT32: "int32",
    TensorType.INT64: "int64",
    TensorType.BOOL: "bool",
}
"""The element types lowtide takes, by number of the schema's `TensorType`."""

OptionValue = int | float | bool | tuple[int, ...]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Quantization:
    """real = scale · (stored − zero point), one pair for the tensor or one for each index of `axis`."""

    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int = 0


@dataclass(frozen=True)
class Tensor:
    """A tensor of the model.

    Attributes:
        name: printable; unique within a model that `reader` made.
        type: a number of the schema's `TensorType`.
        shape: elements in each dimension, as stored.
        signature: as `shape` with −1 for a dimension that the exporter left open; empty where none is.
        data: the bytes of a constant, or None.
        quantization: None where the tensor has no scale.
        ranked: False where the file says that the shape is unknown (an empty `shape` and no `has_rank`).
        variable: it keeps its value from one run to the next.
        oddity: why lowtide cannot take a tensor like this, or None.
    """

    name: str
    type: int
    shape: tuple[int, ...]
    signature: tuple[int, ...] = ()
    data: bytes | memoryview | None = None
    quantization: Quantization | None = None
    ranked: bool = True
    variable: bool = False
    oddity: str | None = None

    @property
    def type_name(self) -> str:
        """Name of the element type, for messages."""
        return TYPE_NAMES.get(self.type, f"type {self.type}")

    @property
    def elements(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    def __str__(self) -> str:
        name = self.name if len(self.name) <= 80 else f"{self.name[:40]}…{self.name[-39:]}"
        return f"'{name}'"


@dataclass(frozen=True)
class Operator:
    """An operator of the model.

    Attributes:
        index: its place in the file, from 0. An operator that a repair inserted has the index of the one it serves.
        code: a number of the schema's `BuiltinOperator`.
        inputs: tensor indices, −1 for an optional one left out.
        outputs: tensor indices.
        options: by the names of `operators.OpSpec.options`; empty for operators lowtide does not know.
        custom: name of a custom operator, else empty.
    """

    index: int
    code: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, OptionValue] = field(default_factory=dict[str, OptionValue])
    custom: str = ""
    version: int = 1

    @property
    def name(self) -> str:
        """The schema's name of the operator, with the name of a custom one."""
        name = BUILTIN_OPCODE2NAME.get(self.code, f"operator code {self.code}")
        return f"{name} {self.custom}" if self.custom else name


@dataclass(frozen=True)
class State:
    """What a model remembers from one run to the next, and its bytes before the first.

    Attributes:
        initial: None for zero, of signed bytes the zero point.
    """

    name: str
    initial: bytes | None


@dataclass(frozen=True)
class Model:
    """One subgraph: tensors by index, operators in execution order.

    Attributes:
        states: of the last inputs, which hold what the run before has left in as many of the last outputs.
    """

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    states: tuple[State, ...] = ()

    @property
    def own_inputs(self) -> tuple[int, ...]:
        """The inputs that the user writes."""
        return self.inputs[: len(self.inputs) - len(self.states)]

    @property
    def own_outputs(self) -> tuple[int, ...]:
        """The outputs that the user reads."""
        return self.outputs[: len(self.outputs) - len(self.states)]

    def place(self, operator: Operator) -> str:
        """Says which operator it is: its index, its name and the first tensor it makes."""
        made = f" → {self.tensors[operator.outputs[0]]}" if operator.outputs else ""
        return f"operator {operator.index} {operator.name}{made}"

    def with_tensors(self, changed: Mapping[int, Tensor]) -> Model:
        """A copy in which the tensors at the given indices are replaced."""
        return replace(self, tensors=tuple(changed.get(i, t) for i, t in enumerate(self.tensors)))

    def producers(self) -> dict[int, Operator]:
        """The operator that makes each computed tensor, by tensor index."""
        return {output: operator for operator in self.operators for output in operator.outputs}

    def consumers(self, tensor: int) -> list[Operator]:
        """The operators that read a tensor, in order."""
        return [operator for operator in self.operators if tensor in operator.inputs]
