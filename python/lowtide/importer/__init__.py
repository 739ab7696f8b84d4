"""Models in: `.tflite` or `.mlir` → one module in TOSA or linalg, and the inputs and outputs that the firmware sees."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lowtide.errors import InputError, UsageError
from lowtide.importer.mend import mend
from lowtide.importer.mlir import import_mlir
from lowtide.importer.signless import make_signless
from lowtide.importer.stitch import empty_module, stitch
from lowtide.importer.tflite import NO_SHAPES, import_tflite
from lowtide.importer.tflite.given_shapes import Shapes
from lowtide.ir import (
    Context,
    IntegerAttr,
    IntegerType,
    Module,
    Operation,
    ShapedType,
    Type,
    WalkResult,
    parse_module,
    place_of,
)
from lowtide.network import InitialState, IoTensor
from lowtide.normalise.analysis import network_function
from lowtide.normalise.form import STATES

_MOST_ELEMENTS = 1 << 26


@dataclass(frozen=True)
class ImportedModel:
    """A model as a module of TOSA or linalg, not yet lowered.

    Attributes:
        states: what it remembers from one run to the next: the last arguments and the last results of its function,
            which says how many there are.
    """

    module: Module
    inputs: tuple[IoTensor, ...]
    outputs: tuple[IoTensor, ...]
    states: tuple[InitialState, ...] = ()


def import_model(path: Path, context: Context, until: Sequence[str] = (), shapes: Shapes = NO_SHAPES) -> ImportedModel:
    """Read a model by its suffix, in this process: `lowtide.front` has one of its own for what is `FOREIGN`.

    Raises:
        InputError: the file is missing, of a kind that lowtide does not read, or refused by its importer.
        UsageError: `until` where the format has no tensor names, or names no tensor.
    """
    if not path.exists():
        raise InputError("importer", "no such file", where=str(path))
    # A device or a pipe would be read without end.
    if not path.is_file():
        raise InputError("importer", "not a file", where=str(path))
    if path.suffix not in IMPORTERS:
        known = ", ".join(IMPORTERS)
        raise InputError("importer", f"'{path.suffix}' is not a model format", where=str(path), remedy=f"use {known}")
    model = IMPORTERS[path.suffix](path, context, until, shapes)
    make_signless(model.module)
    _check_sizes(model.module, str(path))
    return model


def _check_sizes(module: Module, where: str) -> None:
    """Refuse tensors that no microcontroller holds, before arrays of their size are made here."""
    found: list[str] = []

    def visit(op: Operation) -> WalkResult:
        arguments = [argument for region in op.regions for block in region.blocks for argument in block.arguments]
        for value in (*op.results, *arguments):
            if _elements(value.type) > _MOST_ELEMENTS:
                # An exception would not come through MLIR's walk as it is.
                found.append(f"'{value.type}' of {op.name} at {place_of(op.location)}")
                return WalkResult.INTERRUPT
        return WalkResult.ADVANCE

    module.operation.walk(visit)
    if found:
        raise InputError("importer", f"{found[0]} has more than {_MOST_ELEMENTS:,} elements", where=where)


def _elements(type_: Type) -> int:
    """Number of elements of a tensor, vector or buffer whose size is known; 0 for any other type."""
    return math.prod(type_.shape) if isinstance(type_, ShapedType) and type_.has_static_shape else 0


def _tflite(path: Path, context: Context, until: Sequence[str], shapes: Shapes) -> ImportedModel:
    imported = import_tflite(path, until=until, shapes=shapes)
    if imported.bytecode:
        module = parse_module(imported.bytecode, context, str(path), stage="importer")
        mend(module, imported.notes)
        make_signless(module)
    else:
        module = empty_module(context)
    stitch(module, imported.partition, str(path))
    note_states(module, len(imported.states))
    return ImportedModel(module, imported.inputs, imported.outputs, imported.states)


def note_states(module: Module, count: int) -> None:
    """Say on the network's function how many of its arguments and results are state."""
    if count:
        with module.context:
            function = network_function(module, "importer").operation
            function.attributes[STATES] = IntegerAttr.get(IntegerType.get_signless(64), count)


def _mlir(path: Path, context: Context, until: Sequence[str], shapes: Shapes) -> ImportedModel:
    if shapes:
        raise UsageError("importer", "--shape takes names of inputs in a .tflite file", where=str(path))
    if until:
        raise UsageError("importer", "--until takes names of tensors in a .tflite file", where=str(path))
    return ImportedModel(*import_mlir(path, context))


IMPORTERS: dict[str, Callable[[Path, Context, Sequence[str], Shapes], ImportedModel]] = {
    ".tflite": _tflite,
    ".mlir": _mlir,
    ".mlirbc": _mlir,
}
FOREIGN = (".mlir", ".mlirbc")
"""The kinds of model that are MLIR as it comes: reading it can crash MLIR."""
