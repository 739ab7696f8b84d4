"""Custom operators with a public definition, as the schema's own operators: name → what takes its place.

Their options are bytes that only the operator itself understands.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from flatbuffers import flexbuffers
from tflite import BuiltinOperator, TensorType

from lowtide.importer.tflite.model import Model, Operator, OptionValue, Tensor

_Translation = Callable[[list[Tensor], Operator], Operator | None]


def translate(model: Model) -> Model:
    """The model with the known custom operators replaced; one in a form that is not known stays, to be refused."""
    tensors, operators = list(model.tensors), list[Operator]()
    for operator in model.operators:
        known = CUSTOM.get(operator.custom) if operator.code == BuiltinOperator.CUSTOM else None
        operators.append((known(tensors, operator) if known is not None else None) or operator)
    return replace(model, tensors=tuple(tensors), operators=tuple(operators))


def _transposed_convolution(tensors: list[Tensor], operator: Operator) -> Operator | None:
    """MediaPipe's `Convolution2DTransposeBias`: input, weights [filters, height, width, depth] and bias, all floats.

    Its options are three integers of C: padding (1 for SAME, 2 for VALID) and the strides along columns and rows. With
    SAME it makes stride · rows of n rows where the filter is no smaller than the stride: what TRANSPOSE_CONV makes of
    an output of that size (mediapipe/util/tflite/operations/transpose_conv_bias.cc).
    """
    raw = operator.options.get("custom_options")
    if not isinstance(raw, tuple) or len(raw) < 12 or len(operator.inputs) != 3 or len(operator.outputs) != 1:
        return None
    if min(*operator.inputs, *operator.outputs) < 0:
        return None
    padding, across, down = struct.unpack("<3i", bytes(raw[:12]))
    used = [tensors[index] for index in (*operator.inputs, *operator.outputs)]
    image, weights = used[0].shape, used[1].shape
    plain = all(tensor.type == TensorType.FLOAT32 for tensor in used) and len(image) == len(weights) == 4
    if not plain or padding not in (1, 2) or min(across, down) < 1:
        return None
    same = padding == 1
    sizes: list[int] = []
    for axis, stride in ((1, down), (2, across)):
        cut = max(0, weights[axis] - (image[axis] - 1) % stride - 1) if same else 0
        sizes.append(stride * (image[axis] - 1) + weights[axis] - cut)
    shape = np.array([image[0], *sizes, weights[0]], np.int32)
    tensors.append(Tensor(f"{used[3].name}/shape", TensorType.INT32, (4,), data=shape.tobytes()))
    source, filters, bias = operator.inputs
    options = {"padding": 0 if same else 1, "stride_w": across, "stride_h": down}
    inputs = (len(tensors) - 1, filters, source, bias)
    return Operator(operator.index, BuiltinOperator.TRANSPOSE_CONV, inputs, operator.outputs, options)


def _detection(tensors: list[Tensor], operator: Operator) -> Operator | None:
    """TensorFlow's `TFLite_Detection_PostProcess`: its options, a map in FlexBuffers, as options of the operator.

    Files leave the shapes of its outputs open; they follow from the number of detections.
    """
    raw = operator.options.get("custom_options")
    if not isinstance(raw, tuple) or len(operator.outputs) != 4 or min(operator.outputs) < 0:
        return None
    found = _detection_options(bytes(raw))
    if found is None:
        return None
    most = found["max_detections"]
    assert isinstance(most, int), "it is one of the whole numbers"
    for index, shape in zip(operator.outputs, ((1, most, 4), (1, most), (1, most), (1,)), strict=True):
        if not tensors[index].shape:
            tensors[index] = replace(tensors[index], shape=shape, signature=(), ranked=True)
    return replace(operator, options=found)


_DETECTION_DEFAULTS = {"detections_per_class": 100, "use_regular_nms": False}
_DETECTION_NUMBERS = ("max_detections", "max_classes_per_detection", "num_classes", "detections_per_class")
_DETECTION_REALS = ("nms_score_threshold", "nms_iou_threshold", "y_scale", "x_scale", "h_scale", "w_scale")


def _detection_options(raw: bytes) -> dict[str, OptionValue] | None:
    """The options by name; None where they are damaged or one is missing."""
    try:
        root = flexbuffers.GetRoot(raw)
        if not root.IsMap:
            return None
        stored = root.AsMap
        values = {str(stored.Keys[i].AsKey): stored.Values[i] for i in range(min(len(stored), _MOST_OPTIONS))}
        found: dict[str, OptionValue] = dict(_DETECTION_DEFAULTS)
        found |= {name: values[name].AsInt for name in _DETECTION_NUMBERS if name in values}
        found |= {name: float(np.float32(values[name].AsFloat)) for name in _DETECTION_REALS if name in values}
        if "use_regular_nms" in values:
            found["use_regular_nms"] = bool(values["use_regular_nms"].AsBool)
    except (ValueError, TypeError, IndexError, OverflowError, struct.error, RecursionError):
        return None
    return found if found.keys() >= {*_DETECTION_NUMBERS, *_DETECTION_REALS} else None


_MOST_OPTIONS = 64
CUSTOM: Mapping[str, _Translation] = {
    "Convolution2DTransposeBias": _transposed_convolution,
    "TFLite_Detection_PostProcess": _detection,
}
"""Each adds constants to the tensors and gives the operator in its place, or None for a form that is not known."""
