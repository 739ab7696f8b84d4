"""Runs the converter (`child.py`) on a model and turns its refusals into InputErrors."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from lowtide.errors import InputError
from lowtide.importer.tflite.model import Model
from lowtide.importer.tflite.writer import write

_CHILD = Path(__file__).with_name("child.py")
_TIMEOUT_SECONDS = 300
_LOCATION = re.compile(r'loc\("(?P<name>[^"]+)"\(')
_DIAGNOSTIC = re.compile(r"^(?:loc\(.*\): )?error: (?P<text>.*)$", re.MULTILINE)
_REMEDY = "stop before the operator at fault with --until TENSOR (`lowtide inspect` lists the tensors)"
# How MLIR bytecode names the dialects whose operations it holds, and text an operation.
_TFL_IN_BYTECODE = b"\0tfl\0"
_TFL_IN_TEXT = re.compile(r'^\s*(?:%\S+ = )?"?(?P<op>tfl\.\w+)"?.* loc\((?P<loc>#loc\d*)\)$', re.MULTILINE)


def convert(model: Model, where: str) -> bytes:
    """TOSA as MLIR bytecode; the same for the same model, with the locations that `Imported` describes.

    Raises:
        InputError: the converter refused the model, left operators as they are, crashed or hung.
    """
    file = write(model)
    bytecode = _run(model, where, file)
    if _TFL_IN_BYTECODE in bytecode:
        _refuse_leftover(model, where, _run(model, where, file, "--text").decode("utf-8", "replace"))
    return bytecode


def _run(model: Model, where: str, file: bytes, *options: str) -> bytes:
    # -P keeps this folder off the import path. One malloc arena: the child's memory limit counts reserved memory.
    try:
        done = subprocess.run(
            [sys.executable, "-P", str(_CHILD), *options],
            input=file,
            capture_output=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
            env={**os.environ, "MALLOC_ARENA_MAX": "1"},
        )
    except subprocess.TimeoutExpired as error:
        message = f"the TOSA converter did not finish in {_TIMEOUT_SECONDS} s"
        raise InputError("importer", message, where=where, remedy=_REMEDY) from error
    if done.returncode == 0 and done.stdout:
        return done.stdout
    printed = done.stderr.decode("utf-8", "replace")
    if done.returncode < 0:
        message = f"the TOSA converter crashed on this model ({signal.Signals(-done.returncode).name})"
        raise InputError("importer", message, where=where, remedy=_REMEDY)
    location, diagnostic = _LOCATION.search(printed), _DIAGNOSTIC.search(printed)
    lines = printed.strip().splitlines()
    reason = diagnostic["text"] if diagnostic else lines[-1] if lines else "no reason given"
    place = _place(model, where, location["name"] if location else None)
    raise InputError("importer", f"the TOSA converter refuses this model: {reason}", where=place, remedy=_REMEDY)


def _place(model: Model, where: str, tensor: str | None) -> str:
    """The operator that makes the tensor with this name, if there is one."""
    for operator in model.operators:
        if any(model.tensors[output].name == tensor for output in operator.outputs):
            return f"{where}, {model.place(operator)}"
    return where


def _refuse_leftover(model: Model, where: str, text: str) -> None:
    """Refuses an operator that the converter left in TensorFlow Lite's dialect, if there is one."""
    left = _TFL_IN_TEXT.search(text)
    if left is None:
        return
    location = re.search(rf"^{left['loc']} = {_LOCATION.pattern}", text, re.MULTILINE)
    place = _place(model, where, location["name"] if location else None)
    raise InputError("importer", f"the TOSA converter cannot convert this {left['op']}", where=place, remedy=_REMEDY)
