"""Random edits of `.tflite` networks: most give what does not fit together, some what is another sound network.

The networks are small and of the kinds of operators that rules of their own check: gathers and slices, reductions,
comparisons, transposed convolutions, int16, and what remembers from one run to the next.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import int16_variants
import numpy as np
import state_nets
from operator_variants import draw
from tflite import BuiltinOperator, TensorType
from tflite_nets import Net, small_cnn

from lowtide.importer.tflite.model import Model, Operator, OptionValue, Quantization, Tensor
from lowtide.importer.tflite.operators import RESOURCES, SUPPORTED
from lowtide.importer.tflite.reader import read
from lowtide.importer.tflite.specs import LOWERED, options_of
from lowtide.importer.tflite.writer import write

Subgraphs = tuple[Model, ...]
Edit = Callable[[Model, random.Random], Model]

_DRAWN = (
    "GATHER", "GATHER_ND", "GATHER_IN_BATCHES", "ONE_HOT", "GREATER", "SELECT", "SELECT_V2", "SLICED_BACKWARDS",
    "ARG_MAX", "ARG_MIN", "CUMSUM", "MIRROR_PAD", "FILL", "EMBEDDING_LOOKUP", "DYNAMIC_UPDATE_SLICE", "L2_POOL_2D",
    "REDUCE_PROD", "REDUCE_ANY", "SUM", "DIV", "ADD_N", "LOG_SOFTMAX", "L2_NORMALIZATION", "GELU", "LOG",
)  # fmt: skip
_OF_INT16 = ("CONV_2D", "TRANSPOSE_CONV", "FULLY_CONNECTED", "BATCH_MATMUL", "SOFTMAX", "MEAN", "QUANTIZE", "LOGISTIC")
_TYPES = tuple(range(20))
_EXTENTS = (0, 1, 2, 3, 4, 5, 7, 16, 300, 65536, 1 << 30, (1 << 31) - 1, -1, -(1 << 31))
_NUMBERS = (0, 1, -1, 2, 3, 4, 5, 7, 8, 127, 255, -2, -5, -128, 32767, 65536, (1 << 31) - 1, -(1 << 31))
_SCALES = (0.0, -0.5, 1e-38, 1e-10, 0.003, 0.5, 1.0, 70000.0, 3e38, float("inf"), float("nan"))
_ZERO_POINTS = (0, 1, -1, 3, -128, 127, 128, 255, -32768, 65535, 1 << 40)
_CODES = tuple(sorted({*SUPPORTED, *LOWERED, *RESOURCES}))


def samples() -> list[Subgraphs]:
    """The networks that are edited, each as its subgraphs."""
    rng = np.random.default_rng(7)
    net, image, softmax = small_cnn()
    drawn = [draw(0, number, (name,)).model for name in _DRAWN for number in range(2)]
    drawn += [int16_variants.draw(0, number, (name,)).model for name in _OF_INT16 for number in range(2)]
    made: list[Subgraphs] = [(read(data, "sample"),) for data in drawn]
    remembering: list[Subgraphs] = [
        (_kept(state_nets.lstm(rng, "int8", (1, 2, 5), 3)),),
        (_kept(state_nets.lstm(rng, "int16", (1, 2, 5), 3)),),
        (_kept(state_nets.lstm(rng, "float32", (1, 3, 4), 2)),),
        (_kept(state_nets.svdf(rng, "int8", depth=4, units=2, rank=2, memory=3)),),
        (_kept(state_nets.svdf(rng, "float32", depth=4, units=3, rank=1, memory=2)),),
    ]
    made += [(net.model([image], [softmax]),), *remembering]
    made += [(build(dtype),) for build in (_transposed, _resized, _matrices, _parts) for dtype in ("int8", "float32")]
    # as many that remember as of ten other operators
    return made + 4 * [_filled(dtype) for dtype in ("int8", "float32", "int16")] + 2 * remembering


def _kept(model: Model) -> Model:
    """The model with the states of its one operator marked as variables."""
    return model.with_tensors({i: replace(model.tensors[i], variable=True) for i in state_nets.states_of(model)})


def _value(net: Net, name: str, shape: Sequence[int], dtype: str) -> int:
    return net.tensor(name, shape, dtype, None if dtype == "float32" else 0.5)


def _transposed(dtype: str) -> Model:
    net = Net()
    x, shape = _value(net, "x", (1, 3, 4, 2), dtype), net.constant("shape", [1, 6, 8, 3])
    weights = net.constant("weights", np.ones((3, 3, 3, 2)), dtype, None if dtype == "float32" else 0.5)
    bias = net.constant("bias", [1, 2, 3], "float32" if dtype == "float32" else "int32")
    output = _value(net, "y", (1, 6, 8, 3), dtype)
    net.operator("TRANSPOSE_CONV", (shape, weights, x, bias), output, {"stride_w": 2, "stride_h": 2})
    return net.model([x], [output])


def _resized(dtype: str) -> Model:
    net = Net()
    x, size = _value(net, "x", (1, 3, 4, 2), dtype), net.constant("size", [5, 7])
    near = net.operator("RESIZE_NEAREST_NEIGHBOR", (x, size), _value(net, "near", (1, 5, 7, 2), dtype))
    output = net.operator(
        "RESIZE_BILINEAR", (near, net.constant("less", [4, 3])), _value(net, "y", (1, 4, 3, 2), dtype)
    )
    return net.model([x], [output])


def _matrices(dtype: str) -> Model:
    net = Net()
    x, z = _value(net, "x", (1, 2, 3, 4), dtype), _value(net, "z", (1, 2, 4, 2), dtype)
    output = net.operator("BATCH_MATMUL", (x, z), _value(net, "y", (1, 2, 3, 2), dtype))
    return net.model([x, z], [output])


def _parts(dtype: str) -> Model:
    """SPLIT_V, TILE, SPACE_TO_BATCH_ND and PACK in a row."""
    net = Net()
    x, axis, sizes = _value(net, "x", (1, 4, 6, 2), dtype), net.constant("axis", 2), net.constant("sizes", [2, -1])
    parts = _value(net, "left", (1, 4, 2, 2), dtype), _value(net, "right", (1, 4, 4, 2), dtype)
    net.operators.append(Operator(0, BuiltinOperator.SPLIT_V, (x, sizes, axis), parts, {"num_splits": 2}))
    tiled = net.operator("TILE", (parts[0], net.constant("times", [1, 1, 2, 1])), _value(net, "t", (1, 4, 4, 2), dtype))
    block, pads = net.constant("block", [2, 2]), net.constant("pads", [[0, 0], [0, 0]])
    apart = net.operator("SPACE_TO_BATCH_ND", (parts[1], block, pads), _value(net, "b", (4, 2, 2, 2), dtype))
    flat = net.operator("RESHAPE", (apart, net.constant("shape", [1, 4, 4, 2])), _value(net, "f", (1, 4, 4, 2), dtype))
    output = net.operator(
        "PACK", (tiled, flat), _value(net, "y", (1, 2, 4, 4, 2), dtype), {"values_count": 2, "axis": 1}
    )
    return net.model([x], [output])


class Remembering(Net):
    """A network with variables."""

    def handle(self, name: str) -> int:
        """Adds a handle of a variable."""
        self.tensors.append(Tensor(f"{name}/handle{len(self.tensors)}", TensorType.RESOURCE, ()))
        return self.operator("VAR_HANDLE", (), len(self.tensors) - 1, {"shared_name": tuple(name.encode())})

    def act(self, name: str, inputs: Sequence[int], **options: OptionValue) -> None:
        """Adds an operator without outputs."""
        self.operators.append(Operator(len(self.operators), getattr(BuiltinOperator, name), tuple(inputs), (), options))


def _filled(dtype: str) -> Subgraphs:
    """A sum over the runs in a variable, and a delay in another, which a second subgraph fills."""
    net, scale = Remembering(), None if dtype == "float32" else 0.5
    zero = 3 if dtype == "int8" else 0

    def value(name: str) -> int:
        return net.tensor(name, (1, 2, 3), dtype, scale, zero)

    net.act("CALL_ONCE", (), init_subgraph_index=1)
    x, most, held = value("x"), net.handle("most"), net.handle("held")
    before = net.operator("READ_VARIABLE", (most,), value("before"))
    late = net.operator("READ_VARIABLE", (held,), value("late"))
    made = net.operator("MAXIMUM", (before, x), value("made"))
    net.act("ASSIGN_VARIABLE", (most, made))
    net.act("ASSIGN_VARIABLE", (held, x))
    output = net.operator("MINIMUM", (made, late), value("output"))
    first = Remembering()
    for name in ("most", "held"):
        handle = first.handle(name)
        first.act("ASSIGN_VARIABLE", (handle, first.constant(f"{name}/first", np.ones((1, 2, 3)), dtype, scale, zero)))
    return net.model([x], [output]), first.model([], [])


def edited(network: Subgraphs, choose: random.Random) -> bytes:
    """The file of a network after one to three edits; at times bytes of it are changed as well."""
    for _ in range(choose.choice((1, 1, 1, 2, 3))):
        network = _edited_once(network, choose)
    data = write(*network)
    if choose.random() < 0.1:
        stored = bytearray(data)
        for _ in range(choose.choice((1, 2, 8))):
            stored[choose.randrange(len(stored))] = choose.choice((0, 1, 2, 3, 127, 128, 255, choose.randrange(256)))
        data = bytes(stored)
    return data


def _edited_once(network: Subgraphs, choose: random.Random) -> Subgraphs:
    """One edit of one subgraph, of those that the file's format can hold."""
    while True:
        at = choose.randrange(len(network))
        changed = choose.choice(EDITS)(network[at], choose)
        made = (*network[:at], changed, *network[at + 1 :])
        try:
            write(*made)
        except (TypeError, ValueError, OverflowError):
            continue
        return made


# -- edits of tensors -------------------------------------------------------------------------------------------------


def _of_tensor(edit: Callable[[Tensor, random.Random], Tensor]) -> Edit:
    def change(model: Model, choose: random.Random) -> Model:
        if not model.tensors:
            return model
        at = choose.randrange(len(model.tensors))
        return model.with_tensors({at: edit(model.tensors[at], choose)})

    return change


def _shaped(shape: tuple[int, ...], choose: random.Random) -> tuple[int, ...]:
    extents = list(shape)
    at = choose.randrange(len(extents) + 1)
    match choose.randrange(5):
        case 0:
            extents.insert(at, choose.choice((1, 1, 2, 0)))
        case 1 if extents:
            del extents[at - 1]
        case 2 if extents:
            other = choose.randrange(len(extents))
            extents[at - 1], extents[other] = extents[other], extents[at - 1]
        case 3:
            extents = [choose.choice(_EXTENTS) for _ in range(choose.randrange(9))]
        case _:
            extents[at - 1 : at] = [choose.choice(_EXTENTS)]
    return tuple(extents)


def _shape(tensor: Tensor, choose: random.Random) -> Tensor:
    return replace(tensor, shape=_shaped(tensor.shape, choose), signature=())


def _shape_with_data(tensor: Tensor, choose: random.Random) -> Tensor:
    """Another shape that a constant fills."""
    shape = tuple(min(abs(extent), 9) for extent in _shaped(tensor.shape, choose))
    if tensor.data is None or not tensor.elements:
        return replace(tensor, shape=shape, signature=())
    size = len(tensor.data) // tensor.elements * int(np.prod(shape))
    return replace(tensor, shape=shape, signature=(), data=(bytes(tensor.data) * (1 + size))[:size])


def _signature(tensor: Tensor, choose: random.Random) -> Tensor:
    return replace(tensor, signature=tuple(-1 if choose.random() < 0.5 else extent for extent in tensor.shape))


def _type(tensor: Tensor, choose: random.Random) -> Tensor:
    return replace(tensor, type=choose.choice(_TYPES))


def _data(tensor: Tensor, choose: random.Random) -> Tensor:
    if tensor.data is None:
        return replace(tensor, data=choose.randbytes(min(4 * max(tensor.elements, 0), 4096)))
    data = bytes(tensor.data)
    return replace(tensor, data=choose.choice((None, data[: len(data) // 2], data[:-1], data * 2, b"\xff" * len(data))))


def _number(tensor: Tensor, choose: random.Random) -> Tensor:
    """Another number in a constant: an axis, an index, a size."""
    if tensor.data is None or tensor.type not in (TensorType.INT32, TensorType.INT64):
        return tensor
    kind = np.int32 if tensor.type == TensorType.INT32 else np.int64
    numbers = np.frombuffer(tensor.data, kind).copy()
    if numbers.size:
        numbers[choose.randrange(numbers.size)] = choose.choice(_NUMBERS)
    return replace(tensor, data=numbers.tobytes())


def _quantization(tensor: Tensor, choose: random.Random) -> Tensor:
    count = choose.choice((1, 1, 1, 2, *tensor.shape[:1]))
    count = count if 0 < count < 64 else 1
    scales = tuple(choose.choice(_SCALES) for _ in range(count))
    zeros = tuple(choose.choice(_ZERO_POINTS) for _ in range(count))
    made = Quantization(scales, zeros, choose.choice((0, 0, 1, 3, -1, 9)))
    old = tensor.quantization
    kept = made if old is None else replace(old, scales=made.scales[:1] * len(old.scales))
    return replace(tensor, quantization=choose.choice((None, made, kept)))


def _variable(tensor: Tensor, choose: random.Random) -> Tensor:
    return replace(tensor, variable=not tensor.variable, ranked=choose.random() < 0.9)


# -- edits of operators -----------------------------------------------------------------------------------------------


def _of_operator(edit: Callable[[Operator, Model, random.Random], Operator]) -> Edit:
    def change(model: Model, choose: random.Random) -> Model:
        if not model.operators:
            return model
        at = choose.randrange(len(model.operators))
        changed = edit(model.operators[at], model, choose)
        return replace(model, operators=(*model.operators[:at], changed, *model.operators[at + 1 :]))

    return change


def _indices(old: Sequence[int], count: int, choose: random.Random) -> tuple[int, ...]:
    made = list(old)
    at = choose.randrange(len(made) + 1)
    match choose.randrange(5):
        case 0:
            made.insert(at, choose.randrange(-1, count))
        case 1 if made:
            del made[at - 1]
        case 2 if made:
            made[at - 1] = -1
        case 3 if made:
            other = choose.randrange(len(made))
            made[at - 1], made[other] = made[other], made[at - 1]
        case _:
            made[at - 1 : at] = [choose.randrange(count)]
    return tuple(made)


def _inputs(operator: Operator, model: Model, choose: random.Random) -> Operator:
    return replace(operator, inputs=_indices(operator.inputs, len(model.tensors), choose))


def _outputs(operator: Operator, model: Model, choose: random.Random) -> Operator:
    return replace(operator, outputs=_indices(operator.outputs, len(model.tensors), choose))


def _code(operator: Operator, model: Model, choose: random.Random) -> Operator:
    del model
    return replace(operator, code=choose.choice(_CODES))


def _option(operator: Operator, model: Model, choose: random.Random) -> Operator:
    del model
    spec = options_of(operator.code)
    if spec is None or not spec.options:
        return operator
    option = choose.choice(spec.options)
    value: Any = choose.choice((*_NUMBERS, *_SCALES)) if option.kind == "f32" else choose.choice(_NUMBERS)
    if option.kind == "i32 vector":
        value = tuple(choose.choice(_NUMBERS) for _ in range(choose.randrange(6)))
    if option.kind == "text":
        value = tuple(choose.choice((b"", b"held", b"most", b"\xc3\xa9 \n\"'", b"x" * 300)))
    return replace(operator, options={**operator.options, option.name: value})


def _order(model: Model, choose: random.Random) -> Model:
    """An operator moved, dropped or there twice."""
    operators = list(model.operators)
    if operators:
        at, other = choose.randrange(len(operators)), choose.randrange(len(operators))
        match choose.randrange(3):
            case 0:
                del operators[at]
            case 1:
                operators.insert(other, operators[at])
            case _:
                operators.insert(other, operators.pop(at))
    return replace(model, operators=tuple(operators))


def _ends(model: Model, choose: random.Random) -> Model:
    if choose.random() < 0.5:
        return replace(model, inputs=_indices(model.inputs, len(model.tensors), choose))
    return replace(model, outputs=_indices(model.outputs, len(model.tensors), choose))


def _batch(model: Model, choose: random.Random) -> Model:
    """Another first extent of all tensors that are no constants: what was consistent stays so."""
    extent = choose.choice((2, 3, 0, -1, 700))
    free = {i: t for i, t in enumerate(model.tensors) if t.data is None and t.shape}
    return model.with_tensors({i: replace(t, shape=(extent, *t.shape[1:]), signature=()) for i, t in free.items()})


EDITS: tuple[Edit, ...] = (
    *(_of_tensor(edit) for edit in (_shape, _shape_with_data, _signature, _type, _data, _quantization, _variable)),
    *2 * (_of_tensor(_number),),
    *(_of_operator(edit) for edit in (_inputs, _outputs, _code, _option, _option)),
    _order,
    _ends,
    _batch,
)
