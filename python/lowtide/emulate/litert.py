"""The reference outputs of LiteRT. It is not the exact oracle: on a few int8 models it is off by some units."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lowtide.emulate.backend import Array
from lowtide.errors import InputError, UsageError

if TYPE_CHECKING:
    from ai_edge_litert.interpreter import TensorDetails


# LiteRT strings together what it has to say on each tensor.
_LONGEST_REASON = 200


class LiteRtReference:
    """A .tflite model in LiteRT's interpreter, reference kernels, batch 1.

    Args:
        model: the .tflite file.

    Raises:
        UsageError: ai-edge-litert is not installed.
        InputError: LiteRT refuses the model.
    """

    def __init__(self, model: Path) -> None:
        try:
            from ai_edge_litert.interpreter import Interpreter, OpResolverType
        except ImportError as error:
            remedy = "pip install lowtide[litert], or compare with stored outputs: --golden FILE.npz"
            raise UsageError("verify", "LiteRT is not installed", remedy=remedy) from error
        self._model = model
        try:
            self._interpreter = Interpreter(
                model_path=str(model), experimental_op_resolver_type=OpResolverType.BUILTIN_REF
            )
            for detail in self._interpreter.get_input_details():
                self._resize(detail)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError, OSError) as error:
            raise self._refused(error) from error

    def run(self, inputs: Sequence[Array]) -> tuple[Array, ...]:
        """The model's outputs for one array per input, in the file's order.

        Raises:
            UsageError: the number of inputs is wrong.
            InputError: LiteRT can't run the model on them.
        """
        details = self._interpreter.get_input_details()
        if len(details) != len(inputs):
            raise UsageError("verify", f"the model has {len(details)} inputs, {len(inputs)} were given")
        try:
            for detail, array in zip(details, inputs, strict=True):
                self._interpreter.set_tensor(detail["index"], array.reshape(detail["shape"].tolist()))
            self._interpreter.invoke()
        except (ValueError, RuntimeError) as error:
            raise self._refused(error) from error
        outputs = self._interpreter.get_output_details()
        return tuple(np.array(self._interpreter.get_tensor(detail["index"])) for detail in outputs)

    def _resize(self, detail: TensorDetails) -> None:
        signature = [int(extent) for extent in detail["shape_signature"]]
        if -1 in signature:
            self._interpreter.resize_tensor_input(detail["index"], [max(extent, 1) for extent in signature])

    def _refused(self, error: Exception) -> InputError:
        remedy = "compare with stored outputs: --golden FILE.npz"
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        return InputError(
            "verify", f"LiteRT refuses the model: {reason[:_LONGEST_REASON]}", where=str(self._model), remedy=remedy
        )
