"""lowtide: fits trained neural networks into the least SRAM a microcontroller can have, and proves the number.

    artifact = lowtide.compile("model.tflite", target="cortex-m4", ram=32 * 1024)
    result = lowtide.run(artifact.directory, seed=1)
    check = lowtide.verify("model.tflite", target="cortex-m4", golden="golden.npz")
    graph = lowtide.inspect("model.tflite")
"""

from __future__ import annotations

from lowtide.artifact import Artifact, load
from lowtide.artifact import compile_model as compile
from lowtide.errors import InputError, InternalError, LowtideError, MismatchError, UsageError
from lowtide.graph.graph import Graph, Layer, Tensor
from lowtide.lower import inspect_model as inspect
from lowtide.report.report import Report
from lowtide.run import RunResult
from lowtide.targets import TARGETS, Target
from lowtide.verify import Verification
from lowtide.verify import run_artifact as run
from lowtide.verify import verify_model as verify

__version__ = "0.1.0"

__all__ = [
    "TARGETS",
    "Artifact",
    "Graph",
    "InputError",
    "InternalError",
    "Layer",
    "LowtideError",
    "MismatchError",
    "Report",
    "RunResult",
    "Target",
    "Tensor",
    "UsageError",
    "Verification",
    "compile",
    "inspect",
    "load",
    "run",
    "verify",
]
