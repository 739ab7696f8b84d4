"""Operators that the converter does not take as LiteRT runs them, as others that it does.

None of this changes what the network computes. It comes after `check`, on whose rules it relies, and before `repair`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from tflite import ActivationFunctionType, BuiltinOperator

from lowtide.importer.lowered.library import is_lowered
from lowtide.importer.tflite.dilation import dilate
from lowtide.importer.tflite.grouped import as_depthwise, groups_of, part_of
from lowtide.importer.tflite.layout_shapes import split_sizes
from lowtide.importer.tflite.model import DTYPES, Model, Operator, Shape
from lowtide.importer.tflite.nearest import enlarge
from lowtide.importer.tflite.operands import Operands, axis_of
from lowtide.importer.tflite.rewrite import Rewrite
from lowtide.importer.tflite.shapes import axis_order, strided_steps
from lowtide.importer.tflite.transposed import convolve
from lowtide.importer.tflite.windows import cut_remainder, int_option, kernel_of

_MOST_GROUPS = 1 << 10
"""Groups of a convolution: each is a layer."""


def expand(model: Model, where: str) -> Model:
    """The model in operators that `repair` and the converter take, for a checked model without shape signatures.

    Raises:
        InputError: what LiteRT computes here cannot be said in those.
    """
    rewrite = Rewrite(dilate(model, where), where)
    for operator in rewrite.model.operators:
        change = CHANGES.get(operator.code)
        # what lowtide lowers itself is not for the converter
        if change is None or is_lowered(rewrite.model, operator):
            rewrite.operators.append(operator)
        else:
            change(rewrite, operator)
    return rewrite.done()


def _convolution(rewrite: Rewrite, operator: Operator) -> None:
    operator = _flat_bias(rewrite, operator)
    groups = groups_of(rewrite, operator)
    if groups > 1 and rewrite.tensors[operator.inputs[1]].shape[3] == 1:
        operator, groups = as_depthwise(rewrite, operator), 1
    operator = cut_remainder(rewrite, operator, kernel_of(rewrite, operator))
    if groups == 1:
        rewrite.operators.append(operator)
        return
    if groups > _MOST_GROUPS:
        rewrite.refuse(operator, f"it has {groups} groups of channels, more than {_MOST_GROUPS}")
    parts: list[int] = []
    for group in range(groups):
        part = part_of(rewrite, operator, group, groups)
        rewrite.operators.append(part)
        parts += part.outputs
    rewrite.emit(operator, BuiltinOperator.CONCATENATION, parts, operator.outputs[0], {"axis": 3})


def _dense(rewrite: Rewrite, operator: Operator) -> None:
    rewrite.operators.append(_flat_bias(rewrite, operator))


def _flat_bias(rewrite: Rewrite, operator: Operator) -> Operator:
    """Gives a bias one dimension: LiteRT goes by the number of its elements."""
    index = operator.inputs[2] if len(operator.inputs) > 2 else -1
    if index < 0 or len(rewrite.tensors[index].shape) == 1:
        return operator
    bias = rewrite.tensors[index]
    flat = rewrite.add(replace(bias, shape=(bias.elements,)), f"flat{operator.index}")
    return replace(operator, inputs=(*operator.inputs[:2], flat))


def _pool(rewrite: Rewrite, operator: Operator) -> None:
    rewrite.operators.append(cut_remainder(rewrite, operator, kernel_of(rewrite, operator)))


def _split(rewrite: Rewrite, operator: Operator) -> None:
    """SPLIT and SPLIT_V as slices."""
    inputs = [rewrite.tensors[index] for index in operator.inputs]
    axis, _ = split_sizes(operator, inputs, len(operator.outputs))
    source = operator.inputs[1 if operator.code == BuiltinOperator.SPLIT else 0]
    begin = [0] * len(rewrite.tensors[source].shape)
    for number, output in enumerate(operator.outputs):
        shape = rewrite.tensors[output].shape
        rewrite.slice(operator, source, begin, shape, output, f"part{number}")
        begin[axis] += shape[axis]


def _unpack(rewrite: Rewrite, operator: Operator) -> None:
    """UNPACK as slices of extent 1 and reshapes."""
    source = operator.inputs[0]
    shape = rewrite.tensors[source].shape
    axis = axis_of(int_option(operator, "axis"), len(shape))
    for number, output in enumerate(operator.outputs):
        begin = [number if at == axis else 0 for at in range(len(shape))]
        taken = tuple(1 if at == axis else size for at, size in enumerate(shape))
        part = rewrite.like(source, operator, f"part{number}", taken)
        rewrite.slice(operator, source, begin, taken, part, f"part{number}")
        rewrite.reshape(operator, part, output, f"part{number}/flat")


def _pack(rewrite: Rewrite, operator: Operator) -> None:
    """PACK as reshapes and a concatenation."""
    target = rewrite.tensors[operator.outputs[0]]
    axis = axis_of(int_option(operator, "axis"), len(target.shape))
    shape = (*target.shape[:axis], 1, *target.shape[axis + 1 :])
    parts: list[int] = []
    for number, index in enumerate(operator.inputs):
        # LiteRT copies the bytes; a concatenation would rescale them.
        if rewrite.tensors[index].quantization != target.quantization:
            rewrite.refuse(operator, f"the scale of its input {rewrite.tensors[index]} is not that of its output")
        part = rewrite.like(index, operator, f"part{number}", shape)
        parts.append(rewrite.reshape(operator, index, part, f"part{number}"))
    rewrite.emit(operator, BuiltinOperator.CONCATENATION, parts, operator.outputs[0], {"axis": axis})


def _prelu(rewrite: Rewrite, operator: Operator) -> None:
    """Gives PRELU's slopes one dimension less than its input, as the converter wants them: those but the batch's."""
    source, slopes = (rewrite.tensors[index] for index in operator.inputs)
    rank = len(source.shape) - 1
    if len(slopes.shape) > rank and slopes.shape[0] != 1:
        rewrite.refuse(operator, f"its slopes have the shape {list(slopes.shape)}, one for each of a batch")
    shape = (*[1] * (rank - len(slopes.shape)), *slopes.shape)[-rank:] if rank else ()
    if shape == slopes.shape:
        rewrite.operators.append(operator)
        return
    if slopes.data is not None:
        index = rewrite.add(replace(slopes, shape=shape), f"slopes{operator.index}")
    else:
        turned = rewrite.like(operator.inputs[1], operator, "slopes", shape)
        index = rewrite.reshape(operator, operator.inputs[1], turned, "slopes")
    rewrite.operators.append(replace(operator, inputs=(operator.inputs[0], index)))


def _each_axis_once(rewrite: Rewrite, operator: Operator) -> None:
    """Names the axes of a reduction once each, which LiteRT does not mind and the converter does."""
    operands = Operands(operator, [rewrite.tensors[index] for index in operator.inputs], ())
    named = operands.numbers(1)
    axes = sorted({axis_of(axis, len(operands.shape())) for axis in named})
    if len(axes) != len(named):
        operator = replace(operator, inputs=(operator.inputs[0], rewrite.integers(operator, "axes", axes)))
    rewrite.operators.append(operator)


def _strided_slice(rewrite: Rewrite, operator: Operator) -> None:
    """STRIDED_SLICE without new axes, an ellipsis and negative strides: a reshape and a reversal behind it do that."""
    steps = strided_steps(operator, [rewrite.tensors[index] for index in operator.inputs])
    plain = not any(operator.options.get(f"{name}_mask", 0) for name in ("ellipsis", "new_axis"))
    source, target = operator.inputs[0], operator.outputs[0]
    if plain and all(step.stride > 0 for step in steps) and len(steps) == len(rewrite.tensors[source].shape):
        rewrite.operators.append(operator)
        return
    old = [step for step in steps if not step.adds]
    parts = [step.taken if step.stride > 0 else step.taken[::-1] for step in old]
    options = {"shrink_axis_mask": sum(1 << axis for axis, step in enumerate(old) if step.shrinks)}
    shape = tuple(len(part) for part, step in zip(parts, old, strict=True) if not step.shrinks)
    backwards = [step.stride < 0 for step in old if not step.shrinks]
    later = [any(backwards), len(old) != len(steps)]
    inputs = [source]
    for name, values in (
        ("begin", [part[0] for part in parts]),
        ("end", [part[-1] + 1 for part in parts]),
        # a stride that leaves one element may be any number
        ("strides", [part.step if len(part) > 1 else 1 for part in parts]),
    ):
        inputs.append(rewrite.integers(operator, name, values))
    made = rewrite.like(source, operator, "forwards", shape) if any(later) else target
    rewrite.emit(operator, BuiltinOperator.STRIDED_SLICE, inputs, made, options)
    if later[0]:
        axes = rewrite.integers(operator, "axes", [axis for axis, turned in enumerate(backwards) if turned])
        turned = rewrite.like(source, operator, "turned", shape) if later[1] else target
        made = rewrite.emit(operator, BuiltinOperator.REVERSE_V2, (made, axes), turned)
    if later[1]:
        rewrite.reshape(operator, made, target, "new")


def _transpose(rewrite: Rewrite, operator: Operator) -> None:
    """Counts TRANSPOSE's axes from the front."""
    operands = Operands(operator, [rewrite.tensors[index] for index in operator.inputs], ())
    order = axis_order(operands)
    if order != operands.numbers(1):
        operator = replace(operator, inputs=(operator.inputs[0], rewrite.integers(operator, "order", order)))
    rewrite.operators.append(operator)


def _matrices(rewrite: Rewrite, operator: Operator) -> None:
    """BATCH_MATMUL with operands of one batch dimension, of the same extent: others are broadcast first.

    Where all matrices of the left are multiplied by the same one, their rows are those of one matrix.
    """
    left, right = (rewrite.tensors[index].shape for index in operator.inputs)
    target = operator.outputs[0]
    batch = np.broadcast_shapes(left[:-2], right[:-2])
    if left[:-2] == right[:-2] or math.prod(batch) == 1:
        rewrite.operators.append(operator)
        return
    made = rewrite.tensors[target].shape
    if math.prod(right[:-2]) == 1 and not operator.options.get("adj_x", 0):
        shapes = [(math.prod(left[:-1]), left[-1]), right[-2:], (math.prod(made[:-1]), made[-1])]
        inputs = list(operator.inputs)
    else:
        inputs = [_repeated(rewrite, operator, position, batch) for position in range(2)]
        shapes = [(math.prod(batch), *shape[-2:]) for shape in (left, right, made)]
    for position, shape in enumerate(shapes[:2]):
        inputs[position] = _reshaped(rewrite, operator, inputs[position], shape, f"flat{position}")
    product = rewrite.like(target, operator, "product", shapes[2])
    rewrite.emit(operator, BuiltinOperator.BATCH_MATMUL, inputs, product, operator.options)
    rewrite.reshape(operator, product, target, "product")


def _reshaped(rewrite: Rewrite, operator: Operator, index: int, shape: Shape, name: str) -> int:
    """An operand in another shape, a constant without an operator."""
    tensor = rewrite.tensors[index]
    if tensor.data is not None:
        return rewrite.add(replace(tensor, shape=shape), name)
    return rewrite.reshape(operator, index, rewrite.like(index, operator, name, shape), name)


def _repeated(rewrite: Rewrite, operator: Operator, position: int, batch: Shape) -> int:
    """An operand of BATCH_MATMUL with a matrix for each of the batch."""
    index = operator.inputs[position]
    shape = rewrite.tensors[index].shape
    wanted = (*batch, *shape[-2:])
    if shape == wanted:
        return index
    tensor = rewrite.tensors[index]
    if tensor.data is not None:
        values = np.broadcast_to(np.frombuffer(tensor.data, DTYPES[tensor.type]).reshape(shape), wanted)
        return rewrite.add(replace(tensor, shape=wanted, data=values.tobytes()), f"repeated{position}")
    made = rewrite.like(index, operator, f"repeated{position}", wanted)
    inputs = (index, rewrite.integers(operator, f"repeated{position}", wanted))
    return rewrite.emit(operator, BuiltinOperator.BROADCAST_TO, inputs, made)


def _root_pool(rewrite: Rewrite, operator: Operator) -> None:
    """L2_POOL_2D as the root of an average of squares."""
    source, target = operator.inputs[0], operator.outputs[0]
    code, options = BuiltinOperator, {**operator.options, "fused_activation_function": 0}
    squares = rewrite.like(source, operator, "squares", rewrite.tensors[source].shape)
    rewrite.emit(operator, code.SQUARE, (source,), squares)
    pooled = rewrite.like(target, operator, "pooled", rewrite.tensors[target].shape)
    average = Operator(operator.index, code.AVERAGE_POOL_2D, (squares,), (pooled,), options)
    rewrite.operators.append(cut_remainder(rewrite, average, kernel_of(rewrite, average)))
    activation = _ACTIVATIONS.get(int_option(operator, "fused_activation_function"))
    roots = target if activation is None else rewrite.like(target, operator, "roots", rewrite.tensors[target].shape)
    rewrite.emit(operator, code.SQRT, (pooled,), roots)
    if activation is not None:
        rewrite.emit(operator, activation, (roots,), target)


_B = BuiltinOperator
_ACTIVATIONS = {
    ActivationFunctionType.RELU: _B.RELU,
    ActivationFunctionType.RELU_N1_TO_1: _B.RELU_N1_TO_1,
    ActivationFunctionType.RELU6: _B.RELU6,
}
CHANGES: Mapping[int, Callable[[Rewrite, Operator], None]] = {
    **dict.fromkeys((_B.CONV_2D, _B.DEPTHWISE_CONV_2D), _convolution),
    _B.FULLY_CONNECTED: _dense,
    **dict.fromkeys((_B.AVERAGE_POOL_2D, _B.MAX_POOL_2D), _pool),
    **dict.fromkeys((_B.SPLIT, _B.SPLIT_V), _split),
    _B.UNPACK: _unpack,
    _B.PACK: _pack,
    _B.PRELU: _prelu,
    _B.RESIZE_NEAREST_NEIGHBOR: enlarge,
    _B.TRANSPOSE_CONV: convolve,
    _B.STRIDED_SLICE: _strided_slice,
    _B.TRANSPOSE: _transpose,
    _B.L2_POOL_2D: _root_pool,
    _B.BATCH_MATMUL: _matrices,
    **dict.fromkeys((_B.MEAN, _B.SUM, _B.REDUCE_MAX, _B.REDUCE_MIN), _each_axis_once),
}
"""By number of the schema's `BuiltinOperator`: what takes an operator that lowtide does not lower itself."""
