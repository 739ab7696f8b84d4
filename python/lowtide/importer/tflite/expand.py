"""Operators that the converter does not take as LiteRT runs them, as others that it does.

None of this changes what the network computes. It comes after `check`, on whose rules it relies, and before `repair`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from tflite import BuiltinOperator

from lowtide.importer.lowered.library import is_lowered
from lowtide.importer.tflite.dilation import dilate
from lowtide.importer.tflite.grouped import as_depthwise, groups_of, part_of
from lowtide.importer.tflite.layout_shapes import split_sizes
from lowtide.importer.tflite.model import Model, Operator
from lowtide.importer.tflite.nearest import enlarge
from lowtide.importer.tflite.operands import axis_of
from lowtide.importer.tflite.rewrite import Rewrite
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
        change = _CHANGES.get(operator.code)
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


_B = BuiltinOperator
_CHANGES: Mapping[int, Callable[[Rewrite, Operator], None]] = {
    **dict.fromkeys((_B.CONV_2D, _B.DEPTHWISE_CONV_2D), _convolution),
    _B.FULLY_CONNECTED: _dense,
    **dict.fromkeys((_B.AVERAGE_POOL_2D, _B.MAX_POOL_2D), _pool),
    **dict.fromkeys((_B.SPLIT, _B.SPLIT_V), _split),
    _B.UNPACK: _unpack,
    _B.PACK: _pack,
    _B.PRELU: _prelu,
    _B.RESIZE_NEAREST_NEIGHBOR: enlarge,
}
