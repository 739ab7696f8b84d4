"""What lowtide refuses in a model that can be read, by operator and by tensor.

The converter trusts that operands fit their operators, and what it makes of others is at best an unclear
diagnostic, so the operators are checked against `operators.SUPPORTED` first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator
from functools import partial
from typing import NoReturn

from tflite import BuiltinOperator, TensorType

from lowtide.dtypes import DTYPE_BYTES
from lowtide.errors import InputError
from lowtide.importer.lowered.library import inputs_of, outputs_of, types_of
from lowtide.importer.tflite.cut import arguments
from lowtide.importer.tflite.model import DTYPES, TYPE_NAMES, Model, Operator, Tensor
from lowtide.importer.tflite.operands import ShapeError
from lowtide.importer.tflite.operators import BIASED, EIGHT_BIT_TYPES, FOLDED, OpSpec
from lowtide.importer.tflite.specs import shapes_for, spec_for, states_of

_MAX_BYTES = (1 << 31) - 1
_BIAS_TYPES = {
    TensorType.FLOAT32: (TensorType.FLOAT32,),
    TensorType.INT8: (TensorType.INT32,),
    TensorType.UINT8: (TensorType.INT32,),
    TensorType.INT16: (TensorType.INT32, TensorType.INT64),
}
_WEIGHTS = {
    BuiltinOperator.CONV_2D: (4, 0),
    BuiltinOperator.DEPTHWISE_CONV_2D: (4, 3),
    BuiltinOperator.FULLY_CONNECTED: (2, 0),
}
"""Rank of the weights and their axis of output channels."""
_QUANTISED = {TensorType.INT8: (-128, 127), TensorType.UINT8: (0, 255), TensorType.INT16: (-(1 << 15), (1 << 15) - 1)}
_NO_CASTS = {(TensorType.FLOAT32, TensorType.INT64), (TensorType.INT64, TensorType.FLOAT32)}
"""On 32-bit cores conversions between floats and 64 bits are calls of the compiler's library."""
_JOINS = (BuiltinOperator.CONCATENATION, BuiltinOperator.PACK)
"""Operators of any number of inputs, all alike."""
_NO_SCALE_NEEDED = {BuiltinOperator.CAST}
_NO_SCALE_OF_INT16_NEEDED = {
    BuiltinOperator.CONCATENATION,
    BuiltinOperator.PAD,
    BuiltinOperator.PADV2,
    BuiltinOperator.MINIMUM,
    BuiltinOperator.MAXIMUM,
}
"""Operators that bring bytes to one scale, and leave int16 as it is stored."""
_NOTHING_OF_INT16 = {BuiltinOperator.FULLY_CONNECTED: (0,), BuiltinOperator.MUL: (0, 1)}
"""Operands of int16 that may be multiplied by 0: exporters give what was always 0 that scale, such as first states."""
_SOFTMAX_SCALE = 1 / 256
"""The one scale that TOSA's softmax and LiteRT Micro's make 8-bit numbers with; zero points are the least numbers."""


def check(model: Model, where: str) -> None:
    """Raises InputError for the first thing in the model that lowtide does not take.

    Args:
        model: what the outputs need and no more; dynamic batches are made 1 already.
        where: the file's name, for messages.
    """
    for step in _Check(model, where).steps():
        step()


def objections(model: Model, where: str) -> list[InputError]:
    """All that `check` could object to, once each; operators that nothing is known of are not looked at further."""
    found: dict[str, InputError] = {}
    for step in _Check(model, where).steps(every=True):
        try:
            step()
        except InputError as error:
            found.setdefault(f"{error.where} {error.message}", error)
    return list(found.values())


def sound_operators(model: Model, refused: Collection[str], where: str) -> int:
    """How many operators compute from what is not refused alone; `refused` are places as `objections` names them."""
    bad: set[int] = set()
    count = 0
    for operator in model.operators:
        places = {f"{where}, {model.place(operator)}"}
        places |= {f"{where}, tensor {model.tensors[i]}" for i in (*operator.inputs, *operator.outputs) if i >= 0}
        if places.isdisjoint(refused) and bad.isdisjoint(operator.inputs):
            count += 1
        else:
            bad.update(operator.outputs)
    return count


class _Check:
    def __init__(self, model: Model, where: str) -> None:
        self._model = model
        self._where = where

    def steps(self, *, every: bool = False) -> Iterator[Callable[[], None]]:
        """What is to be checked, one after another; `every` where one that objects does not end it."""
        model = self._model
        for operator in model.operators:
            yield partial(self._known, operator)
        yield self._order
        used = {i for op in model.operators for i in (*op.inputs, *op.outputs) if i >= 0}
        for index in sorted(used.union(model.inputs, model.outputs)):
            yield partial(self._tensor, model.tensors[index])
        for number in range(len(model.states)):
            yield partial(self._state, number)
        for operator in model.operators:
            spec = self._spec(operator)
            if spec is not None:
                yield partial(self._operands, operator, spec)
            else:
                assert every, "an operator of which nothing is known has been refused"

    def _spec(self, operator: Operator) -> OpSpec | None:
        """What an operator's options and operands must be; None where lowtide has no way to run it."""
        return spec_for(operator, inputs_of(self._model, operator), outputs_of(self._model, operator))

    def _refuse(self, place: str, message: str, remedy: str | None = None) -> NoReturn:
        raise InputError("importer", message, where=f"{self._where}, {place}", remedy=remedy)

    def _refuse_operator(self, operator: Operator, message: str, remedy: str | None = None) -> NoReturn:
        self._refuse(self._model.place(operator), message, remedy)

    def _known(self, operator: Operator) -> None:
        """Refuses an operator that is not supported; the remedy is to stop at what comes before all such ones."""
        if self._spec(operator) is not None:
            return
        kind = "a custom operator" if operator.code == BuiltinOperator.CUSTOM else "not an operator lowtide supports"
        if operator.code in FOLDED:
            kind = "an operator that lowtide takes only where its result is known when the model is compiled"
        said = f"this is {kind}"
        types = types_of(operator.code)
        if types and operator.inputs and operator.inputs[0] >= 0:
            given = self._model.tensors[operator.inputs[0]].type_name
            taken = ", ".join(TYPE_NAMES[type_] for type_ in DTYPES if type_ in types)
            said = f"its input is {given}; lowtide takes {taken} there"
        before = self._before_unsupported()
        remedy = f"compile the network up to it: {arguments(before)}" if before else None
        self._refuse_operator(operator, said, remedy)

    def _before_unsupported(self) -> list[Tensor]:
        """The tensors that supported operators compute from supported ones alone and that others need."""
        good: set[int] = set()
        bad: set[int] = set()
        frontier: dict[int, Tensor] = {}
        for operator in self._model.operators:
            if self._spec(operator) is not None and bad.isdisjoint(operator.inputs):
                good.update(operator.outputs)
                continue
            bad.update(operator.outputs)
            frontier.update((i, self._model.tensors[i]) for i in operator.inputs if i in good)
        return [frontier[index] for index in sorted(frontier)]

    def _order(self) -> None:
        """Every tensor has one source, and it comes before the tensor's use."""
        tensors = self._model.tensors
        ready = {i for i, tensor in enumerate(tensors) if tensor.data is not None}
        for index in self._model.inputs:
            if index in ready:
                self._refuse(f"input {tensors[index]}", "a model input is a constant")
        ready.update(self._model.inputs)
        for operator in self._model.operators:
            for index in operator.inputs:
                if index >= 0 and index not in ready:
                    self._refuse_operator(operator, f"its input {tensors[index]} is not computed before it")
            for index in operator.outputs:
                if index < 0 or index in ready:
                    self._refuse_operator(operator, "its output is missing, a model input, a constant or made twice")
                ready.add(index)
        # An output may well be an input or a constant.
        for index in self._model.outputs:
            if index not in ready:
                self._refuse(f"output {tensors[index]}", "no operator computes this output")

    def _state(self, number: int) -> None:
        """What a run leaves in a variable is what the next one reads."""
        model, first = self._model, len(self._model.own_inputs)
        read = model.tensors[model.inputs[first + number]]
        left = model.tensors[model.outputs[len(model.own_outputs) + number]]
        if (read.type, read.shape) != (left.type, left.shape):
            found = f"{left}, {left.type_name} {list(left.shape)}, and read as {read.type_name} {list(read.shape)}"
            self._refuse(f"tensor {read}", f"its variable is assigned {found}")

    def _tensor(self, tensor: Tensor) -> None:
        place = f"tensor {tensor}"
        if tensor.variable:
            message = "this tensor keeps its value from one run to the next, and no operator that does so has it"
            self._refuse(place, message)
        if tensor.oddity:
            self._refuse(place, f"this tensor {tensor.oddity}, which lowtide does not take")
        dtype = DTYPES.get(tensor.type)
        if dtype is None:
            known = ", ".join(DTYPES.values())
            self._refuse(place, f"its type is {tensor.type_name}; lowtide takes {known}", "quantise the model to int8")
        if not tensor.ranked and tensor.data is None:
            self._refuse(place, "its shape is unknown", "export the model with static shapes")
        if any(size < 1 for size in tensor.shape):
            self._refuse(place, f"its shape {list(tensor.shape)} has a dimension below 1")
        size = tensor.elements * DTYPE_BYTES[dtype]
        if size > _MAX_BYTES:
            self._refuse(place, f"its shape {list(tensor.shape)} takes {size} bytes, more than {_MAX_BYTES}")
        if tensor.data is not None and len(tensor.data) != size:
            self._refuse(place, f"its shape {list(tensor.shape)} takes {size} bytes, and {len(tensor.data)} are stored")
        self._quantization(tensor, place)

    def _quantization(self, tensor: Tensor, place: str) -> None:
        quantization = tensor.quantization
        if quantization is None:
            return
        quantised = tensor.type in _QUANTISED
        # inputs and outputs of other types may have scales, too, which the header gives
        if (quantised or tensor.data is None) and not all(map(math.isfinite, quantization.scales)):
            self._refuse(place, "it has a scale that is not a number")
        if not quantised:
            return
        low, high = _QUANTISED[tensor.type]
        if not all(low <= zero_point <= high for zero_point in quantization.zero_points):
            self._refuse(place, f"it has a zero point outside {low}…{high}")
        count = len(quantization.scales)
        if count == 1:
            return
        if tensor.data is None:
            self._refuse(place, f"it is not a constant and has {count} scales")
        if not 0 <= quantization.axis < len(tensor.shape) or tensor.shape[quantization.axis] != count:
            self._refuse(
                place, f"its {count} scales do not fit axis {quantization.axis} of its shape {list(tensor.shape)}"
            )

    def _operands(self, operator: Operator, spec: OpSpec) -> None:
        tensors = self._model.tensors
        least, most = spec.inputs
        fewest, greatest = spec.outputs
        made = len(operator.outputs) - self._states(operator)
        if not least <= len(operator.inputs) <= most or not fewest <= made <= greatest:
            self._refuse_operator(operator, f"it has {len(operator.inputs)} inputs and {made} outputs")
        for position, index in enumerate(operator.inputs):
            needed = position < least and position not in spec.optional
            if index < 0 and (needed or operator.code in _JOINS):
                self._refuse_operator(operator, f"its input {position} is missing")
        output = tensors[operator.outputs[0]]
        given = {position: tensors[index] for position, index in enumerate(operator.inputs) if index >= 0}
        for position, tensor in given.items():
            if position in spec.constants and tensor.data is None:
                self._refuse_operator(operator, f"its input {position}, {tensor}, is not a constant")
            if position in spec.same_type and tensor.type != output.type:
                types = f"{tensor.type_name} and {output.type_name}"
                self._refuse_operator(
                    operator, f"its input {position} and its output have different types, {types}",
                    "quantise weights and activations alike (full integer quantisation), or neither",
                )  # fmt: skip
        for tensor, types, what in ((output, spec.output_types, "output"), (given[0], spec.input_types, "input")):
            if tensor.type not in types:
                self._refuse_operator(operator, f"its {what} is {tensor.type_name}, which lowtide does not take there")
        self._concatenated(operator, given, output)
        self._options(operator, spec)
        if operator.code == BuiltinOperator.CAST and (given[0].type, output.type) in _NO_CASTS:
            self._refuse_operator(operator, f"lowtide cannot cast {given[0].type_name} to {output.type_name}")
        self._weights(operator, given, output)
        self._scales(operator, spec, {**given, -1: output})
        if operator.code == BuiltinOperator.SOFTMAX and output.type in EIGHT_BIT_TYPES:
            self._softmax(operator, output)
        self._shapes(operator)

    def _states(self, operator: Operator) -> int:
        """How many of an operator's outputs are what it remembers for the next run."""
        return len(states_of(operator, inputs_of(self._model, operator), outputs_of(self._model, operator)))

    def _shapes(self, operator: Operator) -> None:
        inputs = [self._model.tensors[index] if index >= 0 else None for index in operator.inputs]
        count = self._states(operator)
        outputs = [self._model.tensors[index] for index in operator.outputs[: len(operator.outputs) - count]]
        try:
            shapes = shapes_for(operator, inputs, outputs, [output.shape for output in outputs])
        except ShapeError as error:
            self._refuse_operator(operator, str(error))
        for shape, output in zip(shapes, outputs, strict=True):
            if output.type != outputs[0].type:
                self._refuse_operator(operator, "its outputs have different types")
            if shape != output.shape:
                which = "" if len(outputs) == 1 else f" {output}"
                declared = f"its output{which} is declared as {list(output.shape)}"
                self._refuse_operator(operator, f"{declared}, and its operands make {list(shape)}")

    def _options(self, operator: Operator, spec: OpSpec) -> None:
        for option in spec.options:
            value = operator.options.get(option.name, option.default)
            if isinstance(value, float) and not math.isfinite(value):
                self._refuse_operator(operator, f"its {option.name} is {value}")
            if not option.allows(value):
                self._refuse_operator(operator, f"its {option.name} is {value}, which lowtide does not take")

    def _concatenated(self, operator: Operator, given: dict[int, Tensor], output: Tensor) -> None:
        if operator.code not in _JOINS:
            return
        for position, tensor in given.items():
            if tensor.type != output.type:
                self._refuse_operator(operator, f"its input {position} has another type than its output")

    def _weights(self, operator: Operator, given: dict[int, Tensor], output: Tensor) -> None:
        """Weights and bias have one index a channel of the output, and scales, if several, are those channels'."""
        if operator.code not in BIASED:
            return
        weights = given[1]
        rank, axis = _WEIGHTS[operator.code]
        if len(weights.shape) != rank:
            self._refuse_operator(operator, f"its weights have {len(weights.shape)} dimensions, not {rank}")
        quantization = weights.quantization
        if quantization and len(quantization.scales) > 1 and quantization.axis != axis:
            self._refuse_operator(operator, f"its weights have scales along axis {quantization.axis}, not {axis}")
        if 2 not in given:
            return
        if given[2].elements != weights.shape[axis]:
            self._refuse_operator(operator, f"its bias has {given[2].elements} elements, not {weights.shape[axis]}")
        if given[2].type not in _BIAS_TYPES.get(output.type, ()):
            self._refuse_operator(operator, f"its bias has type {given[2].type_name}, its output {output.type_name}")

    def _scales(self, operator: Operator, spec: OpSpec, operands: dict[int, Tensor]) -> None:
        """Arithmetic on 8-bit numbers needs scales above 0.

        Weights may have others: trainers give channels whose weights were pruned away scales of 0 and even below.
        """
        optional = spec.copies or operator.code in _NO_SCALE_NEEDED
        for position, tensor in operands.items():
            if tensor.type not in _QUANTISED:
                continue
            if tensor.quantization is None:
                if optional or (tensor.type == TensorType.INT16 and operator.code in _NO_SCALE_OF_INT16_NEEDED):
                    continue
                self._refuse_operator(operator, f"{tensor} is {tensor.type_name} and has no scale")
            signed = operator.code in BIASED and position == 1 and tensor.type == TensorType.INT8
            nothing = tensor.type == TensorType.INT16 and position in _NOTHING_OF_INT16.get(operator.code, ())
            least = min(tensor.quantization.scales)
            if least <= 0 and not signed and not (nothing and least == 0):
                self._refuse_operator(operator, f"the scale of {tensor} is not above 0")

    def _softmax(self, operator: Operator, output: Tensor) -> None:
        quantization = output.quantization
        assert quantization is not None
        scale, zero_point = quantization.scales[0], quantization.zero_points[0]
        if not math.isclose(scale, _SOFTMAX_SCALE, rel_tol=1e-3) or zero_point != _QUANTISED[output.type][0]:
            least = _QUANTISED[output.type][0]
            given = f"its output has the scale {scale:.6g} and the zero point {zero_point}"
            remedy = "export the model again; exporters give softmax that scale"
            self._refuse_operator(operator, f"{given}; lowtide takes 1/256 and {least} there", remedy)
