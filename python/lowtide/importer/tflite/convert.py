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


def convert(model: Model, where: str) -> bytes:
    """TOSA as MLIR bytecode; deterministic, locations are `"tensor name"("<stdin>":0:0)`.

    Raises:
        InputError: the converter refused the model, or crashed or hung on it.
    """
    # One malloc arena: the limit on memory counts what threads reserve. -P keeps this folder off the import path.
    environment = {**os.environ, "MALLOC_ARENA_MAX": "1"}
    try:
        done = subprocess.run(
            [sys.executable, "-P", str(_CHILD)],
            input=write(model),
            capture_output=True,
            timeout=_TIMEOUT_SECONDS,
            check=False,
            env=environment,
        )
    except subprocess.TimeoutExpired as error:
        raise InputError(
            "importer", f"the TOSA converter did not finish in {_TIMEOUT_SECONDS} s", where=where, remedy=_REMEDY
        ) from error
    if done.returncode == 0 and done.stdout:
        return done.stdout
    raise _refusal(model, where, done.returncode, done.stderr.decode("utf-8", "replace"))


_REMEDY = "stop before the operator at fault with --until TENSOR (`lowtide inspect` lists the tensors)"


def _refusal(model: Model, where: str, status: int, printed: str) -> InputError:
    if status < 0:
        message = f"the TOSA converter crashed on this model ({signal.Signals(-status).name})"
        return InputError("importer", message, where=where, remedy=_REMEDY)
    diagnostic = _DIAGNOSTIC.search(printed)
    lines = printed.strip().splitlines()
    reason = diagnostic["text"] if diagnostic else lines[-1] if lines else "no reason given"
    location = _LOCATION.search(printed)
    makers = {model.tensors[o].name: operator for operator in model.operators for o in operator.outputs}
    operator = makers.get(location["name"]) if location else None
    place = f"{where}, {model.place(operator)}" if operator else where
    return InputError("importer", f"the TOSA converter refuses this model: {reason}", where=place, remedy=_REMEDY)
