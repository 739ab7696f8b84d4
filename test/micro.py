"""LiteRT Micro's own interpreter (PyPI `tflite-micro`) in a process of its own: what a `.tflite` model must give."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

Array = npt.NDArray[Any]
_ARENA = 1 << 20
_CHILD = """
import sys
import numpy as np
from tflite_micro import runtime

model, inputs, outputs, arena, runs, made = sys.argv[1:]
given = np.load(inputs)
interpreter = runtime.Interpreter.from_file(model, arena_size=int(arena))
results = {}
for run in range(int(runs)):
    for index in range(len(given.files) // int(runs)):
        shape = interpreter.get_input_details(index)["shape"]
        interpreter.set_input(given[f"{run}/{index}"].reshape(shape), index)
    interpreter.invoke()
    for index in range(int(made)):
        results[f"{run}/{index}"] = np.array(interpreter.get_output(index))
np.savez(outputs, **results)
"""


def micro_outputs(model: Path, runs: Sequence[Sequence[Array]], count: int = 1) -> list[list[Array]]:
    """The `count` outputs of each run of a model; the test is skipped where LiteRT Micro is not installed.

    It may abort on what it does not take, which fails the test here.
    """
    pytest.importorskip("tflite_micro", reason="tflite-micro has wheels for Python 3.11 alone")
    given, made = model.with_suffix(".in.npz"), model.with_suffix(".out.npz")
    arrays = {f"{run}/{index}": x for run, xs in enumerate(runs) for index, x in enumerate(xs)}
    np.savez(given, allow_pickle=False, **arrays)
    arguments = [str(part) for part in (model, given, made, _ARENA, len(runs), count)]
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, *arguments], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    with np.load(made) as results:
        return [[results[f"{run}/{index}"] for index in range(count)] for run in range(len(runs))]
