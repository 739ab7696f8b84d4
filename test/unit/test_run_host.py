"""The host backend: a .vmfb through IREE's runtime."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from lowtide.codegen.iree import tool
from lowtide.emulate import ArtifactView, backend_named
from lowtide.errors import InputError, UsageError
from lowtide.network import IoTensor, Slot
from lowtide.targets import TARGETS

TWO_IN_TWO_OUT = """
func.func @main(%a: tensor<1x4xi8>, %b: tensor<2xf32>) -> (tensor<1x4xi8>, tensor<2xf32>) {
  %c = arith.constant dense<200> : tensor<1x4xi8>
  %x = arith.addi %a, %c : tensor<1x4xi8>
  %y = arith.addf %b, %b : tensor<2xf32>
  return %x, %y : tensor<1x4xi8>, tensor<2xf32>
}"""
SLOTS = (Slot(IoTensor("a", (1, 4), "uint8"), 0), Slot(IoTensor("b", (2,), "float32"), 16))


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> ArtifactView:
    directory = tmp_path_factory.mktemp("host")
    command = [str(tool("iree-compile")), "-", "-o", str(directory / "net.vmfb"), "--iree-hal-target-device=local"]
    command += ["--iree-hal-local-target-device-backends=llvm-cpu", "--iree-llvmcpu-target-cpu=generic"]
    subprocess.run(command, input=TWO_IN_TWO_OUT, text=True, check=True)
    return ArtifactView(directory, "net", TARGETS["cortex-m4"], 24, 0, 0, 24, SLOTS, SLOTS)


def test_results_keep_sign_shape_and_order(artifact: ArtifactView) -> None:
    session = backend_named("host").open(artifact)
    for start in (0, 50):
        a = np.arange(start, start + 4, dtype=np.uint8).reshape(1, 4)
        result = session.run([a, np.array([0.5, -2], np.float32)], probe=True)
        assert result.outputs[0].dtype == np.uint8
        assert result.outputs[0].tolist() == [[(200 + start + i) % 256 for i in range(4)]]
        assert result.outputs[1].tolist() == [1.0, -4.0]
        assert (result.instructions, result.stack_used_bytes, result.arena_touched_bytes) == (None, None, None)


def test_wrong_inputs_are_refused(artifact: ArtifactView) -> None:
    with pytest.raises(UsageError, match="has 2 inputs, 0 were given"):
        backend_named("host").run(artifact, [])


def test_a_missing_or_damaged_file_is_refused(tmp_path: Path, artifact: ArtifactView) -> None:
    moved = ArtifactView(tmp_path, "net", artifact.target, 24, 0, 0, 24, SLOTS, SLOTS)
    with pytest.raises(InputError, match=r"net\.vmfb is missing"):
        backend_named("host").open(moved)
    whole = artifact.file(".vmfb").read_bytes()
    for damaged in (b"", b"no bytecode", whole[:100], whole[: len(whole) // 2]):
        (tmp_path / "net.vmfb").write_bytes(damaged)
        with pytest.raises(InputError, match="IREE's runtime can't load it"):
            backend_named("host").open(moved)


def test_results_own_their_memory(artifact: ArtifactView) -> None:
    """They were views of device memory that the runtime gave to later runs."""
    for output in backend_named("host").run(artifact, [np.zeros((1, 4), np.uint8), np.zeros(2, np.float32)]).outputs:
        base = output
        while isinstance(base.base, np.ndarray):
            base = base.base
        assert base.flags.owndata
