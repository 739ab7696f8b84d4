"""The front end: a model's file becomes a network in normalised linalg.

A `.tflite` is made into TOSA by the converter's own process, which leaves sound IR. Of an `.mlir` nobody knows whether
MLIR's passes survive it: it goes through the same stages in a process of its own (`lowtide.isolated`), and what comes
back has passed every check.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lowtide.importer import FOREIGN, ImportedModel, import_model
from lowtide.importer.tflite import NO_SHAPES
from lowtide.importer.tflite.given_shapes import Shapes
from lowtide.ir import Context, bytecode_of, make_context, parse_module
from lowtide.isolated import run_isolated
from lowtide.messages import Message
from lowtide.network import IoTensor
from lowtide.passes import PASSES
from lowtide.stages import Stages

STAGE = "importer"


def normalised(path: Path, until: Sequence[str], stages: Stages, shapes: Shapes = NO_SHAPES) -> ImportedModel:
    """Import and normalise: the module that plans are made for, in a context that has lowtide's transform dialect.

    Raises:
        LowtideError: the model is refused.
    """
    if path.suffix in FOREIGN:
        return _foreign(path, until, stages, shapes)
    with stages.stage("import"):
        model = import_model(path, _context(), until, shapes)
        PASSES["lowtide-import-tosa"].run(model.module, {})
    stages.dump("import", model.module)
    with stages.stage("normalise", model.module):
        PASSES["lowtide-normalise"].run(model.module, {})
    return model


def _foreign(path: Path, until: Sequence[str], stages: Stages, shapes: Shapes) -> ImportedModel:
    with stages.stage("import"):
        header = {
            "name": str(path),
            "stage": STAGE,
            "until": list(until),
            "shapes": dict(shapes),
            "dump": stages.dump_dir is not None,
        }
        reply = run_isolated("front end", header, stage=STAGE, where=str(path))
        known = _context()
        modules = [parse_module(blob, known, str(path), stage=STAGE) for blob in reply.blobs]
    for imported in modules[1:]:
        stages.dump("import", imported)
    with stages.stage("normalise", modules[0]):
        inputs, outputs = (tuple(map(_tensor, reply.header[name])) for name in ("inputs", "outputs"))
    return ImportedModel(modules[0], inputs, outputs)


def _context() -> Context:
    # It loads the planner and its solvers, which the process of its own has no need of.
    from lowtide.transform.interpreter import make_transform_context

    return make_transform_context()


def isolated_front_end(request: Message) -> Message:
    """What `_foreign` asks for: the normalised module and, for a dump, what it was when it had been imported.

    Raises:
        LowtideError: the model is refused.
    """
    model = import_model(
        Path(request.header["name"]), make_context(), request.header["until"], request.header["shapes"]
    )
    PASSES["lowtide-import-tosa"].run(model.module, {})
    imported = [bytecode_of(model.module)] if request.header["dump"] else []
    PASSES["lowtide-normalise"].run(model.module, {})
    header = {"inputs": list(map(asdict, model.inputs)), "outputs": list(map(asdict, model.outputs))}
    return Message(header, (bytecode_of(model.module), *imported))


def _tensor(fields: Mapping[str, Any]) -> IoTensor:
    shape = tuple(fields["shape"])
    return IoTensor(fields["name"], shape, fields["dtype"], fields["scale"], fields["zero_point"])
