"""RESIZE_NEAREST_NEIGHBOR: which row and column of the input each one of the output takes is known at import.

TOSA's own resize rounds the places otherwise than LiteRT.
"""

from __future__ import annotations

import numpy as np
from tflite import BuiltinOperator

from lowtide.importer.tflite.model import Operator
from lowtide.importer.tflite.rewrite import Rewrite
from lowtide.importer.tflite.windows import int_option

_HALF = np.float32(0.5)
_MOST = 1 << 16
"""Rows or columns of an output: no arena holds more, and each is listed here."""


def enlarge(rewrite: Rewrite, operator: Operator) -> None:
    """Repeats rows and columns where each is taken equally often, one after the other; else gathers them."""
    source, output = operator.inputs[0], operator.outputs[0]
    (batch, height, width, channels), made = rewrite.tensors[source].shape, rewrite.tensors[output].shape
    if max(made[1:3]) > _MOST:
        rewrite.refuse(operator, f"its output has {max(made[1:3])} rows or columns, more than {_MOST}")
    rows, columns = _places(operator, height, made[1]), _places(operator, width, made[2])
    repeats = [_repeats(rows, height), _repeats(columns, width)]
    if repeats[0] and repeats[1]:
        apart = rewrite.like(source, operator, "apart", (batch, height, 1, width, 1, channels))
        rewrite.reshape(operator, source, apart, "apart")
        shape = (batch, height, repeats[0], width, repeats[1], channels)
        repeated = rewrite.like(source, operator, "repeated", shape)
        counts = rewrite.integers(operator, "repeats", (1, 1, repeats[0], 1, repeats[1], 1))
        rewrite.emit(operator, BuiltinOperator.TILE, (apart, counts), repeated)
        rewrite.reshape(operator, repeated, output, "joined")
        return
    taken = rewrite.like(source, operator, "rows", (batch, made[1], width, channels))
    indices = rewrite.integers(operator, "rows/indices", rows)
    rewrite.emit(operator, BuiltinOperator.GATHER, (source, indices), taken, {"axis": 1})
    indices = rewrite.integers(operator, "columns/indices", columns)
    rewrite.emit(operator, BuiltinOperator.GATHER, (taken, indices), output, {"axis": 2})


def _places(operator: Operator, inputs: int, outputs: int) -> list[int]:
    """For each row or column of the output that of the input, in LiteRT's floats (`GetNearestNeighbor`)."""
    corners = bool(int_option(operator, "align_corners"))
    scale = np.float32(inputs) / np.float32(outputs)
    if corners and outputs > 1:
        scale = np.float32(inputs - 1) / np.float32(outputs - 1)
    at = np.arange(outputs, dtype=np.float32)
    if int_option(operator, "half_pixel_centers"):
        at = at + _HALF
    at = at * scale
    # LiteRT rounds halves up here: places are not negative.
    whole = np.floor(at + _HALF) if corners else np.floor(at)
    return np.clip(whole.astype(np.int64), 0, inputs - 1).tolist()


def _repeats(places: list[int], inputs: int) -> int:
    """How often each row or column is taken, if all are equally often and in order; else 0."""
    times = len(places) // inputs
    if times * inputs != len(places):
        return 0
    return times if places == [place for place in range(inputs) for _ in range(times)] else 0
