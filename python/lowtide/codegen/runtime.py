"""NAME.vmfb: the same network compiled for this machine, for IREE's runtime."""

from __future__ import annotations

from pathlib import Path

from lowtide.codegen.iree import compile_module
from lowtide.codegen.module import runtime_module
from lowtide.network import Network
from lowtide.targets import target_named


def build_runtime(network: Network, body: str, scratch: Path) -> bytes:
    """Compile to the bytes of NAME.vmfb, whose `main` takes the inputs and returns the outputs as tensors.

    Args:
        network: what to compile.
        body: as `prepare_body` gives it.
        scratch: a folder for intermediate files.

    Raises:
        InternalError: IREE refused the module.
    """
    module = runtime_module(network, body)
    return compile_module(module, target_named("host"), (), scratch, name=network.name).read_bytes()
