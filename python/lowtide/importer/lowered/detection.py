"""`TFLite_Detection_PostProcess`: boxes of a detector decoded, and the best ones kept that do not overlap much.

Non-maximum suppression takes one detection after the other: the box with the best score that is left, of equal ones the
first, and out go all boxes that overlap it. So many steps are laid out one behind the other, two layers each.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from tflite import BuiltinOperator, TensorType

from lowtide.importer.lowered.builder import (
    Array,
    Call,
    concatenate,
    constant,
    dims,
    elementwise,
    empty,
    f32,
    filled,
    generic,
    i32,
    integer,
    loop_index,
    number,
    reduce,
    reshape,
    shape_of,
    slice_of,
    taken_at,
)
from lowtide.importer.lowered.functions import to_float
from lowtide.importer.lowered.lowering import Lowering
from lowtide.importer.lowered.reductions import ordered
from lowtide.importer.lowered.scalars import extended
from lowtide.importer.tflite.model import Operator, Shape, Tensor
from lowtide.importer.tflite.operands import Operands, ShapeError
from lowtide.importer.tflite.operators import OpSpec
from lowtide.ir import AffineExpr, AffineMap, F32Type, Value, arith, math

NAME = "TFLite_Detection_PostProcess"
_TYPES = (TensorType.FLOAT32, TensorType.UINT8)
_NONE = -(1 << 63)
"""The key of what is no candidate."""
_MOST_STEPS = 128
"""Detections that are looked for, one after the other: each is two layers."""
_Scalars = Sequence[Value]


# -- keys: a score above a place, so that the greatest is the best score and of equal ones the first -------------------


def _key(score: Value, place: Value, count: int) -> Value:
    """The key of a score, a float, at a place below `count`."""
    word = integer(64)
    back = arith.extui(word, arith.subi(i32(count - 1), place))
    above = arith.shli(arith.extsi(word, ordered(score, TensorType.FLOAT32)), number(word, 32))
    return arith.ori(above, back)


def _place_of(key: Value, count: int) -> Value:
    """The place that a key stands for; the last one of a key of nothing."""
    return arith.subi(i32(count - 1), arith.trunci(integer(32), key))


def _is_one(key: Value) -> Value:
    """Whether a key stands for something."""
    return arith.cmpi(arith.CmpIPredicate.ne, key, number(integer(64), _NONE))


def _greatest(keys: Value, axis: int = 0) -> Value:
    """The greatest key along an axis."""
    return reduce(keys, [axis], number(integer(64), _NONE), lambda scalars: arith.maxsi(scalars[0], scalars[1]))


def _chosen(keys: Value, steps: int, strike: Callable[[Value, Value], Value]) -> Value:
    """The best keys in order, [steps]: after each but the last, `strike` gives the keys that are left."""
    found: list[Value] = []
    for step in range(steps):
        if step:
            keys = strike(keys, found[-1])
        found.append(_greatest(keys))
    return concatenate([reshape(best, (1,)) for best in found], 0)


# -- boxes ------------------------------------------------------------------------------------------------------------


def _real(call: Call, position: int, stored: Value) -> Value:
    """A number of an operand as a float."""
    if isinstance(stored.type, F32Type):
        return stored
    scale, zero_point = call.scale(position)
    return arith.mulf(arith.subf(to_float(extended(stored, signed=False)), f32(zero_point)), f32(scale))


def _anchors(call: Call) -> Array:
    """The boxes that others are told by: centre along y and x, height and width."""
    stored = call.array(2)
    if stored.dtype == np.float32:
        return stored
    scale, zero_point = call.scale(2)
    return (stored.astype(np.float32) - np.float32(zero_point)) * np.float32(scale)


def _decoded(call: Call, count: int) -> tuple[list[Value], list[Value]]:
    """Centres of the boxes along y and x, and half of their extents, [boxes] each."""
    encoded = call.value(0)
    encoded = reshape(encoded, shape_of(encoded)[1:])
    anchors = _anchors(call)

    def column(place: int, scale: str, body: Callable[[Value, Value, Value], Value]) -> Value:
        """Of each box a number of its code over its scale, with the centre and the extent of its anchor."""
        axis = place % 2
        extent = constant(np.ascontiguousarray(anchors[:, 2 + axis]))
        centre = constant(np.ascontiguousarray(anchors[:, axis]))
        every = AffineMap.get_identity(1)
        read = AffineMap.get(1, 0, [AffineExpr.get_dim(0), AffineExpr.get_constant(place)])

        def scaled(scalars: _Scalars) -> Value:
            code = arith.divf(_real(call, 0, scalars[0]), f32(call.number(scale)))
            return body(code, scalars[1], scalars[2])

        inputs = [(encoded, read), (centre, every), (extent, every)]
        return generic(inputs, [(empty((count,), F32Type.get()), every)], ["parallel"], scaled)[0]

    def centre_of(code: Value, centre: Value, extent: Value) -> Value:
        return arith.addf(arith.mulf(code, extent), centre)

    def half_of(code: Value, _: Value, extent: Value) -> Value:
        return arith.mulf(arith.mulf(f32(0.5), math.exp(code)), extent)

    centres = [column(axis, f"{letter}_scale", centre_of) for axis, letter in enumerate("yx")]
    return centres, [column(2 + axis, f"{letter}_scale", half_of) for axis, letter in enumerate("hw")]


def _corners(box: _Scalars) -> tuple[list[Value], list[Value]]:
    """Lower and upper corner of a box that is given by its centre and half of its extents."""
    pairs = list(zip(box[:2], box[2:], strict=True))
    return [arith.subf(at, half) for at, half in pairs], [arith.addf(at, half) for at, half in pairs]


def _overlap(one: _Scalars, other: _Scalars) -> Value:
    """The area that two boxes share over the area that they cover together; 0 where one has none."""
    (low, high), (low_other, high_other) = _corners(one), _corners(other)

    def area(below: Sequence[Value], above: Sequence[Value]) -> Value:
        sides = [arith.subf(end, start) for start, end in zip(below, above, strict=True)]
        return arith.mulf(*sides)

    areas = area(low, high), area(low_other, high_other)
    inside = [
        arith.maximumf(
            arith.subf(arith.minimumf(high[axis], high_other[axis]), arith.maximumf(low[axis], low_other[axis])),
            f32(0.0),
        )
        for axis in range(2)
    ]
    shared = arith.mulf(*inside)
    kind = arith.CmpFPredicate
    real = arith.andi(*(arith.cmpf(kind.OGT, found, f32(0.0)) for found in areas))
    covered = arith.subf(arith.addf(*areas), shared)
    return arith.select(real, arith.divf(shared, arith.select(real, covered, f32(1.0))), f32(0.0))


def _without_overlap(call: Call, boxes: Sequence[Value], count: int) -> Callable[[Value, Value], Value]:
    """Strikes the key of a box, and those of boxes that overlap it by more than the threshold."""
    threshold = call.number("nms_iou_threshold")

    def strike(keys: Value, best: Value) -> Value:
        def body(scalars: _Scalars) -> Value:
            key, *box, best_key = scalars
            place = _place_of(best_key, count)
            other = [taken_at(column, [place]) for column in boxes]
            itself = arith.cmpi(arith.CmpIPredicate.eq, loop_index(0), place)
            over = arith.cmpf(arith.CmpFPredicate.OGT, _overlap(box, other), f32(threshold))
            return arith.select(arith.ori(itself, over), number(integer(64), _NONE), key)

        return elementwise([keys, *boxes, best], integer(64), body, (count,))

    return strike


# -- scores -----------------------------------------------------------------------------------------------------------


def _first_keys(call: Call, scores: Value, places: Callable[[Value], Sequence[Value]], count: int) -> Value:
    """The key of each box whose score reaches the threshold; `places` says where its score is, by the box."""
    threshold = f32(call.number("nms_score_threshold"))

    def body(_: _Scalars) -> Value:
        box = loop_index(0)
        score = _real(call, 1, taken_at(scores, places(box)))
        reaches = arith.cmpf(arith.CmpFPredicate.OGE, score, threshold)
        return arith.select(reaches, _key(score, box, count), number(integer(64), _NONE))

    out = (filled((count,), number(integer(64), _NONE)), AffineMap.get_identity(1))
    return generic([], [out], ["parallel"], body)[0]


def _best_classes(call: Call, scores: Value, count: int, classes: int) -> Value:
    """The class with the best score of each box, of equal ones the first."""
    box, place = dims(2)
    maps = AffineMap.get(2, 0, [box, place]), AffineMap.get(2, 0, [box])

    def body(scalars: _Scalars) -> Value:
        return arith.maxsi(_key(_real(call, 1, scalars[0]), loop_index(1), classes), scalars[1])

    start = filled((count,), number(integer(64), _NONE))
    found = generic([(scores, maps[0])], [(start, maps[1])], ["parallel", "reduction"], body)[0]
    return elementwise([found], integer(32), lambda scalars: _place_of(scalars[0], classes))


def _of_best_classes(call: Call, scores: Value, boxes: Sequence[Value], count: int, most: int) -> Sequence[Value]:
    """Keys of the boxes that are kept, their boxes and their classes, where each box has its best class alone."""
    classes = _best_classes(call, scores, count, call.option("num_classes"))
    keys = _first_keys(call, scores, lambda box: [box, taken_at(classes, [box])], count)
    chosen = _chosen(keys, min(most, count), _without_overlap(call, boxes, count))
    places = elementwise([chosen], integer(32), lambda scalars: _place_of(scalars[0], count))
    return chosen, places, elementwise([places], integer(32), lambda scalars: taken_at(classes, [scalars[0]]))


def _of_each_class(call: Call, scores: Value, boxes: Sequence[Value], count: int, most: int) -> Sequence[Value]:
    """As `_of_best_classes`, where boxes are kept for each class and the best of all classes come out."""
    classes = call.option("num_classes")
    each = min(call.option("detections_per_class"), most, count)
    strike = _without_overlap(call, boxes, count)
    found = [
        _chosen(_first_keys(call, scores, lambda box, at=at: [box, i32(at)], count), each, strike)
        for at in range(classes)
    ]
    every, total = concatenate(found, 0), classes * each

    def ranked(scalars: _Scalars) -> Value:
        """The key with the place in the list of all classes' boxes below its score."""
        word = integer(64)
        above = arith.andi(scalars[0], number(word, -(1 << 32)))
        back = arith.extui(word, arith.subi(i32(total - 1), loop_index(0)))
        return arith.select(_is_one(scalars[0]), arith.ori(above, back), scalars[0])

    def strike_one(keys: Value, best: Value) -> Value:
        def body(scalars: _Scalars) -> Value:
            same = arith.cmpi(arith.CmpIPredicate.eq, *scalars)
            return arith.select(same, number(integer(64), _NONE), scalars[0])

        return elementwise([keys, best], integer(64), body, (total,))

    chosen = _chosen(elementwise([every], integer(64), ranked), min(most, total), strike_one)
    ranks = elementwise([chosen], integer(32), lambda scalars: _place_of(scalars[0], total))
    places = elementwise([ranks], integer(32), lambda scalars: _place_of(taken_at(every, [scalars[0]]), count))
    return chosen, places, elementwise([ranks], integer(32), lambda scalars: arith.divui(scalars[0], i32(each)))


def _detections(call: Call) -> Sequence[Value]:
    """Boxes by their corners, classes, scores and the number of detections; those that were not found are 0."""
    _, count, width = call.tensor(1).shape
    classes, most = call.option("num_classes"), call.option("max_detections")
    # the score of the background, if there is one, comes first
    scores = reshape(call.value(1), (count, width))
    scores = slice_of(scores, [0, width - classes], (count, classes)) if width > classes else scores
    centres, halves = _decoded(call, count)
    boxes = [*centres, *halves]
    find = _of_each_class if call.option("use_regular_nms") else _of_best_classes
    keys, places, kinds = find(call, scores, boxes, count, most)
    found, real = shape_of(keys)[0], F32Type.get()

    def kept(values: Sequence[Value], body: Callable[[_Scalars], Value]) -> Value:
        """Floats of the detections, 0 where there is none."""
        whole = elementwise(
            [keys, *values], real, lambda scalars: arith.select(_is_one(scalars[0]), body(scalars[1:]), f32(0.0))
        )
        if found == most:
            return whole
        return concatenate([whole, filled((most - found,), f32(0.0))], 0)

    def corner(side: int, axis: int) -> Value:
        def body(scalars: _Scalars) -> Value:
            box = [taken_at(column, [scalars[0]]) for column in boxes]
            return _corners(box)[side][axis]

        return reshape(kept([places], body), (most, 1))

    corners = concatenate([corner(side, axis) for side in range(2) for axis in range(2)], 1)
    values = kept([places, kinds], lambda scalars: _real(call, 1, taken_at(scores, list(scalars))))
    numbers = kept([kinds], lambda scalars: to_float(scalars[0]))
    ones = kept([], lambda _: f32(1.0))
    total = reduce(ones, [0], f32(0.0), lambda scalars: arith.addf(scalars[0], scalars[1]))
    made = (corners, numbers, values, total)
    return [reshape(value, tensor.shape) for value, tensor in zip(made, call.outputs, strict=True)]


# -- the list ---------------------------------------------------------------------------------------------------------


def _shapes(operands: Operands) -> Sequence[Shape]:
    encoded, scores, anchors = operands.shape(0, 3), operands.shape(1, 3), operands.shape(2, 2)
    classes, most = operands.option("num_classes"), operands.option("max_detections")
    count = scores[1]
    if encoded[:2] != (1, count) or scores[0] != 1 or encoded[2] < 4 or anchors != (count, 4) or count < 1:
        shapes = f"{list(encoded)}, {list(scores)} and {list(anchors)}"
        raise ShapeError(f"its boxes, scores and anchors {shapes} do not go together")
    if not 1 <= classes <= scores[2] <= classes + 1:
        raise ShapeError(f"it has {scores[2]} scores for each box, and {classes} classes")
    given = [tensor for tensor in operands.inputs if tensor is not None]
    if any(tensor.type != given[0].type for tensor in given):
        raise ShapeError("its boxes, scores and anchors have different types")
    scales = [operands.operator.options.get(f"{letter}_scale", 0.0) for letter in "yxhw"]
    if 0.0 in scales or most < 1:
        raise ShapeError(f"its scales are {scales}, and it makes {most} detections")
    each = operands.option("detections_per_class")
    steps = min(most, count)
    if operands.option("use_regular_nms"):
        if each < 1:
            raise ShapeError(f"it keeps {each} boxes for each class")
        steps += classes * min(each, most, count)
    elif operands.option("max_classes_per_detection") != 1:
        raise ShapeError("it makes several classes of a box, and LiteRT Micro then writes behind its outputs")
    if steps > _MOST_STEPS:
        raise ShapeError(
            f"it looks for {steps} boxes one after the other, and lowtide for {_MOST_STEPS}; compile the network up "
            "to its inputs (--until) and call LiteRT's code for the rest"
        )
    return [(1, most, 4), (1, most), (1, most), (1,)]


def _is_it(operator: Operator, inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]) -> bool:
    del inputs, outputs
    # one whose options could not be read has them as bytes
    return operator.custom == NAME and "custom_options" not in operator.options


_SPEC = OpSpec(inputs=(3, 3), constants=(2,), output_types=(TensorType.FLOAT32,), input_types=_TYPES, outputs=(4, 4))
LOWERED: Mapping[int, Sequence[Lowering]] = {
    BuiltinOperator.CUSTOM: (Lowering(_SPEC, _shapes, _detections, when=_is_it),)
}
