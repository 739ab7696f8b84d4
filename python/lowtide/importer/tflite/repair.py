"""Rewrites of what LiteRT computes and the converter refuses, drops or computes differently.

None changes what the network computes. The signature and the list of operators that `import_tflite` gives are those
from before.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from tflite import ActivationFunctionType, BuiltinOperator, TensorType

from lowtide.errors import InputError
from lowtide.importer.tflite.conversions import cast, quantize
from lowtide.importer.tflite.exact import tables
from lowtide.importer.tflite.model import Model, Operator, Tensor
from lowtide.importer.tflite.notes import Notes
from lowtide.importer.tflite.operators import BIASED, EIGHT_BIT_TYPES, SUPPORTED
from lowtide.importer.tflite.rewrite import Rewrite
from lowtide.importer.tflite.shapes import strided_steps

_ACTIVATIONS = {
    ActivationFunctionType.RELU: BuiltinOperator.RELU,
    ActivationFunctionType.RELU_N1_TO_1: BuiltinOperator.RELU_N1_TO_1,
    ActivationFunctionType.RELU6: BuiltinOperator.RELU6,
}
# What activations let through; None where there is no bound.
_BOUNDS: Mapping[int, tuple[int, int | None]] = {
    ActivationFunctionType.RELU: (0, None),
    ActivationFunctionType.RELU_N1_TO_1: (-1, 1),
    ActivationFunctionType.RELU6: (0, 6),
}
_EXPORT_AGAIN = "export the model again; exporters give both the same scale"


def unbatch(model: Model, where: str) -> Model:
    """Makes a dynamic batch 1 and drops the shape signatures.

    Raises:
        InputError: a dimension other than the first is dynamic.
    """
    changed: dict[int, Tensor] = {}
    used = {i for operator in model.operators for i in (*operator.inputs, *operator.outputs)}
    for index in sorted(used.union(model.inputs) - {-1}):
        tensor = model.tensors[index]
        dynamic = [dimension for dimension, size in enumerate(tensor.signature) if size < 0 and tensor.data is None]
        if any(dimension > 0 for dimension in dynamic):
            raise InputError(
                "importer",
                f"dimension {dynamic[-1]} is dynamic; lowtide takes static shapes (a dynamic batch becomes 1)",
                where=f"{where}, tensor {tensor}",
                remedy="say how large it is: --shape INPUT=1,16000 (each dimension of an input)",
            )
        shape = (1, *tensor.shape[1:]) if dynamic else tensor.shape
        changed[index] = replace(tensor, shape=shape, signature=())
    return model.with_tensors(changed)


def repair(model: Model, where: str, *, rounds_once: bool = False) -> tuple[Model, Notes]:
    """All repairs, for a checked model without shape signatures, and what is to be mended behind the converter.

    Args:
        model: what the converter is given.
        where: the file's name, for messages.
        rounds_once: all dense layers round once, as LiteRT's do; else those of uint8, which LiteRT Micro lacks.
    """
    rewrite = Rewrite(_unscale(model), where)
    for operator in model.operators:
        if SUPPORTED[operator.code].copies:
            _align_scale(rewrite, operator)
        change = _REPAIRS.get(operator.code)
        changed = change(rewrite, operator) if change else operator
        if changed is not None:
            rewrite.operators.append(changed)
    repaired = replace(model, tensors=tuple(rewrite.tensors), operators=tuple(rewrite.operators))
    pools = _made(repaired, BuiltinOperator.AVERAGE_POOL_2D, (TensorType.UINT8,))
    dense = _made(repaired, BuiltinOperator.FULLY_CONNECTED, EIGHT_BIT_TYPES if rounds_once else (TensorType.UINT8,))
    return repaired, Notes(rewrite.conversions, pools, tables(repaired), dense)


def _made(model: Model, code: int, types: Collection[int]) -> frozenset[str]:
    made = (model.tensors[operator.outputs[0]] for operator in model.operators if operator.code == code)
    return frozenset(tensor.name for tensor in made if tensor.type in types)


def _unscale(model: Model) -> Model:
    """Drops the scales of all but 8-bit tensors.

    A bias is stored at its operator's own scale, input times weights, and LiteRT Micro looks at no other. What files
    say of it is at times impossible (a scale of 0, an axis that the tensor has not), which the converter trips over.
    """
    bare = {i: replace(t, quantization=None) for i, t in enumerate(model.tensors) if t.type not in EIGHT_BIT_TYPES}
    return model.with_tensors(bare)


def _align_scale(rewrite: Rewrite, operator: Operator) -> None:
    """Gives the output of an operator that only moves bytes the scale of its input.

    LiteRT Micro looks at neither; the converter wants them equal. An operator that computes with the output's scale
    would now compute with another, so there must be none.
    """
    source, made = rewrite.tensors[operator.inputs[0]], rewrite.tensors[operator.outputs[0]]
    if source.quantization == made.quantization:
        return
    reader = _scale_reader(rewrite.model, operator.outputs[0])
    if reader is not None and _is_free(rewrite.model, operator.inputs[0]):
        # nothing else here goes by the input's scale
        rewrite.tensors[operator.inputs[0]] = replace(source, quantization=made.quantization)
        return
    if reader is not None:
        rewrite.refuse(
            operator,
            f"its input and its output have different scales, and operator {reader.index} {reader.name} "
            "computes with the latter",
            _EXPORT_AGAIN,
        )
    rewrite.tensors[operator.outputs[0]] = replace(made, quantization=source.quantization)


def _is_free(model: Model, tensor: int) -> bool:
    """Whether a tensor comes from outside, from what lowtide lowers itself say, and one operator alone reads it."""
    readers = sum(tensor in operator.inputs for operator in model.operators)
    return tensor not in model.producers() and readers == 1


def _scale_reader(model: Model, tensor: int) -> Operator | None:
    """The first operator that computes with a tensor's scale, perhaps after others that move its bytes."""
    moved = {tensor}
    for operator in model.operators:
        if moved.isdisjoint(operator.inputs):
            continue
        if not SUPPORTED[operator.code].copies:
            return operator
        moved.update(operator.outputs)
    return None


def _positive_weight_scales(rewrite: Rewrite, operator: Operator) -> Operator:
    """Negates the weights, the bias and the scale of output channels whose scale is negative.

    The products stay what they are, and so does LiteRT's rounding, which goes by the product's sign. TOSA's
    multipliers must not be negative.
    """
    quantization = rewrite.tensors[operator.inputs[1]].quantization
    if quantization is None or min(quantization.scales) >= 0:
        return operator
    signs = np.where(np.array(quantization.scales) < 0, -1, 1)
    inputs = list(operator.inputs)
    for position, dtype in ((1, np.int8), (2, np.int32)):
        if position >= len(inputs) or inputs[position] < 0:
            continue
        negated = _negated(rewrite.tensors[inputs[position]], dtype, signs)
        if negated is None:
            rewrite.refuse(operator, f"the scale of its input {position} is negative, and its values cannot be negated")
        inputs[position] = rewrite.add(negated, f"negated{operator.index}")
    return replace(operator, inputs=tuple(inputs))


def _negated(tensor: Tensor, dtype: type[np.int8] | type[np.int32], signs: npt.NDArray[np.int64]) -> Tensor | None:
    """Weights or a bias times `signs`, one a channel (or one for all); None on overflow."""
    quantization = tensor.quantization
    shape = [1] * len(tensor.shape)
    if len(signs) > 1:
        shape = list(tensor.shape)
        if quantization:
            shape = [len(signs) if axis == quantization.axis else 1 for axis in range(len(shape))]
    values = np.frombuffer(tensor.data or b"", dtype).reshape(tensor.shape).astype(np.int64) * signs.reshape(shape)
    if np.any(values != values.astype(dtype)):
        return None
    scaled = quantization and replace(quantization, scales=tuple(abs(scale) for scale in quantization.scales))
    return replace(tensor, data=values.astype(dtype).tobytes(), quantization=scaled)


def _requantise_inputs(rewrite: Rewrite, operator: Operator) -> Operator:
    """Inserts `ADD 0` before a uint8 concatenation for inputs whose scale is not the output's.

    LiteRT's uint8 kernel (`ConcatenationWithScaling`) rescales them in float32 and rounds once. So does ADD, but for
    values within 2⁻¹⁹ of a half; QUANTIZE would round twice and be off by one in a quarter of the cases. The int8
    kernels don't rescale (LiteRT refuses, LiteRT Micro copies the bytes as they are), so int8 is refused here.
    """
    target = rewrite.tensors[operator.outputs[0]]
    inputs: list[int] = []
    for position, index in enumerate(operator.inputs):
        source = rewrite.tensors[index]
        if source.quantization == target.quantization:
            inputs.append(index)
            continue
        if source.type != TensorType.UINT8:
            rewrite.refuse(
                operator,
                f"the scale of its input {source} is not that of its output, which LiteRT allows for uint8 only",
                _EXPORT_AGAIN,
            )
        scaled = replace(source, name=target.name, quantization=target.quantization, data=None)
        zero_point = source.quantization.zero_points[0] if source.quantization else 0
        zero = replace(source, name=target.name, shape=(1,) * len(source.shape), data=bytes([zero_point]))
        operands = (index, rewrite.add(zero, f"zero{position}"))
        inputs.append(rewrite.emit(operator, BuiltinOperator.ADD, operands, rewrite.add(scaled, f"input{position}")))
    return replace(operator, inputs=tuple(inputs))


def _reshape(rewrite: Rewrite, operator: Operator) -> Operator:
    """Makes one RESHAPE of all operators that change nothing but the shape, and its shape that of its output.

    Files have it in an operand or an option, with −1 for a dimension or with a batch.
    """
    shape = rewrite.tensors[operator.outputs[0]].shape
    inputs = (operator.inputs[0], rewrite.integers(operator, "shape", shape))
    return Operator(operator.index, BuiltinOperator.RESHAPE, inputs, operator.outputs)


def _axis_from_front(rewrite: Rewrite, operator: Operator) -> Operator:
    """Counts GATHER's axis from the front: the converter leaves a negative one unconverted."""
    axis = operator.options["axis"]
    if not isinstance(axis, int) or axis >= 0:
        return operator
    return replace(
        operator, options={**operator.options, "axis": axis + len(rewrite.tensors[operator.inputs[0]].shape)}
    )


def _plain_steps(rewrite: Rewrite, operator: Operator) -> Operator:
    """Resolves STRIDED_SLICE's masks, negative indices and ends beyond the input: the converter trusts them."""
    steps = strided_steps(operator, [rewrite.tensors[index] for index in operator.inputs])
    inputs = [operator.inputs[0]]
    for part, values in (
        ("begin", [step.begin for step in steps]),
        ("end", [step.end for step in steps]),
        ("strides", [step.stride for step in steps]),
    ):
        inputs.append(rewrite.integers(operator, part, values))
    shrunk = sum(1 << axis for axis, step in enumerate(steps) if step.shrinks)
    return replace(operator, inputs=tuple(inputs), options={"shrink_axis_mask": shrunk})


def _split_activation(rewrite: Rewrite, operator: Operator) -> Operator:
    """Makes the activation of a pooling an operator of its own: the converter drops it."""
    activation = _ACTIVATIONS.get(int(_scalar(operator, "fused_activation_function")))
    if activation is None:
        return operator
    pooled = rewrite.add(rewrite.tensors[operator.outputs[0]], "pooled")
    options = {**operator.options, "fused_activation_function": ActivationFunctionType.NONE}
    rewrite.operators.append(replace(operator, outputs=(pooled,), options=options))
    return Operator(operator.index, activation, (pooled,), operator.outputs)


def _clamp_integers(rewrite: Rewrite, operator: Operator) -> Operator:
    """Makes the activation of int32 arithmetic a maximum and a minimum: the converter refuses it there."""
    made = rewrite.tensors[operator.outputs[0]]
    low, high = _BOUNDS.get(int(_scalar(operator, "fused_activation_function")), (None, None))
    if made.type != TensorType.INT32 or low is None:
        return operator
    options = {**operator.options, "fused_activation_function": ActivationFunctionType.NONE}
    value = rewrite.add(made, "unclamped")
    rewrite.operators.append(replace(operator, outputs=(value,), options=options))

    def bounded(code: int, bound: int) -> Operator:
        constant = replace(made, shape=(1,) * len(made.shape), data=np.int32(bound).tobytes())
        return Operator(operator.index, code, (value, rewrite.add(constant, f"bound{bound}")), operator.outputs)

    if high is not None:
        raised = rewrite.add(made, "raised")
        rewrite.operators.append(replace(bounded(BuiltinOperator.MAXIMUM, low), outputs=(raised,)))
        value = raised
        return bounded(BuiltinOperator.MINIMUM, high)
    return bounded(BuiltinOperator.MAXIMUM, low)


def _scalar(operator: Operator, option: str) -> int | float:
    value = operator.options.get(option, 0)
    return 0 if isinstance(value, tuple) else value


def _scalar_padding(rewrite: Rewrite, operator: Operator) -> Operator:
    """Gives PADV2's one padding value no dimensions: the converter refuses the [1] that LiteRT takes."""
    value = rewrite.tensors[operator.inputs[2]]
    if not value.shape or value.elements != 1:
        return operator
    scalar = rewrite.add(replace(value, shape=()), f"scalar{operator.index}")
    return replace(operator, inputs=(*operator.inputs[:2], scalar))


_REPAIRS: Mapping[int, Callable[[Rewrite, Operator], Operator | None]] = {
    **dict.fromkeys(BIASED, _positive_weight_scales),
    BuiltinOperator.CONCATENATION: _requantise_inputs,
    **dict.fromkeys((BuiltinOperator.ADD, BuiltinOperator.SUB, BuiltinOperator.MUL), _clamp_integers),
    BuiltinOperator.STRIDED_SLICE: _plain_steps,
    BuiltinOperator.GATHER: _axis_from_front,
    BuiltinOperator.AVERAGE_POOL_2D: _split_activation,
    BuiltinOperator.MAX_POOL_2D: _split_activation,
    BuiltinOperator.CAST: cast,
    BuiltinOperator.QUANTIZE: quantize,
    **dict.fromkeys((BuiltinOperator.RESHAPE, BuiltinOperator.SQUEEZE, BuiltinOperator.EXPAND_DIMS), _reshape),
    BuiltinOperator.PADV2: _scalar_padding,
}
