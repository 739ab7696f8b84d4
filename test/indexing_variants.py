"""Random variants of operators that pick elements by indices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from operator_nets import BYTES, FLOAT, INT8, INT32, INT64, Draw, NotDrawnError, Variant


def _mirrored(d: Draw, x: int) -> int:
    shape = d.of(x).shape
    edge = d.number(0, 1)
    amounts = [[d.number(0, min(3, size - 1 + edge)) for _ in range(2)] for size in shape]
    if len(shape) == 4:
        amounts[0] = [0, 0]
    padded = [size + sum(pair) for size, pair in zip(shape, amounts, strict=True)]
    return d.operator("MIRROR_PAD", (x, d.constant(np.array(amounts, np.int32))), d.like(x, padded), {"mode": edge})


def _one_hot(d: Draw, x: int) -> int:
    shape = d.of(x).shape
    axis = d.number(-1, len(shape))
    depth = d.number(1, 6)
    d.ranges[x] = (-1, depth)
    dtype = d.pick((FLOAT, INT8, INT32))
    values = [d.filled((), dtype, **({"scale": 0.1, "zero_point": 0} if dtype == INT8 else {})) for _ in range(2)]
    place = len(shape) if axis < 0 else axis
    output = d.like(values[0], (*shape[:place], depth, *shape[place:]))
    return d.operator("ONE_HOT", (x, d.constant(np.array(depth, np.int32)), *values), output, {"axis": axis})


def _indices(d: Draw, shape: Sequence[int], most: int) -> int:
    """Indices from 0 to `most`, known or not."""
    if d.chance(0.5):
        return d.constant(d.rng.integers(0, most + 1, shape).astype(np.int32))
    index = d.input(shape, INT32)
    d.ranges[index] = (0, most)
    return index


def _gathered_in_batches(d: Draw, x: int) -> int:
    shape = d.of(x).shape
    batches = d.number(1, len(shape) - 1)
    axis = d.number(batches, len(shape) - 1)
    named = d.shape(d.number(0, 2), 3)
    indices = _indices(d, (*shape[:batches], *named), shape[axis] - 1)
    output = d.like(x, (*shape[:axis], *named, *shape[axis + 1 :]))
    return d.operator("GATHER", (x, indices), output, {"axis": axis, "batch_dims": batches})


def _gathered_nd(d: Draw, x: int) -> int:
    shape = d.of(x).shape
    named, outer = d.number(1, len(shape)), d.shape(d.number(0, 2), 3)
    indices = _indices(d, (*outer, named), min(shape[:named]) - 1)
    return d.operator("GATHER_ND", (x, indices), d.like(x, (*outer, *shape[named:])))


def _embedded(d: Draw, x: int) -> int:
    columns = d.shape(d.number(1, 2), 5)
    rows = d.number(1, 7)
    d.ranges[x] = (0, rows - 1)
    table = d.filled((rows, *columns), d.pick((FLOAT, INT8)), scale=0.1, zero_point=0)
    made_of = (*d.of(x).shape, *columns)
    output = d.tensor(made_of, FLOAT) if d.chance(0.5) else d.like(table, made_of)
    if d.dtype(table) != d.dtype(output):
        d.alone = True
    return d.operator("EMBEDDING_LOOKUP", (x, table), output)


def _updated(d: Draw, x: int) -> int:
    shape = d.of(x).shape
    part = d.input([d.number(1, size) for size in shape], d.dtype(x), **_scale_of(d, x))
    starts = d.input((len(shape),), INT32)
    d.ranges[starts] = (-2, max(shape) + 1)
    return d.operator("DYNAMIC_UPDATE_SLICE", (x, part, starts), d.like(x))


def _scale_of(d: Draw, x: int) -> dict[str, float]:
    return {"scale": d.scale_of(x)} if d.dtype(x) in BYTES else {}


def _sliced_backwards(d: Draw, x: int) -> int:
    """STRIDED_SLICE with strides of both signs, axes that are dropped or new, and perhaps an ellipsis."""
    shape = d.of(x).shape
    begins: list[int] = []
    ends: list[int] = []
    strides: list[int] = []
    left: list[int] = []
    masks: dict[str, int] = dict.fromkeys(
        ("begin_mask", "end_mask", "ellipsis_mask", "new_axis_mask", "shrink_axis_mask"), 0
    )

    def named(begin: int, end: int, stride: int) -> int:
        for values, value in ((begins, begin), (ends, end), (strides, stride)):
            values.append(value)
        return 1 << len(begins) - 1

    covered = sorted(d.rng.integers(0, len(shape) + 1, 2).tolist()) if d.chance(0.3) else [-1, -1]
    if covered[0] == covered[1] >= 0:
        raise NotDrawnError
    for axis, size in enumerate(shape):
        if axis == covered[0]:
            masks["ellipsis_mask"] |= named(0, 0, 1)
        if covered[0] <= axis < covered[1]:
            left.append(size)
            continue
        if d.chance(0.15):
            masks["new_axis_mask"] |= named(0, 0, 1)
            left.append(1)
        if d.chance(0.15):
            masks["shrink_axis_mask"] |= named(d.number(-size, size - 1), 0, 1)
            continue
        stride = d.pick((1, 2, -1, -1, -2))
        first, last = sorted((d.number(0, size - 1), d.number(0, size - 1)))
        begin, end = (first, last + 1) if stride > 0 else (last, first - 1)
        bit = named(begin, end if end >= 0 else -size - 1, stride)
        if d.chance(0.3):
            masks["begin_mask"] |= bit
            begin = 0 if stride > 0 else size - 1
        if d.chance(0.3):
            masks["end_mask"] |= bit
            end = size if stride > 0 else -1
        left.append(len(range(begin, end, stride)))
    if not left or len(left) > 4 or (len(left) == 4 and left[0] != 1):
        raise NotDrawnError
    inputs = (x, *(d.numbers(values) for values in (begins, ends, strides)))
    return d.operator("STRIDED_SLICE", inputs, d.like(x, left), {**masks})


def _root_pooled(d: Draw, x: int) -> int:
    _, height, width, channels = d.of(x).shape
    size = [d.number(1, extent) for extent in (height, width)]
    stride = d.number(1, 2)
    left = [-(-(extent - taps + 1) // stride) for extent, taps in zip((height, width), size, strict=True)]
    options = {
        **dict.fromkeys(("stride_h", "stride_w"), stride),
        **dict(zip(("filter_height", "filter_width"), size, strict=True)),
        "padding": 1,
        "fused_activation_function": d.pick((0, 1, 2, 3)),
    }
    return d.operator("L2_POOL_2D", (x,), d.tensor((1, *left, channels), FLOAT), options)


def _full(d: Draw, x: int) -> int:
    shape = d.shape(d.number(1, 3), 5)
    one = d.operator("GATHER_ND", (x, d.numbers([0] * len(d.of(x).shape))), d.like(x, ()))
    return d.operator("FILL", (d.numbers(shape), one), d.like(x, shape))


_MOVED = (FLOAT, INT8)
INDEXING: dict[str, Variant] = {
    "MIRROR_PAD": Variant(_mirrored, _MOVED, nan=True),
    "ONE_HOT": Variant(_one_hot, (INT32, INT64), (1, 2, 3)),
    "GATHER_IN_BATCHES": Variant(_gathered_in_batches, (FLOAT, INT8, INT32), (2, 3, 4), nan=True),
    "FILL": Variant(_full, (FLOAT, INT8), nan=True),
    "GATHER_ND": Variant(_gathered_nd, (FLOAT, INT8), nan=True),
    "EMBEDDING_LOOKUP": Variant(_embedded, (INT32,), (1,)),
    "DYNAMIC_UPDATE_SLICE": Variant(_updated, (FLOAT, INT8, INT32), nan=True),
    "SLICED_BACKWARDS": Variant(_sliced_backwards, (FLOAT, INT8, INT32), nan=True),
    "L2_POOL_2D": Variant(_root_pooled, (FLOAT,), (4,), rounds=True),
}
