"""The engines that reference outputs come from. They are run in the oracle's child process only: both can abort."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from lowtide.emulate.backend import Array

# Reserved, not touched: the interpreter uses as much of it as the model needs.
_MICRO_ARENA_BYTES = 1 << 30


class Runner(Protocol):
    """A loaded model: one array per input in the file's order, to one per output."""

    def __call__(self, inputs: Sequence[Array]) -> tuple[Array, ...]: ...


@dataclass(frozen=True)
class Engine:
    """An interpreter of `.tflite` files.

    Attributes:
        title: how people call it.
        module: the Python module it needs.
        load: makes a runner of a model's bytes; `ValueError`, `RuntimeError` or whatever else the library raises where
            it refuses the model.
    """

    title: str
    module: str
    load: Callable[[bytes], Runner]

    @property
    def installed(self) -> bool:
        """Whether this Python has the module."""
        return importlib.util.find_spec(self.module) is not None


def _micro(model: bytes) -> Runner:
    from tflite_micro import runtime

    interpreter = runtime.Interpreter.from_bytes(model, arena_size=_MICRO_ARENA_BYTES)
    outputs = _output_count(model)

    def run(inputs: Sequence[Array]) -> tuple[Array, ...]:
        for index, array in enumerate(inputs):
            # Micro compares shapes, and a dynamic batch is 1 there.
            shape = [int(extent) for extent in interpreter.get_input_details(index)["shape"]]
            interpreter.set_input(np.ascontiguousarray(array).reshape(shape), index)
        interpreter.invoke()
        return tuple(np.array(interpreter.get_output(index)) for index in range(outputs))

    return run


def _output_count(model: bytes) -> int:
    """Number of outputs: Micro's interpreter does not tell."""
    from tflite import Model

    graph = Model.GetRootAs(model, 0).Subgraphs(0)
    return 0 if graph is None else graph.OutputsLength()


def _litert(model: bytes) -> Runner:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(model_content=model, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    for detail in interpreter.get_input_details():
        signature = [int(extent) for extent in detail["shape_signature"]]
        # a dynamic batch is 1, as it is for the compiler
        if -1 in signature:
            interpreter.resize_tensor_input(detail["index"], [max(extent, 1) for extent in signature])
    interpreter.allocate_tensors()

    def run(inputs: Sequence[Array]) -> tuple[Array, ...]:
        for detail, array in zip(interpreter.get_input_details(), inputs, strict=True):
            interpreter.set_tensor(detail["index"], array.reshape(detail["shape"].tolist()))
        interpreter.invoke()
        outputs = interpreter.get_output_details()
        return tuple(np.array(interpreter.get_tensor(detail["index"])) for detail in outputs)

    return run


ENGINES: Mapping[str, Engine] = {
    "micro": Engine("LiteRT Micro", "tflite_micro", _micro),
    "litert": Engine("LiteRT's reference kernels", "ai_edge_litert", _litert),
}
"""By name, the exact oracle first."""
