"""Windows that leave a remainder of the image along one axis while they reach beyond it along the other.

TOSA wants stride · (outputs − 1) + window = padded image exactly. The converter cuts off a remainder, but not where the
other axis is padded; so it is cut off here. The remainder is never read, thus nothing is computed differently.
"""

from __future__ import annotations

from dataclasses import replace

from lowtide.importer.tflite.model import Model, Operator
from lowtide.importer.tflite.rewrite import Rewrite

_SAME = 0


def cut_remainder(rewrite: Rewrite, operator: Operator, kernel: tuple[int, int]) -> Operator:
    """The operator on what its windows read of the image, where TOSA does not take the whole.

    Args:
        rewrite: gets the slice.
        operator: a convolution or a pool, checked.
        kernel: height and width of the window, without dilation.
    """
    image = rewrite.tensors[operator.inputs[0]].shape
    if operator.options.get("padding", _SAME) != _SAME:
        return operator
    reaches = [_reach(operator, image[axis + 1], kernel[axis], "hw"[axis]) for axis in (0, 1)]
    padded = [reach > size for reach, size in zip(reaches, image[1:3], strict=True)]
    left = [reach < size for reach, size in zip(reaches, image[1:3], strict=True)]
    if not any(padded) or not any(left):
        return operator
    height, width = (min(reach, size) for reach, size in zip(reaches, image[1:3], strict=True))
    shape = (image[0], height, width, image[3])
    cut = rewrite.like(operator.inputs[0], operator, "read", shape)
    rewrite.slice(operator, operator.inputs[0], (0, 0, 0, 0), shape, cut, "read")
    return replace(operator, inputs=(cut, *operator.inputs[1:]))


def kernel_of(model: Model | Rewrite, operator: Operator) -> tuple[int, int]:
    """Height and width of a convolution's or a pool's window, without dilation."""
    if len(operator.inputs) > 1:
        _, height, width, _ = model.tensors[operator.inputs[1]].shape
        return height, width
    return int_option(operator, "filter_height"), int_option(operator, "filter_width")


def int_option(operator: Operator, name: str, default: int = 0) -> int:
    """An integer option."""
    value = operator.options.get(name, default)
    return default if isinstance(value, tuple) else int(value)


def _reach(operator: Operator, size: int, taps: int, letter: str) -> int:
    """From the first element that the windows read to the last, both included, were the image endless."""
    stride = int_option(operator, f"stride_{letter}", 1)
    outputs = -(-size // stride)
    return (outputs - 1) * stride + (taps - 1) * int_option(operator, f"dilation_{letter}_factor", 1) + 1
