"""Runs NAME.vmfb, the same IR compiled for this machine, through IREE's runtime."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lowtide.emulate.artifact import ArtifactView
from lowtide.emulate.backend import Array, RunResult, check_inputs
from lowtide.errors import InputError, InternalError


class HostBackend:
    """Runs any target's network on this machine: right results, nothing to count or measure."""

    def open(self, artifact: ArtifactView) -> HostSession:
        """Load NAME.vmfb; `InputError` where it is missing or IREE's runtime refuses it."""
        return HostSession(artifact)

    def run(
        self, artifact: ArtifactView, inputs: Sequence[Array], *, count: bool = True, probe: bool = False
    ) -> RunResult:
        """Open and run once."""
        return self.open(artifact).run(inputs, count=count, probe=probe)


class HostSession:
    """A loaded .vmfb; see `Session`."""

    def __init__(self, artifact: ArtifactView) -> None:
        from iree import runtime

        self._artifact = artifact
        path = artifact.file(".vmfb")
        try:
            # Read, not mapped: the folder may be written anew while the session lives.
            self._context = runtime.SystemContext(config=runtime.Config("local-sync"))
            module = runtime.VmModule.copy_buffer(self._context.instance, path.read_bytes())
            self._context.add_vm_module(module)
            self._main = self._context.modules[module.name]["main"]
        except (OSError, ValueError, RuntimeError, LookupError) as error:
            message = f"IREE's runtime can't load it: {str(error).splitlines()[0]}"
            raise InputError("run", message, where=str(path), remedy="compile again") from error

    def run(self, inputs: Sequence[Array], *, count: bool = True, probe: bool = False) -> RunResult:  # noqa: ARG002
        """Run once; there are no figures, whatever is asked for."""
        check_inputs(self._artifact.inputs, inputs)
        # IREE's integers have no sign: unsigned tensors travel as signed ones of the same width.
        signless = [_signless(np.ascontiguousarray(array).reshape(array.shape)) for array in inputs]
        try:
            returned = self._main(*signless)
        except (RuntimeError, ValueError) as error:
            raise InternalError(
                "run", f"IREE's runtime failed: {error}", where=str(self._artifact.directory)
            ) from error
        results = returned if isinstance(returned, list | tuple) else (returned,)
        if len(results) != len(self._artifact.outputs):
            raise InternalError("run", f"{len(results)} results, but {len(self._artifact.outputs)} outputs")
        # to_host() maps the device's memory, which is recycled once the result is collected: copy.
        outputs = tuple(
            np.array(result.to_host(), copy=True).view(slot.tensor.dtype).reshape(slot.tensor.shape)
            for slot, result in zip(self._artifact.outputs, results, strict=True)
        )
        return RunResult(outputs, None, None, None, 0)


def _signless(array: Array) -> Array:
    kind = array.dtype
    return array.view(f"i{kind.itemsize}") if kind.kind in "ub" and kind.name != "bool" else array
