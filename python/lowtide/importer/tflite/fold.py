"""What is known of a network before it runs: the shapes that a dynamic batch of 1 gives, and constants.

Exporters compute shapes in the network itself where the batch is dynamic: Flatten becomes SHAPE → STRIDED_SLICE →
PACK → RESHAPE. With the batch fixed, SHAPE is a constant, and so is all arithmetic on it.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from tflite import BuiltinOperator, TensorType

from lowtide.importer.tflite.fold_rules import DTYPES, MOST_ELEMENTS, RULES, Array, Known
from lowtide.importer.tflite.model import Model, Operator, Shape, Tensor
from lowtide.importer.tflite.operands import ShapeError
from lowtide.importer.tflite.operators import EIGHT_BIT_TYPES, FOLDED, SUPPORTED
from lowtide.importer.tflite.specs import shapes_for, spec_for, states_of

_RESHAPES = (BuiltinOperator.RESHAPE, BuiltinOperator.SQUEEZE, BuiltinOperator.EXPAND_DIMS)
_UNTYPED = (BuiltinOperator.SHAPE, BuiltinOperator.RANK, BuiltinOperator.ZEROS_LIKE)
"""They look at their operand's shape alone."""


def fold(model: Model) -> Model:
    """Makes dynamic batches of inputs 1, infers the dynamic shapes that follow, and evaluates what is then constant.

    Integers and booleans are computed as LiteRT does; numbers of other types are only moved and filled in. Operators
    whose operands do not fit each other stay as they are, for `check` to refuse.
    """
    folder = Fold(model)
    kept = [operator for operator in model.operators if not folder.done(operator)]
    return replace(model, tensors=tuple(folder.tensors), operators=tuple(kept))


class Fold:
    """What is known of the tensors of a model while its operators are gone through in order."""

    def __init__(self, model: Model) -> None:
        # A file without `has_rank` stores a scalar as it stores an unknown shape. LiteRT takes it as a scalar.
        self.tensors = [replace(tensor, ranked=True) for tensor in model.tensors]
        for index in model.inputs:
            self.tensors[index] = _batch_of_one(self.tensors[index])

    def done(self, operator: Operator) -> bool:
        """Infers the shapes of an operator's outputs; whether it was evaluated and need not run."""
        inputs = [self.tensors[index] if index >= 0 else None for index in operator.inputs]
        given = [tensor for tensor in inputs if tensor is not None]
        made = [self.tensors[index] for index in operator.outputs if index >= 0]
        if not _is_sound(operator, inputs, made):
            return False
        try:
            if spec_for(operator, inputs, made) is not None:
                states = len(states_of(operator, inputs, made))
                # they are outputs once `remember` has made them so
                states = states if len(made) > states else 0
                own, kept = made[: len(made) - states], made[len(made) - states :]
                declared = [_declared(operator, inputs, tensor) for tensor in own]
                shapes = shapes_for(operator, inputs, own, declared)
                made = [
                    replace(tensor, shape=shape, signature=()) if _is_dynamic(tensor) else tensor
                    for tensor, shape in zip(own, shapes, strict=True)
                ] + kept
            values = _evaluated(operator, given, made) if len(given) == len(inputs) and _is_small(given, made) else None
        except ShapeError:
            return False
        for index, tensor in zip(operator.outputs, made, strict=True):
            self.tensors[index] = tensor
        if values is None:
            return False
        for index, tensor, array in zip(operator.outputs, made, values, strict=True):
            data = np.ascontiguousarray(array, DTYPES[tensor.type]).tobytes()
            self.tensors[index] = replace(tensor, shape=array.shape, signature=(), data=data)
        return True


def _is_sound(operator: Operator, inputs: list[Tensor | None], made: list[Tensor]) -> bool:
    """Whether the rules can look at an operator: they trust its numbers of operands, its options, and known shapes."""
    spec = spec_for(operator, inputs, made) or FOLDED.get(operator.code)
    given = [tensor for tensor in inputs if tensor is not None]
    if spec is None or not given or min(operator.outputs, default=-1) < 0:
        return False
    return (
        spec.inputs[0] <= len(operator.inputs) <= spec.inputs[1]
        and spec.outputs[0] <= len(operator.outputs) <= spec.outputs[1]
        and all(option.allows(operator.options.get(option.name, option.default)) for option in spec.options)
        and all(min(tensor.shape, default=1) >= 1 for tensor in given)
        and all(tensor.data is not None or not _is_dynamic(tensor) for tensor in given)
    )


def _batch_of_one(tensor: Tensor) -> Tensor:
    if not tensor.signature or tensor.signature[0] >= 0 or min(tensor.signature[1:], default=0) < 0:
        return tensor
    return replace(tensor, shape=(1, *tensor.shape[1:]), signature=())


def _is_dynamic(tensor: Tensor) -> bool:
    return min(tensor.signature, default=0) < 0


def _declared(operator: Operator, inputs: list[Tensor | None], made: Tensor) -> Shape:
    """The shape of an output as the file has it; where that is dynamic and RESHAPE's or its like's, as it must be."""
    source = inputs[0]
    if operator.code not in _RESHAPES or not _is_dynamic(made) or source is None:
        return made.shape
    wanted = made.signature
    operand = inputs[1] if len(inputs) > 1 and operator.code == BuiltinOperator.RESHAPE else None
    if operand is not None and operand.data is not None and operand.type == TensorType.INT32:
        wanted = tuple(np.frombuffer(operand.data, np.int32).tolist())
    # Exactly one dimension can follow from the number of elements.
    known = math.prod(size for size in wanted if size >= 0)
    if sum(size < 0 for size in wanted) > 1 or known == 0:
        raise ShapeError("more than one dimension of its output is dynamic")
    return tuple(source.elements // known if size < 0 else size for size in wanted)


def _evaluated(operator: Operator, inputs: list[Tensor], made: list[Tensor]) -> list[Array] | None:
    """The values of an operator's outputs; None where they are not known when the model is imported.

    Raises:
        ShapeError: the operands don't fit each other.
    """
    rule = RULES.get(operator.code)
    values = [_values(tensor) for tensor in inputs]
    types = {tensor.type for tensor in made}
    if rule is None or not types <= DTYPES.keys() or not _is_integer_work(operator, inputs, made):
        return None
    if operator.code in _UNTYPED:
        known = [np.zeros((), np.int32)]
    else:
        known = [array for array in values if array is not None]
        if len(known) != len(values):
            return None
    with np.errstate(over="ignore"):
        results = rule(Known(operator, inputs, known, made))
    if len(results) != len(made):
        raise ShapeError(f"it makes {len(results)} tensors, and has {len(made)} outputs")
    return results


def _is_small(inputs: list[Tensor], made: list[Tensor]) -> bool:
    """Whether what an operator makes is no larger than what it is made of, or small as shapes are."""
    given = sum(tensor.elements for tensor in {id(tensor): tensor for tensor in inputs}.values())
    return sum(tensor.elements for tensor in made) <= max(given, MOST_ELEMENTS)


def _is_integer_work(operator: Operator, inputs: list[Tensor], made: list[Tensor]) -> bool:
    """Whether an operator computes in plain integers, or does not compute at all."""
    spec = SUPPORTED.get(operator.code)
    if operator.code in (*_UNTYPED, BuiltinOperator.FILL) or (spec is not None and spec.copies):
        return True
    if operator.code == BuiltinOperator.DEQUANTIZE:
        # weights that are stored as halves of floats
        return inputs[0].type == TensorType.FLOAT16
    plain = (TensorType.INT32, TensorType.INT64, TensorType.BOOL)
    if operator.code == BuiltinOperator.CAST:
        return inputs[0].type in plain and made[0].type not in EIGHT_BIT_TYPES
    return all(tensor.type in plain for tensor in (*inputs, *made))


def _values(tensor: Tensor) -> Array | None:
    dtype = DTYPES.get(tensor.type)
    if tensor.data is None or dtype is None or len(tensor.data) != tensor.elements * np.dtype(dtype).itemsize:
        return None
    return np.frombuffer(tensor.data, dtype).reshape(tensor.shape)
