"""SPACE_TO_BATCH_ND → convolution → BATCH_TO_SPACE_ND: how exporters write a dilated convolution.

Element y of batch i of the blocked image is the padded image's element y · block + i, so that a window of neighbours
there is a window of every block-th element here: dilated by the block, at every place of the padded image. Crops leave
out the first and the last of those places, and so as much padding less does the same.

Padding is the zero point, as TensorFlow defines it and LiteRT has it. LiteRT Micro's SPACE_TO_BATCH_ND never sets the
value that it pads int8 with, which then is 0 as a rule: there, and only there, it computes another network.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tflite import BuiltinOperator

from lowtide.importer.tflite.layout_shapes import blocks
from lowtide.importer.tflite.model import Model, Operator
from lowtide.importer.tflite.rewrite import Rewrite
from lowtide.importer.tflite.windows import int_option

_VALID = 1
_CONVOLUTIONS = (BuiltinOperator.CONV_2D, BuiltinOperator.DEPTHWISE_CONV_2D)
_IMAGE = 2
"""Spatial axes of an image: height and width."""


@dataclass(frozen=True)
class _Dilated:
    """Three operators that are one dilated convolution.

    Attributes:
        scatter, convolution, gather: the operators, in order.
        block: the dilation in height and width.
        paddings: elements before and after the image in height and width; below 0 where the image is cut.
    """

    scatter: Operator
    convolution: Operator
    gather: Operator
    block: tuple[int, int]
    paddings: tuple[tuple[int, int], tuple[int, int]]


def dilate(model: Model, where: str) -> Model:
    """Makes one convolution of all that are written with blocks; others stay, and the blocks are moved as they say."""
    found = {id(group.gather): group for operator in model.operators if (group := _group(model, operator))}
    if not found:
        return model
    gone = {id(operator) for group in found.values() for operator in (group.scatter, group.convolution)}
    rewrite = Rewrite(model, where)
    for operator in model.operators:
        group = found.get(id(operator))
        if group is not None:
            _emit(rewrite, group)
        elif id(operator) not in gone:
            rewrite.operators.append(operator)
    return rewrite.done()


def _group(model: Model, gather: Operator) -> _Dilated | None:
    """The dilated convolution that ends with this operator; None where there is none, or others read what is inside."""
    if gather.code != BuiltinOperator.BATCH_TO_SPACE_ND:
        return None
    producers = model.producers()
    convolution = producers.get(gather.inputs[0])
    scatter = producers.get(convolution.inputs[0]) if convolution else None
    if convolution is None or scatter is None or scatter.code != BuiltinOperator.SPACE_TO_BATCH_ND:
        return None
    if not _is_plain(convolution) or not _is_private(model, scatter, convolution):
        return None
    tensors = model.tensors
    image, blocked, made, result = (
        tensors[index] for index in (scatter.inputs[0], scatter.outputs[0], gather.inputs[0], gather.outputs[0])
    )
    sizes, paddings = blocks(scatter, [tensors[index] for index in scatter.inputs])
    gathered, crops = blocks(gather, [tensors[index] for index in gather.inputs])
    scaled_alike = image.quantization == blocked.quantization and made.quantization == result.quantization
    if not scaled_alike or len(image.shape) != _IMAGE + 2 or sizes != gathered or len(sizes) > _IMAGE:
        return None
    # One block alone divides the rows.
    (high, wide) = (*sizes, 1)[:_IMAGE]
    (top, bottom), (left, right) = (
        (before - first, after - last)
        for (before, after), (first, last) in zip((*paddings, (0, 0))[:_IMAGE], (*crops, (0, 0))[:_IMAGE], strict=True)
    )
    cuts = [max(0, -before) + max(0, -after) for before, after in ((top, bottom), (left, right))]
    if any(cut >= size for cut, size in zip(cuts, image.shape[1:3], strict=True)):
        return None
    return _Dilated(scatter, convolution, gather, (high, wide), ((top, bottom), (left, right)))


def _is_plain(convolution: Operator) -> bool:
    """Whether it goes from element to element and adds no padding of its own in the blocks."""
    steps = ("stride_h", "stride_w", "dilation_h_factor", "dilation_w_factor")
    return (
        convolution.code in _CONVOLUTIONS
        and convolution.options.get("padding") == _VALID
        and all(int_option(convolution, step, 1) == 1 for step in steps)
    )


def _is_private(model: Model, scatter: Operator, convolution: Operator) -> bool:
    """Whether nothing else needs what is computed inside."""
    inside = (scatter.outputs[0], convolution.outputs[0])
    return all(len(model.consumers(index)) == 1 and index not in model.outputs for index in inside)


def _emit(rewrite: Rewrite, group: _Dilated) -> None:
    """The convolution on the image, cut and padded."""
    source = group.scatter.inputs[0]
    cuts = [(max(0, -before), max(0, -after)) for before, after in group.paddings]
    if any(amount for cut in cuts for amount in cut):
        source = _cut(rewrite, group.gather, source, cuts)
    pads = [(max(0, before), max(0, after)) for before, after in group.paddings]
    if any(amount for pad in pads for amount in pad):
        source = _pad(rewrite, group.gather, source, pads)
    high, wide = group.block
    options = {**group.convolution.options, "dilation_h_factor": high, "dilation_w_factor": wide}
    inputs = (source, *group.convolution.inputs[1:])
    rewrite.operators.append(replace(group.convolution, inputs=inputs, outputs=group.gather.outputs, options=options))


def _cut(rewrite: Rewrite, served: Operator, source: int, cuts: list[tuple[int, int]]) -> int:
    batch, height, width, channels = rewrite.tensors[source].shape
    shape = (batch, height - sum(cuts[0]), width - sum(cuts[1]), channels)
    cut = rewrite.like(source, served, "read", shape)
    return rewrite.slice(served, source, (0, cuts[0][0], cuts[1][0], 0), shape, cut, "read")


def _pad(rewrite: Rewrite, served: Operator, source: int, pads: list[tuple[int, int]]) -> int:
    batch, height, width, channels = rewrite.tensors[source].shape
    padded = rewrite.like(source, served, "padded", (batch, height + sum(pads[0]), width + sum(pads[1]), channels))
    amounts = rewrite.integers(served, "padded/amounts", (0, 0, *pads[0], *pads[1], 0, 0), (4, 2))
    return rewrite.emit(served, BuiltinOperator.PAD, (source, amounts), padded)
