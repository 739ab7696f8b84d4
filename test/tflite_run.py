"""Runs `.tflite` models on this machine, as lowtide lowers them."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import jit
from jit import Array

from lowtide.lower import lower
from lowtide.network import Network
from lowtide.stages import Stages
from lowtide.targets import TARGETS


def lowered(model: bytes) -> Network:
    """The network of a model, layer by layer, for this machine; raises whatever lowtide refuses it with."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.tflite"
        path.write_bytes(model)
        return lower(path, TARGETS["host"], objective="untiled", stages=Stages()).network


def run_model(model: bytes, inputs: Sequence[Array]) -> list[Array]:
    """The outputs for one array an input."""
    return jit.run_network(lowered(model), inputs)
