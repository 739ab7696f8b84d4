"""`.tflite` → TOSA.

The file is read with every offset checked, cut to what is wanted, refused by name or repaired where the converter
needs it, written anew, and converted to TOSA by `tosa-converter-for-tflite` in a process of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType

from lowtide.errors import InputError, LowtideError
from lowtide.importer.lowered.library import is_lowered
from lowtide.importer.tflite.activations import without_idle_activations
from lowtide.importer.tflite.check import check, objections, sound_operators
from lowtide.importer.tflite.converter import convert
from lowtide.importer.tflite.customs import translate
from lowtide.importer.tflite.cut import needed, until as cut_until
from lowtide.importer.tflite.expand import expand
from lowtide.importer.tflite.fold import fold
from lowtide.importer.tflite.given_shapes import Shapes, with_shapes
from lowtide.importer.tflite.heads import heads_apart
from lowtide.importer.tflite.model import DTYPES, Model, Tensor
from lowtide.importer.tflite.notes import Notes
from lowtide.importer.tflite.operators import ABSENT_FROM_MICRO, ABSENT_TYPES_FROM_MICRO
from lowtide.importer.tflite.partition import Partition, partition
from lowtide.importer.tflite.reader import read, read_others
from lowtide.importer.tflite.repair import repair, unbatch
from lowtide.importer.tflite.stored_weights import plain_weights
from lowtide.importer.tflite.subgraphs import inlined
from lowtide.importer.tflite.variables import initial_states, remember, without_unused
from lowtide.network import InitialState, IoTensor

__all__ = ["NO_SHAPES", "Imported", "OperatorInfo", "contents", "import_tflite"]

_MAX_FILE = 1 << 30
NO_SHAPES: Shapes = MappingProxyType({})


@dataclass(frozen=True)
class OperatorInfo:
    """An operator of the file: its index there, its name in the schema, the tensors it makes."""

    index: int
    name: str
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Imported:
    """A `.tflite` model as TOSA.

    Attributes:
        partition: the model in operators for the converter, and others that lowtide lowers itself.
        bytecode: MLIR bytecode of a module with one function `@main`, whose arguments and results are those of the
            converter's part in order; without others they are `inputs` and `outputs`. Empty where it has no part. Its
            operations have the locations `"tensor name"("<stdin>":0:0)`, where the tensor is that of the `.tflite`
            operator they stand for (or begins with its name and `/`).
        inputs, outputs: as the model's own file declares them, repairs notwithstanding. The function takes and yields
            exactly these bytes; a uint8 tensor is `ui8` there and not shifted.
        states: what the model remembers from one run to the next: the function's last arguments and results.
        operators: those that the outputs need, in the file's order.
        notes: what is still to be mended in the module.
    """

    bytecode: bytes
    partition: Partition
    inputs: tuple[IoTensor, ...]
    outputs: tuple[IoTensor, ...]
    states: tuple[InitialState, ...]
    operators: tuple[OperatorInfo, ...]
    notes: Notes


def import_tflite(path: Path, *, until: Sequence[str] = (), shapes: Shapes = NO_SHAPES) -> Imported:
    """Imports a model; a dynamic batch becomes 1.

    Args:
        path: the `.tflite` file.
        until: names of tensors that become the outputs; empty for the model's own outputs. Operators and inputs that
            they don't need are dropped.
        shapes: of inputs with dimensions that the file leaves open.

    Raises:
        InputError: the file is unreadable, damaged or has something that lowtide does not take.
        UsageError: `until` names no tensor that the model computes.
    """
    where = str(path)
    model = unbatch(_prepared(path, until, shapes), where)
    check(model, where)
    initial = initial_states(model, where)
    parts = partition(expand(heads_apart(model, where), where), is_lowered)
    bytecode, notes = b"", Notes({}, frozenset(), {}, frozenset())
    if parts.converted is not None:
        repaired, notes = repair(parts.converted, where, rounds_once=not _runs_on_micro(model))
        bytecode = convert(repaired, where)
    return Imported(
        bytecode=bytecode,
        partition=parts,
        inputs=tuple(_io(model.tensors[index]) for index in model.own_inputs),
        outputs=tuple(_io(model.tensors[index]) for index in model.own_outputs),
        states=tuple(
            InitialState(replace(_io(model.tensors[index]), name=state.name), data)
            for index, state, data in zip(model.inputs[len(model.own_inputs) :], model.states, initial, strict=True)
        ),
        operators=_operators(model),
        notes=notes,
    )


def _runs_on_micro(model: Model) -> bool:
    """Whether LiteRT Micro has all operators: of a network that it does not take, LiteRT says what is right."""
    return not any(
        operator.code in ABSENT_FROM_MICRO
        or model.tensors[operator.outputs[0]].type in ABSENT_TYPES_FROM_MICRO.get(operator.code, ())
        for operator in model.operators
    )


def _prepared(path: Path, until: Sequence[str], shapes: Shapes) -> Model:
    """What is wanted of a file's network, with what is known of it computed, before it is checked."""
    where, data = str(path), contents(path)
    others = partial(read_others, data, where)
    model = remember(inlined(read(data, where), others, where), others, where)
    model = without_unused(cut_until(model, until, where) if until else needed(model))
    return needed(fold(plain_weights(without_idle_activations(translate(with_shapes(model, shapes, where))))))


def explain_refusal(path: Path, until: Sequence[str], shapes: Shapes, first: InputError) -> InputError:
    """One error that says all that stands in the way of a model, and how much of it could be compiled without.

    Args:
        path, until, shapes: as for `import_tflite`.
        first: what it raised.
    """
    where = str(path)
    try:
        model = unbatch(_prepared(path, until, shapes), where)
    except LowtideError:
        return first
    found = objections(model, where)
    if len(found) < 2:
        return first
    sound = sound_operators(model, {error.where for error in found if error.where}, where)
    listed = "".join(f"\n  {str(error.where).removeprefix(where + ', ')}: {error.message}" for error in found)
    message = f"{len(found)} things stand in the way of this model:{listed}"
    rest = f"\n  without them {sound} of its {len(model.operators)} operators could be compiled"
    remedy = next((error.remedy for error in found if error.remedy), None)
    return InputError("importer", message + rest, where=where, remedy=remedy)


def contents(path: Path) -> bytes:
    """The bytes of a model file; `InputError` where it can't be read or is too large to be one."""
    try:
        if path.exists() and not path.is_file():
            raise InputError("importer", "this is not a file", where=str(path))
        if path.stat().st_size > _MAX_FILE:
            raise InputError("importer", f"the file is larger than {_MAX_FILE} bytes", where=str(path))
        return path.read_bytes()
    except OSError as error:
        raise InputError("importer", f"cannot read the file: {error.strerror}", where=str(path)) from error


def _io(tensor: Tensor) -> IoTensor:
    quantization = tensor.quantization
    return IoTensor(
        name=tensor.name,
        shape=tensor.shape,
        dtype=DTYPES[tensor.type],
        scale=quantization.scales[0] if quantization else None,
        zero_point=quantization.zero_points[0] if quantization else None,
    )


def _operators(model: Model) -> tuple[OperatorInfo, ...]:
    return tuple(
        OperatorInfo(op.index, op.name, tuple(model.tensors[index].name for index in op.outputs))
        for op in model.operators
    )
