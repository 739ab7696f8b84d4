"""Names for layers: what they do, and where they come from in the model."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from lowtide.ir import Location, Operation, RankedTensorType, Value
from lowtide.normalise.analysis import Role, role_of

_KINDS = (
    ("depthwise_conv", "depthwise"),
    ("conv_", "conv"),
    ("pooling_", "pool"),
    ("batch_matmul", "dense"),
    ("matmul", "dense"),
    ("matvec", "dense"),
    ("vecmat", "dense"),
)


def kind_of(operations: Sequence[Operation]) -> str:
    """One word for a layer with these operations: conv, depthwise, dense, pool, gather, concat, reduce, map or loop."""
    roles = {role_of(op) for op in operations}
    if Role.LOOP in roles:
        return "loop"
    # the first named operation says what the layer is; its epilogue is generic
    for op in operations:
        word = op.name.removeprefix("linalg.")
        for prefix, kind in _KINDS:
            if op.name.startswith("linalg.") and word.startswith(prefix):
                return "dense" if kind == "conv" and _is_vector(op.operands[0]) else kind
    if Role.ROOT in roles:
        return "gather"
    if Role.REDUCE in roles:
        return "reduce"
    return "concat" if Role.INSERT in roles else "map"


def _is_vector(value: Value) -> bool:
    """True for a feature map of one pixel: a convolution of it is a dense layer."""
    shape = RankedTensorType(value.type).shape
    return math.prod(shape) == max(shape)


def layer_name(op: Operation) -> str:
    """The model's own name for what the operation computes: the first name in its location, else the op's."""
    found = first_name(op.location)
    return found.split(";")[0] if found else op.name


def first_name(location: Location) -> str:
    """The first quoted name of a printed location that is not a file position."""
    # the bindings give no parts of a location: what it prints is the one way in
    for match in re.finditer(r'"((?:[^"\\]|\\.)*)"(?!:\d)', str(location)):
        return match.group(1)
    return ""
